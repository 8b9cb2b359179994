"""`Recording`: what is recorded of this process, from its beginning to its end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from ao.intercept import install
from ao.local import ensure_server
from ao.recording.carrying import carry
from ao.recording.recorder import JournalRecorder
from ao.recording.slip import Slip, random_id
from ao.recording.state import active, disabled, set_active
from ao.recording.subrun import Subrun, set_process_subrun
from ao.recording.writer import Writer
from ao.replay.book import Book

__all__ = ["Recording"]

PATIENCE = 10.0
"""Seconds to wait at the end for what is still to be written."""


class Recording:
    """A process that is recorded: the first one of a recording, or a child of it.

    Args:
        root: the recording itself.
        slip: of the first process; None: this one is a child.
        book: of the recording that is run again.

    Attributes:
        lost: what went wrong, in sentences, for the end.
    """

    def __init__(self, root: Subrun, folder: str, slip: Slip | None, book: Book | None) -> None:
        self.root, self.folder, self.book = root, folder, book
        self.lost: list[str] = []
        self.pid = os.getpid()
        self._slip = slip
        self.writer = Writer(folder, self.say)
        self.recorder = JournalRecorder(root.id, self.writer, book, self.say)
        self._undo: list[Callable[[], object]] = []

    @classmethod
    def begin(cls, run: Mapping[str, Any], book: Book | None = None) -> Recording:
        """Begin to record this process.

        Args:
            run: what is told of the Run: see `tellurio.schemas.records.Begin`; ``id`` is added where it is not there.
            book: of the recording that is run again.

        Raises:
            OSError: nothing can be written.
        """
        told = {"id": random_id(), "created": time.time(), **run}
        slip = Slip(told["id"], str(told.get("name") or ""))
        slip.write("b", {"run": told})
        recording = cls(Subrun(told["id"], told.get("name"), None, ""), slip.folder, slip, book)
        recording._start()
        ensure_server(slip.folder)
        return recording

    @classmethod
    def join(cls, root: Subrun, folder: str, here: Subrun, lines: list[bytes] | None) -> Recording:
        """Record this process as a child of one that is recorded.

        Args:
            root: the recording.
            folder: of its journals.
            here: the subrun that the child was started in.
            lines: of the book, if there is one.
        """
        recording = cls(root, folder, None, None if lines is None else Book(lines))
        recording._start(here)
        return recording

    def _start(self, here: Subrun | None = None) -> None:
        global _sees_forks
        set_process_subrun(here or self.root)
        self._undo = [install(self.recorder, notice=self.say), carry(self, joined)]
        set_active(self)
        if not _sees_forks and hasattr(os, "register_at_fork"):
            _sees_forks = True
            os.register_at_fork(after_in_child=_forked)

    def part(self, name: str | None, parent: Subrun) -> Subrun:
        """Begin a subrun."""
        part = parent.part(random_id(), name)
        run = {"id": part.id, "name": name, "kind": "subrun", "parent_id": parent.id, "created": time.time()}
        self.writer.put("b", lambda: {"run": run})
        return part

    def end_part(self, part: Subrun, status: str, reason: str | None) -> None:
        """A subrun has ended."""
        fields = {"status": status, "r": part.id} | ({} if reason is None else {"reason": reason})
        self.writer.put("s", lambda: fields)

    def log(self, entry: Any, success: bool | None, where: Subrun) -> None:
        """Note something of a subrun."""
        about = {} if where.id == self.root.id else {"r": where.id}
        self.writer.put("e", lambda: {"kind": "log", "data": {"entry": entry, "success": success}, **about})

    def say(self, text: str) -> None:
        """Keep a sentence for the end."""
        if text not in self.lost:
            self.lost.append(text)

    def flush(self) -> None:
        """Wait until what was told is written."""
        self.writer.flush(PATIENCE)

    def end(self, status: str, reason: str | None = None) -> None:
        """The process has done what is recorded of it."""
        for undo in reversed(self._undo):
            undo()
        self._undo = []
        written = self.writer.flush(PATIENCE)
        if self._slip is not None:
            try:
                self._slip.write("s", {"status": status} | ({} if reason is None else {"reason": reason}))
            except OSError as error:
                self.say(f"How the script ended could not be recorded ({error.strerror}).")
        self.writer.close()
        if self._slip is not None:
            self._slip.close()
        if not written or self.writer.lost:
            self.say(f"{max(self.writer.lost, 1)} calls or notes were not recorded in {self.folder}.")
        set_process_subrun(None)
        if active() is self:
            set_active(None)

    def summary(self) -> str:
        """What was recorded, in a line."""
        counts = self.recorder.calls
        calls = sum(counts.values())
        said = f"recorded {calls} call{'' if calls == 1 else 's'} as {self.root.name or self.root.id}"
        if self.book is not None:
            kinds = [f"{counts[name]} {name}" for name in ("replayed", "edited", "new")]
            said += f" ({', '.join(kinds)}, {self.book.missing} missing)"
        return f"{said}. Look at it: ao-tool show {self.root.id[:8]}"

    def tell(self) -> None:
        """Say on standard error what was lost, if anything."""
        for text in self.lost:
            sys.stderr.write(f"ao: {text}\n")

    def forked(self) -> None:
        """In the child of a fork: the parent's files are the parent's."""
        self.writer.abandon()
        if self._slip is not None:
            self._slip.close()
            self._slip = None
        self.pid = os.getpid()
        self.lost = []
        self.writer = Writer(self.folder, self.say)
        self.recorder._writer = self.writer


def joined(root: Subrun, folder: str, here: Subrun, lines: list[bytes] | None) -> None:
    """In a new process: be recorded as the one that started it."""
    if active() is None and not disabled():
        Recording.join(root, folder, here, lines)


def _forked() -> None:
    recording = active()
    if recording is not None:
        recording.forked()


_sees_forks = False
