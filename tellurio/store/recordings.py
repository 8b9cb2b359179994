"""Recorded scripts: begun, read for another run of the same script, compared with it."""

from __future__ import annotations

import bisect
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import Connection

from tellurio.schemas.records import fitting
from tellurio.store._sql import execute
from tellurio.store.edges import summary
from tellurio.store.edits import edits, told_to_another
from tellurio.store.names import slugify
from tellurio.store.projects import make_namespace, make_project, namespace, project, project_by_id, role_in
from tellurio.store.runs import command_of, make_run, run, subruns
from tellurio.store.users import local_user

__all__ = ["PROJECT", "Ambiguous", "begin_recording", "diff", "find", "recorded_calls", "recordings"]

PROJECT = "Recordings"
"""Where recordings go that name no project."""


def begin_recording(c: Connection, told: Mapping[str, Any]) -> dict[str, Any]:
    """The Run that a recorder of this machine began; the same again is the same Run, and a draft is begun by it.

    Args:
        told: see `tellurio.schemas.records.Begin`.

    Raises:
        ValueError: it cannot be what it says; says why.
        LookupError: this server has no user of its own.
    """
    user = local_user(c)
    if user is None:
        raise LookupError("there is no local user")
    id = str(told.get("id"))
    known = run(c, id)
    if known is not None and known["status"] == "DRAFT":
        return _begun(c, id, told)
    if known is not None:
        if (command_of(c, id) or {}).get("sent") and known["user"]["id"] == user["id"]:
            execute(
                c, "UPDATE runs SET command = ? WHERE id = ?", (orjson.dumps(told.get("command") or {}).decode(), id)
            )
        return known
    told = fitting(told)
    space = str(told["namespace"] or user["slug"])
    if namespace(c, space) is None:
        make_namespace(c, space, space, user["id"])
    name = str(told["project"] or PROJECT)
    where = project(c, space, slugify(name)) or make_project(c, space, name, "RESTRICTED", user["id"])
    names = ("name", "parent_id", "client", "command", "lease", "kind", "created")
    options = {each: told[each] for each in names if told.get(each)}
    return make_run(c, where["id"], user["id"], id=id, **options)


def _begun(c: Connection, id: str, told: Mapping[str, Any]) -> dict[str, Any]:
    now = time.time()
    command, client = (orjson.dumps(told.get(name) or {}).decode() for name in ("command", "client"))
    execute(
        c,
        "UPDATE runs SET status = 'RUNNING', reason = NULL, command = ?, client = ?, lease = ?, created = ?, "
        "updated = ?, heartbeat = ? WHERE id = ?",
        (command, client, float(told.get("lease") or 30.0), now, now, now, id),
    )
    begun = run(c, id)
    assert begun is not None
    return begun


def recordings(c: Connection, user_id: str, limit: int, offset: int = 0) -> list[dict[str, Any]]:
    """The latest recordings that the user may see, newest first, in a few words each."""
    rows = execute(c, "SELECT id FROM runs WHERE kind IN ('recording', 'rerun') ORDER BY key DESC")
    seen = (found for row in rows if (found := _seen(c, user_id, row.id)) is not None)
    return [summary(c, found) for found in islice(seen, offset, offset + limit)]


class Ambiguous(ValueError):
    """Several Runs are meant; the message names some."""


def find(c: Connection, user_id: str, reference: str) -> dict[str, Any] | None:
    """The Run that a person means, among those the user may see; None: there is none.

    Args:
        reference: an id, the beginning of one (four letters at least), a name, or ``"last"``, the user's latest
            recording.  Of several Runs of a name it is the latest.

    Raises:
        Ambiguous: several ids begin like that.
    """
    if reference == "last":
        return _first_seen(c, user_id, execute(c, _LAST, (user_id,)))
    if len(reference) >= 4 and not set(reference) - set("0123456789abcdef-"):
        low, high = reference, reference + "g"
        query = "SELECT id FROM runs WHERE id >= ? AND id < ? ORDER BY id LIMIT 10"
        found = [run for row in execute(c, query, (low, high)) if (run := _seen(c, user_id, row.id)) is not None]
        if len(found) > 1 and found[0]["id"] != reference:
            some = ", ".join(f"{each['id']} ({each['name']})" for each in found[:5])
            raise Ambiguous(f"several Runs begin with {reference!r}: {some}. Give more of the id.")
        if found:
            return found[0]
    return _first_seen(c, user_id, execute(c, _NAMED, (reference, reference)))


_LAST = "SELECT id FROM runs WHERE user_id = ? AND kind IN ('recording', 'rerun') ORDER BY key DESC LIMIT 100"
_NAMED = "SELECT id FROM runs WHERE name = ? OR slug = ? ORDER BY key DESC"


def _first_seen(c: Connection, user_id: str, rows: Iterable[Any]) -> dict[str, Any] | None:
    return next((found for row in rows if (found := _seen(c, user_id, row.id)) is not None), None)


