"""Telling a recorded script to stop, and waiting for what follows from it."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ao.api import Api, ApiError
from ao.home import configured, folder, server
from tellurio.client.restarting import family, left, records, tell

__all__ = ["stop", "wait_for"]

GRACE = 5.0
"""Seconds between SIGINT and SIGTERM."""

PATIENCE = 20.0
"""Seconds before something that does not happen is no longer waited for."""

_PAUSE = 0.1

T = TypeVar("T")


def wait_for(ask: Callable[[], T], holds: Callable[[T], bool]) -> T:
    """Ask until the answer is as it should be, or for `PATIENCE` seconds; returns the last answer."""
    end = time.monotonic() + PATIENCE
    while not holds(answer := ask()) and time.monotonic() < end:
        time.sleep(_PAUSE)
    return answer


def stop(api: Api, found: dict[str, Any]) -> int:
    """Stop the script of a recording as Ctrl-C does; returns its process id.

    A local server does it.  One elsewhere cannot: then it is done from here.

    Args:
        found: as ``GET /recordings/{reference}`` answers.

    Raises:
        ApiError: it does not run, or not here.
    """
    run = found["run"]
    if not configured() or configured() == server().get("url"):
        return int(api.post(f"/runs/{run['id']}/stop", {})["pid"])
    command = found["command"] or {}
    pid, journals = int(command.get("pid") or 0), Path(folder(run["id"]))
    if run["status"] != "RUNNING" or command.get("host") != socket.gethostname() or not records(pid, journals):
        raise ApiError(f"The script of the Run {run['name']!r} does not run on this machine.")
    told = family(pid)
    try:
        tell(told, signal.SIGINT)
        end = time.monotonic() + GRACE
        while left(told) and time.monotonic() < end:
            time.sleep(_PAUSE)
        tell(told, signal.SIGTERM)
    except PermissionError:
        raise ApiError(f"The process {pid} belongs to another user: ask them to stop it.") from None
    return pid
