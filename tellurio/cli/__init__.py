"""The command line.  ``afnio`` is ``main``; each command is one file in this folder and one line in it."""

from __future__ import annotations

import typer

from tellurio.cli._common import run, show_version, verbosity
from tellurio.cli.lm_server import lm_server
from tellurio.cli.login import login

__all__ = ["app", "main"]

app = typer.Typer(
    help="Train agents by textual gradients.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=show_version, is_eager=True),
    level: str = typer.Option(None, "-v", "--verbosity", help="debug, info, warning, error or critical."),
) -> None:
    """Train agents by textual gradients."""
    verbosity(level)


app.command("lm-server")(lm_server)
app.command("login")(login)


def main() -> None:
    """Entry point of ``afnio``."""
    run(app, "afnio")
