"""Jobs: backward passes and steps, each held by one owner at a time.

A fence counts the holders.  Only the newest holder's fence writes: one that was taken for dead and was not changes
nothing any more.
"""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Connection, and_, delete, func, or_, select, update

from tellurio.store import tables as t
from tellurio.store._sql import execute

__all__ = [
    "end_job",
    "forget_jobs",
    "job",
    "job_records",
    "lapsed_jobs",
    "put_job",
    "renew_jobs",
    "take_job",
    "wait_job",
]

OPEN = ("running", "waiting")
ENDS = ("done", "failed", "cancelled")


_PUT = (
    "INSERT INTO jobs (id, run_key, kind, state, fence, owner, lease_until, created, updated) "
    "VALUES (?, ?, ?, 'running', ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
)
_END = (
    "UPDATE jobs SET state = ?, result = ?, error = ?, updated = ?, ended = ? "
    "WHERE id = ? AND fence = ? AND state IN ('running', 'waiting')"
)


def put_job(
    c: Connection, *, id: str, run_key: int, kind: str, owner: str, lease_until: float, now: float, fence: int = 1
) -> bool:
    """A new job, running.  False: there is one with this id, and it stays as it is."""
    return execute(c, _PUT, (id, run_key, kind, fence, owner, lease_until, now, now)).rowcount == 1


def job(c: Connection, id: str) -> dict[str, Any] | None:
    """The job."""
    row = c.execute(select(t.jobs).where(t.jobs.c.id == id)).mappings().first()
    return None if row is None else dict(row)


def take_job(c: Connection, id: str, owner: str, lease_until: float, now: float, heard: int = 0) -> int | None:
    """Take the job over; returns the new fence, which is higher than the last one and than ``heard``.

    It can be taken when it waits, when its lease is over, and by its owner.  None: another holds it, it has ended, or
    there is none.
    """
    free = or_(t.jobs.c.state == "waiting", t.jobs.c.lease_until < now, t.jobs.c.owner == owner)
    query = (
        update(t.jobs)
        .where(t.jobs.c.id == id, t.jobs.c.state.in_(OPEN), free)
        .values(
            fence=func.max(t.jobs.c.fence, heard) + 1,
            owner=owner,
            state="running",
            lease_until=lease_until,
            updated=now,
        )
        .returning(t.jobs.c.fence)
    )
    fence: int | None = c.scalar(query)
    return fence


def renew_jobs(c: Connection, owner: str, fences: dict[str, int], lease_until: float) -> list[str]:
    """Hold the jobs (id: fence) for longer; returns the ids of those that ``owner`` holds no more."""
    lost = []
    for id, fence in fences.items():
        mine = _held(id, fence) & (t.jobs.c.owner == owner)
        if c.execute(update(t.jobs).where(mine).values(lease_until=lease_until)).rowcount == 0:
            lost.append(id)
    return lost


def wait_job(c: Connection, id: str, fence: int, now: float) -> bool:
    """The job waits: its client is needed, and gone.  False: the fence is old, nothing was changed."""
    waiting = update(t.jobs).where(_held(id, fence)).values(state="waiting", updated=now)
    return c.execute(waiting).rowcount == 1


def end_job(
    c: Connection, id: str, fence: int, state: str, *, result: bytes | None, error: str | None, now: float
) -> bool:
    """End the job.  False: the fence is old or it has ended, nothing was changed."""
    if state not in ENDS:
        raise ValueError(f"expected a job's end, {', '.join(ENDS)}, got {state!r}")
    return execute(c, _END, (state, result, error, now, now, id, fence)).rowcount == 1


def lapsed_jobs(c: Connection, now: float) -> list[dict[str, Any]]:
    """The running jobs whose lease is over: whoever held them is gone."""
    lapsed = (t.jobs.c.state == "running") & (t.jobs.c.lease_until < now)
    return [dict(row) for row in c.execute(select(t.jobs).where(lapsed).order_by(t.jobs.c.created)).mappings()]


def forget_jobs(c: Connection, ended_before: float, waiting_since: float, error: str, now: float) -> None:
    """Forget jobs that are over, and end those that have waited for too long.  Their calls stay: they are the Run's.

    Args:
        ended_before: nobody asks any more for what ended before this time.
        waiting_since: a job whose client was away since before this time has failed.
        error: what it failed with.
        now: the time.
    """
    waited = (t.jobs.c.state == "waiting") & (t.jobs.c.updated < waiting_since)
    c.execute(update(t.jobs).where(waited).values(state="failed", error=error, updated=now, ended=now))
    c.execute(delete(t.jobs).where(t.jobs.c.state.in_(ENDS), t.jobs.c.ended < ended_before))


def job_records(c: Connection, id: str) -> list[dict[str, Any]]:
    """The records of the job's LM calls, in the order they were stored."""
    query = select(t.calls.c.record).where(t.calls.c.job_id == id).order_by(t.calls.c.key)
    return [orjson.loads(record) for record in c.execute(query).scalars()]


def _held(id: str, fence: int) -> Any:
    return and_(t.jobs.c.id == id, t.jobs.c.fence == fence, t.jobs.c.state.in_(OPEN))
