"""``afnio login``: which server, and its key, for the next time."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tellurio.cli._common import steps
from tellurio.client.login import connect, needs_key, server_url
from tellurio.client.login import login as log_in

__all__ = ["NEXT", "login"]

NEXT = steps(
    "Examples:",
    ("afnio login", "the server that is configured, or the local one"),
    ("afnio login --server https://tellurio.example.com", "one elsewhere; you are asked for its key"),
    ("afnio login --server local", "back to the one on this machine"),
    ("TELLURIO_API_KEY=tel_... afnio login", "without being asked, in a script"),
)


def login(
    api_key: Annotated[
        str | None,
        typer.Option("--api-key", help="The key; better left out: others see a command line. You are asked for it."),
    ] = None,
    relogin: Annotated[bool, typer.Option("--relogin", help="Leave the stored key aside.")] = False,
    server: Annotated[
        str | None, typer.Option("--server", help="Its address; 'local' goes back to the one on this machine.")
    ] = None,
) -> None:
    """Log in to a Tellurio server, and remember it. Without a server of your own, the local one is started."""
    try:
        if api_key is None and sys.stdin.isatty() and needs_key(server, relogin=relogin):
            api_key = typer.prompt(f"[afnio] API key for {server_url(server)}", hide_input=True)
        user = log_in(api_key, relogin, url=server)
    except ValueError as error:  # no key, or no address; afnio's own errors go on to the caller
        typer.echo(f"[afnio] {error}", err=True)
        raise typer.Exit(1) from None
    print(f"[afnio] Logged in as '{user['username']}' at {connect().url}.")
