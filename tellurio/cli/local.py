"""``tellurio up``, ``down`` and ``status``: the local server."""

from __future__ import annotations

import typer

from tellurio.client import paths
from tellurio.client.local import ensure_local_server, local_status, stop_local_server
from tellurio.client.login import server_url

__all__ = ["down", "status", "up"]


def up() -> None:
    """Start the local server, if it does not run. It goes on until 'tellurio down'."""
    before = local_status()
    ensure_local_server()
    server = local_status()
    already = " already" if before is not None and server is not None and before.pid == server.pid else ""
    if server is not None:
        print(f"Tellurio runs{already} at {server.url} (process {server.pid}).")


def down() -> None:
    """Stop the local server and wait until it is gone. Runs that log to it go on, and are sent when it is back."""
    pid = stop_local_server()
    print(f"Tellurio is stopped (it was process {pid})." if pid else "No local server was running.")


def status() -> None:
    """Say whether the local server runs, and where. Exit code 1 if it does not."""
    server = local_status()
    configured = server_url()
    if configured is not None:
        print(f"Runs go to {configured} (afnio login --server local changes that).")
    if server is None:
        typer.echo(f"No local server is running in {paths.server_home()}. Start it: tellurio up", err=True)
        raise typer.Exit(1)
    print(f"Tellurio {server.version} runs at {server.url} (process {server.pid}).")
    print(f"Its home is {paths.server_home()}, its log {paths.server_log()}.")
