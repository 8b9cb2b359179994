"""The journal of one process of a recording: what happens is a line in a file, from which a server feeds itself.

The lines are those of ``tellurio.schemas.records``, the folder is that of ``tellurio.client.journal``, which a recorder
cannot afford to import.  The file is locked for as long as the process lives: by that a server sees whether it was
killed.  What a full disk does not take is kept in memory, and written when there is room.
"""

from __future__ import annotations

import os
import time
from _thread import allocate_lock

from ao.home import configured, folder
from ao.recording.plain_json import dumps
from ao.recording.state import random_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["MEMORY", "Journal"]

MEMORY = 64 * 2**20
"""Bytes of lines that are kept while the disk takes none."""

TRIES = 1_000
"""To make a folder that a server tidies away at the same time."""


class Journal:
    """A file in the folder of a recording.

    Args:
        run_id: of the recording.
        run: what the first line says of it: all, in its first process; in a child, whose recording may be over and its
            journal gone, that it is there.
        first: this is the first process.  Its file comes first in the folder.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, run_id: str, run: dict[str, Any], *, first: bool) -> None:
        self.folder = folder(run_id)
        self.lost = 0
        self._number = self._end = 0
        self._waiting: list[bytes] = []
        self._size = 0  # of those
        self._lock = allocate_lock()
        self._fd = self._opened(run_id, str(run.get("name") or ""), ("0-" if first else "1-") + random_id())
        self.append("b", dumps({"run": run}).encode())
        if self._waiting:
            os.close(self._fd)
            raise OSError(28, "No space left on device", self.folder)

    def append(self, kind: str, content: bytes) -> None:
        """Append a record; raises nothing.

        Args:
            kind: see ``tellurio.schemas.records``.
            content: its fields, a JSON object.
        """
        with self._lock:
            self._number += 1
            line = b'{"n":%d,"t":%.6f,"k":"%b",%b\n' % (self._number, time.time(), kind.encode(), content[1:])
            if not self._retried() or not self._write(line):
                self._keep(line)

    def close(self) -> None:
        """Write what was kept, and let go of the file."""
        with self._lock:
            if self._fd >= 0:
                self._retried()
                self.lost += len(self._waiting)
                os.close(self._fd)
                self._fd = -1

    def abandon(self) -> None:
        """After a fork, in the child: the file is the parent's, and so is whoever holds the lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def waiting(self) -> int:
        """How many records the disk has not taken."""
        return len(self._waiting)

    def _write(self, line: bytes) -> bool:
        view = memoryview(line)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            self._cut()
            return False
        self._end += len(line)
        return True

    def _cut(self) -> None:
        """Take away the part of a line that a full disk took."""
        try:
            os.ftruncate(self._fd, self._end)
        except OSError:
            pass

    def _keep(self, line: bytes) -> None:
        if self._size + len(line) > MEMORY:
            self.lost += 1
            self._number -= 1  # the next one takes its number: a server would wait for a gap to be filled
            return
        self._waiting.append(line)
        self._size += len(line)

    def _retried(self) -> bool:
        while self._waiting:
            if not self._write(self._waiting[0]):
                return False
            self._size -= len(self._waiting.pop(0))
        return True

    def _opened(self, run_id: str, name: str, client_id: str) -> int:
        """The file, locked.  A server removes a folder in which nothing is left to do; then it is made again."""
        for left in reversed(range(TRIES)):
            try:
                return self._made(os.path.join(self.folder, f"{client_id}.jsonl"), run_id, name)
            except (FileNotFoundError, FileExistsError):  # it went before the file was made, or while it was looked at
                if not left:
                    raise
        raise AssertionError

    def _made(self, path: str, run_id: str, name: str) -> int:
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _lock(fd)
            os.stat(path)  # it is gone if the server took it for one of a dead process before it was locked
            self._tell(run_id, name)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _tell(self, run_id: str, name: str) -> None:
        """``meta.json``, which says whose folder it is."""
        path = os.path.join(self.folder, "meta.json")
        if os.path.exists(path):
            return
        meta = {"v": 1, "run_id": run_id, "name": name, "url": configured(), "server_id": "", "recorder": True}
        temporary = f"{path}.{os.getpid()}"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, dumps(meta).encode())
        finally:
            os.close(fd)
        os.replace(temporary, path)


def _lock(fd: int) -> None:
    try:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX)
    except (ImportError, OSError):
        pass  # a file system without locks: the server then goes by signs of life
