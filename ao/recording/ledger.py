"""The ledger: what the processes of one recording know together, in a small file.

Which recorded calls have been given again, so that two processes are not given the same one; and how many calls there
were of which kind.
"""

from __future__ import annotations

import os
import struct
from threading import Lock

__all__ = ["KINDS", "Ledger"]

KINDS = ("live", "replayed", "edited", "new")
_COUNTS = struct.Struct("=4Q")


class Ledger:
    """The file, open in this process.

    Args:
        path: of it; made if it is not there.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: str) -> None:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._process = os.getpid()
        self._lock = Lock()

    def claim(self, number: int) -> bool:
        """Take the recorded call with that number; False: another one has it."""
        with self._locked():
            place = _COUNTS.size + number
            if os.pread(self._fd, 1, place) == b"\1":
                return False
            os.pwrite(self._fd, b"\1", place)
            return True

    def count(self, kind: str) -> None:
        """One more call of a kind."""
        with self._locked():
            counts = list(self._counts())
            counts[KINDS.index(kind)] += 1
            os.pwrite(self._fd, _COUNTS.pack(*counts), 0)

    def totals(self) -> dict[str, int]:
        """How many calls there were of each kind."""
        with self._locked():
            return dict(zip(KINDS, self._counts(), strict=True))

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def _counts(self) -> tuple[int, ...]:
        return _COUNTS.unpack(os.pread(self._fd, _COUNTS.size, 0).ljust(_COUNTS.size, b"\0"))

    def _locked(self) -> _Locked:
        if os.getpid() != self._process:  # a fork: a thread of the parent may have held the lock
            self._process, self._lock = os.getpid(), Lock()
        return _Locked(self._fd, self._lock)


class _Locked:
    """Nobody else is at the file: no thread of this process, and no other process."""

    def __init__(self, fd: int, lock: Lock) -> None:
        self._fd, self._lock = fd, lock

    def __enter__(self) -> None:
        import fcntl

        self._lock.acquire()
        fcntl.lockf(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *error: object) -> None:
        import fcntl

        fcntl.lockf(self._fd, fcntl.LOCK_UN)
        self._lock.release()
