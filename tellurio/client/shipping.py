"""Bringing a journal to the server that keeps it: batch by batch, from where the server says it has got to."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from afnio.errors import ServerError
from tellurio.client.http import Client
from tellurio.client.journal import Journal, number_of

__all__ = ["FILES", "HTTPKeeper", "Keeper", "NoSuchRun", "Refused", "Tail", "Unordered", "catch_up", "ship"]

RECORDS = 1_000
BYTES = 128 * 1024  # read at once, and sent at once, but for a longer line
FILES = "-files"  # ends the client id of a journal of artifacts: it is sent beside the records, so that both flow

_log = logging.getLogger("afnio.tellurio")


class Unordered(Exception):
    """The keeper of the journal waits for another record: the one after ``acknowledged``."""

    def __init__(self, acknowledged: int) -> None:
        self.acknowledged = acknowledged
        super().__init__(f"stored up to record {acknowledged}")


class Refused(Exception):
    """The keeper will never take record ``number``; nothing of its batch is stored."""

    def __init__(self, number: int, reason: str) -> None:
        self.number, self.reason = number, reason
        super().__init__(f"record {number}: {reason}")


class NoSuchRun(Exception):
    """The Run was deleted."""


class TooLarge(Exception):
    """The batch is larger than the keeper takes."""


class Keeper(Protocol):
    """Who keeps what Runs log: a server, by HTTP; or within the local server, its store."""

    def ingest(self, run_id: str, client_id: str, first: int, lines: list[bytes]) -> int:
        """Store journal lines, the first of which has the number ``first``; returns the number of the last one stored.

        Raises:
            Unordered: a record before the first is missing.
            Refused: one of them is no good.
            NoSuchRun: it was deleted.
        """

    def put_blob(self, run_id: str, sha256: str, path: Path) -> None:
        """Store a file, unless it is stored already.

        Raises:
            FileNotFoundError: it is not stored, and ``path`` is gone.
            ValueError: it is refused for good: too large, or changed.
        """


class HTTPKeeper:
    """A server, by HTTP.

    Args:
        client: may be replaced while it is in use.
        moved: called for each piece of a file that is sent.
    """

    def __init__(self, client: Client, moved: Callable[[], object] = lambda: None) -> None:
        self.client, self._moved = client, moved

    def ingest(self, run_id: str, client_id: str, first: int, lines: list[bytes]) -> int:
        """Store journal lines; returns the number of the last one stored."""
        try:
            answer = self.client.post(
                f"/api/v1/runs/{run_id}/journal",
                params={"client": client_id, "first": first},
                content=b"\n".join(lines) + b"\n",
                headers={"Content-Type": "application/x-ndjson"},
                retry=False,
            )
        except ServerError as error:
            raise _translated(error, first) from error
        return int(answer["acknowledged"])

    def put_blob(self, run_id: str, sha256: str, path: Path) -> None:
        """Store a file, unless it is stored already."""
        where = f"/api/v1/runs/{run_id}/blobs/{sha256}"
        try:
            self.client.request("HEAD", where)
        except ServerError as error:
            if error.status_code != 404:
                raise
            self._put(where, path)

    def _put(self, where: str, path: Path) -> None:
        try:
            self.client.put(where, content=self._pieces(path), timeout=60.0)
        except ServerError as error:
            if error.status_code == 404:
                raise NoSuchRun(str(error)) from error
            if error.status_code not in (413, 422):
                raise
            raise ValueError(str(error)) from error

    def _pieces(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                self._moved()
                yield piece


def _translated(error: ServerError, first: int) -> Exception:
    said = error.body.get("error") if isinstance(error.body, dict) else None
    details: dict[str, Any] = said if isinstance(said, dict) else {}
    if error.status_code == 409 and "acknowledged" in details:
        return Unordered(int(details["acknowledged"]))
    if error.status_code == 422:
        return Refused(int(details.get("n") or first), str(details.get("message") or "no reason given"))
    if error.status_code == 413:
        return TooLarge()
    if error.status_code == 404:
        return NoSuchRun(str(error))
    return error


class Tail:
    """A journal on its way: how far it is stored, and what comes next.

    Args:
        path: the file.
        journal: the journal of this process that writes it, which may have lines in memory.
    """

    def __init__(self, path: Path, journal: Journal | None = None) -> None:
        self.path, self.journal, self.client_id = path, journal, path.stem
        self.acknowledged = 0
        self.records = RECORDS  # in one batch; fewer once one was too large
        self.offset = 0  # where the lines that are not acknowledged begin, in bytes
        self._substitutes: dict[int, bytes] = {}
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def end(self) -> int:
        """How many bytes of the file may be read."""
        return self.journal.end if self.journal is not None else os.fstat(self._fd).st_size

    @property
    def logged(self) -> int:
        """How far its process has got: records, or of another process, bytes; `stored` counts the same."""
        return self.journal.number if self.journal is not None else self.end

    @property
    def stored(self) -> int:
        """How much of it the keeper has."""
        return self.acknowledged if self.journal is not None else self.offset

    @property
    def pending(self) -> bool:
        """Whether something waits to be sent."""
        if self.journal is not None:
            return self.offset < self.end or bool(self.journal.waiting)
        return self.offset < self.end and bool(self._next()[1])

    def read(self, offset: int, size: int = BYTES) -> bytes:
        """Whole lines from ``offset`` on, about ``size`` bytes of them."""
        end = self.end
        while offset < end:
            content = os.pread(self._fd, min(size, end - offset), offset)
            whole = content.rfind(b"\n") + 1
            if whole or size >= end - offset:
                return content[:whole]
            size *= 4  # a line longer than that
        return b""

    def batch(self) -> list[bytes]:
        """The next lines to send."""
        self.offset, lines = self._next()
        return lines

    def _next(self) -> tuple[int, list[bytes]]:
        """Where the next lines to send begin, and these.  It changes nothing: two threads may look at once."""
        offset = self.offset
        while content := self.read(offset):
            if wanted := self._wanted(content.split(b"\n")[:-1]):
                return offset, wanted
            offset += len(content)
        return offset, [] if self.journal is None else self._wanted(self.journal.in_memory())

    def _wanted(self, lines: list[bytes]) -> list[bytes]:
        wanted: list[bytes] = []
        last = self.acknowledged
        for line in lines:
            number = _number(line)
            if number <= last:
                continue
            if wanted and (number > last + 1 or len(wanted) == self.records):
                break
            wanted.append(self._substitutes.get(number, line).rstrip(b"\n"))
            last = number
        return wanted

    def last(self) -> bytes | None:
        """The last line of the file."""
        size = BYTES
        end = os.fstat(self._fd).st_size
        while end:
            content = os.pread(self._fd, min(size, end), max(0, end - size))
            whole = content.rfind(b"\n")
            start = content.rfind(b"\n", 0, max(whole, 0))
            if whole > 0 and (start >= 0 or size >= end):
                line = content[start + 1 : whole]
                return line if _number(line) > 0 else None
            if size >= end:
                break
            size *= 4
        return None

    def acknowledge(self, number: int) -> None:
        """Records up to ``number`` are stored."""
        self.acknowledged = number
        while content := self.read(self.offset):
            step = 0
            for line in content.split(b"\n")[:-1]:
                if _number(line) > number:
                    break
                step += len(line) + 1
            self.offset += step
            if step < len(content):
                break
        if self.journal is not None:
            self.journal.forget(number)

    def rewind(self, acknowledged: int) -> None:
        """Begin again after record ``acknowledged``."""
        self.acknowledged, self.offset = acknowledged, 0

    def refuse(self, number: int, reason: str) -> None:
        """Send a note instead of record ``number`` from now on, and put the record aside."""
        line = next((each for each in self.batch() if _number(each) == number), None)
        if line is None:
            number = self.acknowledged + 1
        aside = self.path.parent.parent / "refused" / f"{self.path.parent.name}-{self.path.name}"
        try:
            aside.parent.mkdir(mode=0o700, exist_ok=True)
            with open(aside, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write((line or b"") + b"\n")
            where = f"It was put aside: {aside}"
        except OSError as error:
            where = f"It could not be put aside ({error.strerror})"
        _log.warning(f"The server refused a record: {reason}. {where}. The others are sent.")
        self._substitutes[number] = _note(number, "refused", reason)

    def __repr__(self) -> str:
        return f"Tail({str(self.path)!r}, acknowledged={self.acknowledged})"


def catch_up(tail: Tail, run_id: str, keeper: Keeper) -> None:
    """Find out how far a journal is stored that another process began to send.

    Its last record tells: the keeper has it, or takes it, or says which one it waits for.
    """
    last = tail.last()
    if last is None or tail.client_id.endswith(FILES):
        return
    try:
        tail.acknowledge(keeper.ingest(run_id, tail.client_id, number_of(last), [last]))
    except Unordered as error:
        tail.rewind(error.acknowledged)
    except (Refused, TooLarge):
        pass  # its turn comes, with the others before it


def ship(tail: Tail, run_id: str, keeper: Keeper) -> bool:
    """Send one batch; returns whether there was one.

    Raises:
        NoSuchRun: it was deleted.
        TellurioError: what the server said, or that it is not there.  Nothing is lost: the same batch comes next time.
    """
    lines = tail.batch()
    if not lines:
        return False
    try:
        if tail.client_id.endswith(FILES):
            lines = lines[:1]
            _upload(tail, run_id, lines[0], keeper)
        tail.acknowledge(keeper.ingest(run_id, tail.client_id, number_of(lines[0]), lines))
    except Unordered as error:
        _reorder(tail, run_id, keeper, error.acknowledged)
    except Refused as error:
        tail.refuse(error.number, error.reason)
    except TooLarge:
        if tail.records == 1 or len(lines) == 1:
            tail.refuse(number_of(lines[0]), f"it is too large ({len(lines[0]):,} bytes)")
        tail.records = max(1, len(lines) // 2)
    return True


def _upload(tail: Tail, run_id: str, line: bytes, keeper: Keeper) -> None:
    import orjson

    for file in orjson.loads(line).get("files", ()):  # a note instead of a refused record has none
        try:
            keeper.put_blob(run_id, file["sha256"], tail.path.parent / "spool" / file["sha256"])
        except FileNotFoundError as error:
            raise Refused(number_of(line), f"the copy of its file {file['path']} is gone: {error.filename}") from error
        except ValueError as error:
            raise Refused(number_of(line), f"its file {file['path']}: {error}") from error


def _reorder(tail: Tail, run_id: str, keeper: Keeper, acknowledged: int) -> None:
    tail.rewind(acknowledged)
    lines = tail.batch()
    missing = range(acknowledged + 1, number_of(lines[0])) if lines else ()
    if missing:  # the disk was full, the process was killed, and the server was put back to an earlier day
        reason = f"{len(missing)} records are neither in the journal {tail.path} nor on the server"
        _log.warning(f"{reason}. The others are sent.")
        for start in range(missing[0], missing[-1] + 1, RECORDS):
            numbers = range(start, min(start + RECORDS, missing[-1] + 1))
            notes = [_note(number, "lost", reason) for number in numbers]
            tail.acknowledge(keeper.ingest(run_id, tail.client_id, numbers[0], notes))


def _number(line: bytes) -> int:
    """The record's number; -1 for what is no record (a disk that lost its power leaves zeros)."""
    with contextlib.suppress(ValueError):
        return number_of(line)
    return -1


def _note(number: int, kind: str, reason: str) -> bytes:
    import time

    import orjson

    fields = {"n": number, "t": time.time(), "k": "e", "kind": kind, "data": {"reason": reason}}
    return orjson.dumps(fields)
