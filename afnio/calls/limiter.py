"""How many calls may go out at once, per minute, and when an endpoint asked for a pause.

One limiter per (provider, endpoint, model), shared by the whole process. It lives on the LM loop; the decisions are
plain functions of the time, so that they can be tested without waiting.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from afnio.calls.redact import public_url
from afnio.calls.request import Request

if TYPE_CHECKING:
    import asyncio

__all__ = ["Limiter", "Limits", "limiter_of"]

logger = logging.getLogger("afnio.calls")

MINUTE = 60.0
LONGEST_PAUSE = 120.0  # who asks for more is not waited for: the calls fail and say so
GROWTH = 0.1  # of a place, for each success: back by a tenth per round trip


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Limits:
    """What one model at one endpoint may be asked: calls at once, requests and tokens per minute (None: no limit).

    Where several clients limit the same model, the stricter of each holds, as long as they live.
    """

    concurrency: int = 256
    rpm: int | None = None
    tpm: int | None = None

    def __post_init__(self) -> None:
        for name in ("concurrency", "rpm", "tpm"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"Limits({name}={value}): a limit is at least 1.")


class Limiter:
    """Admits calls in the order they came.

    The number of places (``window``) starts at ``limits.concurrency``, is halved when the endpoint says 429, at most
    once for the calls that were under way together, and grows back with every success.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits, self._clock = limits, clock
        self.window = float(limits.concurrency)
        self.active = 0
        self._cut_at = self._paused_until = float("-inf")
        self._requests = _Window(limits.rpm)
        self._tokens = _Window(limits.tpm)
        self._waiting: deque[tuple[asyncio.Future[float], int]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def change(self, limits: Limits) -> None:
        """Set other limits; what was counted so far still counts."""
        self.window = max(1.0, self.window * limits.concurrency / self.limits.concurrency)
        self.limits, self._requests.limit, self._tokens.limit = limits, limits.rpm, limits.tpm
        self._pump()

    # decisions

    def delay(self, tokens: int = 0) -> float | None:
        """Seconds until a call may go; 0.0 now, None when a place must become free first."""
        now = self._clock()
        if self.active >= int(self.window):
            return None
        wait = max(self._paused_until - now, self._requests.delay(now, 1), self._tokens.delay(now, tokens))
        return max(wait, 0.0)

    def enter(self, tokens: int = 0) -> float:
        """Take a place; returns the time, to be given to ``throttled``."""
        now = self._clock()
        self.active += 1
        self._requests.add(now, 1)
        self._tokens.add(now, tokens)
        return now

    def succeeded(self, more_tokens: int = 0) -> None:
        """A call was answered and took ``more_tokens`` than expected: grow back."""
        if self.limits.tpm is not None and more_tokens > 0:
            self._tokens.add(self._clock(), more_tokens)
        if self.window < self.limits.concurrency:
            self.window = min(self.window + GROWTH, self.limits.concurrency)

    def throttled(self, entered: float, retry_after: float | None) -> None:
        """A call that entered at ``entered`` met a 429."""
        now = self._clock()
        if entered > self._cut_at:
            self.window = max(self.window / 2, 1.0)
            self._cut_at = now
        if retry_after is not None and 0 < retry_after <= LONGEST_PAUSE:
            self._paused_until = max(self._paused_until, now + retry_after)

    # waiting

    async def acquire(self, tokens: int = 0) -> float:
        """Wait for a place; returns when it was taken."""
        if not self._waiting and self.delay(tokens) == 0.0:
            return self.enter(tokens)
        return await self._queue(tokens)

    async def _queue(self, tokens: int) -> float:
        import asyncio

        place: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append((place, tokens))
        self._pump()
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()  # it was given the place and nobody will use it
            raise

    def leave(self) -> None:
        """Give the place back."""
        self.active -= 1
        if self._waiting:
            self._pump()

    def _pump(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            place, tokens = self._waiting[0]
            if not place.done():
                wait = self.delay(tokens)
                if wait is None:
                    return
                if wait > 0.0:
                    self._timer = place.get_loop().call_later(wait, self._pump)
                    return
                place.set_result(self.enter(tokens))
            self._waiting.popleft()


class _Window:
    """At most ``limit`` in any 60 seconds; one request alone may be larger than the limit."""

    __slots__ = ("limit", "past", "sum")

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.past: deque[tuple[float, int]] = deque()
        self.sum = 0

    def add(self, now: float, amount: int) -> None:
        if self.limit is not None and amount:
            self.past.append((now, amount))
            self.sum += amount

    def delay(self, now: float, amount: int) -> float:
        if self.limit is None:
            return 0.0
        while self.past and self.past[0][0] <= now - MINUTE:
            self.sum -= self.past.popleft()[1]
        if self.sum + amount <= self.limit:
            return 0.0
        excess, wait = self.sum + amount - self.limit, 0.0
        for when, past in self.past:
            if excess <= 0:
                break
            excess, wait = excess - past, when + MINUTE - now
        return wait


@dataclass(slots=True)
class _Shared:
    """The limiter of a model on a loop, and the limits its clients asked for."""

    loop: object
    limiter: Limiter
    asked: list[weakref.ref[Limits]] = field(default_factory=list)

    def hold(self, limits: Limits, where: tuple[str, str, str]) -> None:
        """See that ``limits`` are kept, beside those of other clients."""
        alive = [known for ref in self.asked if (known := ref()) is not None]
        if limits not in alive:
            if alive:
                logger.warning(
                    "Clients with different limits share %s at %s: the stricter of each limit holds for all of them.",
                    where[2],
                    public_url(where[1]),
                )
            alive.append(limits)
            self.asked = [weakref.ref(each) for each in alive]
        strictest = alive[0] if len(alive) == 1 else _strictest(alive)
        if strictest != self.limiter.limits:
            self.limiter.change(strictest)


def _strictest(limits: list[Limits]) -> Limits:
    def least(name: str) -> int | None:
        return min([value for each in limits if (value := getattr(each, name)) is not None], default=None)

    return Limits(min([each.concurrency for each in limits]), least("rpm"), least("tpm"))


_limiters: dict[tuple[str, str, str], _Shared] = {}


def limiter_of(request: Request, limits: Limits | None) -> Limiter:
    """The limiter of the request's (provider, endpoint, model) on the running loop; ``limits`` hold from now on."""
    import asyncio

    loop = asyncio.get_running_loop()
    key = (request.provider, request.endpoint, request.model)
    shared = _limiters.get(key)
    if shared is None or shared.loop is not loop:  # the loop is another one after a fork
        shared = _limiters[key] = _Shared(loop, Limiter(limits or Limits()))
    if limits is not None:
        shared.hold(limits, key)
    return shared.limiter
