"""``tellurio``: the local server, and what waits for a server; each command is one file, or a few lines in one."""

from __future__ import annotations

import typer

from tellurio.cli._common import run, show_version, steps, verbosity
from tellurio.cli.local import down, status, up
from tellurio.cli.logs import logs
from tellurio.cli.open import open_page
from tellurio.cli.sync import sync

__all__ = ["app", "main"]

_ABOUT = "The Tellurio server of this machine: it keeps Runs, and shows them in a browser."
_NEXT = steps(
    "Next steps:",
    ("tellurio open", "the page in a browser, logged in; te.init(...) of a script starts the server"),
    ("tellurio status", "whether it runs, and where its data are"),
    ("tellurio COMMAND --help", "all about one command"),
)

app = typer.Typer(
    help=_ABOUT,
    epilog=_NEXT,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(help=_ABOUT, epilog=_NEXT)
def _root(
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=show_version, is_eager=True),
    level: str = typer.Option(None, "-v", "--verbosity", help="debug, info, warning, error or critical."),
) -> None:
    verbosity(level)


app.command("up")(up)
app.command("down")(down)
app.command("status")(status)
app.command("logs")(logs)
app.command("open")(open_page)
app.command("sync")(sync)


def main() -> None:
    """Entry point of ``tellurio``."""
    run(app, "tellurio")
