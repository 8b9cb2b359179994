"""Edits: what another run of a recorded script is to change.  The Run they were made of stays as it is."""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection

from tellurio.schemas.pointer import PointerError, changed
from tellurio.store._sql import execute
from tellurio.store.edges import whole
from tellurio.store.runs import command_of, end_run, make_run, run

__all__ = ["FIELDS", "edit", "edits", "make_draft", "not_begun", "original", "told_to_another"]

FIELDS = {"input": "request", "output": "response"}
"""What of a call can be edited, and what its record calls it."""


def edit(
    c: Connection, run_id: str, call_id: str, field: str, path: str, value: Any = None, *, remove: bool = False
) -> dict[str, Any]:
    """Note an edit; returns the draft it is in: a copy made for it, or the Run itself where it is a draft already.

    Args:
        run_id: a recording that has ended, or a draft.
        call_id: one of its calls, or of its parts'.
        field: ``"input"``: the request is sent with the change; ``"output"``: the answer is given with it, unasked.
        path: JSON pointer (RFC 6901) in the body; ``""`` is all of it, ``/-`` at the end of a list's path appends.
        value: what is there then.
        remove: take away what is there instead.

    Raises:
        LookupError: there is no such Run or call.
        ValueError: it cannot be edited like that; says why.
    """
    found = run(c, run_id)
    if found is None:
        raise LookupError(f"there is no Run {run_id!r}")
    if found["kind"] not in ("recording", "rerun"):
        raise ValueError(f"the Run {found['name']!r} is no recording: only what ao-record has recorded can be edited")
    if found["status"] == "RUNNING":
        raise ValueError(f"the Run {found['name']!r} is still going: stop it first")
    draft = found if found["status"] == "DRAFT" else None
    source = found if draft is None else run(c, str(draft["parent_id"]))
    if source is None:
        raise LookupError("the Run that the draft was made of was deleted")
    if field not in FIELDS:
        raise ValueError(f"expected to edit the input or the output, got {field[:100]!r}")
    body = _record(c, source, call_id).get(FIELDS[field])
    for known in edits(c, draft["key"]) if draft is not None else ():
        if known["call_id"] == call_id and known["field"] == field:
            body = changed(body, known["path"], known["value"], remove=known["removed"])
    try:
        changed(copy.deepcopy(body), path, value, remove=remove)
    except PointerError as error:
        raise ValueError(f"the {field} of call {call_id}: {error}") from None
    draft = draft or make_draft(c, source)
    content = orjson.dumps({"removed": True} if remove else {"value": value}).decode()
    row = (draft["key"], call_id, field, path, content, time.time())
    execute(c, "INSERT INTO edits (run_key, call_id, field, path, value, created) VALUES (?, ?, ?, ?, ?, ?)", row)
    return draft


def edits(c: Connection, run_key: int) -> list[dict[str, Any]]:
    """The edits of a Run, in the order they were made."""
    query = "SELECT key, call_id, field, path, value, created FROM edits WHERE run_key = ? ORDER BY key"
    return [_edit(dict(row._mapping)) for row in execute(c, query, (run_key,))]


def _edit(row: Mapping[str, Any]) -> dict[str, Any]:
    told = orjson.loads(row["value"])
    return {
        **{name: row[name] for name in ("key", "call_id", "field", "path", "created")},
        "value": told.get("value"),
        "removed": bool(told.get("removed")),
    }


def make_draft(c: Connection, source: Mapping[str, Any], name: str = "{} (edited)") -> dict[str, Any]:
    """A copy of a recording that is to be run: it has its command, and none of its calls."""
    return make_run(
        *(c, source["project_id"], source["user"]["id"]),
        id=str(uuid.uuid4()),
        name=name.format(source["name"][:150]),
        parent_id=source["id"],
        kind="rerun",
        status="DRAFT",
        command=command_of(c, source["id"]),
    )


def original(c: Connection, draft: Mapping[str, Any], call_id: str) -> dict[str, Any] | None:
    """The call as it was recorded, before any edit of the draft; None: it was deleted."""
    source = run(c, str(draft["parent_id"]))
    try:
        return None if source is None else _record(c, source, call_id)
    except (LookupError, ValueError):
        return None


def not_begun(c: Connection, run_id: str, reason: str) -> dict[str, Any] | None:
    """A draft was started, and did not begin; returns the Run as it is then, None if it is no draft any more.

    One with edits stays a draft, to be tried again; a copy that was only made to be run has crashed.
    """
    found = run(c, run_id)
    if found is None or found["status"] != "DRAFT":
        return None
    now = time.time()
    if not edits(c, found["key"]):
        return end_run(c, run_id, "CRASHED", reason=reason, by_client=True, now=now)
    execute(c, "UPDATE runs SET reason = ?, updated = ? WHERE id = ?", (reason, now, run_id))
    return run(c, run_id)


_TOLD = "SELECT data FROM events WHERE run_key = ? AND kind = 'replay' ORDER BY key"


def told_to_another(c: Connection, run_key: int) -> Iterable[dict[str, Any]]:
    """The calls that a Run of the script's own (``te.init``) records: what the recorder noted of them for a rerun.

    It notes one after each attempt: the last note holds.
    """
    told = (orjson.loads(row.data) for row in execute(c, _TOLD, (run_key,)))
    return {str(record["call_id"]): record for record in told}.values()


def _record(c: Connection, source: dict[str, Any], call_id: str) -> dict[str, Any]:
    """What a rerun knows of a call."""
    runs = whole(c, source)
    kinds = {run["key"]: run["kind"] for run in runs}
    for row in execute(c, "SELECT run_key, record FROM calls WHERE call_id = ?", (call_id,)):
        if kinds.get(row.run_key, "run") != "run":
            found: dict[str, Any] = orjson.loads(bytes(row.record))
            return found
    for key in (key for key, kind in kinds.items() if kind != "run"):
        for record in told_to_another(c, key):
            if record["call_id"] == call_id:
                return record
    key = int(call_id[:18]) if call_id.isascii() and call_id.isdigit() else -1
    if execute(c, "SELECT run_key FROM calls WHERE key = ?", (key,)).scalar() in kinds:
        raise ValueError(
            f"call {call_id} is none that the script itself has made: an earlier call answered it, or a server's "
            "engine made it for backward or step (with te.init(..., lm_calls='client') the script makes those)"
        )
    raise LookupError(f"the Run {source['name']!r} has no call {call_id!r}")
