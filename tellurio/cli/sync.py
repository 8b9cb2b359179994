"""``tellurio sync``: send what Runs logged while no server could be reached."""

from __future__ import annotations

import typer

from tellurio.client import orphans

__all__ = ["sync"]


def sync() -> None:
    """Send what Runs logged while no server was there.

    It waits on this machine, and so does what a Run could not finish sending.
    """
    try:
        done = orphans.sync()
    except ValueError as error:  # no key, or no address
        typer.echo(f"[tellurio] {error}", err=True)
        raise typer.Exit(1) from None
    for run in done.sent:
        print(f"Sent what Run '{run.name}' had logged ({run.size} bytes).")
    for run, reason in done.waiting:
        typer.echo(f"[tellurio] What Run '{run.name}' had logged still waits: {reason}", err=True)
    if not done.sent and not done.waiting:
        print("Nothing waits on this machine.")
    if done.waiting:
        raise typer.Exit(1)
