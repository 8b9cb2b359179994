"""The journal of a Run: what a script logs is one line in a file, and the script goes on.

``<home>/journals/<run id>/`` is the folder of a Run.  Each process that logs into the Run has a file of its own in it
(``<client id>.jsonl``), locked while the process lives; ``meta.json`` says which Run of which server it is, and
``run.lock`` is locked by the process that sends.  A line is written by one ``write``, so that a killed process loses
nothing it has logged.  When the disk is full, lines are kept in memory and training goes on.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from afnio.calls.redact import redacted

__all__ = ["MEMORY", "Journal", "lock_file", "number_of", "said_of", "to_json"]

MEMORY = 10_000
"""Lines that are kept in memory at most, while the disk takes none."""

SHOWN = 200  # characters of a value in its INFO line

RETRY = 1.0  # seconds between two tries to write to a full disk

_log = logging.getLogger("afnio.tellurio")


class Journal:
    """The journal of one process for one Run.

    Args:
        folder: the Run's folder; made if it is not there.
        client_id: names the file, and this process to the server.
        wake: called after each record, from whichever thread logs.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, folder: Path, client_id: str, wake: Callable[[], object] = lambda: None) -> None:
        import orjson

        self.folder, self.client_id, self.path = folder, client_id, folder / f"{client_id}.jsonl"
        self.end = 0  # bytes of whole lines in the file
        self.waiting: deque[bytes] = deque()  # lines the disk did not take
        self.lost = 0  # records that found no room in memory either
        self.unsynced = False  # whether a paid call was written since the last sync
        self._number = self._written = 0  # of the last record; of the last one in the file
        self._torn = False
        self._retry_at = 0.0
        self._warned = False
        self._lock = threading.RLock()  # a signal handler may log the end while its thread is in here: `_torn` tells
        self._dumps, self.wake = orjson.dumps, wake
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.fd = _opened(self.path)
        self._closing = weakref.finalize(self, os.close, self.fd)
        self._closing.atexit = False  # a thread may still write then

    @property
    def number(self) -> int:
        """Of the last record."""
        return self._number

    def metric(self, name: str, value: float | str, step: int | None) -> None:
        """Append a metric; ``value`` as ``number_out`` gives it.  The short way: it is what loops call."""
        with self._lock:
            number = self._number + 1
            self._put(
                number,
                self._dumps({"n": number, "t": time.time(), "k": "m", "name": name, "v": value, "step": step}) + b"\n",
            )
        self.wake()

    def append(self, kind: str, fields: Mapping[str, Any], *, timeout: float = -1) -> bool:
        """Append a record of any kind; what looks like a credential in it is replaced.

        Args:
            kind: see ``tellurio.schemas.records``.
            fields: what the record holds besides its number, time and kind.
            timeout: how long to wait for another thread that writes, in seconds; for who is in a hurry.

        Returns:
            whether it was written, or kept in memory.
        """
        content = redacted(to_json(fields))[1:]  # before the lock: a call can be long
        now = b"%.6f" % time.time()
        if not self._lock.acquire(timeout=timeout):
            return False
        try:
            number = self._number + 1
            start = b'{"n":%d,"t":%b,"k":"%b"' % (number, now, kind.encode())
            kept = self._put(number, start + (b"," if len(content) > 1 else b"") + content + b"\n")
            self.unsynced = self.unsynced or kind == "c"
        finally:
            self._lock.release()
        self.wake()
        return kept

    def _put(self, number: int, line: bytes) -> bool:
        if self._torn or self.waiting:
            if not self._write_waiting():
                return self._keep(number, line)
            if number <= self._number:  # Ctrl-C came between the last write and its being counted
                number, line = self._number + 1, _renumbered(line, self._number + 1)
        error = self._write(number, line)
        if error is None:
            return True
        self._warn(error)
        return self._keep(number, line)

    def _write(self, number: int, line: bytes) -> OSError | None:
        self._torn = True  # until all is noted: Ctrl-C may come anywhere
        try:
            written = os.write(self.fd, line)
        except OSError as error:
            self._torn = False
            return error
        if written < len(line):
            return self._mend() or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.end += written
        self._written = number
        if number > self._number:
            self._number = number
        self._torn = False
        return None

    def _mend(self) -> OSError | None:
        """Cut off the part of a line that a full disk took; note whole lines that were written but not counted."""
        try:
            tail = os.pread(self.fd, max(0, os.fstat(self.fd).st_size - self.end), self.end)
            whole = tail.rfind(b"\n") + 1
            if whole < len(tail):
                os.ftruncate(self.fd, self.end + whole)
        except OSError as error:
            return error
        if whole:
            self._written = number_of(tail[tail.rfind(b"\n", 0, whole - 1) + 1 :])
            self._number = max(self._number, self._written)
            self.end += whole
        self._torn = False
        return None

    def _write_waiting(self) -> bool:
        if time.monotonic() < self._retry_at:
            return False
        if self._torn and self._mend() is not None:
            return False
        while self.waiting:
            number = number_of(self.waiting[0])
            if number > self._written and self._write(number, self.waiting[0]) is not None:
                self._retry_at = time.monotonic() + RETRY
                return False
            self.waiting.popleft()
        return True

    def _keep(self, number: int, line: bytes) -> bool:
        if len(self.waiting) >= MEMORY:
            self.lost += 1
            return False
        self.waiting.append(line)
        self._number = number
        return True

    def _warn(self, error: OSError) -> None:
        self._retry_at = time.monotonic() + RETRY
        if not self._warned:
            self._warned = True
            _log.warning(
                f"The journal {self.path} cannot be written ({error.strerror}). Training goes on; what is logged is "
                f"kept in memory ({MEMORY:,} records at most) until there is space again, or it is sent."
            )

    def close(self) -> None:
        """Close the file and let go of its lock; what is logged afterwards is kept in memory only."""
        if self._lock.acquire(timeout=1.0):
            self.fd = -1  # a thread that comes late must not write into another file that got the number
            self._lock.release()
        self._closing()

    def abandon(self) -> None:
        """After a fork, in the child: the file is the parent's, and so is whoever holds the lock."""
        self._closing()

    # the sender's side

    def retry(self) -> None:
        """Write what the disk did not take before, if it does now."""
        if self.waiting:
            with self._lock:
                self._write_waiting()

    def in_memory(self) -> list[bytes]:
        """The lines the disk did not take."""
        with self._lock:
            return list(self.waiting)

    def forget(self, number: int) -> None:
        """Drop lines up to ``number`` from memory: they are stored elsewhere."""
        if self.waiting:
            with self._lock:
                while self.waiting and number_of(self.waiting[0]) <= number:
                    self.waiting.popleft()

    def sync(self) -> None:
        """Make paid calls durable: one sync for all that were written."""
        if self.unsynced:
            self.unsynced = False
            try:
                (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(self.fd)
            except OSError:
                pass  # a disk that cannot sync; the line is written, and is sent now


def _opened(path: Path) -> int:
    """The file, locked.  Who tidies up may have taken it for an empty one of a dead process: then it is made again."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            lock_file(fd, wait=True)
            if path.exists() and path.stat().st_ino == os.fstat(fd).st_ino:
                return fd
        except OSError:  # removed between the two looks
            pass
        os.close(fd)


def lock_file(fd: int, *, wait: bool = False, shared: bool = False) -> bool:
    """Lock a file for as long as this process has it open; whether that worked.

    Args:
        wait: until nobody else has it.
        shared: only to see whether another has it: those who look are not taken by each other for its owner.
    """
    try:
        import fcntl
    except ImportError:
        return True  # no such locks on this system
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def number_of(line: bytes) -> int:
    """The number of a record: every line begins with it.

    Raises:
        ValueError: it is no line of a journal.
    """
    if not line.startswith(b'{"n":'):
        raise ValueError("no record")
    return int(line[5 : line.index(b",", 5)])


def to_json(value: Mapping[str, Any]) -> bytes:
    """``value`` as JSON; what JSON does not know becomes what is nearest to it."""
    import orjson

    try:
        return orjson.dumps(value, _plain, orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return orjson.dumps(_clean(value), str, orjson.OPT_NON_STR_KEYS)


def said_of(line: bytes) -> tuple[str, str] | None:
    """Name and value of a metric, or another value, as its INFO line has them; None for other records."""
    place = line.find(b'"k":"', 0, 80) + 5
    if line[place : place + 1] not in (b"m", b"v"):
        return None
    import orjson

    record = orjson.loads(line)
    kind, value = record.get("type"), record["v"]
    if kind == "table":
        value = f"<table, {len(value)} rows>"
    elif kind is not None:
        value = repr(value) if kind == "text" else f"<{kind}>"
    value = str(value)
    return record["name"], value if len(value) <= SHOWN else f"{value[:SHOWN]}..."


def _renumbered(line: bytes, number: int) -> bytes:
    return b'{"n":%d%b' % (number, line[line.index(b",") :])


def _plain(value: Any) -> Any:
    """What JSON does not know: numpy scalars, Decimals, paths, dataclasses of users."""
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)


def _clean(value: Any) -> Any:
    """``value`` without half characters and with numbers JSON can hold."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_clean(str(name)): _clean(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return str(value)
    return value
