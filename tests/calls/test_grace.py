"""Calls in flight when the budget is used up: they are paid for, so their answers are waited for and recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from afnio import cognitive as cog
from afnio.calls import Budget, CallLog, RawResponse, Session, caller, run_sync, send
from afnio.errors import BudgetExceeded
from afnio.models.lm_server import LMServer
from afnio.models.openai import AsyncOpenAI
from afnio.variable import Variable
from tests.calls.endpoint import completion
from tests.calls.fakes import ask
from tests.trainer.job import Agent, AsyncAgent, engine, loader, quiet

MESSAGES = [{"role": "user", "content": [Variable("{text}", role="question")]}]
TEXTS = [f"question {number}" for number in range(8)]


@pytest.fixture
def server() -> Any:
    with LMServer(latency=0.1, bad_share=0.0) as server:
        yield server


def test_they_are_recorded_and_counted(server: LMServer, tmp_path: Path) -> None:
    client, budget = AsyncOpenAI(api_key="any", base_url=server.base_url), Budget(calls=5)
    with CallLog(tmp_path / "x") as log, Session(log=log, budget=budget).activate() as session:
        with pytest.raises(BudgetExceeded):
            cog.ChatCompletion()(client, MESSAGES, inputs={"text": TEXTS}, model="sim")
        assert len(log) == server.stats()["calls"] == session.ledger.total().calls == budget.spent["calls"] == 5


@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
def test_a_resumed_fit_pays_for_none_again(server: LMServer, tmp_path: Path, agent_type: type[Agent]) -> None:
    client = AsyncOpenAI(api_key="any", base_url=server.base_url)
    for calls in (13, 1000):
        trainer = quiet(tmp_path, budget=Budget(calls=calls))
        with engine(client):
            trainer.fit(agent_type(client), loader(), ckpt_path="last")
    rows = server.stats()["requests"]
    assert trainer.stop_reason is None
    assert len({row["key"] for row in rows}) == len(rows)


def test_a_cancellation_for_another_reason_goes_through_at_once(server: LMServer, tmp_path: Path) -> None:
    server.faults = ["timeout"]  # no answer is quicker than the cancellation

    async def main(budget: Budget) -> None:
        client = AsyncOpenAI(api_key="any", base_url=server.base_url)
        asking = asyncio.ensure_future(client.achat(messages=[{"role": "user", "content": "hello"}], model="sim"))
        while not server.stats()["open"]:
            await asyncio.sleep(0.005)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    budget = Budget(calls=5)
    with CallLog(tmp_path / "x") as log, Session(log=log, budget=budget).activate():
        asyncio.run(main(budget))
        assert len(log) == budget.spent["calls"] == 0


class Held:
    """Answers once it is told to."""

    inline = False

    def __init__(self) -> None:
        self.asked, self.answer = 0, asyncio.Event()

    async def send(self, request: Any, timeout: Any) -> RawResponse:
        self.asked += 1
        await self.answer.wait()
        return RawResponse(200, completion("yes"))

    async def until(self, asked: int) -> None:
        while self.asked < asked:
            await asyncio.sleep(0)


def test_a_smaller_call_that_is_still_admitted_changes_nothing_for_those_in_flight(tmp_path: Path) -> None:
    async def main() -> None:
        held = Held()
        first = asyncio.ensure_future(send(ask("first"), held, max_retries=0))
        await held.until(1)
        with pytest.raises(BudgetExceeded):
            await send(ask("word " * 100_000), held, max_retries=0)
        second = asyncio.ensure_future(send(ask("second"), held, max_retries=0))
        await held.until(2)
        first.cancel()
        await asyncio.sleep(0)
        held.answer.set()
        with pytest.raises(asyncio.CancelledError):
            await first
        await second

    budget = Budget(tokens=50_000)
    with CallLog(tmp_path / "x") as log, Session(log=log, budget=budget).activate():
        run_sync(main())
        assert len(log) == budget.spent["calls"] == 2


def test_no_longer_than_the_grace(server: LMServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "GRACE", 0.0)
    server.faults = ["timeout@1x8"]  # no answer is quicker than that
    client, budget = AsyncOpenAI(api_key="any", base_url=server.base_url), Budget(calls=5)
    with CallLog(tmp_path / "x") as log, Session(log=log, budget=budget).activate():
        with pytest.raises(BudgetExceeded):
            cog.ChatCompletion()(client, MESSAGES, inputs={"text": TEXTS}, model="sim")
        assert len(log) == 0
