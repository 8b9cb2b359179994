"""Artifacts: named, versioned lists of files whose bytes are blobs."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection

from tellurio.store._sql import execute

__all__ = ["add_artifact", "artifact", "artifacts", "check_artifact"]

LONGEST_NAME = 200
LONGEST_PATH = 1_000
MOST_FILES = 10_000

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DRIVE = re.compile(r"[A-Za-z]:")
_COLUMNS = ("name", "version", "kind", "size", "digest", "created", "files")
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM artifacts WHERE run_key = ?"  # noqa: S608


def check_artifact(name: object, kind: object, files: object) -> list[dict[str, Any]]:
    """The files of an artifact, if all of it can be stored: in the order of their paths, nothing else in them.

    Raises:
        ValueError: it cannot; the message says what is wrong.
    """
    _check_name(name, "an artifact's name")
    _check_name(kind, "an artifact's kind")
    if not isinstance(files, Sequence) or isinstance(files, (str, bytes)) or not 0 < len(files) <= MOST_FILES:
        raise ValueError(f"expected an artifact to have 1 to {MOST_FILES:,} files, in a list")
    checked = sorted((_file(each) for each in files), key=lambda file: file["path"].split("/"))
    for one, other in itertools.pairwise(checked):
        if other["path"] == one["path"] or other["path"].startswith(one["path"] + "/"):
            raise ValueError(f"two files of an artifact cannot be {one['path']!r} and {other['path']!r}")
    return checked


def _check_name(name: object, what: str) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise ValueError(f"expected {what} to be a text of 1 to {LONGEST_NAME} characters, got {str(name)[:100]!r}")
    if name in (".", "..") or "/" in name or "\\" in name or _CONTROL.search(name):
        raise ValueError(f"expected {what} to be no path and without control characters, got {name!r}")


def _file(file: object) -> dict[str, Any]:
    if not isinstance(file, Mapping):
        raise ValueError(
            f"expected a file of an artifact to be an object with path, sha256 and size, got {file!r:.100}"
        )
    path, sha256, size = file.get("path"), file.get("sha256"), file.get("size")
    if not isinstance(path, str) or not 0 < len(path) <= LONGEST_PATH:
        raise ValueError(
            f"expected a file's path to be a text of 1 to {LONGEST_PATH} characters, got {str(path)[:100]!r}"
        )
    if any(part in ("", ".", "..") for part in path.split("/")) or "\\" in path or _CONTROL.search(path):
        raise ValueError(f"expected a file's path to be relative, inside its folder, with / only, got {path!r}")
    if _DRIVE.match(path):
        raise ValueError(f"expected a file's path to be relative, without a drive, got {path!r}")
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(
            f"expected a file's sha256 to be 64 hexadecimal digits in lower case, got {str(sha256)[:100]!r}"
        )
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**53:
        raise ValueError(f"expected a file's size in bytes, got {str(size)[:100]!r}")
    return {"path": path, "sha256": sha256, "size": size}


def add_artifact(
    c: Connection, run_key: int, name: str, kind: str, files: Sequence[Mapping[str, Any]], now: float
) -> dict[str, Any]:
    """The next version of an artifact; its newest version again if that holds the same files.

    Raises:
        ValueError: a name or a path that cannot be, or a blob that is not stored.
    """
    checked = check_artifact(name, kind, files)
    _check_blobs(c, checked)
    digest = _digest_of(checked)
    newest = artifact(c, run_key, name)
    if newest is not None and (newest["digest"], newest["kind"]) == (digest, kind):
        return newest
    added = {
        "name": name,
        "version": 0 if newest is None else newest["version"] + 1,
        "kind": kind,
        "size": sum(file["size"] for file in checked),
        "digest": digest,
        "created": now,
        "files": checked,
    }
    execute(
        c,
        f"INSERT INTO artifacts (run_key, {', '.join(_COLUMNS)}) VALUES (?{', ?' * len(_COLUMNS)})",  # noqa: S608
        (run_key, *(added[column] for column in _COLUMNS[:-1]), orjson.dumps(checked).decode()),
    )
    return added


def _check_blobs(c: Connection, files: Sequence[Mapping[str, Any]]) -> None:
    for file in files:
        size = execute(c, "SELECT size FROM blobs WHERE sha256 = ?", (file["sha256"],)).scalar()
        if size is None:
            raise ValueError(f"the bytes of {file['path']!r} are not stored: send the blob {file['sha256']} first")
        if size != file["size"]:
            raise ValueError(f"the file {file['path']!r} is said to have {file['size']} bytes, its blob has {size}")


def _digest_of(files: Sequence[Mapping[str, Any]]) -> str:
    return hashlib.sha256(orjson.dumps([[file["path"], file["sha256"]] for file in files])).hexdigest()


def artifacts(c: Connection, run_key: int) -> list[dict[str, Any]]:
    """All versions of a Run's artifacts, by name and version."""
    return [_read(row) for row in execute(c, f"{_SELECT} ORDER BY name, version", (run_key,))]


def artifact(c: Connection, run_key: int, name: str, version: int | None = None) -> dict[str, Any] | None:
    """One version of an artifact, the newest unless said; None if it is not there."""
    only, parameters = ("", (run_key, name)) if version is None else (" AND version = ?", (run_key, name, version))
    found = execute(c, f"{_SELECT} AND name = ?{only} ORDER BY version DESC LIMIT 1", parameters).first()
    return None if found is None else _read(found)


def _read(row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(_COLUMNS, row, strict=True)) | {"files": orjson.loads(row[-1])}
