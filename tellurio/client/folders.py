"""The folders of Runs below ``<home>/journals``: who has one, and when it can go.

A folder is held (``run.lock``) by the process that sends its journals.  It is made anew where it has gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from afnio._files import atomic_write
from tellurio.client.journal import Journal, lock_file

__all__ = [
    "claim",
    "forget",
    "forgotten",
    "held",
    "journals_in",
    "open_journal",
    "read_meta",
    "remove_if_done",
    "remove_journal",
    "write_meta",
]

META, LOCK, SPOOL, DELETED = "meta.json", "run.lock", "spool", "deleted"
TRIES = 1_000  # to make a folder that somebody tidies away; each takes a fraction of a millisecond
NEEDED = ("run_id", "name", "url", "server_id")


def write_meta(folder: Path, meta: Mapping[str, Any]) -> None:
    """Say in ``folder`` which Run of which server it belongs to, unless it does already."""
    import orjson

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / META).exists():
        with atomic_write(folder / META, mode=0o600) as file:
            file.write(orjson.dumps(meta))


def read_meta(folder: Path) -> dict[str, Any] | None:
    """What `write_meta` wrote; None where it is not, or not whole."""
    import orjson

    try:
        meta = orjson.loads((folder / META).read_bytes())
    except (OSError, ValueError):
        return None
    whole = isinstance(meta, dict) and all(isinstance(meta.get(name), str) for name in NEEDED)
    return meta if whole else None


def open_journal(folder: Path, client_id: str, meta: Mapping[str, Any], wake: Any = lambda: None) -> Journal:
    """A journal in ``folder``, however often another process removes the folder meanwhile because it was empty.

    Raises:
        OSError: it cannot be made.
    """
    for _ in range(TRIES):
        # It goes after it was made, or, for `mkdir`, between being there and being looked at.
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            journal = Journal(folder, client_id, wake)
            write_meta(folder, meta)
            return journal
    raise FileNotFoundError(f"{folder} goes as often as it is made")


def claim(folder: Path) -> int | None:
    """Hold the folder; the handle to close when done, or None when another process holds it."""
    try:
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    if lock_file(fd):
        return fd
    os.close(fd)
    return None


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Whether nobody else holds the folder; it is held inside the block then."""
    fd = claim(folder)
    try:
        yield fd is not None
    finally:
        if fd is not None:
            os.close(fd)


def journals_in(folder: Path) -> list[Path]:
    """Its journals."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.name.endswith(".jsonl"))
    except OSError:
        return []


def remove_if_done(folder: Path, stored: Mapping[Path, int]) -> bool:
    """Remove the journals that are stored whole and that no process writes any more, and the folder when none is left.

    Args:
        stored: journal -> how many of its bytes are stored.
    """
    left = False
    for path in journals_in(folder):
        left = not remove_journal(path, stored.get(path, 0)) or left
    for _ in range(3):  # whoever looks whether somebody holds the folder makes its lock anew
        if left or journals_in(folder):
            return False
        if _removed(folder):
            return True
    return False


def _removed(folder: Path) -> bool:
    """Whether a folder without journals is gone; its ``meta.json`` stays where it is not."""
    meta = (folder / META).read_bytes() if (folder / META).exists() else None
    for path in [*(folder / SPOOL).glob("*"), folder / META, folder / LOCK]:
        path.unlink(missing_ok=True)
    try:
        if (folder / SPOOL).exists():
            (folder / SPOOL).rmdir()
        folder.rmdir()
    except OSError:  # a process began to log again, or looks at it
        if meta is not None:
            with contextlib.suppress(OSError), atomic_write(folder / META, mode=0o600) as file:
                file.write(meta)
        return False
    return True


def forget(folder: Path) -> None:
    """The Run was deleted: what a process goes on to write into its folder is sent nowhere any more."""
    with contextlib.suppress(OSError):
        os.close(os.open(folder / DELETED, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def forgotten(folder: Path) -> bool:
    """Whether `forget` was told of the folder; it is removed when no process writes in it."""
    if not (folder / DELETED).exists():
        return False
    if all(remove_journal(path, path.stat().st_size) for path in journals_in(folder)):
        shutil.rmtree(folder, ignore_errors=True)
    return True


def remove_journal(path: Path, stored: int) -> bool:
    """Remove a journal that no process writes any more, if ``stored`` is all of it; whether it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        if not lock_file(fd):
            return False
        size = os.fstat(fd).st_size
        tail = os.pread(fd, size - stored, stored) if size > stored else b""
        if b"\n" in tail:
            return False
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(fd)
