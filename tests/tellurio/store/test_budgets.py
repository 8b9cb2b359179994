"""How much of a budget is spent: the limits as the client said them, against what the calls add up to."""

from __future__ import annotations

from typing import Any

import pytest

from tellurio.store import Store
from tellurio.store.budgets import budget
from tellurio.store.runs import end_run
from tests.tellurio.store.journal import call_record, line, new_run, send

CALLS = [
    line(1, "c", record=call_record(cost={"usd": "0.1"}, started=1000.0)),
    line(2, "c", record=call_record(cost={"usd": "0.000000000001"}, started=1005.0)),
    line(3, "c", record=call_record(cost={"usd": "5"}, started=900.0, source="memo")),
]


def spent(store: Store, limits: Any, now: float = 1010.0, lines: list[bytes] = CALLS) -> list[dict[str, Any]]:
    run = new_run(store, budget=limits)
    send(store, run, lines)
    return store.read(budget, run["key"], now)


def test_each_limit_against_what_live_calls_used(store: Store) -> None:
    usd, tokens, calls, seconds = spent(store, {"seconds": 40, "calls": 4, "usd": "0.2", "tokens": 22})
    assert usd == {"name": "usd", "limit": "0.2", "spent": "0.100000000001", "share": pytest.approx(0.5)}
    assert tokens == {"name": "tokens", "limit": 22, "spent": 22, "share": 1.0}
    assert calls == {"name": "calls", "limit": 4, "spent": 2, "share": 0.5}
    assert seconds == {"name": "seconds", "limit": 40, "spent": 10.0, "share": 0.25}


def test_time_stands_still_before_the_first_call_and_after_the_end(store: Store) -> None:
    assert spent(store, {"seconds": 5}, lines=[])[0]["spent"] == 0.0
    run = new_run(store, budget={"seconds": 5})
    send(store, run, CALLS)
    store.write(end_run, run["id"], "COMPLETED", by_client=True, now=1002.0)
    assert store.read(budget, run["key"], 9999.0)[0]["spent"] == 2.0


def test_a_limit_of_nothing_is_used_up(store: Store) -> None:
    assert spent(store, {"usd": "0", "calls": 0}, lines=[]) == [
        {"name": "usd", "limit": "0", "spent": "0", "share": 1.0},
        {"name": "calls", "limit": 0, "spent": 0, "share": 1.0},
    ]


@pytest.mark.parametrize(
    "limits",
    [
        *(None, {}, {"more": 1}, {"usd": "much"}, {"usd": None}, {"usd": "-1"}, {"usd": []}, {"usd": "NaN"}),
        *({"tokens": 1.5}, {"tokens": True}, {"calls": "3"}, {"calls": -1}, {"seconds": -0.5}, {"seconds": {}}),
    ],
)
def test_what_is_no_limit_is_none(store: Store, limits: Any) -> None:
    assert spent(store, limits, lines=[]) == []


def test_a_run_that_is_not_there_has_none(store: Store) -> None:
    assert store.read(budget, 10**9, 0.0) == []
