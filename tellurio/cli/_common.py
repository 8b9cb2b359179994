"""What both commands, ``afnio`` and ``tellurio``, share: the version, the verbosity, errors in one line."""

from __future__ import annotations

import os
import sys

import typer

from afnio.errors import AfnioError
from afnio.logging_config import configure_logging
from tellurio.schemas.version import our_version

__all__ = ["run", "show_version", "steps", "verbosity"]


def run(app: typer.Typer, name: str) -> None:
    """Run the command ``name``.  An error we raise on purpose is a line on standard error and exit code 1."""
    try:
        app(prog_name=name)
    except AfnioError as error:
        typer.echo(f"[{name}] {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `tellurio logs | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def steps(title: str, *lines: tuple[str, str]) -> str:
    """The end of a help page: what to type next, and what it does; line by line, as it is written here."""
    width = max(len(command) for command, about in lines if about)
    return "\n".join(["\b", title, *[f"  {command:{width}}  {about}".rstrip() for command, about in lines]])


def show_version(context: typer.Context, shown: bool) -> None:
    """For ``--version``."""
    if shown:
        version = our_version()
        print(f"{context.info_name} {version if version != 'unknown' else 'unknown (not installed)'}")
        raise typer.Exit


def verbosity(level: str | None) -> None:
    """For ``-v/--verbosity``; without it only warnings are shown beside what a command prints."""
    try:
        configure_logging("warning" if level is None else level)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
