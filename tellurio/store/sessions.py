"""Browsers that are logged in.  A session outlives a restart of the server, and only its browser has the secret."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from tellurio.store import tables as t
from tellurio.store.prepared import Prepared
from tellurio.store.users import USER

__all__ = ["MOST", "end_session", "make_session", "user_of_session"]

MOST = 100
"""Sessions a user has at once; the oldest are forgotten first."""

_BY_SECRET = Prepared(
    select(*USER)
    .join(t.sessions, t.sessions.c.user_id == t.users.c.id)
    .where(t.sessions.c.hash == bindparam("hash"), t.sessions.c.expires > bindparam("now")),
    *("hash", "now"),
)


def make_session(c: Connection, user_id: str, seconds: float) -> str:
    """A new session of ``seconds``; returns its secret, which is kept as its SHA-256 only."""
    secret, now, sessions = secrets.token_urlsafe(32), time.time(), t.sessions
    c.execute(delete(sessions).where(sessions.c.expires <= now))
    mine = select(sessions.c.hash).where(sessions.c.user_id == user_id).order_by(sessions.c.created.desc())
    old = list(c.scalars(mine.offset(MOST - 1)))
    if old:
        c.execute(delete(sessions).where(sessions.c.hash.in_(old)))
    row = {"hash": _hash(secret), "user_id": user_id, "created": now, "expires": now + seconds}
    c.execute(insert(sessions), row)
    return secret


def user_of_session(c: Connection, secret: str) -> dict[str, Any] | None:
    """Whose session it is; None: it is unknown, over, or was ended."""
    row = _BY_SECRET.first(c, _hash(secret), time.time())
    return row and {**row, "is_admin": bool(row["is_admin"])}


def end_session(c: Connection, secret: str) -> None:
    """The session opens nothing any more."""
    c.execute(delete(t.sessions).where(t.sessions.c.hash == _hash(secret)))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
