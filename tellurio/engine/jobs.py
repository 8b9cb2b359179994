"""All jobs of this server: taken on, held by a lease, found again after a crash, cancelled."""

from __future__ import annotations

import asyncio
import math
import time
import uuid
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from afnio.calls import _json
from afnio.calls.aio import warm
from afnio.calls.loop import submit
from afnio.errors import JobError
from tellurio.engine.channel import Channel
from tellurio.engine.models import Models
from tellurio.engine.running import RunningJob, note_end
from tellurio.store import jobs as table
from tellurio.store.store import Store

__all__ = ["Jobs"]

LEASE = 30.0
"""Seconds a job is this server's without a renewal."""

CLIENT_LEASE = 60.0
"""Seconds a job waits for a client that it needs and that is gone."""

KEPT = 300.0
"""Seconds an ended job stays in memory, for a client that lost its stream."""

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
        self._held: dict[str, tuple[RunningJob, Any]] = {}

    async def open(
        self,
        run_key: int,
        job_id: str,
        kind: str,
        body: Mapping[str, Any],
        stored: Callable[[], object] = lambda: None,
    ) -> Channel:
        """The talk with a job: taken on, found running, taken up again after a crash, or over.

        Args:
            run_key: the Run it belongs to.
            job_id: made by the client: asking twice is harmless.
            kind: ``"backward"`` or ``"step"``.
            body: what the client sent; ``body["secrets"]`` is never stored.
            stored: called in any thread when a call of the job's has been stored.

        Raises:
            JobError: it belongs to another Run, or another server holds it.
        """
        held = self._held.get(job_id)
        if held is not None and held[0].run_key == run_key:
            held[0].last_seen = time.monotonic()
            return held[0].channel
        secrets = dict(body.get("secrets") or {})
        body = {name: value for name, value in body.items() if name != "secrets"}
        known = await self._store.aread(table.job, job_id)
        if known is None:
            payload = zlib.compress(_json.dumps(body), 1)
            lease_until = time.time() + LEASE
            made = {"kind": kind, "payload": payload, "owner": self.owner, "lease_until": lease_until}
            self._store.submit(_put, job_id, run_key, made, time.time())
            return self._start(run_key, job_id, kind, body, secrets, 1, stored)
        if known["run_key"] != run_key:
            raise JobError(f"The job {job_id} belongs to another Run.")
        if known["state"] in ENDED:
            return await self._over(known)
        now = time.time()
        fence = await self._store.awrite(table.take_job, job_id, self.owner, now + LEASE, now)
        if fence is None:
            raise JobError(f"The job {job_id} is held by another server. Ask again in {LEASE:.0f} s.")
        return self._start(run_key, job_id, kind, body, secrets, fence, stored)

    def _start(
        self,
        run_key: int,
        job_id: str,
        kind: str,
        body: Mapping[str, Any],
        secrets: Mapping[str, Any],
        fence: int,
        stored: Callable[[], object],
    ) -> Channel:
        job = RunningJob(self._store, self._models, run_key, job_id, kind, body, secrets, fence, stored)
        self._held[job_id] = job, submit(job.run(), lambda: None)
        return job.channel

    async def _over(self, known: Mapping[str, Any]) -> Channel:
        """The talk with a job that has ended: its end."""
        channel = Channel(known["fence"])
        channel.tell("begun", {"fence": known["fence"]})
        content = known["result"]
        data = _json.loads(zlib.decompress(content)) if content else _json.loads((known["error"] or "{}").encode())
        channel.tell(known["state"], data, last=True)
        return channel

    def get(self, job_id: str) -> RunningJob | None:
        """The job, if this server holds it."""
        held = self._held.get(job_id)
        return None if held is None else held[0]

    async def cancel(self, job_id: str) -> None:
        """End a job; what was paid for is recorded."""
        held = self._held.get(job_id)
        if held is not None:
            held[1].cancel()
            return
        known = await self._store.aread(table.job, job_id)
        if known is not None and known["state"] not in ENDED:
            error = '{"error": {"type": "JobError", "message": "The job was cancelled."}}'
            await self._store.awrite(note_end, job_id, known["fence"], "cancelled", None, error)

    # from time to time

    async def sweep(self) -> None:
        """Renew leases, give up jobs whose client is gone, forget those that are long over."""
        now = time.monotonic()
        running: dict[str, int] = {}
        for job_id, (job, task) in list(self._held.items()):
            if job.ended is not None:
                if now - job.ended > KEPT:
                    del self._held[job_id]
                continue
            running[job_id] = job.fence
            if job.channel.streams:
                job.last_seen = now
            elif job.channel.waits and now - job.last_seen > self._client_lease:
                await self._put_aside(job, task)
                running.pop(job_id)
        if running:
            lost = await self._store.awrite(table.renew_jobs, self.owner, running, time.time() + LEASE)
            for job_id in lost:
                self._held.pop(job_id)[1].cancel()

    async def _put_aside(self, job: RunningJob, task: Any) -> None:
        """Let go of a job that only its client can bring further; it goes on when that one asks for it again."""
        job.aside = True
        await self._store.awrite(table.wait_job, job.id, job.fence, time.time())
        del self._held[job.id]
        task.cancel()

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
        for job, task in self._held.values():
            if job.ended is None:
                job.aside = True
                self._store.submit(table.wait_job, job.id, job.fence, time.time())
                task.cancel()
        self._held.clear()


def _put(connection: Any, job_id: str, run_key: int, made: Mapping[str, Any], now: float) -> None:
    table.put_job(connection, id=job_id, run_key=run_key, now=now, **made)
