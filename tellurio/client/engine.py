"""The remote engine: a job goes up to the server, its events come down."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from typing import Any, Literal
from weakref import WeakKeyDictionary

from afnio import _dispatch
from afnio.autodiff import EngineSettings, LocalEngine
from afnio.autodiff.job import BackwardJob, StepJob
from afnio.calls import Budget, CallLog, Ledger, Session, current_session
from afnio.calls.loop import in_thread
from afnio.calls.session import current_phase, set_default_session
from afnio.models.backward_client import get_backward_model_client
from afnio.models.prices import own_prices
from tellurio.client.consent import check_consent
from tellurio.client.http import Client
from tellurio.client.job import ClientSide, RemoteJob
from tellurio.client.open_jobs import close_job, fetch_open_jobs, open_job
from tellurio.schemas.jobs import pack_backward, pack_settings, pack_step, read_results, read_values
from tellurio.schemas.pack import Codec

__all__ = ["RemoteEngine"]

_ROLES = ("backward", "reducer", "optimizer")
"""Whose calls a server makes: of these the client's call log may know answers that were paid for."""


class RemoteEngine:
    """Runs backward passes and optimizer steps on a Tellurio server.

    Args:
        run_id: the Run the jobs belong to.
        client: speaks to its server.
        budget: bounds what all LM calls of the Run together may cost, whoever makes them.
        settings: how calls and tokens are spent.
        lm_calls: who makes the jobs' LM calls: the server, or (``"client"``) this process, so that keys never leave it.

    Models that only this process has (a script, a class of yours, an SDK client object) are called here either way.

    Raises:
        ValueError: ``lm_calls`` is neither.
    """

    inline = False

    def __init__(
        self,
        run_id: str,
        client: Client,
        *,
        budget: Budget | None = None,
        settings: EngineSettings | None = None,
        lm_calls: Literal["server", "client"] = "server",
    ) -> None:
        if lm_calls not in ("server", "client"):
            raise ValueError(f"lm_calls must be 'server' or 'client', got {lm_calls!r}.")
        self.settings = settings or EngineSettings()
        self._run_id, self._client, self._lm_calls = run_id, client, lm_calls
        self._session = Session(budget=budget)
        self._names: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    @property
    def ledger(self) -> Ledger:
        """What the calls of this engine's session cost so far."""
        return self._session.ledger

    def session(self) -> contextlib.AbstractContextManager[Any]:
        """The context in which LM calls go to the Run's ledger and budget.

        A call log that the user has opened around it (to replay, say) stays in use, with what it comes with.
        """
        own = current_session()
        if own.log is None or own is self._session:
            return self._session.activate()
        budget = own.budget or self._session.budget
        return Session(log=own.log, budget=budget, ledger=own.ledger, memo=own.memo, job=own.job).activate()

    async def run_backward(self, job: BackwardJob) -> None:
        """Have the server walk the graph of ``job``; fill its results.

        Raises:
            PackError: the graph holds what cannot be sent.
            ServerUnreachableError: the server is gone for good.
            JobError: the job was cancelled, or given up.
        """
        codec = Codec("c")
        payload = pack_backward(job, codec)
        result = await self._run("backward", payload, codec, job)
        read_results(result, job, codec)

    async def run_step(self, job: StepJob) -> list[Any]:
        """Have the server run the optimizer rule on each parameter; a rule of the user's own runs here.

        Raises:
            As `run_backward`.
        """
        if not _dispatch.rules[job.rule].__module__.startswith("afnio."):
            return await LocalEngine(settings=self.settings).run_step(job)
        codec = Codec("c")
        payload = pack_step(job, codec)
        return read_values(await self._run("step", payload, codec, None), codec)

    def take_in(self, log: CallLog) -> int:
        """Fetch into ``log`` what the server recorded for jobs of a process that was killed; returns how many calls."""
        return fetch_open_jobs(log, self._client)

    def open(self) -> Callable[[], None]:
        """Have all LM calls of this process, in whatever thread, go to the Run's ledger and budget, unless a session
        of the user's own takes them; returns the function that undoes it."""
        return set_default_session(self._session)

    def close(self) -> None:
        """Nothing is held open between jobs."""

    async def _run(self, kind: str, payload: dict[str, Any], codec: Codec, job: BackwardJob | None) -> Any:
        session = current_session()
        backward = _backward_model(codec) if kind == "backward" else None
        forms, secrets = self._models(codec, session)
        if secrets and not self._client.is_local:
            await in_thread(check_consent, client=self._client)
        log = session.log
        body = {
            "kind": kind,
            "payload": payload,
            "settings": pack_settings(self.settings, codec),
            "models": forms,
            "secrets": secrets,
            "backward": backward,
            "purse": None if session.budget is None else self._name_of(session.budget),
            "phase": current_phase(),
            "prices": own_prices(),
            "given": [] if log is None else list(log.unused(*_ROLES)),
            "whole": log is not None,
        }
        side, job_id = ClientSide(codec, session, current_phase(), job), uuid.uuid4().hex
        note = None
        if log is not None and log.mode == "cache":  # one that a fit can go on from
            note = open_job(log, self._client, self._run_id, job_id)
        remote = RemoteJob(self._client, self._run_id, job_id, body, side)
        try:
            return await remote.run()
        finally:
            if remote.is_over:
                close_job(note)

    def _models(self, codec: Codec, session: Session) -> tuple[list[Any], dict[str, Any]]:
        """How the server finds each model of the job, and the keys it needs."""
        replays = session.log is not None and session.log.mode == "replay"
        here = self._lm_calls == "client" or replays
        forms: list[Any] = []
        secrets: dict[str, Any] = {}
        for number, model in enumerate(codec.models):
            tell = getattr(model, "recipe", None)
            recipe = None if here or tell is None else tell()
            forms.append({"name": self._name_of(model)})
            if recipe is not None:
                forms[-1]["recipe"] = [recipe.name, recipe.settings]
                secrets[str(number)] = recipe.secrets
        if secrets and codec.hidden:
            secrets["args"] = codec.hidden
        return forms, secrets

    def _name_of(self, thing: Any) -> str:
        """A name that stays: what the server learns of a model (it refuses schemas, say) is for the next job too."""
        try:
            return self._names.setdefault(thing, uuid.uuid4().hex)
        except TypeError:  # a class of the user's that cannot be hashed
            return uuid.uuid4().hex


def _backward_model(codec: Codec) -> list[Any] | None:
    """The number and the arguments of the model that computes gradients; None: none was set, and may not be needed."""
    try:
        client = get_backward_model_client()
    except RuntimeError:
        return None
    return [codec.model(client._client), codec.args(client.completion_args)]
