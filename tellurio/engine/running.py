"""One job under way: read, run by afnio's engine, and told to its client."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import zlib
from collections.abc import Callable, Mapping, MutableMapping
from concurrent.futures import Future
from typing import Any, cast

from sqlalchemy import Connection

from afnio.autodiff import LocalEngine
from afnio.autodiff.job import BackwardJob, StepJob
from afnio.calls import Budget, CallLog, Session, _json
from afnio.calls.loop import submit
from afnio.calls.session import phase
from afnio.errors import StoreError
from afnio.models.backward_client import BackwardModelClient, use_backward_model_client
from afnio.models.prices import prices_of
from tellurio.engine.channel import Channel, ClientRaised
from tellurio.engine.current import Current, set_current_job
from tellurio.engine.foreign import FOREIGN, check_of, run_hooks
from tellurio.engine.log import JobLog
from tellurio.engine.models import Models
from tellurio.schemas.faults import pack_error
from tellurio.schemas.jobs import pack_results, pack_values, read_backward, read_settings, read_step
from tellurio.schemas.pack import Codec, PackError
from tellurio.store import jobs as table
from tellurio.store.store import Store

__all__ = ["RunningJob", "note_end"]

CANCELLED = {"error": {"type": "JobError", "message": "The job was cancelled."}}

logger = logging.getLogger("tellurio.engine")


class RunningJob:
    """One holding of a job.

    Args:
        store: where its calls and its end are kept.
        models: the models this server knows.
        run_key: the Run it belongs to.
        job_id: its id.
        kind: ``"backward"`` or ``"step"``.
        body: what the client sent, without secrets.
        secrets: number of a model -> its keys; in memory only.
        fence: number of this holding.
        placed: when the job is stored.
        budgets: the budgets of the jobs under way, by name: jobs of one budget side by side share it.
        noted: called, in whatever thread, when the end of the job is stored: it need not be remembered any more.
        stored: called, in whatever thread, when a call of the job is stored.
    """

    def __init__(
        self,
        store: Store,
        models: Models,
        run_key: int,
        job_id: str,
        kind: str,
        body: Mapping[str, Any],
        secrets: Mapping[str, Any],
        fence: int,
        placed: Future[Any] | None,
        budgets: MutableMapping[tuple[int, str], Budget],
        noted: Callable[[RunningJob], object],
        stored: Callable[[], object] = lambda: None,
    ) -> None:
        self.store, self.run_key, self.id, self.kind, self.fence = store, run_key, job_id, kind, fence
        self.channel = Channel(fence)
        self.last_seen = time.monotonic()
        self.ended: float | None = None
        self.aside = False  # let go of, to be taken up again: its end is not told
        self._models, self._body, self._secrets = models, body, secrets
        self._placed, self._budgets, self._noted, self._stored = placed, budgets, noted, stored
        self._codec = Codec("s")
        self._log: JobLog | None = None

    def start(self) -> None:
        """Run it on the LM loop."""
        self._running = submit(self.run(), self.over)

    def cancel(self) -> None:
        """Stop it, once it was started."""
        self._running.cancel()

    async def run(self) -> None:
        """Run it to its end; to be run as a task on the LM loop."""
        self.channel.tell("begun", {"fence": self.fence})
        try:
            result = await self._work()
            if self._placed is not None and not self._placed.done():
                await asyncio.shield(asyncio.wrap_future(self._placed))  # to be stored, also if we are cancelled
        except ClientRaised as error:
            self._end("failed", {"raised": error.ask})
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is to hear of it
            self._end("failed", {"error": pack_error(error)})
        except BaseException:
            self._end("cancelled", CANCELLED)
            raise
        else:
            self._end("done", result)

    def over(self) -> None:
        """The task has ended; also one that was cancelled before it began, of which nobody else would tell."""
        if self.ended is None:
            self._end("cancelled", CANCELLED)

    def _end(self, state: str, data: Mapping[str, Any]) -> None:
        """Tell the client, then note the end; not the other way round: the calls are recorded, the rest can be redone.

        A job that was put aside is not over: it goes on when the client asks for it again.
        """
        if self.ended is not None:
            return
        self.ended = time.monotonic()
        told = [] if self._log is None else self._log.told
        self._body = self._secrets = {}
        self._codec, self._log = Codec("s"), None
        if self.aside and state != "done":
            self.channel.close()
            return
        try:
            self.channel.tell(state, data, last=True)
        except TypeError as fault:  # a result without a JSON form; whoever waits for an end is to be told of one
            state, data = "failed", {"error": pack_error(fault)}
            self.channel.tell(state, data, last=True)
        if self._placed is not None and self._placed.done() and self._placed.exception() is not None:
            self._noted(self)  # it was never ours: there is nothing to note
            return
        result = zlib.compress(_json.dumps({"end": data, "calls": told}), 1)
        error = None if state == "done" else _json.dumps(data).decode()
        try:
            self.store.submit(note_end, self.id, self.fence, state, result, error).add_done_callback(self._report)
        except StoreError as closed:
            logger.warning("The end of job %s could not be stored: %s", self.id, closed)

    def _report(self, done: Future[Any]) -> None:
        error = done.exception()
        if error is None:
            self._noted(self)
        else:
            logger.warning("The end of job %s could not be stored: %s", self.id, error)

    async def _work(self) -> dict[str, Any]:
        codec = self._codec
        set_current_job(Current(self.channel, codec))
        with contextlib.ExitStack() as stack:
            try:
                job, engine, budget = self._read(stack)
            except Exception as error:
                raise PackError(f"The job cannot be read: {type(error).__name__}: {error}") from error
            self._log = await self._open_log(budget)
            session = Session(log=cast(CallLog, self._log), budget=budget, job=self.id)
            stack.enter_context(session.activate())
            if isinstance(job, StepJob):
                return pack_values(await engine.run_step(job), codec)
            await engine.run_backward(job)
            return pack_results(job, codec)

    def _read(self, stack: contextlib.ExitStack) -> tuple[BackwardJob | StepJob, LocalEngine, Budget | None]:
        """What the client sent; what holds while the job runs goes on the stack."""
        body, codec = self._body, self._codec
        codec.shadow = check_of
        codec.hidden = list(self._secrets.get("args") or ())
        codec.models = [
            self._models.get(form, self._secrets.get(str(number))) for number, form in enumerate(body["models"])
        ]
        stack.enter_context(phase(str(body.get("phase") or "")))
        stack.enter_context(prices_of(body.get("prices") or ()))
        job: BackwardJob | StepJob
        if self.kind == "backward":
            job = read_backward(body["payload"], codec, FOREIGN)
            job.hooks = run_hooks
            stack.enter_context(use_backward_model_client(self._backward_model()))
        else:
            job = read_step(body["payload"], codec)
        return job, LocalEngine(settings=read_settings(body["settings"], codec)), self._budget()

    async def _open_log(self, budget: Budget | None) -> JobLog:
        recorded: list[dict[str, Any]] = []
        if self.fence > 1:
            recorded = await self.store.aread(table.job_records, self.id)
        body = self._body
        return JobLog(
            self.store,
            self.run_key,
            self.id,
            recorded,
            body.get("given") or (),
            self.channel,
            whole=bool(body.get("whole")),
            placed=self._placed,
            budget=budget,
            heard=body.get("heard") or (),
            stored=self._stored,
        )

    def _budget(self) -> Budget | None:
        """The client's budget, with what it had spent: our errors then speak of the limits the user knows.

        Jobs side by side spend of one: what another has spent by now, the client may not have heard of yet.
        """
        form = self._body.get("budget")
        if form is None:
            return None
        budget = Budget(**form["limits"])
        shared = self._budgets.setdefault((self.run_key, str(self._body.get("purse") or self.id)), budget)
        if shared is budget:
            budget.load_state_dict(form["spent"])
        else:
            for limit in ("usd", "tokens", "calls", "seconds"):
                setattr(shared, limit, getattr(budget, limit))
        return shared

    def _backward_model(self) -> BackwardModelClient | None:
        form = self._body.get("backward")
        if form is None:
            return None
        number, args = form
        client = self._codec.models[number]
        return BackwardModelClient(client, client.get_provider() or "", None, {}, dict(args))


def note_end(
    connection: Connection, job_id: str, fence: int, state: str, result: bytes | None, error: str | None
) -> None:
    """Note a job's end, for the writer's thread."""
    table.end_job(connection, job_id, fence, state, result=result, error=error, now=time.time())
