"""`Recording`: what is recorded of this process, from its beginning to its end."""

from __future__ import annotations

import importlib
import os
import sys
import time
from _thread import allocate_lock

from ao.home import folder
from ao.local import ensure_server
from ao.recording.journal import Journal
from ao.recording.presence import forget, hold
from ao.recording.state import disabled, living, random_id
from ao.recording.subrun import Subrun, current, enter, set_process_subrun
from ao.recording.writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ao.recording.ledger import Ledger  # layers: types only
    from ao.replay.book import Book  # layers: types only

__all__ = ["Recording"]

PATIENCE = 10.0
"""Seconds to wait at the end while nothing of what is still to be written gets written."""


class Recording:
    """A process that is recorded: the first one of a recording, or a child of it.

    Args:
        root: the recording itself.
        journal: of the first process; None: this one is a child, which has one when it needs one.
        book: of the recording that is run again.
        tag: of a child: which one it is.

    Attributes:
        children: how many processes this one has begun.
        counts: how many calls this process made, by what became of them.
        pid: the process.
        said: what went wrong, in sentences, for the end.
        seed: what its randomness began at; None: nothing was seeded.
    """

    seed: int | None = None

    def __init__(self, root: Subrun, journal: Journal | None, book: Book | None = None, tag: str = "") -> None:
        self.root, self.folder, self.book, self.tag = root, folder(root.id), book, tag
        root.recording = self
        self.pid = os.getpid()
        self.children = 0
        self.counts = dict.fromkeys(("live", "replayed", "edited", "new"), 0)
        self.said: list[str] = []
        self._ledger: Ledger | None = None
        self._child = journal is None
        self._journal = journal
        self._whole = True  # whether this process is recorded from end to end
        self.writer = Writer(self._late_journal, self.say, journal, inline=self._child)

    @classmethod
    def begin(cls, run: Mapping[str, Any], book: Book | None = None, *, whole: bool = True) -> Recording:
        """Begin to record this process.

        Args:
            run: what is told of the Run: see `tellurio.schemas.records.Begin`; ``id`` is added where it is not there.
            book: of the recording that is run again.
            whole: all of the process is recorded; else only what is in a block of it.

        Raises:
            OSError: nothing can be written.
        """
        told = {"id": random_id(), "created": time.time(), **run}
        journal = Journal(told["id"], told, first=True)
        recording = cls(Subrun(told["id"], told.get("name"), None, ""), journal, book)
        recording._start(recording.root if whole else None)
        ensure_server(recording.folder)
        return recording

    @classmethod
    def join(cls, root: Subrun, here: Subrun | None, tag: str, again: bool) -> Recording:
        """Record this process as a child of one that is recorded.

        Args:
            root: the recording.
            here: the subrun that the child was started in; None: only what is said to be in one is recorded.
            tag: which child it is.
            again: whether it is a rerun: calls are answered from the book, which lies in the folder.
        """
        book = _book_in(folder(root.id)) if again else None
        recording = cls(root, None, book, tag)
        recording._start(here)
        return recording

    def _start(self, process: Subrun | None) -> None:
        self._whole = process is not None
        if process is not None:
            set_process_subrun(process)
        living.append(self)
        hold(_say, _leaving)
        _see_forks()
        if self.book is not None:
            self.book.share(self.ledger)

    # what happens in it

    def part(self, name: str | None, parent: Subrun) -> Subrun:
        """Begin a subrun."""
        part = parent.part(random_id(), name)
        part.recording = self
        run = {"id": part.id, "name": name, "kind": "subrun", "parent_id": parent.id, "created": time.time()}
        self.writer.put("b", lambda: {"run": run})
        return part

    def end_part(self, part: Subrun, status: str, reason: str | None) -> None:
        """A subrun has ended."""
        fields = {"status": status, "r": part.id} | ({} if reason is None else {"reason": reason})
        self.writer.put("s", lambda: fields)

    def log(self, entry: Any, success: bool | None, where: Subrun) -> None:
        """Note something of a subrun; it may be changed by the script afterwards."""
        to_json = importlib.import_module("ao.recording.to_json").to_json  # layers: when used
        about = {} if where.id == self.root.id else {"r": where.id}
        content = to_json({"kind": "log", "data": {"entry": entry, "success": success}, **about})
        self.writer.put("e", lambda: content)

    def count(self, kind: str) -> None:
        """One more call of a kind."""
        self.counts[kind] += 1
        if self._child and (ledger := self.ledger()) is not None:
            ledger.count(kind)

    def say(self, text: str) -> None:
        """Keep a sentence for the end."""
        if text not in self.said:
            self.said.append(text)

    def ledger(self) -> Ledger | None:
        """What is known by all processes of the recording; None where nothing can be written."""
        if self._ledger is None:
            module = importlib.import_module("ao.recording.ledger")  # layers: when used
            try:
                self._ledger = module.Ledger(os.path.join(self.folder, "spool", "ledger"))
            except OSError:
                return None
        return self._ledger

    def child(self) -> tuple[Callable[..., None], tuple[Any, ...]]:
        """What a new interpreter has to call to be recorded as a child of this process."""
        self.children += 1
        self.ledger()
        again = self.book is not None and _book_to(self.folder, self.book)
        return joined, (self.root, current() or self.root, f"{self.tag}~{self.children}", again)

    # its end

    def flush(self) -> None:
        """Wait until what was told is written."""
        self.writer.flush(PATIENCE)

    def end(self, status: str, reason: str | None = None) -> None:
        """The process has done what is recorded of it.

        In a child this only writes what is left: the recording goes on.
        """
        if self not in living:
            return
        if self._whole:
            forget(over=status == "COMPLETED")  # answers that are still being read are told as far as they came
            set_process_subrun(None)
        written = self.writer.flush(PATIENCE)
        living.remove(self)
        if not self._child:
            self.writer.put_now("s", {"status": status} | _reason(reason))
        self._sum_up()
        writer = self.writer
        self.writer = Writer(self._late_journal, self.say, inline=True)  # for a thread that outlives the block
        writer.close(PATIENCE if written else 0)
        lost = writer.failed + (0 if written else 1)
        if lost:
            what = "1 record was" if lost == 1 else f"{lost} records were"
            self.say(f"{what} lost: {self.folder} cannot be written.")

    def _sum_up(self) -> None:
        """Add what the children counted, and take away what lay in the folder for them."""
        if self._child or (self._ledger is None and not self.children):
            return
        ledger = self.ledger()
        if ledger is None:
            return
        theirs = ledger.totals()
        self.counts = {kind: self.counts[kind] + theirs[kind] for kind in self.counts}
        if self.book is not None:
            self.missing = len(self.book.entries) - self.counts["replayed"] - self.counts["edited"]
        ledger.close()
        self._ledger = None
        for name in ("ledger", "book"):
            try:
                os.unlink(os.path.join(self.folder, "spool", name))
            except OSError:
                pass

    missing = 0
    """How many recorded calls did not come again, or could not be answered again."""

    def report(self) -> str:
        """What was recorded, in a line."""
        counts = self.counts
        calls = sum(counts.values())
        said = f"recorded {calls} call{'' if calls == 1 else 's'} as {self.root.name or self.root.id}"
        if self.book is not None:
            kinds = [f"{counts[name]} {name}" for name in ("replayed", "edited", "new")]
            said += f" ({', '.join(kinds)}, {self.missing} missing)"
        return f"{said}. Look at it: ao-tool show {self.root.id[:8]}"

    def tell(self) -> None:
        """Say on standard error what was lost, if anything."""
        if sys.stderr is not None:
            for text in self.said:
                sys.stderr.write(f"ao: {text}\n")

    # other processes

    @property
    def is_child(self) -> bool:
        """Whether another process began the recording, and ends it."""
        return self._child

    def forked(self) -> None:
        """In the child of a fork: the parent's files are the parent's."""
        if self._journal is not None:
            self._journal.abandon()
            self._journal = None
        self.writer.abandon()
        self.pid, self.tag, self.children = os.getpid(), f"{self.tag}~{self.children}", 0
        self._child, self.said = True, []
        self.counts = dict.fromkeys(self.counts, 0)
        self.writer = Writer(self._late_journal, self.say, inline=True)
        if self.book is not None:
            self.book.forked()
        if self.seed is not None:
            importlib.import_module("ao.randomness").forked(self.seed, self.tag)  # layers: when used

    def _late_journal(self) -> Journal:
        """The journal of a child, or of a thread that outlives the recording."""
        return Journal(self.root.id, {"id": self.root.id, "name": self.root.name, "kind": "recording"}, first=False)


