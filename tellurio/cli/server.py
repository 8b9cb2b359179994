"""``tellurio``: the local server, and what waits for a server; each command is one file, or a few lines in one."""

from __future__ import annotations

import typer

from tellurio.cli._common import run, show_version, verbosity
from tellurio.cli.local import down, status, up
from tellurio.cli.logs import logs
from tellurio.cli.open import open_page
from tellurio.cli.sync import sync

__all__ = ["app", "main"]

app = typer.Typer(
    help="The Tellurio server of this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=show_version, is_eager=True),
    level: str = typer.Option(None, "-v", "--verbosity", help="debug, info, warning, error or critical."),
) -> None:
    """The Tellurio server of this machine."""
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
