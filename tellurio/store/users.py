"""Users and their API keys."""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid
from typing import Any

from sqlalchemy import Connection, bindparam, insert, or_, select, update

from tellurio.store import tables as t
from tellurio.store.names import slugify
from tellurio.store.prepared import Prepared

__all__ = ["keys_of", "local_user", "make_key", "make_user", "revoke_key", "user", "user_of_key"]

PREFIX = "tel_"
USER = (t.users.c.id, t.users.c.username, t.users.c.slug, t.users.c.email, t.users.c.is_admin)
_BY_KEY = Prepared(
    select(*USER)
    .join(t.api_keys, t.api_keys.c.user_id == t.users.c.id)
    .where(
        t.api_keys.c.hash == bindparam("hash"),
        t.api_keys.c.revoked.is_(None),
        or_(t.api_keys.c.expires.is_(None), t.api_keys.c.expires > bindparam("now")),
    ),
    *("hash", "now"),
)
_KEY = tuple(t.api_keys.c[name] for name in ("id", "user_id", "name", "prefix", "created", "expires", "revoked"))


def make_user(c: Connection, username: str, email: str, *, is_admin: bool = False) -> dict[str, Any]:
    """A new user.

    Raises:
        ValueError: the name is empty or taken.
    """
    slug = slugify(username)
    if not slug:
        raise ValueError(f"expected a user name with a letter or a digit, got {username!r}")
    taken = or_(t.users.c.username == username, t.users.c.slug == slug)
    if c.scalar(select(t.users.c.id).where(taken)) is not None:
        raise ValueError(f"the user name {username!r} is taken: choose another")
    row = {"id": str(uuid.uuid4()), "username": username, "slug": slug, "email": email, "is_admin": is_admin}
    c.execute(insert(t.users), {**row, "created": time.time()})
    return row


def user(c: Connection, user_id: str) -> dict[str, Any] | None:
    """The user with that id."""
    return _first(c, select(*USER).where(t.users.c.id == user_id))


def local_user(c: Connection) -> dict[str, Any] | None:
    """The first admin: whose server a local one is."""
    return _first(c, select(*USER).where(t.users.c.is_admin).order_by(t.users.c.created, t.users.c.id).limit(1))


def make_key(c: Connection, user_id: str, name: str, *, expires: float | None = None) -> tuple[dict[str, Any], str]:
    """A new API key: what is kept of it, and the key itself, which only the caller ever has."""
    key = PREFIX + secrets.token_urlsafe(32)
    row = {
        "id": str(uuid.uuid4()),
        "user_id": user_id,
        "name": name,
        "prefix": key[:8],
        "created": time.time(),
        "expires": expires,
        "revoked": None,
    }
    c.execute(insert(t.api_keys), {**row, "hash": _hash(key)})
    return row, key


def keys_of(c: Connection, user_id: str) -> list[dict[str, Any]]:
    """What is kept of the user's keys, the newest first; revoked ones too."""
    query = select(*_KEY).where(t.api_keys.c.user_id == user_id).order_by(t.api_keys.c.created.desc())
    return [dict(row) for row in c.execute(query).mappings()]


def revoke_key(c: Connection, key_id: str) -> bool:
    """The key opens nothing any more; False: there is none of that id, or it was revoked before."""
    this = (t.api_keys.c.id == key_id) & t.api_keys.c.revoked.is_(None)
    return c.execute(update(t.api_keys).where(this).values(revoked=time.time())).rowcount == 1


def user_of_key(c: Connection, key: str) -> dict[str, Any] | None:
    """Whose key it is; None: it is unknown, expired or revoked."""
    if not key.startswith(PREFIX):
        return None
    row = _BY_KEY.first(c, _hash(key), time.time())
    return row and {**row, "is_admin": bool(row["is_admin"])}


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _first(c: Connection, query: Any) -> dict[str, Any] | None:
    row = c.execute(query).mappings().first()
    return None if row is None else dict(row)
