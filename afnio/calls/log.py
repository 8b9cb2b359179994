"""The call log: every call on disk before its answer is used, one JSON object a line.

Layout of a line: ``{"v":1,"key":"<sha256>", ...}``; see ``record.py``. A call that was answered by an earlier one
(joined, or from the memo) is a short line with ``"ref"``, the number of the earlier line. Lines count from 1.
"""

from __future__ import annotations

import os
import stat
import threading
import weakref
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Self, get_args

from afnio.calls import _json
from afnio.calls.fsync import GroupSync
from afnio.calls.record import VERSION, record_of, ref_of, reply_of, request_of
from afnio.calls.redact import redacted
from afnio.calls.request import Reply, Request
from afnio.errors import CallLogError, ReplayMissError

__all__ = ["CallLog", "Mode"]

Mode = Literal["live", "cache", "replay"]
"""Whether a log is only written, written and read, or only read; see `CallLog`."""

START = b'{"v":1,"key":"'


class CallLog:
    """An append-only file of calls.

    Args:
        path: the file; made with its folders, readable by its owner only, if it is not there.
        mode: ``"live"`` only writes; ``"cache"`` answers from what is recorded and writes what is new;
            ``"replay"`` only reads: no network, and a request that was never recorded is an error.

    The same request recorded several times is answered in the recorded order, each line once; in replay the last
    answer is given again after that. A last line that was cut (the process was killed while writing) is forgotten.
    No header and no key is ever stored; what looks like a credential in a text is redacted, see ``redact.py``.

    Raises:
        CallLogError: the file cannot be opened, is in use, or holds a line that is no record.
    """

    def __init__(self, path: str | os.PathLike[str], mode: Mode = "cache") -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"CallLog(mode={mode!r}): expected 'live', 'cache' or 'replay'.")
        self.path, self.mode = Path(path), mode
        self._pid, self._lock = os.getpid(), threading.Lock()
        self._lines: dict[str, list[int]] = {}  # key -> its lines
        self._first: dict[str, int] = {}  # key -> how many of its lines are surely used
        self._ends = array("Q", [0])  # offset where line i ends
        self._used = bytearray()  # 1 where a line was used
        self._broken: str | None = None
        self._fd = _open(self.path, mode)
        self._close = weakref.finalize(self, os.close, self._fd)
        self._sync = GroupSync(self._fd)
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    # reading

    def take(self, request: Request) -> tuple[int, dict[str, Any]] | None:
        """Line and record of the next unused answer to ``request``, now used; None when there is none."""
        if self.mode == "live":
            return None
        with self._lock:
            lines = self._lines.get(request.key, ())
            start = self._first.get(request.key, 0)
            for place in range(start, len(lines)):
                self._first[request.key] = place + 1
                line = lines[place]
                if not self._used[line - 1]:
                    self._used[line - 1] = 1
                    return self._resolved(line)
        return None

    def unused(self, *roles: str) -> Iterator[dict[str, Any]]:
        """The records of the lines of these roles that were not used yet, in order: what a resumed run may be given."""
        if self.mode == "cache":
            for line in range(1, len(self) + 1):
                if not self._used[line - 1]:
                    own = self._record(line)
                    if own["role"] in roles:
                        yield {**self._resolved(line)[1], "role": own["role"], "node": own["node"]}

    def use(self, key: str) -> bool:
        """Note that the next unused line with this request key answered a request elsewhere; False: there is none."""
        with self._lock:
            for line in self._lines.get(key, ()):
                if not self._used[line - 1]:
                    self._used[line - 1] = 1
                    return True
        return False

    def last(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Line and record of the last answer to ``request``.

        Raises:
            ReplayMissError: there is none.
        """
        with self._lock:
            lines = self._lines.get(request.key)
            if lines:
                return self._resolved(lines[-1])
        raise ReplayMissError(
            f"Replay of {self.path}: the {request.role or 'model'} call at {request.node or '(no node)'} to "
            f"'{request.model}' was never recorded (request {request.key[:12]}). The prompt, the data or the arguments "
            f"changed since, or the log is not of this run. Record it anew with mode='cache'."
        )

    def replies(self, *roles: str) -> Iterator[Reply]:
        """The replies of the used lines, in order; of some roles only, if given."""
        for line in range(1, len(self) + 1):
            if not self._used[line - 1]:
                continue
            own = self._record(line)
            if not roles or own["role"] in roles:
                target, record = self._resolved(line)
                yield reply_of(record, request_of(record, own), target)

    def __len__(self) -> int:
        return len(self._used)

    def _record(self, line: int) -> dict[str, Any]:
        start, end = self._ends[line - 1], self._ends[line]
        record: dict[str, Any] = _json.loads(os.pread(self._fd, end - start, start))
        return record

    def _resolved(self, line: int) -> tuple[int, dict[str, Any]]:
        record = self._record(line)
        return self._resolved(record["ref"]) if "ref" in record else (line, record)

    # what was used

    def state(self) -> list[list[int]]:
        """The lines used so far, as ranges ``[first, after the last]``: small, and plain JSON for a checkpoint."""
        ranges: list[list[int]] = []
        start = self._used.find(1)
        while start >= 0:
            end = self._used.find(0, start)
            end = len(self._used) if end < 0 else end
            ranges.append([start + 1, end + 1])
            start = self._used.find(1, end)
        return ranges

    def rewind(self, state: list[list[int]]) -> None:
        """Go back to a ``state()``: the lines in it are used, all others are not and will answer again.

        Raises:
            CallLogError: the log has fewer lines than that.
        """
        used = bytearray(len(self._used))
        for start, end in state:
            if not 1 <= start <= end <= len(used) + 1:
                raise CallLogError(
                    f"{self.path} has {len(used)} lines; the saved state speaks of lines {start} to {end - 1}. It is "
                    f"the state of another log, or lines were lost."
                )
            used[start - 1 : end - 1] = b"\1" * (end - start)
        with self._lock:
            self._used = used
            self._first.clear()

    # writing

    async def append(self, record: dict[str, Any], *, durable: bool = True) -> int:
        """Write a record; returns its line, once it is on disk when ``durable``.

        Raises:
            CallLogError: it could not be written; the log is as it was before.
        """
        line = self._write(record)
        if durable:
            try:
                await self._sync()
            except OSError as error:
                self._broken = f"the disk failed: {error.strerror}"
                raise CallLogError(f"{self.path}: the answer could not be made durable: {error.strerror}.") from error
        return line

    def adopt(self, job: str, records: Iterable[dict[str, Any]]) -> int:
        """Write the ``records`` of a job that are not here yet, as answers nobody used; returns how many these are.

        For calls that were paid for elsewhere, by a server that worked for a process which was killed.
        """
        known = Counter(own["key"] for own in map(self._record, range(1, len(self) + 1)) if own.get("job") == job)
        added = 0
        for record in records:
            if known[record["key"]]:
                known[record["key"]] -= 1
            else:
                self._write({**record, "job": job}, used=False)
                added += 1
        return added

    def refer(self, reply: Reply, phase: str, job: str) -> None:
        """Note that ``reply``, already in the log, answered one more request."""
        self._write(record_of(reply, phase, job) if reply.line is None else ref_of(reply, phase, job))

    def _write(self, record: dict[str, Any], *, used: bool = True) -> int:
        content = redacted(_json.dumps(record)) + b"\n"
        with self._lock:
            self._check_writable()
            end = self._ends[-1]
            try:
                _write_all(self._fd, content)
            except OSError as error:
                self._undo(end)
                raise CallLogError(
                    f"{self.path}: the call could not be recorded ({error.strerror}), so its answer is not used. "
                    f"Free some space and go on: what was recorded before is intact."
                ) from error
            return self._note(record["key"], end + len(content), used=used)

    def _check_writable(self) -> None:
        if self.mode == "replay":
            raise CallLogError(f"{self.path} was opened with mode='replay' and is not written.")
        if not self._close.alive:
            raise CallLogError(f"{self.path} was closed. Open it again: CallLog(path).")
        if self._broken:
            raise CallLogError(f"{self.path} takes no more calls: {self._broken}. Open it again when that is mended.")
        if self._pid != os.getpid():
            raise CallLogError(
                f"{self.path} belongs to process {self._pid}, this is its child {os.getpid()}. "
                f"Give the child a log of its own."
            )

    def _undo(self, end: int) -> None:
        """Cut off what a failed write may have left."""
        try:
            if os.fstat(self._fd).st_size > end:
                os.ftruncate(self._fd, end)
        except OSError as error:
            self._broken = f"a half-written line could not be removed: {error.strerror}"

    def _note(self, key: str, end: int, *, used: bool) -> int:
        self._ends.append(end)
        self._used.append(used)
        line = len(self._used)
        if self.mode != "live":
            self._lines.setdefault(key, []).append(line)
        return line

    # opening, closing

    def _read(self) -> None:
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            return
        with open(self._fd, "rb", closefd=False) as file:
            for content in file:
                record, fault = _parsed(content, len(self))
                if record is None:
                    self._cut(content, fault, is_last=not file.read(1))
                    return
                self._note(record["key"], self._ends[-1] + len(content), used=False)

    def _cut(self, content: bytes, fault: str, *, is_last: bool) -> None:
        ours = content.startswith(START) or START.startswith(content) or not content.strip(b"\0")
        if not (is_last and ours):
            raise CallLogError(
                f"{self.path}, line {len(self) + 1}, is no call record: {fault}. The file is no call log or was "
                f"damaged; it was left as it is. Remove that line, or choose another path."
            )
        if self.mode != "replay":
            os.ftruncate(self._fd, self._ends[-1])

    def close(self) -> None:
        """Close the file and let others open it; a second call does nothing."""
        self._sync.close()
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"CallLog({str(self.path)!r}, mode={self.mode!r}, {len(self)} lines)"


def _parsed(content: bytes, lines_before: int) -> tuple[dict[str, Any] | None, str]:
    if not content.endswith(b"\n"):
        return None, "it is cut short"
    try:
        record = _json.loads(content)
    except ValueError as error:
        return None, str(error)
    if not isinstance(record, dict) or not isinstance(record.get("key"), str):
        return None, "it has no key"
    if record.get("v") != VERSION:
        raise CallLogError(
            f"Line {lines_before + 1} has format version {record.get('v')!r}, this afnio reads version {VERSION}. "
            f"Upgrade afnio, or record anew."
        )
    ref = record.get("ref")
    answered = isinstance(record.get("response"), dict) if ref is None else ref in range(1, lines_before + 1)
    if not answered:
        return None, "it has neither a response nor the number of an earlier line"
    return record, ""


def _open(path: Path, mode: Mode) -> int:
    try:
        if mode == "replay":
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = " Record it first with mode='cache'." if mode == "replay" else ""
        raise CallLogError(f"The call log {path} cannot be opened: {error.strerror}.{hint}") from error
    try:
        _lock(fd)
        _sync_folder(path.parent)
    except OSError as error:
        os.close(fd)
        raise CallLogError(
            f"The call log {path} is in use: another process, or another CallLog of this one, writes it. Wait for "
            f"it, close it, or choose another path."
        ) from error
    return fd


def _lock(fd: int) -> None:
    try:
        import fcntl
    except ImportError:
        return  # no such locks on this system
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync_folder(folder: Path) -> None:
    """Make a new file's name durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
