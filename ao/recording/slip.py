"""The slip: a small journal that says that a Run has begun, that its process lives, and how it ended.

It is written without anything that takes time to import, so that a script which calls no model starts as fast as
without us.  What it calls is written to a journal beside it (``tellurio.client.journal``).  The file is locked for as
long as the process lives: whoever feeds the server from it sees by that whether it was killed.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ao.home import configured, folder

__all__ = ["Slip", "random_id"]


def random_id() -> str:
    """A UUID (version 4), from the system's randomness: the script's own is not touched."""
    number = bytearray(os.urandom(16))
    number[6] = number[6] & 0x0F | 0x40
    number[8] = number[8] & 0x3F | 0x80
    text = number.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


class Slip:
    """One process's slip in the folder of a recording.

    Args:
        run_id: of the recording.
        name: of it, for whoever looks into the folder.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, run_id: str, name: str) -> None:
        self.folder = folder(run_id)
        self.pid = os.getpid()
        self._number = 0
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        meta = {"v": 1, "run_id": run_id, "name": name, "url": configured(), "server_id": "", "recorder": True}
        self._meta(meta)
        path = os.path.join(self.folder, f"{random_id()}.jsonl")
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        _lock(self._fd)

    def write(self, kind: str, fields: dict[str, Any]) -> None:
        """Append a record.

        Raises:
            OSError: the disk does not take it.
        """
        self._number += 1
        line = json.dumps({"n": self._number, "t": time.time(), "k": kind, **fields}).encode() + b"\n"
        if os.write(self._fd, line) < len(line):
            raise OSError(28, "No space left on device")

    def close(self) -> None:
        """The process no longer records; after a fork, in the child: the file is the parent's."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _meta(self, meta: dict[str, Any]) -> None:
        path = os.path.join(self.folder, "meta.json")
        if os.path.exists(path):
            return
        temporary = f"{path}.{self.pid}"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, json.dumps(meta).encode())
        finally:
            os.close(fd)
        os.replace(temporary, path)


def _lock(fd: int) -> None:
    try:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX)
    except (ImportError, OSError):
        pass  # a file system without locks: the server then goes by signs of life
