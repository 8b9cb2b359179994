"""What scripts print that this server has started: a file each, for its user alone, of bounded size.

A script writes its file itself, so that it goes on when the server ends.  The server cuts off the beginning of one that
grows too long.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from afnio.calls.redact import redacted
from tellurio.server.hooks import Hook
from tellurio.server.log import log
from tellurio.store import runs
from tellurio.store.store import Store

__all__ = ["LIMIT", "Outputs", "Said", "tidying"]

LIMIT = 8 * 2**20
"""Bytes of one file; of one that has more, the last half of that is kept."""

_rewriting = threading.Lock()
"""Held while a file is rewritten, and read: nobody sees half of one, and no two threads cut off the same one."""

_CUT = re.compile(rb"\[(\d+) bytes are left out here\]\n")


class Said(NamedTuple):
    """The end of what a script has printed.

    Attributes:
        text: both its output and its errors, as they came.
        size: bytes of all of it.
        left_out: bytes that came before ``text``.
    """

    text: str
    size: int
    left_out: int


class Outputs:
    """The files in a server's home.

    Args:
        home: of the server.
        limit: see `LIMIT`.
    """

    def __init__(self, home: Path, limit: int = LIMIT) -> None:
        self.folder, self._limit = home / "outputs", limit

    def begin(self, run_id: str) -> int:
        """An empty file for a Run, to be written to its end: the handle, which the caller closes.

        Where none can be made, what the script prints is lost, and the script runs all the same.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            return os.open(self._path(run_id), flags, 0o600)
        except OSError as error:
            log("output_not_kept", run=run_id, reason=str(error))
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def end(self, run_id: str) -> None:
        """The script has ended: what looks like a credential is taken out, as from all that is stored."""
        self.trim(run_id)
        with _rewriting, contextlib.suppress(OSError):
            content = self._path(run_id).read_bytes()
            clean = redacted(content)
            if clean != content:
                self._path(run_id).write_bytes(clean)

    def trim(self, run_id: str) -> None:
        """Cut off the beginning of a file that is too long; the script that writes it does not notice.

        What it prints in that moment may be lost.
        """
        with _rewriting, contextlib.suppress(OSError), self._path(run_id).open("r+b") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= self._limit:
                return
            before, head = _cut(file.read(100))
            file.seek(size - self._limit // 2)
            tail = file.read()
            tail = tail[tail.find(b"\n") + 1 :] + file.read()  # whole lines, if there are any; and what came meanwhile
            left_out = before + file.tell() - head - len(tail)
            file.truncate(0)
            file.seek(0, os.SEEK_END)
            file.write(b"[%d bytes are left out here]\n" % left_out + tail)

    def read(self, run_id: str, last: int) -> Said | None:
        """The last bytes of a file; None: this server did not start that Run."""
        try:
            with _rewriting, self._path(run_id).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                before, head = _cut(file.read(100))
                file.seek(max(head, size - last))
                content = file.read(last)
        except OSError:
            return None
        whole = before + size - head
        return Said(redacted(content).decode("utf-8", "replace"), whole, whole - len(content))

    def known(self) -> list[str]:
        """The ids of the Runs that there are files of."""
        with contextlib.suppress(OSError):
            return os.listdir(self.folder)
        return []

    def remove(self, run_id: str) -> None:
        """Forget what it printed."""
        self._path(run_id).unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        return self.folder / run_id


def _cut(head: bytes) -> tuple[int, int]:
    """How many bytes are left out at the beginning, and the length of the line that says so."""
    found = _CUT.match(head)
    return (int(found[1]), found.end()) if found else (0, 0)


def tidying(store: Store) -> Hook:
    """What Runs printed that were deleted goes with them, and none grows without bounds."""
    outputs = Outputs(store.folder)

    def tidy() -> None:
        known = outputs.known()
        left = set(known) - store.read(_there, known) if known else set()
        for run_id in known:
            (outputs.remove if run_id in left else outputs.trim)(run_id)

    async def sweep() -> None:
        await asyncio.to_thread(tidy)

    return sweep


def _there(connection: Connection, ids: Iterable[str]) -> set[str]:
    return {id for id in ids if runs.status(connection, id) is not None}
