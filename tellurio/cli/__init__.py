"""The command line.  ``afnio`` is ``main``; each command is one file in this folder and one line in it."""

from __future__ import annotations

import typer

from tellurio.cli.lm_server import lm_server

__all__ = ["app", "main"]

app = typer.Typer(
    help="Train agents by textual gradients.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(shown: bool) -> None:
    if shown:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"afnio {version('afnio-studio')}")
        except PackageNotFoundError:
            print("afnio unknown (not installed)")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=_version, is_eager=True),
) -> None:
    """Train agents by textual gradients."""


app.command("lm-server")(lm_server)


def main() -> None:
    """Entry point of ``afnio``."""
    app(prog_name="afnio")
