"""Browsers: one-time codes that log them in, and the sessions they then have.  All in memory, hashed."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any

__all__ = ["COOKIE", "Sessions", "path_of_ours"]

COOKIE = "tellurio_session"

MOST = 10_000
"""Codes and sessions that are kept; the oldest are forgotten first."""


class Sessions:
    """Who is logged in with a browser.

    Args:
        code_seconds: for how long a code can be used.
        session_seconds: for how long a session lasts.
    """

    def __init__(self, code_seconds: float, session_seconds: float) -> None:
        self._code_seconds, self.session_seconds = code_seconds, session_seconds
        self._codes: dict[bytes, tuple[dict[str, Any], float]] = {}
        self._sessions: dict[bytes, tuple[dict[str, Any], float]] = {}

    def code(self, user: dict[str, Any]) -> str:
        """A code that logs ``user`` in, once."""
        return _put(self._codes, user, self._code_seconds)

    def open(self, code: str) -> str | None:
        """Use up ``code``: the new session's secret, or None if the code is unknown, old or used."""
        entry = self._codes.pop(_hash(code), None)
        if entry is None or entry[1] < time.monotonic():
            return None
        return _put(self._sessions, entry[0], self.session_seconds)

    def user(self, secret: str) -> dict[str, Any] | None:
        """Whose session it is."""
        entry = self._sessions.get(_hash(secret))
        return entry[0] if entry is not None and entry[1] >= time.monotonic() else None


def _put(entries: dict[bytes, tuple[dict[str, Any], float]], user: dict[str, Any], seconds: float) -> str:
    secret, now = secrets.token_urlsafe(32), time.monotonic()
    for old in [name for name, entry in entries.items() if entry[1] < now]:
        del entries[old]
    while len(entries) >= MOST:
        del entries[next(iter(entries))]
    entries[_hash(secret)] = (user, now + seconds)
    return secret


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def path_of_ours(path: str) -> bool:
    """Whether a browser that is sent to ``path`` stays on this server.

    Browsers read ``//host`` and ``/\\host`` as other hosts, and drop tabs and line ends before they look.
    """
    plain = path.isascii() and path.isprintable()
    return plain and path.startswith("/") and not path.startswith("//") and "\\" not in path and len(path) <= 2000
