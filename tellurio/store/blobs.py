"""Blobs: the bytes of artifacts, each under the SHA-256 of its content."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from sqlalchemy import Connection

from afnio.errors import StoreError
from tellurio.store._sql import execute

__all__ = ["Blobs", "note_blob"]

_CHUNK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")


def note_blob(c: Connection, sha256: str, size: int, now: float) -> None:
    """Write down that a blob is stored: to be done after `Blobs.put`, and before an artifact may name it."""
    execute(
        c,
        "INSERT INTO blobs (sha256, size, created) VALUES (?, ?, ?) ON CONFLICT (sha256) DO NOTHING",
        (_digest(sha256), size, now),
    )


class Blobs:
    """A folder of blobs: a local one, or the address of one that fsspec knows.  For several threads and processes.

    No path ever has a part that a user chose: only 64 hexadecimal digits are taken for a name.
    """

    def __init__(self, folder: Path | str) -> None:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]
        from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

        self._files, self._folder = url_to_fs(str(folder))
        self._local = isinstance(self._files, LocalFileSystem)
        self._make(self._folder)
        self._make(f"{self._folder}/unfinished")
        self._tidy()

    def has(self, sha256: str) -> bool:
        """Whether the blob is stored."""
        return bool(self._files.exists(self._path(sha256)))

    def put(self, stream: BinaryIO | Iterable[bytes], sha256: str, *, limit: int) -> int:
        """Store a blob: all of it or nothing, and only if its content has that digest.  Returns its size.

        Raises:
            ValueError: the content has another digest, or more than ``limit`` bytes.
            StoreError: it cannot be written, as on a full disk.  What ``stream`` raises comes out as it is.
        """
        path = self._path(sha256)
        unfinished = f"{self._folder}/unfinished/{secrets.token_hex(16)}"
        try:
            size = self._write(unfinished, stream, sha256, limit)
            self._make(path.rpartition("/")[0])
            self._files.mv(unfinished, path)
        except _BrokenStreamError as broken:
            self._remove(unfinished)
            raise broken.error from None
        except OSError as error:
            self._remove(unfinished)
            raise StoreError(
                f"A blob cannot be stored: {_why(error)}. Nothing of it was kept; send it again."
            ) from error
        except BaseException:
            self._remove(unfinished)
            raise
        self._sync_folder(path)
        return size

    def open(self, sha256: str) -> BinaryIO:
        """A blob's bytes, to be read and closed.

        Raises:
            FileNotFoundError: it is not stored.
        """
        return cast(BinaryIO, self._files.open(self._path(sha256), "rb"))

    def delete(self, sha256: str) -> None:
        """Delete a blob; it is no mistake if it is not there."""
        self._remove(self._path(sha256))

    def _path(self, sha256: str) -> str:
        digest = _digest(sha256)
        return f"{self._folder}/{digest[:2]}/{digest}"

    def _write(self, path: str, stream: BinaryIO | Iterable[bytes], sha256: str, limit: int) -> int:
        size, digest = 0, hashlib.sha256()
        if self._local:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # nobody else's, from the first byte
        with self._files.open(path, "wb") as file:
            for chunk in _chunks(stream):
                size += len(chunk)
                if size > limit:
                    raise ValueError(f"a blob may have at most {limit:,} bytes; this one has more")
                digest.update(chunk)
                file.write(chunk)
            if digest.hexdigest() != sha256:
                raise ValueError(f"the content has the digest {digest.hexdigest()}, not {sha256}: send the file again")
            if self._local:
                file.flush()
                os.fsync(file.fileno())
        return size

    def _tidy(self) -> None:
        """Remove what a killed process left half written; nobody takes a day for one file."""
        if self._local:
            for left in Path(f"{self._folder}/unfinished").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if left.stat().st_mtime < time.time() - 86_400:
                        left.unlink()

    def _make(self, folder: str) -> None:
        if self._local:
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)

    def _sync_folder(self, path: str) -> None:
        """Make the new name durable: the caller acknowledges it."""
        if self._local:
            number = os.open(path.rpartition("/")[0], os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(number)
            finally:
                os.close(number)

    def _remove(self, path: str) -> None:
        try:
            self._files.rm_file(path)
        except FileNotFoundError:
            pass


def _digest(sha256: Any) -> str:
    if not isinstance(sha256, str) or not _DIGEST.fullmatch(sha256):
        raise ValueError(f"expected a SHA-256 as 64 hexadecimal digits in lower case, got {str(sha256)[:100]!r}")
    return sha256


class _BrokenStreamError(Exception):
    """Reading failed, and not the store: an ``OSError`` too, as a connection's end and a timeout are."""

    def __init__(self, error: OSError) -> None:
        self.error = error


def _chunks(stream: BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
    read = getattr(stream, "read", None)
    try:
        if read is None:
            yield from stream
        else:
            while chunk := read(_CHUNK):
                yield chunk
    except OSError as error:
        raise _BrokenStreamError(error) from error


def _why(error: OSError) -> str:
    return "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else str(error)
