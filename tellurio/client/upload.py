"""Artifacts on their way: a copy of each file, named by its content, until the server has it."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["artifact_name", "checked_artifact_name", "spooled", "spooled_bytes"]

PIECE = 1 << 20

_NO_NAME = re.compile(r"[\x00-\x1f\x7f/\\]")


def artifact_name(metric: str) -> str:
    """The name of the artifact of an image or file that was logged as a metric."""
    name = _NO_NAME.sub(".", metric)
    return name if name.strip(".") else "file"


def checked_artifact_name(name: object) -> str:
    """``name``, if an artifact can have it.

    Raises:
        TypeError: it is no string.
        ValueError: it is empty, too long, or a path.
    """
    if not isinstance(name, str):
        raise TypeError(f"log_artifact: the name must be a string, got {type(name).__name__}: {name!r:.100}.")
    if not 0 < len(name) <= 200 or name in (".", "..") or _NO_NAME.search(name):
        raise ValueError(
            f"log_artifact: a name has 1 to 200 characters and no slash, backslash or control character in it; got "
            f"{name!r:.250}."
        )
    return name


def spooled(path: Path, folder: Path) -> tuple[str, list[dict[str, Any]]]:
    """Copy a file, or a folder with all in it, into the spool of a Run's ``folder``.

    Returns:
        its kind (``"file"`` or ``"directory"``) and its files: path within it, SHA-256, size.

    Raises:
        FileNotFoundError: there is nothing at ``path``.
        OSError: it cannot be read, or the disk is full.
        ValueError: it holds no file, or one whose name is no text.
    """
    if not path.exists():
        raise FileNotFoundError(f"log_artifact: there is no file or folder {os.fspath(path)!r}.")
    if not path.is_dir():
        return "file", [_file(path, path.name, folder)]
    files = [_file(each, each.relative_to(path).as_posix(), folder) for each in _below(path)]
    if not files:
        raise ValueError(f"log_artifact: the folder {os.fspath(path)!r} holds no file.")
    return "directory", files


def spooled_bytes(content: bytes, name: str, folder: Path) -> dict[str, Any]:
    """Put ``content`` into the spool, as the file ``name``."""
    sha256 = hashlib.sha256(content).hexdigest()
    target = _spool(folder) / sha256
    if not target.exists():
        temporary = _temporary(target.parent)
        temporary.write_bytes(content)
        temporary.replace(target)
    return {"path": name, "sha256": sha256, "size": len(content)}


def _below(folder: Path) -> Iterator[Path]:
    """The files in it, in order; what is linked to is taken, but a link to a folder is not followed in circles."""
    for where, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(where, name) for name in sorted(names) if Path(where, name).is_file())


def _file(path: Path, name: str, folder: Path) -> dict[str, Any]:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"log_artifact: the name of {os.fsencode(path)!r} is no text in UTF-8: rename it.") from None
    if _NO_NAME.search(name.replace("/", "")):
        raise ValueError(f"log_artifact: {name!r} has a backslash or control character in its name: rename it.")
    spool = _spool(folder)
    temporary = _temporary(spool)
    digest, size = hashlib.sha256(), 0
    try:  # a copy, no link: the script may write the file again in place
        with path.open("rb") as source, temporary.open("xb") as copy:
            while piece := source.read(PIECE):
                digest.update(piece)
                copy.write(piece)
                size += len(piece)
        temporary.replace(spool / digest.hexdigest())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return {"path": name, "sha256": digest.hexdigest(), "size": size}


def _spool(folder: Path) -> Path:
    spool = folder / "spool"
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    return spool


def _temporary(spool: Path) -> Path:
    return spool / f".{secrets.token_hex(8)}"
