"""The book of a recording: each of its calls with its answer, to be given again to the same call."""

from __future__ import annotations

import base64
import copy
import json
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ao.dialects.base import Asked
from ao.dialects.reading import respell
from ao.intercept.faults import LEFT, Fault, can_raise
from ao.intercept.seam import Decision, Exchange, Live, Replay
from tellurio.schemas.pointer import changed

if TYPE_CHECKING:
    from ao.recording.ledger import Ledger  # layers: types only

__all__ = ["Book", "Entry", "decision"]

GONE = ("content-encoding",)
"""Headers that do not hold of what is given again: it is not compressed.  Its length is told anew."""


class Entry:
    """One recorded call.

    Attributes:
        call_id: its name.
        line: what the server told of it.
        record: the same, read.
        number: its place in the recording.
        used: whether a call of this run has got it, as far as this process knows.
    """

    __slots__ = ("call_id", "line", "number", "record", "used")

    def __init__(self, number: int, line: bytes) -> None:
        self.line, self.number = line, number
        self.record: dict[str, Any] = json.loads(line)
        self.call_id: str = self.record["call_id"]
        self.used = False

    @property
    def lineage(self) -> str:
        """The part of the script that made it."""
        return str(self.record.get("lineage") or "")

    @property
    def edits(self) -> list[dict[str, Any]]:
        """What is to be changed of it."""
        return list(self.record.get("edits") or ())

    def edited(self, field: str, value: Any) -> Any:
        """``value`` (the request, the response) with the edits that were made of it."""
        for edit in self.edits:
            if edit["field"] == field:
                value = changed(copy.deepcopy(value), edit["path"], edit["value"], remove=edit["removed"])
        return value

    def has_edit(self, field: str) -> bool:
        """Whether something of its input or output was edited."""
        return any(edit["field"] == field for edit in self.edits)


class Book:
    """What is left to be given again.

    A call gets the answer of the call that was made by the same part of the script, from the same line, with the same
    request, in the same turn.  Where lines have moved, it is the first one left with the same request in the same part.
    Parts of the same name that run side by side may begin in another order this time: a part is taken for the one whose
    requests it makes.

    Args:
        lines: as ``GET /runs/{id}/recording`` gives them.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.entries = [Entry(number, line) for number, line in enumerate(filter(bytes.strip, lines))]
        self._ledger: Callable[[], Ledger | None] = lambda: None
        self._lock = threading.Lock()
        self._exact: dict[tuple[str, str, str, int], Entry] = {}
        self._alike: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
        self._namesakes: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
        self._played: dict[str, str] = {}  # part of this run -> the part of the recording it is taken for
        for entry in self.entries:
            told = entry.record
            key, site = (str(told.get(name) or "") for name in ("key", "site"))
            self._exact.setdefault((entry.lineage, key, site, int(told.get("occurrence") or 0)), entry)
            self._alike[entry.lineage, key].append(entry)
            self._namesakes[_unnumbered(entry.lineage), key].append(entry)

    def share(self, ledger: Callable[[], Ledger | None]) -> None:
        """Give nothing that another process has given."""
        self._ledger = ledger

    def forked(self) -> None:
        """In the child of a fork: a thread of the parent may have held the lock."""
        self._lock = threading.Lock()

    def take(self, lineage: str, key: str, site: str, occurrence: int) -> Entry | None:
        """The recorded call that this one repeats; None: it is a new one."""
        with self._lock:
            for entry in self._candidates(lineage, key, site, occurrence):
                if not entry.used and self._claimed(entry):
                    self._played.setdefault(lineage, entry.lineage)
                    return entry
            return None

    def _claimed(self, entry: Entry) -> bool:
        entry.used = True
        ledger = self._ledger()
        return ledger is None or ledger.claim(entry.number)

    def _candidates(self, lineage: str, key: str, site: str, occurrence: int) -> Iterator[Entry]:
        """From the likeliest on."""
        part = self._played.get(lineage, lineage)
        exact = self._exact.get((part, key, site, occurrence))
        if exact is not None:
            yield exact
        yield from self._alike.get((part, key), ())
        # A part of the same name, but for its number; one that is not taken yet, if there is one.
        taken = set(self._played.values())
        namesakes = [entry for entry in self._namesakes.get((_unnumbered(lineage), key), ()) if not entry.used]
        yield from sorted(namesakes, key=lambda entry: entry.lineage in taken)


def _unnumbered(lineage: str) -> str:
    return _NUMBER.sub("", lineage)


_NUMBER = re.compile(r"[#~]\d+(?=[/~]|$)")
"""Of a part among those of its name, and of a process (see `Recording.tag`)."""


def decision(entry: Entry, exchange: Exchange) -> tuple[Decision, dict[str, Any] | None, Any]:
    """What to do with a call that repeats ``entry``; what was edited of it; the request that is sent instead.

    Raises:
        ValueError: an edit does not fit what was recorded.
    """
    if entry.has_edit("input"):
        sent = entry.edited("input", exchange.json)
        return Live(json.dumps(sent).encode()), {"input": exchange.json}, sent
    told = entry.record
    headers = tuple((name, value) for name, value in told.get("headers") or () if name.lower() not in GONE)
    if entry.has_edit("output"):
        return _edited(entry, exchange, headers), {"output": told.get("response")}, None
    status, fault = told.get("status"), _fault(told)
    known = told.get("complete", True) and status is not None if fault is None else can_raise(fault, exchange.library)
    if not known or told.get("omitted"):
        return Live(), None, None  # no answer, or not all of one, was recorded, and no error that can be raised again
    body, chunks = _body(told)
    return Replay(None if status is None else int(status), headers, body, chunks, fault=fault), None, None


def _fault(told: dict[str, Any]) -> Fault | None:
    """What comes after all that was recorded; None: nothing, or it is not known."""
    if told.get("left"):
        return LEFT
    fault: Any = told.get("fault")
    return fault if isinstance(fault, dict) else None


def _edited(entry: Entry, exchange: Exchange, headers: tuple[tuple[str, str], ...]) -> Replay:
    body = entry.edited("output", entry.record.get("response"))
    asked = Asked(exchange.method, exchange.url, {}, exchange.body)
    pieces = respell(exchange.dialect, asked, body, streamed=exchange.streaming)
    if pieces is None:
        raise ValueError(f"the streamed answers of {exchange.dialect} cannot be edited")
    kind = "text/event-stream" if exchange.streaming else "application/json"
    headers = headers or (("content-type", kind),)
    status = entry.record.get("status") or 200
    return Replay(200 if status >= 400 else status, headers, b"".join(pieces), tuple((0.0, len(p)) for p in pieces))


def _body(told: dict[str, Any]) -> tuple[bytes, tuple[tuple[float, int], ...]]:
    chunks = tuple((float(when), int(size)) for when, size in told.get("chunks") or ())
    if told.get("raw") is not None:
        return str(told["raw"]).encode(), chunks
    if told.get("raw_base64") is not None:
        return base64.b64decode(told["raw_base64"]), chunks
    response = told.get("response")
    return (b"" if response is None else json.dumps(response, separators=(",", ":")).encode()), ()
