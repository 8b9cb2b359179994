"""Laws of the budget and the ledger."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afnio.calls import Budget, CallLog, Cost, RawResponse, Session, Usage, phase, run_sync, send
from afnio.calls.ledger import Row
from afnio.errors import BudgetExceeded, InternalServerError
from tests.calls.endpoint import completion
from tests.calls.fakes import Inline, ask, send_inline

FEW = settings(max_examples=30, deadline=None)


def cents(request: Any, usage: Usage) -> Cost:
    return Cost(Decimal(usage.total) / 100, table="user")


class Slow:
    """Answers after ``waits(n)`` turns of the loop; fails where ``fails(n)``."""

    inline = False

    def __init__(self, waits: list[int], fails: frozenset[int] = frozenset()) -> None:
        self.waits, self.fails, self.calls, self.most, self.now = waits, fails, 0, 0, 0

    async def send(self, request: Any, timeout: Any) -> RawResponse:
        number = self.calls
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(self.waits[number % len(self.waits)]):
            await asyncio.sleep(0)
        self.now -= 1
        if number in self.fails:
            return RawResponse(500, {"error": {"message": "no"}})
        return RawResponse(200, completion(str(number)))


async def wave(transport: Any, count: int) -> list[Any]:
    calls = [send(ask(str(n)), transport, max_retries=0, pricer=cents) for n in range(count)]
    return await asyncio.gather(*calls, return_exceptions=True)


@FEW
@given(st.integers(0, 12), st.lists(st.integers(0, 4), min_size=1, max_size=5), st.frozensets(st.integers(0, 15)))
def test_calls_are_exact_under_any_concurrency(limit: int, waits: list[int], fails: frozenset[int]) -> None:
    transport, budget = Slow(waits, fails), Budget(calls=limit)
    with Session(budget=budget).activate() as session:
        run_sync(wave(transport, 16))
        run_sync(wave(transport, 16))
        assert transport.most <= limit
        assert budget.spent["calls"] == session.ledger.total().calls <= limit
        assert budget.remaining() == {"calls": limit - budget.spent["calls"]}
        if budget.spent["calls"] < limit:
            assert transport.calls == 32 or fails, "nothing was refused without need"


@FEW
@given(st.integers(0, 200), st.lists(st.integers(0, 4), min_size=1, max_size=5))
def test_tokens_and_dollars_stay_within_the_limit_when_estimates_are_not_too_low(limit: int, waits: list[int]) -> None:
    for budget in (Budget(tokens=limit), Budget(usd=Decimal(limit) / 100)):
        with Session(budget=budget).activate() as session:
            run_sync(wave(Slow(waits), 16))
            total = session.ledger.total()
            assert total.tokens <= limit
            assert (budget.spent["tokens"], budget.spent["usd"]) == (total.tokens, total.usd)


@pytest.mark.parametrize("name", ["usd", "tokens", "calls", "seconds"])
def test_a_zero_budget_refuses_the_first_call(name: str) -> None:
    transport, zero = Inline(), {name: 0}
    budget = Budget(**zero)  # type: ignore[arg-type]
    with Session(budget=budget).activate(), pytest.raises(BudgetExceeded, match=f"{name}=0") as caught:
        send_inline(ask(), transport, pricer=cents)
    assert (caught.value.limit, transport.calls) == (name, 0)


def test_seconds_count_from_the_first_call() -> None:
    now = 100.0
    budget = Budget(seconds=10, clock=lambda: now)
    with Session(budget=budget).activate():
        now = 500.0
        send_inline(ask(), Inline())
        now = 509.0
        send_inline(ask(), Inline())
        assert budget.remaining() == {"seconds": 1.0}
        now = 510.0
        with pytest.raises(BudgetExceeded):
            send_inline(ask(), Inline())


def test_dollars_need_a_price() -> None:
    with Session(budget=Budget(usd=1)).activate(), pytest.raises(ValueError, match=r"set_price\('m'"):
        send_inline(ask(), Inline())


def test_a_failed_call_gives_back_what_was_set_aside() -> None:
    budget = Budget(calls=1, tokens=400)
    with Session(budget=budget).activate():
        (error,) = run_sync(wave(Slow([0], frozenset({0})), 1))
        assert isinstance(error, InternalServerError)
        send_inline(ask(), Inline())


def test_state_round_trips() -> None:
    now = 5.0
    first, second = Budget(usd=9, calls=3, clock=lambda: now), Budget(usd=9, calls=3, clock=lambda: now)
    with Session(budget=first).activate():
        send_inline(ask(), Inline(), pricer=cents)
        now = 8.0
    second.load_state_dict(first.state_dict())
    assert (second.spent, second.remaining()) == (first.spent, first.remaining())
    assert second.state_dict() == first.state_dict()
    now = 9.0
    assert second.spent["seconds"] == 4.0


@pytest.mark.parametrize("name", ["usd", "tokens", "calls", "seconds"])
def test_negative_limits_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Budget(**{name: -1})  # type: ignore[arg-type]


where = st.tuples(st.sampled_from(["", "gate"]), st.sampled_from(["forward", "judge"]), st.sampled_from(["a", "b"]))


@FEW
@given(st.lists(where, max_size=15))
def test_sums_reconcile_with_the_ledger_and_the_log(tmp_path_factory: Any, calls: list[tuple[str, str, str]]) -> None:
    path: Path = tmp_path_factory.mktemp("log") / "calls.jsonl"
    budget = Budget(usd=10**6)
    with CallLog(path) as log, Session(log=log, budget=budget, memo={}).activate() as session:
        for name, role, node in calls:
            with phase(name):
                send_inline(ask(node, role, node), Inline(), pricer=cents)
        ledger, total = session.ledger, session.ledger.total()
        assert total.calls + total.reused == len(calls) == len(log)
        for names in (("phase",), ("role", "model"), ("node", "phase", "role", "model")):
            again = Row()
            for row in ledger.by(*names).values():
                again.absorb(row)
            assert again == total
        assert ledger.total(role="forward").calls + ledger.total(role="judge").calls == total.calls
        recorded = [reply for reply in log.replies() if reply.source == "log"]
        assert budget.spent["calls"] == total.calls == len({reply.line for reply in recorded})
        paid = {reply.line: reply for reply in recorded}.values()
        assert sum(reply.usage.total for reply in paid) == total.tokens == budget.spent["tokens"]
        assert sum((reply.cost.usd or Decimal(0) for reply in paid), Decimal(0)) == total.usd == budget.spent["usd"]


def test_an_unknown_price_is_counted_not_taken_for_zero() -> None:
    with Session().activate() as session:
        send_inline(ask(), Inline())
        assert session.ledger.total().unpriced == 1
        assert "unpriced" in repr(session.ledger)
        assert "$" not in repr(session.ledger)
