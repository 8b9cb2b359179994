"""All jobs of this server: taken on, held by a lease, found again after a crash, cancelled."""

from __future__ import annotations

import asyncio
import math
import time
import uuid
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakValueDictionary

from afnio.calls import Budget, _json
from afnio.calls.aio import warm
from afnio.errors import JobError
from tellurio.engine.channel import Channel
from tellurio.engine.log import told_again
from tellurio.engine.models import Models
from tellurio.engine.running import CANCELLED, RunningJob, note_end
from tellurio.store import jobs as table
from tellurio.store.store import Store

__all__ = ["Jobs"]

LEASE = 30.0
"""Seconds a job is this server's without a renewal."""

CLIENT_LEASE = 60.0
"""Seconds a job waits for a client that it needs and that is gone."""

KEPT = 300.0
"""Seconds a job whose end could not be stored stays in memory, for a client that lost its stream."""

FORGOTTEN = 3600.0
"""Seconds after its end for which a job is stored: its calls stay, and no client asks for it any more."""

GIVEN_UP = 86_400.0
"""Seconds after which a job whose client never came back has failed."""

GONE = (
    '{"error": {"type": "JobError", "message": "The client of this job was away for a day, and only it could go on: '
    'its code or its keys were needed. What was paid for is recorded in the Run."}}'
)

TIDY_PAUSE = 600.0
"""Seconds between two looks for such jobs."""

MOST_CANCELLED = 1000
"""Jobs that were cancelled before they came, which are remembered."""

WARM_AFTER = 0.3
"""Seconds after the start: whoever waited for it has been answered by then."""

ENDED = ("done", "failed", "cancelled")


