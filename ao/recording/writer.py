"""The writer: a thread that puts what happened into the journal, so that the script never waits for a disk."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from ao.recording.slip import random_id

__all__ = ["Writer"]

Fields = Callable[[], Mapping[str, Any]]
"""Makes the record; called in the writer's thread."""


class Writer:
    """Appends records to a journal of this process.  The journal, and its thread, are made with the first record.

    Args:
        folder: of the recording.
        say: told, in a sentence, of what could not be written.
    """

    def __init__(self, folder: str, say: Callable[[str], None]) -> None:
        self._folder, self._say = folder, say
        self._queue: SimpleQueue[tuple[str, Fields] | threading.Event] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._journal: Any = None
        self.failed = 0

    def put(self, kind: str, fields: Fields) -> None:
        """Have a record written.  Takes no lock once the thread runs: it may be called from a finalizer."""
        self._queue.put((kind, fields))
        if self._thread is None:
            self._start()

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put before is written; whether it is."""
        if self._thread is None:
            return True
        done = threading.Event()
        self._queue.put(done)
        return done.wait(timeout)

    def close(self) -> None:
        """Let go of the journal; all is written."""
        if self._journal is not None:
            self._journal.close()

    def abandon(self) -> None:
        """After a fork, in the child: the journal is the parent's."""
        if self._journal is not None:
            self._journal.abandon()

    @property
    def lost(self) -> int:
        """How many records could not be kept."""
        return self.failed + (self._journal.lost + len(self._journal.waiting) if self._journal is not None else 0)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="ao-writer", daemon=True)
                thread._ao_ours = True  # type: ignore[attr-defined]  # it belongs to no subrun
                self._thread = thread
                thread.start()

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            try:
                self._write(*item)
            except Exception as error:  # noqa: BLE001 - whatever it is, the script goes on
                self.failed += 1
                if self.failed == 1:
                    self._say(f"A call could not be recorded ({type(error).__name__}: {error}).")

    def _write(self, kind: str, fields: Fields) -> None:
        if self._journal is None:
            # Imported here and not above: a script that makes no call does not pay for it.
            folders = importlib.import_module("tellurio.client.folders")  # layers: when used
            meta = folders.read_meta(Path(self._folder))
            self._journal = folders.open_journal(Path(self._folder), random_id(), meta or _meta(self._folder))
        self._journal.append(kind, fields())


def _meta(folder: str) -> dict[str, Any]:
    run_id = os.path.basename(folder)
    return {"v": 1, "run_id": run_id, "name": run_id, "url": "", "server_id": "", "recorder": True}
