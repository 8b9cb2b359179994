"""Jobs whose calls belong into a call log: what a server recorded for a script that was killed is fetched later.

Beside the log ``calls.jsonl`` stands a small file ``calls.jsonl.<job>.open`` as long as a job is under way: written
before the job is sent, removed when all its calls are in the log.  Whoever opens the log next finds it.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from afnio.calls import CallLog, _json
from afnio.errors import ServerError, TellurioError
from tellurio.client.http import Client

__all__ = ["close_job", "fetch_open_jobs", "open_job"]

logger = logging.getLogger("afnio.tellurio")

WAIT = 60.0
"""Seconds a job may still run before it is cancelled: its calls are paid for, and best waited for."""

END = 10.0
"""Seconds for the end of a job that was cancelled."""

PAUSE = 0.1
PAGE = 1000


def open_job(log: CallLog, client: Client, run_id: str, job_id: str) -> Path | None:
    """Note that a job's calls belong into ``log``; None: it could not be noted, and is not worth an error."""
    path = log.path.with_name(f"{log.path.name}.{job_id}.open")
    note = {"server": _server(client), "run": run_id, "job": job_id}
    try:
        path.write_bytes(_json.dumps(note) + b"\n")
    except OSError as error:
        logger.debug("The job %s could not be noted beside %s: %s", job_id, log.path, error)
        return None
    return path


def close_job(note: Path | None) -> None:
    """All calls of the job are in the log."""
    if note is not None:
        note.unlink(missing_ok=True)


def fetch_open_jobs(log: CallLog, client: Client) -> int:
    """Write into ``log`` what ``client``'s server recorded for jobs whose script was killed; how many calls that is.

    They are there as answers nobody used yet.  A server that cannot be asked is warned of: its calls are made again.
    """
    if log.mode != "cache":
        return 0
    return sum(_fetch(log, client, path) for path in sorted(log.path.parent.glob(f"{log.path.name}.*.open")))


def _fetch(log: CallLog, client: Client, path: Path) -> int:
    try:
        note = _json.loads(path.read_bytes())
        server, run_id, job_id = note["server"], note["run"], note["job"]
    except (OSError, ValueError, KeyError, TypeError):
        path.unlink(missing_ok=True)  # cut short: the job was never sent
        return 0
    try:
        if server != _server(client):
            raise TellurioError(f"it ran on {server}, and this Run is on {_server(client)}")
        _await_end(client, run_id, job_id)
        added = log.adopt(job_id, _records(client, run_id, job_id))
    except TellurioError as error:
        logger.warning("What was paid for in job %s cannot be fetched, and may be paid for again: %s", job_id, error)
        if not (isinstance(error, ServerError) and error.status_code in (403, 404)):
            return 0
        added = 0
    path.unlink(missing_ok=True)
    return added


def _server(client: Client) -> str:
    """The local server may be on another port by now: it is the one of this user's home folder."""
    return "local" if client.is_local else client.url


def _await_end(client: Client, run_id: str, job_id: str) -> None:
    """Wait until the job is over; one that needs its client, or takes too long, is cancelled."""
    path = f"/api/v1/runs/{quote(run_id, safe='')}/jobs/{quote(job_id, safe='')}"
    until = time.monotonic() + WAIT
    state = _state(client, path)
    if state == "running":
        logger.info("The server still works on job %s of a script that was killed: waiting for it.", job_id)
    while state == "running" and time.monotonic() < until:
        time.sleep(PAUSE)
        state = _state(client, path)
    if state in ("running", "waiting"):
        client.delete(path)
        until = time.monotonic() + END  # it ends beside that answer: a call that has come in is stored first
        while _state(client, path) in ("running", "waiting") and time.monotonic() < until:
            time.sleep(PAUSE)


def _state(client: Client, path: str) -> str | None:
    """How the job stands; None: it never came, or was over long ago."""
    try:
        state: str = client.get(path)["state"]
    except ServerError as error:
        if error.status_code != 404:
            raise
        return None
    return state


def _records(client: Client, run_id: str, job_id: str) -> list[dict[str, Any]]:
    """The records of the live calls of the job, in the order they were stored: the last calls of their Run."""
    path = f"/api/v1/runs/{quote(run_id, safe='')}/calls"
    keys: list[int] = []
    before: int | None = None
    while True:
        page = client.get(path, params={"order": "newest", "limit": PAGE, "before": before})
        found = [each["key"] for each in page if each["job_id"] == job_id and each["source"] == "live"]
        keys += found
        if len(page) < PAGE or (keys and not found):
            break
        before = page[-1]["key"]
    return [client.get(f"{path}/{key}")["record"] for key in reversed(keys)]
