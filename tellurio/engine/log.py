"""The call log of a job: in the store, and told to the client."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any, NoReturn

from afnio.calls import Budget, Reply, Request
from afnio.calls.record import record_of
from afnio.calls.request import Cost, Usage
from afnio.errors import ReplayMissError
from tellurio.engine.channel import Channel
from tellurio.store.calls import insert_calls
from tellurio.store.store import Store

__all__ = ["JobLog", "calling_model", "told_again"]

calling_model: ContextVar[int] = ContextVar("tellurio_calling_model")
"""Number of the model whose call is under way: the client counts its usage."""

HEAVY = ("request", "response")
"""What of a record the client is told only if it keeps a call log itself."""


class JobLog:
    """Records every call in the store before its answer is used, and answers from what is recorded.

    What a holding of this job paid for before a crash is answered first, then what the client's own call log had.

    Args:
        store: where calls are kept.
        run_key: whose calls they are.
        job_id: the job's id.
        recorded: the records of this job that are in the store, in order.
        given: records of the client's call log that nobody used yet.
        channel: the client is told of each call here.
        whole: tell the client the whole records, for its own call log.
        placed: when the job itself is stored; no call is, before it.
        budget: of the job; what an earlier holding paid for and the client never ``heard`` of, counts too.
        heard: ids of the calls that the client has counted.
        stored: called, in whatever thread, when a call is stored.

    Attributes:
        told: each call as the client was told of it, without what is heavy.
    """

    mode = "cache"

    def __init__(
        self,
        store: Store,
        run_key: int,
        job_id: str,
        recorded: Iterable[Mapping[str, Any]],
        given: Iterable[Mapping[str, Any]],
        channel: Channel,
        *,
        whole: bool,
        placed: Future[Any] | None = None,
        budget: Budget | None = None,
        heard: Iterable[str] = (),
        stored: Callable[[], object] = lambda: None,
    ) -> None:
        self._store, self._run_key, self._job_id, self._channel, self._whole = store, run_key, job_id, channel, whole
        self._stored = stored
        self._recorded = _by_key(record for record in recorded if record["source"] == "live")
        self._given = _by_key(given)
        self._made: Counter[str] = Counter()  # key -> how many live answers this holding has used
        self._given_used: Counter[str] = Counter()
        self._referred: Counter[str] = Counter()
        self._placed, self._budget, self._heard = placed, budget, frozenset(heard)
        self.told: list[dict[str, Any]] = []

    def take(self, request: Request) -> tuple[int, dict[str, Any]] | None:
        """Line and record of the next unused answer to ``request``; None when there is none."""
        key = request.key
        own = self._recorded[key]
        if self._made[key] < len(own):
            record = own[self._made[key]]
            name = self._next(key)
            if self._budget is not None and name not in self._heard:
                self._budget.spend(Usage.from_dict(record["usage"]), Cost.from_dict(record["cost"]))
            self._told(record, name, paid=True)
            return 0, record
        given = self._given[key]
        if self._given_used[key] < len(given):
            record = given[self._given_used[key]]
            self._given_used[key] += 1
            self._told({**record, "source": "log"}, f"given:{key}:{self._given_used[key]}", paid=False)
            return 0, record
        return None

    async def append(self, record: dict[str, Any], *, durable: bool = True) -> int:
        """Store a record; returns when it is on disk.

        Raises:
            StoreError: it could not be stored, or the job could not: who takes that up again would not find it.
        """
        # It is paid for: it is stored also if the job is cancelled while it waits for the writer.
        await asyncio.shield(asyncio.ensure_future(self._append(record, self._next(record["key"]))))
        return 0

    async def _append(self, record: dict[str, Any], name: str) -> None:
        if self._placed is not None:
            await asyncio.wrap_future(self._placed)
        await self._store.awrite(
            insert_calls, self._run_key, [(f"{self._job_id}:{name}", self._job_id, record)], durable=True
        )
        self._stored()
        self._told(record, name, paid=True)

    def refer(self, reply: Reply, phase: str, job: str) -> None:
        """Note that ``reply`` answered one more request."""
        record = record_of(reply, phase, job)
        self._referred[record["key"]] += 1
        name = f"ref:{record['key']}:{self._referred[record['key']]}"
        future = self._store.submit(insert_calls, self._run_key, [(f"{self._job_id}:{name}", self._job_id, record)])
        future.add_done_callback(lambda _: self._stored())
        self._told(record, name, paid=False)

    def last(self, request: Request) -> NoReturn:
        """Never asked for: a job does not replay."""
        raise ReplayMissError(f"No answer to {request.key[:12]} is recorded.")

    def _next(self, key: str) -> str:
        self._made[key] += 1
        return f"{key}:{self._made[key]}"

    def _told(self, record: Mapping[str, Any], name: str, *, paid: bool) -> None:
        light = {k: v for k, v in record.items() if k not in HEAVY}
        told = {"id": name, "paid": paid, "model": calling_model.get(), "record": light}
        self.told.append(told)
        self._channel.tell("call", {**told, "record": record} if self._whole and paid else told)


def told_again(told: Iterable[dict[str, Any]], recorded: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """``told`` with the whole records of the calls that were paid for."""
    stored = _by_key(record for record in recorded if record["source"] == "live")
    for each in told:
        key, _, number = each["id"].rpartition(":")
        known = stored[key] if each["paid"] else []
        yield {**each, "record": known[int(number) - 1]} if int(number) <= len(known) else each


def _by_key(records: Iterable[Mapping[str, Any]]) -> defaultdict[str, list[dict[str, Any]]]:
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        found[record["key"]].append(dict(record))
    return found
