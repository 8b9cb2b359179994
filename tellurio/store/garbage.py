"""Which blobs nobody needs any more."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Connection, Select, delete, select

from tellurio.store import tables as t

__all__ = ["release_blobs"]

_MANY = 500  # values in one IN


def release_blobs(c: Connection, run_keys: Select[Any]) -> list[str]:
    """Forget the artifacts of these Runs, and the blobs that only they had; returns the blobs' SHA-256.

    The files themselves are the caller's to delete, once this is committed.
    """
    theirs = t.artifacts.c.run_key.in_(run_keys)
    candidates = _digests(c, select(t.artifacts.c.files).where(theirs))
    if not candidates:
        return []
    c.execute(delete(t.artifacts).where(theirs))
    orphans = sorted(candidates - _digests(c, select(t.artifacts.c.files), among=candidates))
    for start in range(0, len(orphans), _MANY):
        c.execute(delete(t.blobs).where(t.blobs.c.sha256.in_(orphans[start : start + _MANY])))
    return orphans


def _digests(c: Connection, query: Select[Any], among: set[str] | None = None) -> set[str]:
    found: set[str] = set()
    for files in c.execute(query).scalars():
        digests = {file["sha256"] for file in orjson.loads(files)}
        found |= digests if among is None else digests & among
    return found
