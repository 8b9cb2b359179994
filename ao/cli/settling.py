"""Waiting until what was just recorded is stored: the local server reads journals a moment after they are written."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ao.home import configured, journals, server

__all__ = ["ends", "folder_of", "goes_on", "settle"]

PATIENCE = 20.0
"""Seconds after which it is not waited for any longer."""

RECENT = 60.0
"""Seconds since a journal was written: an older one, which the server cannot store, is not waited for."""

_PAUSE = 0.05


def settle() -> None:
    """Wait for recordings whose script has ended, but which the local server has not stored to their end."""
    if configured() not in ("", server().get("url")):
        return
    end = time.monotonic() + PATIENCE
    while any(map(ends, _folders())) and time.monotonic() < end:
        time.sleep(_PAUSE)


def folder_of(pid: int) -> str:
    """Where what this process recorded still is; ``""``: it recorded nothing, or all of it is stored.

    Args:
        pid: of a process that has ended.
    """
    return next((folder for folder in _folders() if _begun_by(folder) == pid), "")


def goes_on(folder: str) -> bool:
    """Whether a process writes one of the journals there: a child that outlives its script."""
    try:
        return any(map(_held, [entry.path for entry in os.scandir(folder) if entry.name.endswith(".jsonl")]))
    except OSError:
        return False


def _begun_by(folder: str) -> Any:
    """The process whose recording it is, by the first line of its journal."""
    try:
        first = [entry.path for entry in os.scandir(folder) if entry.name.startswith("0-")]
        with open(first[0], "rb") as file:
            return json.loads(file.readline())["run"]["command"]["pid"]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _folders() -> list[str]:
    try:
        return [entry.path for entry in os.scandir(journals()) if entry.is_dir()]
    except OSError:
        return []


def ends(folder: str) -> bool:
    """Whether it is a recorder's whose first process is gone.  The folder goes when all is stored."""
    try:
        first = [entry.path for entry in os.scandir(folder) if entry.name.startswith("0-")]
        return bool(first) and time.time() - os.stat(first[0]).st_mtime < RECENT and not _held(first[0])
    except OSError:
        return False


def _held(path: str) -> bool:
    """Whether a process has the journal open for writing."""
    import fcntl

    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
