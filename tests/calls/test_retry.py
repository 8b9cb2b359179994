"""The retry policy, with a clock that does not wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.calls.retry import heals, persist
from afnio.errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    InternalServerError,
    QuotaError,
    RateLimitError,
)


def failure(kind: str, retry_after: float | None = None) -> APIError:
    if kind == "connection":
        return APIConnectionError("down")
    if kind == "429":
        return RateLimitError("slow down", status_code=429, retry_after=retry_after)
    return InternalServerError("oops", status_code=500, retry_after=retry_after)


def attempts_of(failures: list[APIError], max_retries: int) -> tuple[Any, list[float]]:
    """What ``persist`` gives for a call that fails with each of ``failures`` and then succeeds, and its waits."""
    left, waits = list(failures), []

    async def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    try:
        return asyncio.run(persist(attempt, max_retries, sleep)), waits
    except APIError as error:
        return error, waits


@given(st.lists(st.sampled_from(["connection", "500", "429"]), max_size=12), st.integers(0, 5))
def test_the_policy(kinds: list[str], max_retries: int) -> None:
    result, waits = attempts_of([failure(kind) for kind in kinds], max_retries)
    most = max(8, max_retries + 1) if max_retries else 1
    hard, expected = 0, None
    for number, kind in enumerate(kinds, 1):
        hard += kind != "429"
        if hard > max_retries or number >= most:
            expected = number
            break
    if expected is None:
        assert result == ("done", len(kinds) + 1)
        assert len(waits) == len(kinds)
    else:
        assert isinstance(result, APIError)
        assert len(waits) == expected - 1
        assert ("(tried" in str(result)) == (expected > 1)
        assert expected == 1 or f"(tried {expected} times)" in str(result)


def test_no_retries_means_none() -> None:
    for kind in ("connection", "500", "429"):
        error, waits = attempts_of([failure(kind)], 0)
        assert isinstance(error, APIError)
        assert waits == []


def test_retry_after_is_the_wait() -> None:
    assert attempts_of([failure("429", 7.5)], 2) == (("done", 2), [7.5])
    assert attempts_of([failure("500", 3.0)], 2) == (("done", 2), [3.0])


def test_a_wait_of_more_than_two_minutes_is_not_waited_for() -> None:
    error, waits = attempts_of([failure("429", 3600.0)], 2)
    assert isinstance(error, RateLimitError)
    assert waits == []


def test_backoff_grows_to_eight_seconds_with_jitter() -> None:
    _, waits = attempts_of([failure("429")] * 7, 2)
    for wait, most in zip(waits, [0.5, 1, 2, 4, 8, 8, 8], strict=True):
        assert 0.75 * most <= wait <= most


def test_what_heals() -> None:
    for code in range(400, 600):
        expected = code in (408, 409, 429) or code >= 500
        assert heals(APIStatusError("", status_code=code)) == expected
    assert heals(APIConnectionError(""))
    assert heals(APITimeoutError(""))
    assert not heals(APIResponseError(""))
    assert not heals(QuotaError("", status_code=429))
    assert not heals(ValueError())


def test_the_endpoint_has_the_last_word() -> None:
    for code, told in ((400, True), (500, False)):
        error = APIStatusError("", status_code=code)
        error.should_retry = told  # type: ignore[attr-defined]
        assert heals(error) == told


def test_other_errors_pass_through() -> None:
    async def attempt() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError):
        asyncio.run(persist(attempt, 5))
