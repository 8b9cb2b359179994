"""`JournalRecorder`: decides for each call whether it is made or answered from a recording, and has it written down."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from ao.intercept.faults import LEFT
from ao.intercept.seam import Decision, Live, Outcome, Replay
from ao.recording.record import Note, record_of, replay_of, request_key
from ao.recording.state import active, random_id
from ao.recording.subrun import current
from ao.replay.book import decision

if TYPE_CHECKING:
    from ao.intercept.seam import Exchange
    from ao.recording.recording import Recording  # layers: types only
    from ao.replay.book import Book

__all__ = ["JournalRecorder"]


LONG, LONGEST = 2**17, 2**24
"""Bytes of request and answer from which on a call is written by a thread: in an event loop, which would stand still
for a millisecond or more; anywhere."""


class JournalRecorder:
    """The `ao.intercept.seam.Recorder` of all recordings of this process: a call belongs to that of its subrun."""

    def begin(self, exchange: Exchange) -> Decision:
        """Answer from the recording what was recorded, and let the rest through."""
        subrun = current()
        recording = None if subrun is None else subrun.recording or active()
        if subrun is None or recording is None:
            return Live()
        key = request_key(exchange.method, exchange.path, exchange.body, exchange.json)
        site = site_of(exchange)
        index, occurrence = subrun.next(key, site)
        run_id = None if subrun.id == recording.root.id else subrun.id
        lineage = subrun.lineage + recording.tag
        note = exchange.note = Note(random_id(), recording, run_id, key, index, occurrence, site, lineage)
        note.tracked = exchange.tracked and _run_is_active()
        if recording.book is None:
            recording.count("live")
            return Live()
        return self._repeated(recording, recording.book, exchange, note)

    def end(self, exchange: Exchange, outcome: Outcome) -> None:
        """Have the call written down.  A retry tells again: the server keeps the last."""
        note = exchange.note
        if note is not None:
            self._put(note, exchange, outcome, "live")

    def _repeated(self, recording: Recording, book: Book, exchange: Exchange, note: Note) -> Decision:
        entry = book.take(note.lineage, note.key, note.site, note.occurrence)
        if entry is None:
            recording.count("new")
            return Live()
        note.origin = entry.call_id
        try:
            decided, note.edited, note.sent = decision(entry, exchange)
        except ValueError as error:
            recording.say(f"An edit of call {entry.call_id} was left out: {error}.")
            decided = Live()
        if isinstance(decided, Replay):
            recording.count("edited" if note.edited else "replayed")
            self._put(note, exchange, _replayed(decided, entry.record), "log")
        else:
            recording.count("edited" if note.edited else "new")
            note.origin = entry.call_id if note.edited else None
        return decided

    def _put(self, note: Note, exchange: Exchange, outcome: Outcome, source: str) -> None:
        if note.tracked:
            note.outcome = outcome, source

        def fields() -> dict[str, Any]:
            about = {} if note.run_id is None else {"r": note.run_id}
            record = record_of(note, exchange, outcome, source=source)
            if note.tracked:
                return {"kind": "replay", "data": replay_of(record), **about}
            return {"record": record, **about}

        size = len(exchange.body) + len(outcome.body)
        later = size > LONG and (size > LONGEST or _in_a_loop())
        note.recording.writer.put("e" if note.tracked else "c", fields, later=later)


def _in_a_loop() -> bool:
    asyncio: Any = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


def _run_is_active() -> bool:
    """Whether a Run that the script began by ``te.init`` records what afnio calls."""
    module: Any = sys.modules.get("tellurio.client.context")
    return module is not None and module.active_run() is not None


def site_of(exchange: Exchange) -> str:
    """The line that makes the call: ``file:line``, the file with its whole path."""
    if exchange.location is None:
        return ""
    file, line = exchange.location
    return f"{_whole(file)}:{line}"


@functools.lru_cache(512)
def _whole(file: str) -> str:
    return file if file.startswith("<") else os.path.abspath(file)


def _replayed(answer: Replay, told: dict[str, Any]) -> Outcome:
    last = answer.chunks[-1][0] if answer.chunks else 0.0
    times: dict[str, Any] = {"first_byte": 0.0, "last_byte": last, "seconds": 0.0}
    given: dict[str, Any] = {"omitted": 0, "complete": True, "error": None, "attempts": ()}
    if answer.fault is LEFT:
        given |= {"complete": False, "left": True}
    elif answer.fault is not None:
        given |= {"complete": False, "error": told.get("error"), "fault": answer.fault}
    return Outcome(answer.status, answer.headers, answer.body, answer.chunks, **given, **times)
