"""Edges between calls, and a Run seen as a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from tellurio.store._sql import execute, execute_many
from tellurio.store.calls import sum_of, usd_of
from tellurio.store.runs import WHOLE, own_runs, run_by_key, runs_by_keys, subruns, with_parts

__all__ = [
    "Stored",
    "add_edges",
    "behind",
    "behind_in",
    "family",
    "graph",
    "indexed",
    "last",
    "settle",
    "summary",
    "uncounted",
    "whole",
]


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


_BEHIND_IN = f"""
{WHOLE} SELECT runs.key FROM runs WHERE runs.key IN (SELECT key FROM whole)
AND indexed < coalesce((SELECT max(calls.key) FROM calls WHERE calls.run_key = runs.key), 0) ORDER BY runs.key
"""  # noqa: S608


def behind_in(c: Connection, id: str) -> list[int]:
    """The keys of the Run and of what is in it, as far as they have calls whose edges are not known."""
    return [row.key for row in execute(c, _BEHIND_IN, (id, id, id))]


def settle(c: Connection, ids: Sequence[str]) -> set[str]:
    """See which of those Runs have one call, and nothing to find for it: edges are between calls of a Run.

    Returns:
        the ids of those: the edges of all their calls are known now.
    """
    settled: set[str] = set()
    for first in range(0, len(ids), _AT_ONCE):
        some = ids[first : first + _AT_ONCE]
        settled |= {row.id for row in execute(c, _SETTLE.format(", ".join("?" * len(some))), tuple(some))}
    return settled


_AT_ONCE = 500  # ids in a statement
_KEYS = "(SELECT {} FROM calls WHERE calls.run_key = runs.key)"
_SETTLE = f"""
UPDATE runs SET indexed = {_KEYS.format("max(calls.key)")} WHERE indexed = 0 AND kind <> 'run' AND id IN ({{}})
AND {_KEYS.format("min(calls.key)")} = {_KEYS.format("max(calls.key)")} RETURNING id
"""  # noqa: S608


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
    complete = not behind_in(c, found["id"])
    calls = _calls(c, runs, bodies=bodies)
    names = {call.pop("key"): call["id"] for call in calls}
    edges = _edges(c, runs, names, weak=weak, alternatives=alternatives)
    children = execute(c, "SELECT id FROM runs WHERE parent_id = ? ORDER BY key", (found["id"],))
    graph = {"run": summary(c, found), "calls": calls, "edges": edges, "children": [row.id for row in children]}
    return {**graph, "complete": complete}


def whole(c: Connection, found: dict[str, Any]) -> list[dict[str, Any]]:
    """The Run, its parts, and the Runs of afnio that a recorded script began in it or in one of them."""
    return [found, *runs_by_keys(c, [*subruns(c, found["id"]), *own_runs(c, found["id"])])]


def family(c: Connection, run_key: int) -> dict[str, Any] | None:
    """In a few words: the Run, its ``parts`` and their parts in the order they were made, and its ``reruns``."""
    found = run_by_key(c, run_key)
    if found is None:
        return None
    runs = whole(c, found)
    parts = sorted(runs[1:], key=lambda run: int(run["key"]))
    sums = _summed(runs)
    query = "SELECT key FROM runs WHERE parent_id = ? AND kind = 'rerun' ORDER BY key"
    reruns = runs_by_keys(c, [row.key for row in execute(c, query, (found["id"],))])
    return {
        "run": _listed(found, sums[found["id"]]),
        "parts": [_listed(run, sums[run["id"]]) for run in parts],
        "reruns": [_listed(run, with_parts(c, run["key"])[1]) for run in reruns],
    }


def _listed(run: Mapping[str, Any], sums: Mapping[str, Any]) -> dict[str, Any]:
    return {**_told(run, sums), "slug": run["slug"]}


def _summed(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the calls of each Run and of its parts add up to, by its id.  The first one is what all are in."""
    inside: dict[str, list[str]] = {run["id"]: [] for run in runs}
    for run in runs[1:]:
        inside[run["parent_id"] if run["parent_id"] in inside else runs[0]["id"]].append(run["id"])
    order = [runs[0]["id"]]
    for id in order:  # it grows: each Run comes before its parts
        order += inside[id]
    own = {run["id"]: run["cost"] for run in runs}
    sums: dict[str, dict[str, Any]] = {}
    for id in reversed(order):
        all = [own[id], *(sums[part] for part in inside[id])]
        told = {name: sum(each[name] for each in all) for name in ("calls", "reused", "unpriced")}
        pico = sum(int(Decimal(each["usd"] or 0).scaleb(12)) for each in all)
        sums[id] = {**told, "usd": sum_of(pico, told["calls"], told["unpriced"])}
    return sums


def last(c: Connection, run_key: int) -> int:
    """Key of the Run's last call; 0: it has none."""
    return int(execute(c, "SELECT max(key) FROM calls WHERE run_key = ?", (run_key,)).scalar() or 0)


def summary(c: Connection, run: Mapping[str, Any]) -> dict[str, Any]:
    """A Run in a few words; calls and cost are those of its parts, too."""
    return _told(run, with_parts(c, run["key"])[1])


def _told(run: Mapping[str, Any], sums: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: run[name] for name in ("id", "name", "kind", "status", "reason")},
        "project": f"{run['namespace_slug']}/{run['project_slug']}",
        "parent": run["parent_id"],
        "started": run["created"],
        "finished": run["ended"],
        "calls": sums["calls"] + sums["reused"],
        "cost": sums["usd"],
    }


_CALLS = f"""
{WHOLE} SELECT run_key, key, call_id, label, location, error, source, started, seconds, usd_pico, record FROM calls
WHERE run_key IN (SELECT key FROM whole) ORDER BY key
"""  # noqa: S608


def _calls(c: Connection, runs: Sequence[Mapping[str, Any]], *, bodies: bool) -> list[dict[str, Any]]:
    """The calls of those Runs, of which the first one is what the others are in; Run by Run."""
    rows: dict[int, list[Any]] = {run["key"]: [] for run in runs}
    for row in execute(c, _CALLS, (runs[0]["id"],) * 3):
        rows[row.run_key].append(row)
    return [_call(index, run["id"], row, bodies=bodies) for run in runs for index, row in enumerate(rows[run["key"]])]


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
    c: Connection, runs: Sequence[Mapping[str, Any]], names: Mapping[int, str], *, weak: bool, alternatives: bool
) -> list[dict[str, Any]]:
    only = ("" if weak else " AND NOT weak") + ("" if alternatives else " AND NOT alternative")
    mine = f"{WHOLE} SELECT * FROM edges WHERE run_key IN (SELECT key FROM whole){only}"  # noqa: S608
    place = {run["key"]: number for number, run in enumerate(runs)}
    found = execute(c, f"{mine} ORDER BY to_call, from_call, kind", (runs[0]["id"],) * 3)
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
        for row in sorted(found, key=lambda row: place[row.run_key])
        if row.from_call in names and row.to_call in names
    ]