def _reason(text: str | None) -> dict[str, str]:
    """Why something ended, as a field; an exception may have told a key."""
    if text is None:
        return {}
    public = importlib.import_module("ao.recording.to_json").public  # layers: when used
    return {"reason": public(text)}


def joined(root: Subrun, here: Subrun, tag: str, again: bool) -> None:
    """In a new process: be recorded as the one that started it."""
    if not living and not disabled():
        Recording.join(root, here, tag, again)


def entered(task: Callable[..., Any], subrun: Subrun | None) -> Callable[..., Any]:
    """In a worker of a pool: be in that subrun, for the task.

    A worker that was there before the recording began is none of its children yet.
    """
    if subrun is not None and not disabled():
        known = [recording for recording in living if recording.root.id == subrun.root.id]
        subrun.recording = known[0] if known else Recording.join(subrun.root, None, "~pool", again=False)
    enter(subrun)
    return task


_sees_forks = allocate_lock()
"""Taken once, for ever."""
_paused: list[Writer] = []


def _see_forks() -> None:
    if hasattr(os, "register_at_fork") and _sees_forks.acquire(blocking=False):
        os.register_at_fork(before=_forking, after_in_parent=_went_on, after_in_child=_forked)


def _forking() -> None:
    for recording in living:
        recording.children += 1
        recording.ledger()
        if recording.writer.pause():
            _paused.append(recording.writer)


def _went_on() -> None:
    while _paused:
        _paused.pop().resume()


def _forked() -> None:
    _paused.clear()
    here = current()
    if here is not None:
        here.forked()
    for recording in living:
        recording.forked()


def _say(text: str) -> None:
    for recording in living[-1:]:
        recording.say(text)


def _leaving(code: int) -> None:
    """The process is about to end without a word (``os._exit``)."""
    reason = None if code == 0 else f"exit {code}"
    for recording in list(living):
        recording.end("COMPLETED" if code == 0 else "CRASHED", reason)


def _book_to(where: str, book: Book) -> bool:
    """Lay the book into the folder, for children; whether that worked."""
    path = os.path.join(where, "spool", "book")
    if os.path.exists(path):
        return True
    try:
        temporary = f"{path}.{os.getpid()}"
        with open(temporary, "wb") as file:
            file.write(b"".join(entry.line + b"\n" for entry in book.entries))
        os.replace(temporary, path)
    except OSError:
        return False
    return True


def _book_in(where: str) -> Book | None:
    make: type[Book] = importlib.import_module("ao.replay.book").Book  # layers: when used
    try:
        with open(os.path.join(where, "spool", "book"), "rb") as file:
            return make(file.read().split(b"\n"))
    except OSError:
        return None