def _seen(c: Connection, user_id: str, id: str) -> dict[str, Any] | None:
    found = run(c, id)
    inside = None if found is None else project_by_id(c, found["project_id"])
    return found if inside is not None and role_in(c, user_id, inside) is not None else None


_RECORDED = "SELECT key, run_key, source, error, record FROM calls WHERE run_key = ? ORDER BY key"
_REPLAYED = (
    *(
        "lineage",
        "site",
        "occurrence",
        "format",
        "model",
        "status",
        "response",
        "raw",
        "raw_base64",
        "chunks",
        "headers",
    ),
    *("error", "complete", "left", "fault", "omitted"),
)


def recorded_calls(c: Connection, run_id: str) -> Iterator[dict[str, Any]]:
    """What another run of the script needs of the calls of this one, and of its parts, in the order they came.

    Of a draft: the calls of the Run it was copied from, with the ``edits`` that were made.  Of a Run that crashed or
    was stopped, the call at which it happened is not said to be ``left`` or to have failed: there it shall go on.

    Raises:
        LookupError: there is no such Run.
    """
    found = run(c, run_id)
    if found is None:
        raise LookupError(f"there is no Run {run_id!r}")
    made: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for edit in edits(c, found["key"]):
        made[edit["call_id"]].append({name: edit[name] for name in ("field", "path", "value", "removed")})
    source = run(c, found["parent_id"]) if found["status"] == "DRAFT" and found["parent_id"] else found
    for record, stopped in _with_ends(c, source) if source is not None else ():
        call_id = str(record["call_id"])
        yield {
            "call_id": call_id,
            "key": record["key"],
            **{name: record.get(name) for name in _REPLAYED},
            **({"left": False, "fault": None} if stopped else {}),
            **({"request": record.get("request"), "edits": made[call_id]} if call_id in made else {}),
        }


def _as_begun(c: Connection, found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The recorded calls of a Run and of its parts, those of each in the order in which they began.

    They are told of in the order in which they ended, but those that are answered from a recording at once.
    """
    for key in [found["key"], *subruns(c, found["id"])]:
        yield from sorted(_records_of(c, key), key=lambda record: record.get("started") or float("inf"))


def _records_of(c: Connection, key: int) -> Iterator[dict[str, Any]]:
    for row in execute(c, _RECORDED, (key,)):
        record = orjson.loads(bytes(row.record))
        if record.get("call_id"):
            yield record
    yield from told_to_another(c, key)


def _with_ends(c: Connection, found: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
    """The recorded calls, each with whether its Run was stopped at it, by the same error that stopped all of it."""
    for key in [found["key"], *subruns(c, found["id"])]:
        end = execute(c, "SELECT status, reason FROM runs WHERE key = ?", (key,)).one()
        if found["status"] == "COMPLETED" or tuple(end) != (found["status"], found["reason"]):
            yield from ((record, False) for record in _records_of(c, key))
            continue
        records = list(_records_of(c, key))
        last = {record.get("lineage"): record["call_id"] for record in records if not record.get("replayed_from")}
        yield from ((record, last.get(record.get("lineage")) == record["call_id"]) for record in records)


def diff(c: Connection, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[str]]:
    """What became of the calls of a Run in another run of the same script, as lists of call ids.

    ``replayed``, ``edited`` and ``new`` (asked anew) are calls of ``after``; ``missing`` are calls of ``before`` that
    did not come again; ``reordered`` are those of the replayed and edited ones that came in another order.
    """
    old = list(_as_begun(c, before))
    told: dict[str, list[str]] = {name: [] for name in ("replayed", "edited", "new", "missing", "reordered")}
    places = {record["call_id"]: place for place, record in enumerate(old)}
    matched: list[tuple[int, str]] = []
    for record in _as_begun(c, after):
        origin = record.get("replayed_from")
        kind = "new" if origin not in places else "edited" if record.get("edited") else "replayed"
        told[kind].append(record["call_id"])
        if kind != "new":
            matched.append((places[origin], record["call_id"]))
    seen = {place for place, _ in matched}
    told["missing"] = [record["call_id"] for place, record in enumerate(old) if place not in seen]
    in_order = _longest_rise([place for place, _ in matched])
    told["reordered"] = [call_id for number, (_, call_id) in enumerate(matched) if number not in in_order]
    return told


def _longest_rise(places: Sequence[int]) -> set[int]:
    """Positions of a longest rising subsequence: the calls that kept their order.

    Source: patience sorting, as in Aldous and Diaconis, Bull. AMS 36 (1999), 413.
    """
    tops: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for number, place in enumerate(places):
        pile = bisect.bisect_left(tops, place)
        before.append(at[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(place)
            at.append(number)
        else:
            tops[pile], at[pile] = place, number
    kept: set[int] = set()
    number = at[-1] if at else -1
    while number >= 0:
        kept.add(number)
        number = before[number]
    return kept
