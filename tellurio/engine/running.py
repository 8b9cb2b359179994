"""One job under way: read, run by afnio's engine, and told to its client."""

from __future__ import annotations

import contextlib
import logging
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any, cast

from sqlalchemy import Connection

from afnio.autodiff import LocalEngine
from afnio.calls import Budget, CallLog, Session, _json
from afnio.calls.session import phase
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
        stored: called in any thread when a call of its has been stored.
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
        stored: Callable[[], object] = lambda: None,
    ) -> None:
        self.store, self.run_key, self.id, self.kind, self.fence = store, run_key, job_id, kind, fence
        self.channel = Channel(fence)
        self.last_seen = time.monotonic()
        self.ended: float | None = None
        self.aside = False  # let go of, to be taken up again: its end is not told
        self._stored = stored
        self._models, self._body, self._secrets = models, body, secrets
        self._codec = Codec("s")

    async def run(self) -> None:
        """Run it to its end; to be run as a task on the LM loop."""
        self.channel.tell("begun", {"fence": self.fence})
        try:
            result = await self._work()
        except ClientRaised as error:
            self._end("failed", {"raised": error.ask})
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is to hear of it
            self._end("failed", {"error": pack_error(error)})
        except BaseException:
            if self.aside:
                self.channel.close()
                return
            self._end("cancelled", {"error": {"type": "JobError", "message": "The job was cancelled."}})
            raise
        else:
            self._end("done", result)

    def _end(self, state: str, data: Mapping[str, Any]) -> None:
        """Tell the client, then note the end; not the other way round: the calls are recorded, the rest can be redone.

        A job whose client was away is not over: it goes on when the client asks for it again.
        """
        self.ended = time.monotonic()
        self.channel.tell(state, data, last=True)
        content = _json.dumps(data)
        result = zlib.compress(content, 1) if state == "done" else None
        error = None if state == "done" else content.decode()
        noted = self.store.submit(note_end, self.id, self.fence, state, result, error)
        noted.add_done_callback(lambda done: self._report(done.exception()))

    def _report(self, error: BaseException | None) -> None:
        if error is not None:
            logger.warning("The end of job %s could not be stored: %s", self.id, error)

    async def _work(self) -> dict[str, Any]:
        body, codec = self._body, self._codec
        set_current_job(Current(self.channel, codec))
        codec.shadow = check_of
        try:
            codec.models = [
                self._models.get(form, self._secrets.get(str(number))) for number, form in enumerate(body["models"])
            ]
            job = read_backward(body["payload"], codec, FOREIGN) if self.kind == "backward" else None
            step = read_step(body["payload"], codec) if job is None else None
            settings = read_settings(body["settings"], codec)
            budget = _budget(body.get("budget"))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise PackError(f"The job cannot be read: {type(error).__name__}: {error}") from error
        session = Session(log=cast(CallLog, await self._log()), budget=budget, job=self.id)
        engine = LocalEngine(settings=settings)
        with contextlib.ExitStack() as stack:
            stack.enter_context(session.activate())
            stack.enter_context(phase(str(body.get("phase") or "")))
            stack.enter_context(prices_of(body.get("prices") or ()))
            if job is not None:
                job.hooks = run_hooks
                stack.enter_context(use_backward_model_client(self._backward_model()))
                await engine.run_backward(job)
                return pack_results(job, codec)
            assert step is not None
            return pack_values(await engine.run_step(step), codec)

    async def _log(self) -> JobLog:
        recorded: list[dict[str, Any]] = []
        if self.fence > 1:
            recorded = await self.store.aread(table.job_records, self.id)
        body = self._body
        given = body.get("given") or ()
        whole = bool(body.get("whole"))
        return JobLog(
            self.store, self.run_key, self.id, recorded, given, self.channel, whole=whole, stored=self._stored
        )

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


def _budget(form: Mapping[str, Any] | None) -> Budget | None:
    """The client's budget, with what it had spent: our errors then speak of the limits the user knows."""
    if form is None:
        return None
    budget = Budget(**form["limits"])
    budget.load_state_dict(form["spent"])
    return budget
