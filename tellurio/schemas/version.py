"""Which client works with which server."""

from __future__ import annotations

import re
from functools import cache

import afnio
from afnio.errors import ServerVersionError

__all__ = ["HEADER", "check_versions", "our_version"]

HEADER = "X-Tellurio-Version"
"""Client and server each say their version in it, in every request and answer."""


@cache
def our_version() -> str:
    """The version of this installation."""
    return afnio.__version__


def check_versions(client: str, server: str) -> None:
    """One minor version apart works.

    Raises:
        ServerVersionError: they are further apart; the message says which side to upgrade.
    """
    ours, theirs = _minor(client), _minor(server)
    if ours is None or theirs is None or (ours[0] == theirs[0] and abs(ours[1] - theirs[1]) <= 1):
        return
    if ours < theirs:
        what = f"pip install --upgrade 'afnio-studio~={theirs[0]}.{theirs[1]}.0'"
        raise ServerVersionError(f"This client is {client}, the server {server}: upgrade the client: {what}")
    raise ServerVersionError(
        f"The server is {server}, this client {client}: upgrade the server (on this machine: tellurio down, then "
        f"tellurio up), or install the client that fits: pip install 'afnio-studio~={theirs[0]}.{theirs[1]}.0'"
    )


def _minor(version: str) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None
