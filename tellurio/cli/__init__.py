"""The command line.  ``afnio`` is ``main``; each command is one file in this folder and one line in it."""

from __future__ import annotations

import typer

from tellurio.cli._common import run, show_version, steps, verbosity
from tellurio.cli.lm_server import NEXT as LM_SERVER_NEXT
from tellurio.cli.lm_server import lm_server
from tellurio.cli.login import NEXT as LOGIN_NEXT
from tellurio.cli.login import login

__all__ = ["app", "main"]

_ABOUT = "Train agents by textual gradients: PyTorch's words for prompts."
_NEXT = steps(
    "Next steps:",
    ("afnio lm-server", "a model to try things on, without a key"),
    ("afnio login --server URL", "a Tellurio server elsewhere; one of your own is started by itself"),
    ("tellurio open", "what your Runs stored, in a browser"),
    ("afnio COMMAND --help", "all about one command"),
)

app = typer.Typer(
    help=_ABOUT,
    epilog=_NEXT,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # boxes squeeze the text, and take square brackets for markup
)


@app.callback(help=_ABOUT, epilog=_NEXT)
def _root(
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=show_version, is_eager=True),
    level: str = typer.Option(None, "-v", "--verbosity", help="debug, info, warning, error or critical."),
) -> None:
    verbosity(level)


app.command("lm-server", epilog=LM_SERVER_NEXT)(lm_server)
app.command("login", epilog=LOGIN_NEXT)(login)


def main() -> None:
    """Entry point of ``afnio``."""
    run(app, "afnio")