class Jobs:
    """The jobs this server holds.

    Args:
        store: where they are kept.
        client_lease: seconds a job waits for a client that is gone.
    """

    def __init__(self, store: Store, *, client_lease: float = CLIENT_LEASE) -> None:
        self.owner = uuid.uuid4().hex
        self._store, self._client_lease = store, client_lease
        self._models = Models()
        self._held: dict[str, RunningJob] = {}
        self._tidy_at = 0.0
        self._opening: dict[str, list[asyncio.Lock]] = {}
        self._cancelled: OrderedDict[tuple[int, str], None] = OrderedDict()
        self._budgets: WeakValueDictionary[tuple[int, str], Budget] = WeakValueDictionary()

    async def open(
        self,
        run_key: int,
        job_id: str,
        kind: str,
        body: Mapping[str, Any],
        stored: Callable[[], object] = lambda: None,
        heard: int = 0,
    ) -> Channel:
        """The talk with a job: taken on, found running, taken up again after a crash, or over.

        Args:
            run_key: the Run it belongs to.
            job_id: made by the client: asking twice is harmless.
            kind: ``"backward"`` or ``"step"``.
            body: what the client sent; ``body["secrets"]`` is never stored.
            stored: called, in whatever thread, when a call of the job is stored.
            heard: fence of the last event that the client has: a new holding gets a higher one.  The client is told
                of a job before its row is stored, and a server that was killed in between has left nothing of it.

        Raises:
            JobError: it belongs to another Run, or another server holds it.
        """
        async with self._alone(job_id):  # a client that lost its connection may ask again before we have looked
            return await self._open(run_key, job_id, kind, body, stored, heard)

    @asynccontextmanager
    async def _alone(self, job_id: str) -> AsyncIterator[None]:
        waiting = self._opening.setdefault(job_id, [])
        lock = waiting[0] if waiting else asyncio.Lock()
        waiting.append(lock)
        try:
            async with lock:
                yield
        finally:
            waiting.pop()
            if not waiting:
                del self._opening[job_id]

    async def _open(
        self, run_key: int, job_id: str, kind: str, body: Mapping[str, Any], stored: Callable[[], object], heard: int
    ) -> Channel:
        held = self._held.get(job_id)
        if held is not None and held.run_key == run_key:
            held.last_seen = time.monotonic()
            return held.channel
        secrets = dict(body.get("secrets") or {})
        body = {name: value for name, value in body.items() if name != "secrets"}
        # A client that says it never asked before is believed until the job's row is written, which would show it.
        known = None if held is None and body.get("first") is True else await self._store.aread(table.job, job_id)
        if known is None:
            if (run_key, job_id) in self._cancelled:
                channel = Channel(heard + 1)
                channel.tell("cancelled", CANCELLED, last=True)
                return channel
            lease_until = time.time() + LEASE
            fence = heard + 1
            made = {"kind": kind, "owner": self.owner, "lease_until": lease_until, "fence": fence}
            placed = self._store.submit(_put, job_id, run_key, made, time.time())
            return self._start(run_key, job_id, kind, body, secrets, fence, stored, placed)
        if known["run_key"] != run_key:
            raise JobError(f"The job {job_id} belongs to another Run.")
        if known["state"] in ENDED:
            return await self._over(known, whole=bool(body.get("whole")))
        now = time.time()
        taken = await self._store.awrite(table.take_job, job_id, self.owner, now + LEASE, now, heard)
        if taken is None:
            raise JobError(f"The job {job_id} is held by another server. Ask again in {LEASE:.0f} s.")
        return self._start(run_key, job_id, kind, body, secrets, taken, stored)

    def _start(
        self,
        run_key: int,
        job_id: str,
        kind: str,
        body: Mapping[str, Any],
        secrets: Mapping[str, Any],
        fence: int,
        stored: Callable[[], object],
        placed: Future[Any] | None = None,
    ) -> Channel:
        job = RunningJob(
            self._store,
            self._models,
            run_key,
            job_id,
            kind,
            body,
            secrets,
            fence,
            placed,
            self._budgets,
            self._noted,
            stored,
        )
        self._held[job_id] = job  # before it runs: its end takes it out again
        job.start()
        return job.channel

    def _noted(self, job: RunningJob) -> None:
        """Forget a job whose end is stored: who asks for it is told from there."""
        if self._held.get(job.id) is job:
            self._held.pop(job.id, None)

    async def _over(self, known: Mapping[str, Any], *, whole: bool) -> Channel:
        """The talk with a job that has ended: its calls, which the client may not have heard of, and its end."""
        channel = Channel(known["fence"], f"{known['fence']}over")
        channel.tell("begun", {"fence": known["fence"]})
        kept: dict[str, Any] = {"end": _json.loads((known["error"] or "{}").encode()), "calls": []}
        if known["result"]:
            kept = _json.loads(zlib.decompress(known["result"]))
        recorded = await self._store.aread(table.job_records, known["id"]) if whole and kept["calls"] else []
        for told in told_again(kept["calls"], recorded):
            channel.tell("call", told)
        channel.tell(known["state"], kept["end"], last=True)
        return channel

    def get(self, job_id: str) -> RunningJob | None:
        """The job, if this server holds it."""
        return self._held.get(job_id)

    async def cancel(self, run_key: int, job_id: str) -> bool:
        """End a job of a Run; what was paid for is recorded.

        Returns:
            False: there is none; if it still comes, it is not run.
        """
        async with self._alone(job_id):
            held = self._held.get(job_id)
            if held is not None and held.run_key == run_key:
                held.cancel()
                return True
            known = await self._store.aread(table.job, job_id)
            if known is None:
                self._cancelled[run_key, job_id] = None
                if len(self._cancelled) > MOST_CANCELLED:
                    self._cancelled.popitem(last=False)
            if known is None or known["run_key"] != run_key:
                return False
            if known["state"] not in ENDED:
                error = _json.dumps(CANCELLED).decode()
                await self._store.awrite(note_end, job_id, known["fence"], "cancelled", None, error)
            return True

    # from time to time

    async def sweep(self) -> None:
        """Renew leases, give up jobs whose client is gone, forget those that are long over."""
        now = time.monotonic()
        running: dict[str, int] = {}
        for job_id, job in list(self._held.items()):
            if job.ended is not None:
                if now - job.ended > KEPT:
                    self._held.pop(job_id, None)
                continue
            running[job_id] = job.fence
            if job.channel.streams:
                job.last_seen = now
            elif job.channel.waits and now - job.last_seen > self._client_lease:
                await self._put_aside(job)
                running.pop(job_id)
        if running:
            lost = await self._store.awrite(table.renew_jobs, self.owner, running, time.time() + LEASE)
            for job_id in lost:
                self._let_go(job_id)
        if now > self._tidy_at:
            self._tidy_at = now + TIDY_PAUSE
            wall = time.time()
            await self._store.awrite(table.forget_jobs, wall - FORGOTTEN, wall - GIVEN_UP, GONE, wall)

    async def _put_aside(self, job: RunningJob) -> None:
        """Let go of a job that only its client can bring further; it goes on when that one asks for it again."""
        await self._store.awrite(table.wait_job, job.id, job.fence, time.time())
        self._let_go(job.id)

    def _let_go(self, job_id: str) -> None:
        """Stop running a job here, without an end: whoever listens asks for it again."""
        held = self._held.pop(job_id, None)
        if held is not None and held.ended is None:
            held.aside = True
            held.cancel()

    async def recover(self) -> None:
        """Free the jobs of a server that died: they go on when their clients, who have the keys, ask for them again.

        The start of a server: what LM calls need is imported a moment later, not in the middle of the first job.
        """
        asyncio.get_running_loop().call_later(WARM_AFTER, warm)
        for known in await self._store.aread(table.lapsed_jobs, math.inf):
            if known["owner"] != self.owner:
                await self._store.awrite(table.wait_job, known["id"], known["fence"], time.time())

    async def close(self) -> None:
        """Let go of all jobs; they go on with the next server."""
        for job in list(self._held.values()):
            if job.ended is None:
                self._store.submit(table.wait_job, job.id, job.fence, time.time())
            self._let_go(job.id)


def _put(connection: Any, job_id: str, run_key: int, made: Mapping[str, Any], now: float) -> None:
    """Store a new job; ``JobError`` if there is one of this name: neither its calls nor its end are to be touched."""
    if not table.put_job(connection, id=job_id, run_key=run_key, now=now, **made):
        raise JobError(
            f"There is a job {job_id} already, and its client said it never asked for it. Choose another id."
        )
