"""Edges between calls, and a Run seen as a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from tellurio.store._sql import execute, execute_many
from tellurio.store.calls import usd_of
from tellurio.store.runs import own_runs, run_by_key, subruns, with_parts

__all__ = ["Stored", "add_edges", "behind", "family", "graph", "indexed", "last", "summary", "uncounted", "whole"]


class Stored(NamedTuple):
    """An edge as it is stored; calls by their keys."""

    from_call: int
    to_call: int
    kind: str
    confidence: float
    weak: bool
    alternative: bool
    spans: list[dict[str, Any]]


_ADD = """
INSERT INTO edges (run_key, from_call, to_call, kind, confidence, weak, alternative, spans)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_key, to_call, from_call, kind) DO NOTHING
"""


def add_edges(c: Connection, run_key: int, edges: Iterable[Stored], upto: int) -> None:
    """Store edges; those of all calls of the Run up to the key ``upto`` are known then."""
    rows = [(run_key, *edge[:-1], orjson.dumps(edge.spans).decode()) for edge in edges]
    execute_many(c, _ADD, rows)
    execute(c, "UPDATE runs SET indexed = ? WHERE key = ? AND indexed < ?", (upto, run_key, upto))


def indexed(c: Connection, run_key: int) -> int:
    """Key of the Run's last call whose edges are known."""
    return int(execute(c, "SELECT indexed FROM runs WHERE key = ?", (run_key,)).scalar() or 0)


def uncounted(c: Connection, run_key: int, after: int, limit: int) -> list[tuple[int, dict[str, Any]]]:
    """The Run's next calls after that key, each with its record."""
    query = "SELECT key, record FROM calls WHERE run_key = ? AND key > ? ORDER BY key LIMIT ?"
    return [(row.key, orjson.loads(bytes(row.record))) for row in execute(c, query, (run_key, after, limit))]


def behind(c: Connection) -> list[str]:
    """The ids of recordings with calls whose edges are not known."""
    last = "(SELECT max(calls.key) FROM calls WHERE calls.run_key = runs.key)"
    return [row.id for row in execute(c, f"SELECT id FROM runs WHERE kind <> 'run' AND indexed < {last}")]  # noqa: S608


def graph(
    c: Connection, run_key: int, *, weak: bool = False, alternatives: bool = False, bodies: bool = True
) -> dict[str, Any] | None:
    """The Run, the calls and edges of it and of its parts, and the ids of its children; None: there is no such Run.

    Args:
        weak: edges with little evidence too.
        alternatives: edges by which a text may have come as well, where another is likelier.
        bodies: what was asked and answered too.
    """
    found = run_by_key(c, run_key)
    if found is None:
        return None
    runs = whole(c, found)
    complete = all(indexed(c, run["key"]) >= last(c, run["key"]) for run in runs)
    calls = [call for run in runs for call in _calls(c, run, bodies=bodies)]
    names = {call.pop("key"): call["id"] for call in calls}
    edges = [edge for run in runs for edge in _edges(c, run["key"], names, weak=weak, alternatives=alternatives)]
    children = execute(c, "SELECT id FROM runs WHERE parent_id = ? ORDER BY key", (found["id"],))
    graph = {"run": summary(c, found), "calls": calls, "edges": edges, "children": [row.id for row in children]}
    return {**graph, "complete": complete}


def whole(c: Connection, found: dict[str, Any]) -> list[dict[str, Any]]:
    """The Run, its parts, and the Runs of afnio that a recorded script began in it or in one of them."""
    keys = [*subruns(c, found["id"]), *own_runs(c, found["id"])]
    return [found, *(run for key in keys if (run := run_by_key(c, key)) is not None)]


def family(c: Connection, run_key: int) -> dict[str, Any] | None:
    """In a few words: the Run, its ``parts`` and their parts in the order they were made, and its ``reruns``."""
    found = run_by_key(c, run_key)
    if found is None:
        return None
    parts = sorted(whole(c, found)[1:], key=lambda run: int(run["key"]))
    query = "SELECT key FROM runs WHERE parent_id = ? AND kind = 'rerun' ORDER BY key"
    reruns = (run_by_key(c, row.key) for row in execute(c, query, (found["id"],)))
    told = {"parts": [_listed(c, run) for run in parts], "reruns": [_listed(c, run) for run in reruns]}
    return {"run": _listed(c, found), **told}


def _listed(c: Connection, run: Mapping[str, Any] | None) -> dict[str, Any]:
    assert run is not None  # it was found a moment ago
    return {**summary(c, run), "slug": run["slug"]}


def last(c: Connection, run_key: int) -> int:
    """Key of the Run's last call; 0: it has none."""
    return int(execute(c, "SELECT max(key) FROM calls WHERE run_key = ?", (run_key,)).scalar() or 0)


def summary(c: Connection, run: Mapping[str, Any]) -> dict[str, Any]:
    """A Run in a few words; calls and cost are those of its parts, too."""
    _, whole = with_parts(c, run["key"])
    return {
        **{name: run[name] for name in ("id", "name", "kind", "status", "reason")},
        "project": f"{run['namespace_slug']}/{run['project_slug']}",
        "parent": run["parent_id"],
        "started": run["created"],
        "finished": run["ended"],
        "calls": whole["calls"] + whole["reused"],
        "cost": whole["usd"],
    }


_CALLS = "SELECT key, call_id, label, location, error, source, started, seconds, usd_pico, record FROM calls"


def _calls(c: Connection, run: Mapping[str, Any], *, bodies: bool) -> list[dict[str, Any]]:
    found = execute(c, f"{_CALLS} WHERE run_key = ? ORDER BY key", (run["key"],))
    return [_call(index, run["id"], row, bodies=bodies) for index, row in enumerate(found)]


def _call(index: int, run_id: str, row: Any, *, bodies: bool) -> dict[str, Any]:
    record = orjson.loads(bytes(row.record))
    return {
        "key": row.key,
        "id": row.call_id or str(row.key),
        "index": index,
        "run": run_id,
        "label": row.label or record.get("node") or record.get("model"),
        "model": record.get("model"),
        "api_format": record.get("format"),
        "status": "error" if row.error else "ok",
        "error": row.error,
        "cached": row.source != "live",
        "edited": bool(record.get("edited")),
        "input": record.get("request") if bodies else None,
        "output": record.get("response") if bodies else None,
        "usage": record.get("usage"),
        "cost": usd_of(row.usd_pico),
        "started": row.started,
        "finished": row.started + row.seconds,
        "location": row.location,
    }


def _edges(
    c: Connection, run_key: int, names: Mapping[int, str], *, weak: bool, alternatives: bool
) -> list[dict[str, Any]]:
    only = ("" if weak else " AND NOT weak") + ("" if alternatives else " AND NOT alternative")
    query = f"SELECT * FROM edges WHERE run_key = ?{only} ORDER BY to_call, from_call, kind"  # noqa: S608
    return [
        {
            "from": names[row.from_call],
            "to": names[row.to_call],
            "kind": row.kind,
            "confidence": row.confidence,
            "weak": bool(row.weak),
            "alternative": bool(row.alternative),
            "spans": orjson.loads(row.spans),
        }
        for row in execute(c, query, (run_key,))
        if row.from_call in names and row.to_call in names
    ]
