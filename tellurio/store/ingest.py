"""Ingest: lines of a client's journal become rows, each exactly once, however often they are sent."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from afnio.errors import TellurioError
from tellurio.schemas.records import ENDS, number_in
from tellurio.store._sql import execute
from tellurio.store.artifacts import add_artifact, check_artifact
from tellurio.store.calls import check_call, insert_calls, priced
from tellurio.store.events import add_event
from tellurio.store.metrics import Point, add_points, add_text
from tellurio.store.prompts import NOTED, note
from tellurio.store.runs import beat, begin_subrun, end_parts, end_run, reopen

__all__ = ["IngestGap", "IngestRefused", "Subrun", "ingest"]

LONGEST_NAME = 500
LONGEST_REASON = 2000
LARGEST_TEXT = 1 << 20
LARGEST_STEP = 2**53
LATEST = 2.0**40  # a Unix time some 30,000 years from now

_TYPES = ("text", "table", "json", "image")

Writing = Callable[[Connection, int], object]
"""What is done in the database for a record, given the key of the Run it is about."""

Subrun = tuple[list[str], str | None]
"""What of a subrun is different, and its status if that is."""


class IngestGap(TellurioError):
    """Records before the first of a batch are missing.

    Attributes:
        acknowledged: the number of the last record that is stored; send what follows it.
    """

    def __init__(self, acknowledged: int) -> None:
        self.acknowledged = acknowledged
        super().__init__(f"Records are missing: the last one stored is {acknowledged}; send what follows it.")


class IngestRefused(TellurioError, ValueError):
    """A record cannot be stored, and nothing of its batch was.

    Attributes:
        n: the number of the record.
        reason: what is wrong with it.
    """

    def __init__(self, n: int, reason: str) -> None:
        self.n, self.reason = n, reason
        super().__init__(f"Record {n} of the journal cannot be stored: {reason}")


def ingest(
    c: Connection,
    run_key: int,
    client_id: str,
    first: int,
    lines: Sequence[bytes],
    *,
    changed: set[str] | None = None,
    subruns: dict[str, Subrun] | None = None,
) -> dict[str, Any]:
    """Store lines of a journal; those that are stored already are passed over.

    Args:
        client_id: names the journal; a journal belongs to one Run.
        first: the number of the first line.
        lines: records as `tellurio.schemas.records` describes them, one JSON object each.
        changed: gets what of the Run is different now: metrics, texts, calls, prompts, events, artifacts, status.
        subruns: gets the ids of those it is about, each with what of it is different, and its status if that is.

    Returns:
        ``acknowledged``, the number of the last record that is stored, and the Run's ``status`` after it.

    Raises:
        IngestGap: lines before ``first`` are missing.
        IngestRefused: one of the lines cannot be stored.  As with any error, the caller rolls back.
        LookupError: there is no such Run.
    """
    now = time.time()
    acknowledged, run = _state(c, run_key, client_id, first)
    if first > acknowledged + 1:
        raise IngestGap(acknowledged)
    batch = _Batch(run_key, client_id, acknowledged)
    batch.read(islice(lines, acknowledged + 1 - first, None))
    if batch.last > acknowledged:
        batch.write(c, run)
        execute(c, _ACKNOWLEDGE, (client_id, run_key, batch.last, now))
    status = _signed(c, run, batch, now)
    if changed is not None:
        changed |= batch.changed()
        if status != run[1]:
            changed.add("status")
    if subruns is not None:
        subruns |= {id: (sorted(part.told), part.status) for id, part in batch.subruns.items()}
    return {"acknowledged": batch.last, "status": status}


_STATE = """
SELECT runs.id, status, ended, ended_by_client, heartbeat, lease, journals.run_key, acknowledged, project_id, user_id
FROM runs LEFT JOIN journals ON journals.client_id = ? WHERE runs.key = ?
"""
_ACKNOWLEDGE = """
INSERT INTO journals (client_id, run_key, acknowledged, updated) VALUES (?, ?, ?, ?)
ON CONFLICT (client_id) DO UPDATE SET acknowledged = excluded.acknowledged, updated = excluded.updated
"""


def _state(c: Connection, run_key: int, client_id: str, first: int) -> tuple[int, Any]:
    """How far the journal is stored, and its Run."""
    if not 0 < len(client_id) <= LONGEST_NAME or "\0" in client_id:
        raise IngestRefused(first, f"expected a client id of 1 to {LONGEST_NAME} characters, got {client_id[:100]!r}")
    if not 1 <= first <= LARGEST_STEP:
        raise IngestRefused(first, "expected the number of the first record to be from 1 on")
    run = execute(c, _STATE, (client_id, run_key)).first()
    if run is None:
        raise LookupError("there is no such Run: it was deleted")
    owner, acknowledged = run[6], run[7]
    if owner is not None and owner != run_key:
        raise IngestRefused(first, f"the journal {client_id!r} belongs to another Run: use a client id of your own")
    return acknowledged or 0, run


def _signed(c: Connection, run: Any, batch: _Batch, now: float) -> str:
    """Take the batch for a sign of life; returns the status."""
    id, status, ended, ended_by_client, heartbeat, lease = run[:6]
    if batch.end is not None:
        status, told, reason = batch.end
        return str(end_run(c, id, status, reason=reason, by_client=True, now=min(told, now))["status"])
    if status == "RUNNING":
        if now - heartbeat > min(1.0, lease / 10):  # not for each of many small batches
            execute(c, "UPDATE runs SET heartbeat = ? WHERE key = ?", (now, batch.run_key))
    elif status == "CRASHED" and not ended_by_client and batch.newest > ended + lease:
        # Logged when it was thought dead. What a dead process left behind is older, and brings nobody back.
        return beat(c, id, now)
    return str(status)


class _Subrun:
    """What the lines of a batch say of a subrun."""

    def __init__(self, n: int) -> None:
        self.n = n  # of the first record about it
        self.begin: dict[str, Any] | None = None
        self.calls: list[tuple[str, None, dict[str, Any]]] = []
        self.end: _End | None = None  # None too where something came after it: it is open again
        self.told: set[str] = set()

    @property
    def status(self) -> str | None:
        """What its status is now, as far as the batch changes it."""
        return "RUNNING" if self.end is None and "status" in self.told else self.end and self.end.status


class _End(NamedTuple):
    status: str
    time: float
    reason: str | None


class _Batch:
    """What the lines of a batch say: all of it is read, and found good, before any of it is written."""

    def __init__(self, run_key: int, client_id: str, acknowledged: int) -> None:
        self.run_key, self.client_id, self.last = run_key, client_id, acknowledged
        self.series: dict[str, list[Point]] = {}
        self.calls: list[tuple[str, None, dict[str, Any]]] = []
        self.writings: list[tuple[int, str | None, Writing]] = []
        self.told: set[str] = set()  # what its records that are no metrics are about
        self.end: _End | None = None
        self.subruns: dict[str, _Subrun] = {}
        self.numbers: dict[str, int] = {}  # origin of a call -> number of its record
        self.newest = 0.0

    def read(self, lines: islice[bytes]) -> None:
        n, loads, series, time = self.last, orjson.loads, self.series, 0.0
        for line in lines:
            n += 1
            try:
                record = loads(line)
                time = record["t"]
                if record["n"] != n or not 0 <= time < LATEST:
                    raise ValueError(_out_of_place(record, n))
                if record["k"] == "m":
                    name, step, value = record["name"], record.get("step"), record["v"]
                    if name not in series:
                        series[_name(name)] = []
                    if type(value) is not float:
                        value = _value(value)
                    if step is not None and (type(step) is not int or not -LARGEST_STEP < step < LARGEST_STEP):
                        raise ValueError(_step(step))
                    series[name].append((step, time, value))
                else:
                    self._other(n, time, record)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise IngestRefused(n, _reason(line, error)) from None
            self.last = n
        self.newest = time

    def _other(self, n: int, time: float, record: dict[str, Any]) -> None:
        """A record that is no metric."""
        kind = record["k"]
        reader = _READERS.get(kind) if isinstance(kind, str) else None
        if reader is None:
            raise ValueError(f"expected its kind k to be m, {', '.join(_READERS)}, got {str(kind)[:100]!r}")
        whose = record.get("r")
        about = self if whose is None else self._subrun(n, whose)
        about.told.add(_ABOUT[kind])
        writing = reader(self, n, time, record)
        if writing is not None:
            self.writings.append((n, whose, writing))

    def _subrun(self, n: int, id: Any) -> _Subrun:
        return self.subruns.setdefault(_uuid(id), _Subrun(n))

    def text(self, n: int, time: float, record: dict[str, Any]) -> Writing:
        """A value that is no number."""
        name, type, value, step = _name(record["name"]), record["type"], record["v"], _checked_step(record.get("step"))
        if type not in _TYPES:
            raise ValueError(f"expected its type to be one of {', '.join(_TYPES)}, got {str(type)[:100]!r}")
        if type == "text" and not isinstance(value, str):
            raise ValueError(f"expected a value of type text to be a text, got {str(value)[:100]!r}")
        content = _dumps(value)
        size = len(value.encode()) if type == "text" else len(content)
        if size > LARGEST_TEXT:
            raise ValueError(
                f"the value of {name[:100]!r} has {size:,} bytes, more than {LARGEST_TEXT:,}: "
                "store it as an artifact (run.log_artifact)"
            )
        return lambda c, run_key: add_text(c, run_key, name, type, content, step, time)

    def call(self, n: int, time: float, record: dict[str, Any]) -> None:
        """An LM call."""
        call = priced(record["record"])
        check_call(call)
        about = self if record.get("r") is None else self._subrun(n, record["r"])
        call_id = call.get("call_id")
        origin = f"call:{call_id[:100]}" if isinstance(call_id, str) else f"{self.client_id}:{n}"
        self.numbers.setdefault(origin, n)
        about.calls.append((origin, None, call))
        if about is not self:
            about.end = None

    def event(self, n: int, time: float, record: dict[str, Any]) -> Writing:
        """An event, and what it says of prompts."""
        kind, data = _name(record["kind"]), record["data"]
        content = _dumps(data)
        if kind in NOTED:
            self.told.add("prompts")

        def write(c: Connection, run_key: int) -> None:
            add_event(c, run_key, kind, content, time)
            note(c, run_key, kind, data, time)

        return write

    def artifact(self, n: int, time: float, record: dict[str, Any]) -> Writing:
        """An artifact."""
        name, kind, files = record["name"], record["kind"], record["files"]
        check_artifact(name, kind, files)
        return lambda c, run_key: add_artifact(c, run_key, name, kind, files, time)

    def begin(self, n: int, time: float, record: dict[str, Any]) -> None:
        """A subrun; or the Run itself, which is there already."""
        run = record["run"]
        if not isinstance(run, dict):
            raise ValueError(f"expected its run to be a JSON object, got {str(run)[:100]!r}")
        if run.get("kind") == "subrun":
            subrun = self._subrun(n, run["id"])
            subrun.begin = run
            subrun.told.add("status")

    def ending(self, n: int, time: float, record: dict[str, Any]) -> None:
        """The end of the Run, or of a subrun."""
        if record["status"] not in ENDS:
            raise ValueError(f"expected its status to be {', '.join(ENDS)}, got {str(record['status'])[:100]!r}")
        about = self if record.get("r") is None else self._subrun(n, record["r"])
        if about.end is None:
            reason = record.get("reason")
            about.end = _End(record["status"], time, None if reason is None else str(reason)[:LONGEST_REASON])

    def changed(self) -> set[str]:
        """What of the Run it changes, but for the status."""
        return {"metrics", *self.told} if self.series else self.told

    def write(self, c: Connection, run: Any) -> None:
        if self.series:
            add_points(c, self.run_key, self.series)
        self._insert(c, self.run_key, self.calls)
        keys = {id: self._written(c, run, id, subrun) for id, subrun in self.subruns.items()}
        for n, whose, writing in self.writings:
            try:
                writing(c, self.run_key if whose is None else keys[_uuid(whose)])
            except ValueError as error:
                raise IngestRefused(n, str(error)) from None

    def _written(self, c: Connection, run: Any, id: str, subrun: _Subrun) -> int:
        """The key of a subrun, begun, filled and ended as far as the batch says so."""
        root, root_status, project_id, user_id = run[0], run[1], run[8], run[9]
        now = time.time()
        try:
            key = begin_subrun(c, project_id, user_id, root, id, subrun.begin)
        except (ValueError, TypeError) as error:
            raise IngestRefused(subrun.n, str(error)) from None
        self._insert(c, key, subrun.calls)
        if subrun.calls and root_status == "RUNNING":
            reopen(c, id, now)  # what is stored of its end came before
        if subrun.end is not None:
            status, told, reason = subrun.end
            end_run(c, id, status, reason=reason, by_client=True, now=min(told, now))
        elif root_status != "RUNNING":  # it came after the end of all
            end_run(c, id, root_status, by_client=False, now=now)
            end_parts(c, root, root_status, now)  # what it is a part of may have been made for it, too
        return key

    def _insert(self, c: Connection, run_key: int, calls: list[tuple[str, None, dict[str, Any]]]) -> None:
        if calls:
            try:
                insert_calls(c, run_key, calls)
            except ValueError as error:
                raise IngestRefused(self.numbers[calls[0][0]], str(error)) from None


_READERS: dict[str, Callable[[_Batch, int, float, dict[str, Any]], Writing | None]] = {
    "v": _Batch.text,
    "c": _Batch.call,
    "e": _Batch.event,
    "a": _Batch.artifact,
    "s": _Batch.ending,
    "b": _Batch.begin,
}
_ABOUT = {"v": "texts", "c": "calls", "e": "events", "a": "artifacts", "s": "status", "b": "status"}


def _uuid(id: Any) -> str:
    try:
        return str(uuid.UUID(id))
    except (ValueError, AttributeError, TypeError):
        raise ValueError(f"expected the id of a Run, a UUID, got {str(id)[:100]!r}") from None


def _name(name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or "\0" in name:
        raise ValueError(
            f"expected its name to be a text of 1 to {LONGEST_NAME} characters without NUL, got {str(name)[:100]!r}"
        )
    return name


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # all that is not JSON was refused before
        raise ValueError("it is nested too deeply") from None


def _value(value: Any) -> float | None:
    number = float(number_in(value))
    return None if math.isnan(number) else number


def _checked_step(step: Any) -> int | None:
    if step is None or (isinstance(step, int) and not isinstance(step, bool) and -LARGEST_STEP < step < LARGEST_STEP):
        return step
    raise ValueError(_step(step))


def _step(step: Any) -> str:
    return f"expected its step to be a whole number below 2**53, or none, got {str(step)[:100]!r}"


def _out_of_place(record: dict[str, Any], n: int) -> str:
    if record["n"] != n:
        return f"expected its number n to be {n}, got {str(record['n'])[:100]!r}"
    return f"expected its time t to be a Unix time, got {str(record['t'])[:100]!r}"


def _reason(line: bytes, error: Exception) -> str:
    if isinstance(error, orjson.JSONDecodeError):
        return f"it is no JSON: {error}"
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]!r}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return _misfit(orjson.loads(line)) if isinstance(error, TypeError) else str(error)


def _misfit(record: Any) -> str:
    """What of the wrong type is in a record, where looking for it each time would cost."""
    if not isinstance(record, dict):
        return f"expected a JSON object, got {str(record)[:100]!r}"
    if not isinstance(record["t"], (int, float)):
        return f"expected its time t to be a Unix time, got {str(record['t'])[:100]!r}"
    return f"expected its name to be a text, got {str(record.get('name'))[:100]!r}"
