"""Files of an artifact, written into a folder and nowhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from afnio._files import atomic_write
from afnio.errors import ServerError
from tellurio.client.http import Client

__all__ = ["download_files", "safe_parts"]


def download_files(client: Client, source: str, files: Sequence[Mapping[str, Any]], folder: Path) -> Path:
    """Fetch ``{source}/0``, ``{source}/1``, ... into ``folder`` by the paths of ``files``; returns ``folder``.

    Raises:
        ValueError: a path leads out of the folder; nothing is written then.
        ServerError: what comes is not what ``files`` says.
    """
    parts = [safe_parts(file["path"]) for file in files]
    folder.mkdir(parents=True, exist_ok=True)
    for number, (file, each) in enumerate(zip(files, parts, strict=True)):
        target = _place(folder, each)
        if not _is_there(target, file):
            _fetch(client, f"{source}/{number}", file, target)
    return folder


def safe_parts(path: str) -> tuple[str, ...]:
    """The parts of a relative path that stays where it is put.

    Raises:
        ValueError: it does not, or might not on some system.
    """
    parts = path.split("/")
    if any(part in ("", ".", "..") or set(part) & set("\\\0:") for part in parts) or PurePosixPath(path).is_absolute():
        raise ValueError(f"the artifact has a file {path!r}, which would not stay in the folder; nothing was written.")
    return tuple(parts)


def _place(folder: Path, parts: tuple[str, ...]) -> Path:
    """Where a file goes; the folders on the way are made, and none of them is a link to elsewhere."""
    place = folder
    for part in parts[:-1]:
        place /= part
        if place.is_symlink():
            raise ValueError(
                f"{place} is a link, and the file {'/'.join(parts)!r} would be written behind it: remove it."
            )
        place.mkdir(exist_ok=True)
    return place / parts[-1]


def _is_there(target: Path, file: Mapping[str, Any]) -> bool:
    if target.is_symlink() or not target.is_file() or target.stat().st_size != file["size"]:
        return False
    with target.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == str(file["sha256"])


def _fetch(client: Client, path: str, file: Mapping[str, Any], target: Path) -> None:
    with client.stream(path) as pieces, atomic_write(target) as output:  # replaces a link, and does not follow it
        for piece in _checked(pieces, file):
            output.write(piece)


def _checked(pieces: Iterable[bytes], file: Mapping[str, Any]) -> Iterator[bytes]:
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        if size > file["size"]:
            break
        yield piece
    if (size, digest.hexdigest()) != (file["size"], file["sha256"]):
        raise ServerError(
            f"The server sent other bytes than were stored for {file['path']!r} (SHA-256 {file['sha256']}). The file "
            "was not written. Try again; if it stays, the server's disk may be broken.",
            status_code=200,
        )
