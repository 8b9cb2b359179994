"""What happened in a Run besides numbers, texts and calls: prompts, verdicts of the gate, skipped updates."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Connection

from tellurio.store._sql import execute

__all__ = ["add_event", "events"]


def add_event(c: Connection, run_key: int, kind: str, data: bytes, time: float) -> None:
    """Store one event; ``data`` is JSON."""
    row = (run_key, kind, time, data.decode())
    execute(c, "INSERT INTO events (run_key, kind, time, data) VALUES (?, ?, ?, ?)", row)


def events(
    c: Connection, run_key: int, kind: str | None = None, *, after: int = 0, limit: int = 1000
) -> list[dict[str, Any]]:
    """The events of a Run in the order they came, those with a ``key`` above ``after``."""
    only, parameters = ("", ()) if kind is None else (" AND kind = ?", (kind,))
    # The keys first, from the index alone: what is sorted is then no data.
    page = f"SELECT key FROM events WHERE run_key = ?{only} AND key > ? ORDER BY key LIMIT ?"  # noqa: S608
    query = f"SELECT key, kind, time, data FROM events WHERE key IN ({page}) ORDER BY key"  # noqa: S608
    found = execute(c, query, (run_key, *parameters, after, limit))
    return [{"key": key, "kind": kind, "time": time, "data": orjson.loads(data)} for key, kind, time, data in found]
