"""One-time codes that log a browser in, in memory and hashed; and where a login may lead.

The sessions they open are in the store: a restart of the server logs nobody out.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from http.cookies import CookieError, SimpleCookie

__all__ = ["COOKIE", "Codes", "path_of_ours", "secret_in"]

COOKIE = "tellurio_session"

MOST = 10_000
"""Codes that are kept; the oldest are forgotten first."""


class Codes:
    """Who may log a browser in.

    Args:
        seconds: for how long a code can be used.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._codes: dict[bytes, tuple[str, float]] = {}

    def make(self, user_id: str) -> str:
        """A code that logs the user in, once."""
        code, now = secrets.token_urlsafe(32), time.monotonic()
        for old in [name for name, entry in self._codes.items() if entry[1] < now]:
            del self._codes[old]
        while len(self._codes) >= MOST:
            del self._codes[next(iter(self._codes))]
        self._codes[_hash(code)] = (user_id, now + self._seconds)
        return code

    def use(self, code: str) -> str | None:
        """Use up ``code``: whom it logs in, or None if it is unknown, too old or used."""
        entry = self._codes.pop(_hash(code), None)
        return None if entry is None or entry[1] < time.monotonic() else entry[0]


def secret_in(cookies: str) -> str | None:
    """The secret of the session in a Cookie header."""
    try:
        jar = SimpleCookie(cookies)
    except CookieError:
        return None
    return jar[COOKIE].value if COOKIE in jar else None


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def path_of_ours(path: str) -> bool:
    """Whether a browser that is sent to ``path`` stays on this server.

    Browsers read ``//host`` and ``/\\host`` as other hosts, and drop tabs and line ends before they look.
    """
    plain = path.isascii() and path.isprintable()
    return plain and path.startswith("/") and not path.startswith("//") and "\\" not in path and len(path) <= 2000
