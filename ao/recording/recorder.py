"""`JournalRecorder`: decides for each call whether it is made or answered from a recording, and has it written down."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ao.intercept.seam import Decision, Live, Outcome, Replay
from ao.recording.record import Note, record_of, request_key
from ao.recording.slip import random_id
from ao.recording.subrun import current
from ao.replay.book import decision

if TYPE_CHECKING:
    from ao.intercept.seam import Exchange
    from ao.recording.writer import Writer
    from ao.replay.book import Book

__all__ = ["JournalRecorder"]

WAIT = 0.05
"""Seconds after which a failed attempt counts as the last: an SDK that tries again tells of it as the same call."""


class JournalRecorder:
    """The `ao.intercept.seam.Recorder` of a recording.

    Args:
        root: id of the recording.
        writer: who writes.
        book: of the recording that is run again; None: it is a first run.
        say: told, in a sentence, what a person should know.

    Attributes:
        calls: how many calls there were, by what became of them: ``live``, ``replayed``, ``edited``, ``new``.
    """

    def __init__(
        self, root: str, writer: Writer, book: Book | None = None, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self._root, self._writer, self._book, self._say = root, writer, book, say
        self.calls = {"live": 0, "replayed": 0, "edited": 0, "new": 0}

    def begin(self, exchange: Exchange) -> Decision:
        """Answer from the recording what was recorded, and let the rest through."""
        subrun = current()
        if subrun is None:
            exchange.note = None
            return Live()
        key = request_key(exchange.method, exchange.path, exchange.body, exchange.json)
        site = site_of(exchange)
        index, occurrence = subrun.next(key, site)
        run_id = None if subrun.id == self._root else subrun.id
        note = exchange.note = Note(random_id(), run_id, key, index, occurrence, site, subrun.lineage)
        if self._book is None:
            self.calls["live"] += 1
            return Live()
        return self._repeated(exchange, note)

    def end(self, exchange: Exchange, outcome: Outcome) -> None:
        """Have the call written down.  A retry tells again: the server keeps the last."""
        note = exchange.note
        if note is not None:
            self._put(note, exchange, outcome, "live")

    def _repeated(self, exchange: Exchange, note: Note) -> Decision:
        assert self._book is not None
        entry = self._book.take(note.lineage, note.key, note.site, note.occurrence)
        if entry is None:
            self.calls["new"] += 1
            return Live()
        note.origin = entry.call_id
        try:
            decided, note.edited, note.sent = decision(entry, exchange)
        except ValueError as error:
            self._say(f"An edit of call {entry.call_id} was left out: {error}.")
            decided = Live()
        if isinstance(decided, Replay):
            self.calls["edited" if note.edited else "replayed"] += 1
            self._put(note, exchange, _replayed(decided), "log")
        else:
            self.calls["edited" if note.edited else "new"] += 1
        return decided

    def _put(self, note: Note, exchange: Exchange, outcome: Outcome, source: str) -> None:
        def fields() -> dict[str, Any]:
            about = {} if note.run_id is None else {"r": note.run_id}
            return {"record": record_of(note, exchange, outcome, source=source), **about}

        self._writer.put("c", fields)


def site_of(exchange: Exchange) -> str:
    """The line that makes the call: ``file:line``, the file with its whole path."""
    if exchange.location is None:
        return ""
    file, line = exchange.location
    return f"{file if file.startswith('<') else os.path.abspath(file)}:{line}"


def _replayed(answer: Replay) -> Outcome:
    last = answer.chunks[-1][0] if answer.chunks else 0.0
    times: dict[str, Any] = {"first_byte": 0.0, "last_byte": last, "seconds": 0.0}
    given: dict[str, Any] = {"omitted": 0, "complete": True, "error": None, "attempts": ()}
    return Outcome(answer.status, answer.headers, answer.body, answer.chunks, **given, **times)
