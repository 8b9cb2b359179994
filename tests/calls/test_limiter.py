"""The limiter as a function of time: no test waits."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.calls import Limits
from afnio.calls.limiter import Limiter, limiter_of
from tests.calls.fakes import ask


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def step(limiter: Limiter, clock: Clock, tokens: int = 0) -> float:
    """Let one call in as soon as it may; returns when. Calls end at once."""
    while wait := limiter.delay(tokens):
        clock.now += wait
    entered = limiter.enter(tokens)
    limiter.leave()
    return entered


@given(st.integers(1, 10), st.lists(st.floats(0, 40), min_size=1, max_size=60))
def test_never_more_than_rpm_in_any_minute(rpm: int, gaps: list[float]) -> None:
    clock = Clock()
    limiter, entered = Limiter(Limits(rpm=rpm), clock), []
    for gap in gaps:
        clock.now += gap
        entered.append(step(limiter, clock))
    for first in entered:
        assert sum(first <= each < first + 59.999 for each in entered) <= rpm


@given(st.integers(1, 100), st.lists(st.tuples(st.floats(0, 40), st.integers(1, 120)), min_size=1, max_size=40))
def test_never_more_than_tpm_in_any_minute_and_a_large_call_goes_alone(tpm: int, calls: list[Any]) -> None:
    clock = Clock()
    limiter, entered = Limiter(Limits(tpm=tpm), clock), []
    for gap, tokens in calls:
        clock.now += gap
        entered.append((step(limiter, clock, tokens), tokens))
    for first, _ in entered:
        inside = [tokens for when, tokens in entered if first <= when < first + 59.999]
        assert sum(inside) <= tpm or len(inside) == 1


def test_a_limiter_without_limits_never_waits() -> None:
    limiter = Limiter(Limits())
    for _ in range(256):
        assert limiter.delay(10**9) == 0.0
        limiter.enter(10**9)
    assert limiter.delay() is None, "256 at once by default"


def test_a_429_halves_once_for_calls_under_way_together() -> None:
    clock = Clock()
    limiter = Limiter(Limits(concurrency=64), clock)
    together = [limiter.enter() for _ in range(64)]
    clock.now += 1
    for entered in together:
        limiter.throttled(entered, None)
        limiter.leave()
    assert limiter.window == 32
    clock.now += 1
    later = limiter.enter()
    clock.now += 1
    limiter.throttled(later, None)
    assert limiter.window == 16


def test_it_grows_back_to_the_limit_and_not_beyond() -> None:
    clock = Clock()
    limiter = Limiter(Limits(concurrency=8), clock)
    for _ in range(10):
        clock.now += 1
        limiter.throttled(clock.now, None)
    assert limiter.window == 1
    for _ in range(1000):
        limiter.succeeded()
    assert limiter.window == 8


def test_retry_after_pauses_all() -> None:
    clock = Clock()
    limiter = Limiter(Limits(), clock)
    limiter.throttled(clock.now, 7.0)
    assert limiter.delay() == 7.0
    clock.now += 3
    assert limiter.delay() == 4.0
    clock.now += 4
    assert limiter.delay() == 0.0


def test_first_come_first_served_and_never_above_the_window() -> None:
    async def main() -> None:
        limiter, order, most = Limiter(Limits(concurrency=3)), [], 0

        async def call(n: int) -> None:
            nonlocal most
            await limiter.acquire()
            most = max(most, limiter.active)
            order.append(n)
            await asyncio.sleep(0)
            limiter.leave()

        await asyncio.gather(*[call(n) for n in range(20)])
        assert (order, most, limiter.active) == (list(range(20)), 3, 0)

    asyncio.run(main())


@given(st.lists(st.booleans(), min_size=1, max_size=20))
def test_cancelled_waiters_lose_no_place(cancelled: list[bool]) -> None:
    async def main() -> None:
        limiter = Limiter(Limits(concurrency=2))

        async def call() -> None:
            await limiter.acquire()
            try:
                await asyncio.sleep(0)
            finally:
                limiter.leave()

        tasks = [asyncio.create_task(call()) for _ in cancelled]
        await asyncio.sleep(0)
        for task, cancel in zip(tasks, cancelled, strict=True):
            if cancel:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert limiter.active == 0
        assert limiter.delay() == 0.0

    asyncio.run(main())


def test_one_limiter_for_each_provider_endpoint_and_model() -> None:
    async def main() -> None:
        one, other = ask(), ask()
        assert limiter_of(one, None) is limiter_of(other, None)
        other.model = "m2"
        assert limiter_of(one, None) is not limiter_of(other, None)
        shared = limiter_of(one, None)
        shared.enter()
        assert limiter_of(one, Limits(concurrency=8, rpm=5)) is shared, "other limits, but what goes on is known"
        assert (shared.limits.rpm, shared.window, shared.active) == (5, 8, 1)
        assert limiter_of(one, None).limits.rpm == 5

    asyncio.run(main())


@pytest.mark.parametrize("bad", [{"concurrency": 0}, {"rpm": 0}, {"tpm": -1}])
def test_a_limit_is_at_least_one(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limits(**bad)


def test_clients_with_other_limits_do_not_undo_each_others(caplog: pytest.LogCaptureFixture) -> None:
    async def look() -> None:
        request = ask()
        request.endpoint = "http://user:pw@shared/v1"
        first, second = Limits(concurrency=8, rpm=100), Limits(concurrency=16, rpm=50, tpm=10)
        limiter = limiter_of(request, first)
        for _ in range(3):
            for limits in (first, second, None, Limits(concurrency=8, rpm=100)):
                assert limiter_of(request, limits) is limiter
        assert limiter.limits == Limits(concurrency=8, rpm=50, tpm=10), "the stricter of each"
        assert [record.name for record in caplog.records].count("afnio.calls") == 1
        assert "at http://shared/v1" in caplog.text
        del first, limits
        gc.collect()
        limiter_of(request, second)
        assert limiter.limits == second, "a client that is gone limits nobody"

    asyncio.run(look())
