"""The retry policy, one for all providers. tenacity is imported at the first failure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from afnio.calls.limiter import LONGEST_PAUSE
from afnio.errors import APIConnectionError, APIError, APIStatusError, QuotaError, RateLimitError, StreamCutError

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["heals", "persist"]

T = TypeVar("T")

FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0  # seconds, when the endpoint does not say
PATIENCE = 8  # attempts for a 429, however small max_retries is (but 0)
HEALING = frozenset({408, 409, 429})


def heals(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, (QuotaError, StreamCutError)):
        return False
    if isinstance(error, APIStatusError):
        if error.retry_after is not None and error.retry_after > LONGEST_PAUSE:
            return False
        told = getattr(error, "should_retry", None)
        return bool(told) if told is not None else error.status_code in HEALING or error.status_code >= 500
    return isinstance(error, APIConnectionError)


async def persist(
    attempt: Callable[[], Awaitable[T]],
    max_retries: int,
    sleep: Callable[[float], Awaitable[None]] | None = None,
) -> tuple[T, int]:
    """Call ``attempt`` until it succeeds or the policy gives up; returns its result and the number of attempts.

    ``max_retries`` counts failures other than 429; a 429 is met with patience, up to 8 attempts. 0 means one attempt.
    """
    try:
        return await attempt(), 1
    except APIError as first:
        if max_retries <= 0 or not heals(first):
            raise
        error = first
    return await _again(attempt, error, max_retries, sleep)


async def _again(
    attempt: Callable[[], Awaitable[T]],
    first: APIError,
    max_retries: int,
    sleep: Callable[[float], Awaitable[None]] | None,
) -> tuple[T, int]:
    import asyncio

    from tenacity import AsyncRetrying, retry_if_exception

    known: list[APIError] = [first]

    async def go_on() -> T:
        if known:
            raise known.pop()  # the first attempt was made before tenacity came in
        return await attempt()

    retrying = AsyncRetrying(
        retry=retry_if_exception(heals),
        stop=_Patience(max_retries),
        wait=_wait,
        sleep=sleep or asyncio.sleep,
        reraise=True,
    )
    try:
        result: T = await retrying(go_on)
    except APIError as error:
        raise _counted(error, retrying.statistics["attempt_number"]) from error.__cause__
    return result, retrying.statistics["attempt_number"]


class _Patience:
    """Stops after ``max_retries`` failures that are no 429, or after too many attempts of any kind."""

    def __init__(self, max_retries: int) -> None:
        self.max_retries, self.failures = max_retries, 0

    def __call__(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, RateLimitError):
            self.failures += getattr(error, "weight", 1)
        most = max(PATIENCE, self.max_retries + 1)
        return self.failures > self.max_retries or state.attempt_number >= most


def _wait(state: RetryCallState) -> float:
    error: Any = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "retry_after", None)
    if asked is not None and 0 < asked <= LONGEST_PAUSE:
        return float(asked)
    import random

    wait = min(FIRST_WAIT * 2.0 ** (state.attempt_number - 1), LONGEST_WAIT)
    return wait * (1 - 0.25 * random.random())  # spreads retries, guards nothing


def _counted(error: APIError, attempts: int) -> APIError:
    if attempts > 1 and error.args:
        error.args = (f"{error.args[0]} (tried {attempts} times)", *error.args[1:])
    return error
