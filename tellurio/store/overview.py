"""What a person wants to see of a recording first, of its parts and of the Runs of afnio in it too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection

from tellurio.schemas.pointer import PointerError, at
from tellurio.store._sql import execute
from tellurio.store.calls import sum_of
from tellurio.store.edits import FIELDS, edits, original
from tellurio.store.runs import WHOLE, command_of, run_by_key

__all__ = ["NOTES", "overview"]

NOTES = 100
"""How many notes are told, the latest ones."""


def overview(c: Connection, run_key: int) -> dict[str, Any] | None:
    """How it was started, its calls by model, what ``ao.log`` noted, and what is edited; None: there is no such Run."""
    found = run_by_key(c, run_key)
    if found is None:
        return None
    return {
        "command": _command(command_of(c, found["id"])),
        "models": _models(c, found["id"]),
        **_marks(c, found["id"]),
        "edits": _edits(c, found),
    }


def _command(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not stored or not stored.get("argv"):
        return None
    argv = [str(each) for each in stored["argv"]]
    texts = {name: str(stored.get(name) or "") or None for name in ("cwd", "interpreter", "host")}
    return {"argv": ["-m", *argv] if stored.get("module") else argv, **texts}


_MODELS = f"""
{WHOLE} SELECT model, sum(live), sum(1 - live), sum(CASE WHEN error IS NULL THEN 0 ELSE 1 END),
    sum(input_tokens * live), sum(output_tokens * live), sum(usd_pico),
    sum(CASE WHEN usd_pico IS NULL THEN 1 ELSE 0 END), sum(seconds * live), max(seconds * live)
FROM (SELECT calls.*, CASE WHEN source = 'live' THEN 1 ELSE 0 END AS live FROM calls
    WHERE run_key IN (SELECT key FROM whole)) AS counted
GROUP BY model ORDER BY count(*) DESC, model
"""  # noqa: S608


def _models(c: Connection, id: str) -> list[dict[str, Any]]:
    names = ("model", "calls", "reused", "errors", "input_tokens", "output_tokens", "usd", "unpriced", "seconds")
    told = []
    for *row, slowest in execute(c, _MODELS, (id, id, id)):
        model = dict(zip(names, row, strict=True))
        model |= {name: int(model[name] or 0) for name in names[1:8]}
        model["usd"] = sum_of(model["usd"], model["calls"], model["unpriced"])
        told.append(model | {"seconds": float(model["seconds"] or 0.0), "slowest": float(slowest or 0.0)})
    return told


_NOTES = f"""
{WHOLE} SELECT runs.id, runs.name, events.key, events.time, events.data
FROM events JOIN runs ON runs.key = events.run_key
WHERE events.kind = 'log' AND events.run_key IN (SELECT key FROM whole) ORDER BY events.key
"""  # noqa: S608


def _marks(c: Connection, id: str) -> dict[str, Any]:
    """The latest notes, and how often the Run and each part has passed and failed."""
    notes: list[dict[str, Any]] = []
    passed: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for row in execute(c, _NOTES, (id, id, id)):
        told = orjson.loads(row.data)
        success = told.get("success") if isinstance(told, dict) else None
        passed[row.id] += success is True
        failed[row.id] += success is False
        entry = told.get("entry") if isinstance(told, dict) else told
        notes.append({"key": row.key, "run": row.id, "name": row.name, "time": row.time, "entry": entry})
        notes[-1]["success"] = success if isinstance(success, bool) else None
    marks = [{"run": run, "passed": passed[run], "failed": failed[run]} for run in passed if passed[run] or failed[run]]
    return {"notes": notes[-NOTES:], "noted": len(notes), "marks": marks}


def _edits(c: Connection, found: dict[str, Any]) -> list[dict[str, Any]]:
    """The edits of a draft, or of a Run that was one, each with what was there before."""
    made = edits(c, found["key"])
    calls = {id: original(c, found, id) for id in {edit["call_id"] for edit in made}}
    return [_edit(edit, calls[edit["call_id"]]) for edit in made]


def _edit(edit: Mapping[str, Any], record: Mapping[str, Any] | None) -> dict[str, Any]:
    told = record or {}
    try:
        before = at(told.get(FIELDS[edit["field"]]), edit["path"])
    except PointerError:
        before = None
    return {
        "call": edit["call_id"],
        **{name: edit[name] for name in ("field", "path", "value", "removed", "created")},
        "label": told.get("label") or told.get("model"),
        "location": told.get("location") or told.get("site") or None,
        "before": before,
    }
