"""The writer: a thread that puts what happened into the journal, so that the script never waits for a disk."""

from __future__ import annotations

import importlib
import os
import time
from _queue import SimpleQueue
from _thread import allocate_lock

from ao.recording.plain_json import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias

    from ao.recording.journal import Journal

    Fields: TypeAlias = Callable[[], Mapping[str, Any] | bytes]

__all__ = ["Writer"]

LONGEST_PAUSE = 10.0
"""Seconds that a fork waits for a record to be written."""


class Writer:
    """Appends records to a journal of this process.  The thread is made with the first record.

    Args:
        journal: the journal, or what makes it when it is needed.
        say: told, in a sentence, of what could not be written.
        inline: write in the thread that puts, with no thread of its own: in a child process, which may be killed or
            leave by ``os._exit`` as soon as its task is done.
    """

    def __init__(
        self, journal: Journal | Callable[[], Journal], say: Callable[[str], None], *, inline: bool = False
    ) -> None:
        self._journal: Journal | None = None if callable(journal) else journal
        self._make = journal if callable(journal) else None
        self._say = say
        self._queue: SimpleQueue[tuple[str, Fields] | Any] = SimpleQueue()
        self._thread: Any = None
        self._busy = allocate_lock()
        self._inline = inline
        self._done = 0
        self.failed = 0

    def put(self, kind: str, fields: Fields) -> None:
        """Have a record written.  Waits for no lock: it may be called from a finalizer.

        Args:
            kind: of the record.
            fields: makes it; called in the writer's thread.
        """
        self._queue.put((kind, fields))
        if self._inline:
            self._drain()
        elif self._thread is None:
            self._start()

    def put_now(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Write a plain record here and now; all that was put before is written."""
        if self._journal is not None:
            self._journal.append(kind, dumps(fields).encode())

    def flush(self, patience: float) -> bool:
        """Wait until all that was put before is written; whether it is.

        Args:
            patience: seconds to wait while nothing at all is written.
        """
        if self._thread is None and not self._queue.empty() and not self._inline:
            self._start()
        thread = self._thread
        if thread is None or not thread.is_alive():
            self._drain()
            return True
        threading = importlib.import_module("threading")
        written = threading.Event()
        self._queue.put(written)
        before = -1
        while not written.wait(patience):
            if before == self._done:
                return False
            before = self._done
        return True

    def close(self) -> None:
        """Let go of the journal; all is written."""
        if self._journal is not None:
            self._journal.close()
            self.failed += self._journal.lost
            self._journal = None

    def pause(self) -> bool:
        """Before a fork: let the thread end, so that no lock is held that a child needs.

        A process of several threads that forks is warned by newer Pythons; a script of one thread shall stay one.
        """
        if not self._busy.acquire(timeout=LONGEST_PAUSE):
            return False
        thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join(LONGEST_PAUSE)
            _wait_for_end(thread.native_id)
        return True

    def resume(self) -> None:
        """After a fork, in the parent."""
        self._busy.release()
        if not self._queue.empty():
            self._start()

    def abandon(self) -> None:
        """After a fork, in the child: the journal is the parent's."""
        if self._journal is not None:
            self._journal.abandon()

    def _start(self) -> None:
        if not self._busy.acquire(blocking=False):
            return  # another thread is at it, and will find what was put
        try:
            if self._thread is None:
                threading = importlib.import_module("threading")
                thread = threading.Thread(target=self._run, name="ao-writer", daemon=True)
                thread._ao_ours = True  # it belongs to no subrun
                thread.start()
                self._thread = thread
        except RuntimeError:  # the interpreter is about to end and makes no more threads
            self._inline = True
        finally:
            self._busy.release()
        if self._inline:
            self._drain()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            self._take(item)
        self._thread = None

    def _drain(self) -> None:
        """Write what is there; one thread at a time, the others leave theirs to it."""
        while not self._queue.empty() and self._busy.acquire(blocking=False):
            try:
                while not self._queue.empty():
                    if (item := self._queue.get_nowait()) is not None:
                        self._take(item)
            finally:
                self._busy.release()

    def _take(self, item: Any) -> None:
        if not isinstance(item, tuple):
            item.set()
            return
        try:
            self._write(*item)
        except Exception as error:  # noqa: BLE001 - whatever it is, the script goes on
            self.failed += 1
            if self.failed == 1:
                self._say(f"A call could not be recorded ({type(error).__name__}: {error}).")
        self._done += 1

    def _write(self, kind: str, fields: Fields) -> None:
        # Imported here and not above: a script that makes no call does not pay for it.
        to_json = importlib.import_module("ao.recording.to_json").to_json  # layers: when used
        told = fields()
        content = told if isinstance(told, bytes) else to_json(told)
        if self._journal is None:
            assert self._make is not None
            self._journal = self._make()
        self._journal.append(kind, content)


def _wait_for_end(thread: int | None) -> None:
    """Python forgets a thread a moment before the system does, and counts by the system's list when it warns."""
    path = f"/proc/self/task/{thread}"
    end = time.monotonic() + LONGEST_PAUSE
    while os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.0001)
