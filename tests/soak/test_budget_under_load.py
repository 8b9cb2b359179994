"""A budget is exact when many threads spend it at once, on an endpoint that fails now and then."""

from __future__ import annotations

import contextvars
import threading

import pytest

import afnio
import afnio.cognitive.functional as F
from afnio.calls import Budget
from afnio.errors import AfnioError, BudgetExceeded
from afnio.models.lm_server import LMServer
from afnio.models.openai import AsyncOpenAI

pytestmark = pytest.mark.soak

THREADS, BATCHES, SIZE = 8, 6, 32


@pytest.mark.parametrize("faults", [(), ("500:p=0.05", "reset:p=0.03", "429:p=0.02,retry_after=0.02")])
@pytest.mark.parametrize("limit", [{"calls": 700}, {"tokens": 60_000}])
def test_threads_that_share_a_budget_never_exceed_it(limit: dict[str, int], faults: tuple[str, ...]) -> None:
    budget = Budget(calls=limit.get("calls"), tokens=limit.get("tokens"))
    ended: list[AfnioError] = []
    with (
        LMServer("echo", latency=0.005, faults=faults, process=True) as server,
        afnio.local_engine(budget=budget) as engine,
    ):
        client = AsyncOpenAI(base_url=server.base_url, api_key="any", max_retries=6)
        prompt = afnio.Variable("Say it again.", role="prompt")
        messages = [
            {"role": "system", "content": [prompt]},
            {"role": "user", "content": [afnio.Variable("{text}", role="text")]},
        ]

        def work(name: int) -> None:
            for batch in range(BATCHES):
                texts = [f"{name}, {batch}, {number}: " + "word " * 20 for number in range(SIZE)]
                try:
                    F.chat_completion(client, messages, inputs={"text": texts}, model="echo")
                except BudgetExceeded as error:
                    ended.append(error)

        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(work, name)) for name in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stats = server.stats()
    answered = [row for row in stats["requests"] if row["status"] == 200]
    total = engine.ledger.total()
    assert ended, "the budget was smaller than the work"
    assert budget.spent["calls"] == total.calls <= len(answered)
    assert budget.spent["tokens"] == total.tokens
    assert total.calls <= limit.get("calls", total.calls)
    assert total.tokens <= limit.get("tokens", total.tokens)
    left = budget.remaining()
    assert all(value >= 0 for value in left.values())
