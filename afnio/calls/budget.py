"""A budget over all calls of a session, whatever their role."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import NoneType
from typing import Any

from afnio.calls.request import Cost, Request, Usage
from afnio.calls.tokens import estimate_body
from afnio.errors import BudgetExceeded

__all__ = ["Budget", "Hold", "Pricer"]

Pricer = Callable[[Request, Usage], Cost]
"""What a call cost, or will cost if it uses that much."""

FIRST_OUTPUT = 256  # tokens expected of an answer before any was seen


@dataclass(slots=True)
class Hold:
    """What is set aside for a call in flight."""

    tokens: int = 0
    usd: Decimal = Decimal(0)


class Budget:
    """Limits on what live calls may cost: dollars, tokens (in and out), calls, seconds since the first call.

    A call is admitted before it is sent. ``calls`` is exact under any concurrency; for ``tokens`` and ``usd``, what was
    spent plus the estimates of the calls in flight never exceeds the limit. Answers from the log, the memo or a
    joined call cost nothing.

    Raises:
        ValueError: a limit is negative.
    """

    def __init__(
        self,
        usd: float | str | Decimal | None = None,
        tokens: int | None = None,
        calls: int | None = None,
        seconds: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.usd = None if usd is None else _dollars(usd)
        self.tokens, self.calls, self.seconds = tokens, calls, seconds
        for name in ("usd", "tokens", "calls", "seconds"):
            limit = getattr(self, name)
            if isinstance(limit, bool) or not isinstance(limit, (int, float, Decimal, NoneType)):
                raise TypeError(f"Budget({name}={limit!r}): a limit is a number, or None for no limit.")
            if limit is not None and (math.isnan(limit) or limit < 0):  # one that is no number would never be reached
                raise ValueError(f"Budget({name}={limit}): a limit is 0 or more, or None for no limit.")
        self._clock, self._lock = clock, threading.Lock()
        self._started: float | None = None
        self._spent = _Spent()
        self._held = _Spent()
        self.refused = False
        """Whether a call was not admitted since one was last admitted with none in flight: what is still in flight then
        is worth waiting for."""

    def reserve(self, request: Request, pricer: Pricer) -> Hold:
        """Admit one call and set aside what it will presumably use.

        Raises:
            BudgetExceeded: it would exceed a limit; ``limit`` names which.
            ValueError: there is a limit in dollars and the model has no price.
        """
        hold = self._estimate(request, pricer)
        with self._lock:
            before, self.refused = self.refused, True
            self._check("calls", self.calls, 1)
            self._check("tokens", self.tokens, hold.tokens)
            self._check("usd", self.usd, hold.usd)
            self._check_seconds()
            self.refused = before and self._held.calls > 0  # a smaller call may be admitted after a larger one was not
            self._held.add(1, hold.tokens, hold.usd)
        return hold

    def settle(self, hold: Hold, usage: Usage, cost: Cost) -> None:
        """Replace what was set aside by what the call used."""
        with self._lock:
            self._held.add(-1, -hold.tokens, -hold.usd)
            self._spent.add(1, usage.total, cost.usd or Decimal(0))
            self._spent.output += usage.output_tokens

    def spend(self, usage: Usage, cost: Cost) -> None:
        """Count a call that was admitted and made elsewhere, by a server on our behalf."""
        with self._lock:
            self._spent.add(1, usage.total, cost.usd or Decimal(0))
            self._spent.output += usage.output_tokens

    def limits(self) -> dict[str, Any]:
        """The limits that are set, as plain JSON values: what ``Budget(**limits)`` takes."""
        limits = {name: getattr(self, name) for name in ("usd", "tokens", "calls", "seconds")}
        return {name: str(value) if name == "usd" else value for name, value in limits.items() if value is not None}

    def release(self, hold: Hold) -> None:
        """Give back what was set aside for a call that failed."""
        with self._lock:
            self._held.add(-1, -hold.tokens, -hold.usd)

    @property
    def spent(self) -> dict[str, Any]:
        """What the answered calls used: ``usd`` (Decimal), ``tokens``, ``calls``, ``seconds``."""
        with self._lock:
            spent = self._spent
            return {"usd": spent.usd, "tokens": spent.tokens, "calls": spent.calls, "seconds": self._elapsed()}

    def remaining(self) -> dict[str, Any]:
        """What is left of each limit that is set (never below 0); calls in flight are not counted."""
        spent = self.spent
        limits = {name: getattr(self, name) for name in spent}
        return {name: max(limit - spent[name], 0) for name, limit in limits.items() if limit is not None}

    def state_dict(self) -> dict[str, Any]:
        """What was spent, as plain JSON values; the limits are not part of it."""
        return {name: str(value) if name == "usd" else value for name, value in self.spent.items()} | {
            "output_tokens": self._spent.output
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what was spent before."""
        with self._lock:
            self._spent = _Spent(int(state["calls"]), int(state["tokens"]), Decimal(state["usd"]))
            self._spent.output = int(state.get("output_tokens", 0))
            self._started = self._clock() - float(state["seconds"]) if state["seconds"] else None

    def _estimate(self, request: Request, pricer: Pricer) -> Hold:
        if self.tokens is None and self.usd is None:
            return _NOTHING
        usage = Usage(estimate_body(request.body), self._expected_output(request.body), estimated=True)
        if self.usd is None:
            return Hold(usage.total)
        cost = pricer(request, usage)
        if cost.usd is None:
            raise ValueError(
                f"Budget(usd={self.usd}) needs a price for model '{request.model}' at {request.endpoint}, and none is "
                f"known. Give it one: afnio.models.prices.set_price('{request.model}', input=..., output=...) in USD "
                f"per million tokens; or limit tokens or calls instead."
            )
        return Hold(usage.total, cost.usd)

    def _expected_output(self, body: Mapping[str, Any]) -> int:
        seen = self._spent
        mean = seen.output // seen.calls if seen.calls and seen.output else FIRST_OUTPUT
        most = body.get("max_completion_tokens") or body.get("max_tokens") or body.get("max_output_tokens")
        return min(mean, most) if isinstance(most, int) else mean

    def _check(self, name: str, limit: int | Decimal | None, more: int | Decimal) -> None:
        if limit is None:
            return
        spent, held = getattr(self._spent, name), getattr(self._held, name)
        if spent + held >= limit or spent + held + more > limit:
            raise BudgetExceeded(
                f"Budget({name}={limit}) is used up: {_shown(spent)} spent, {_shown(held)} in flight, the next call "
                f"needs about {_shown(more)}. Raise the limit to go on; what was answered so far is kept.",
                limit=name,
            )

    def _check_seconds(self) -> None:
        if self._started is None:
            self._started = self._clock()
        if self.seconds is not None and self._elapsed() >= self.seconds:
            raise BudgetExceeded(
                f"Budget(seconds={self.seconds}) is used up: {self._elapsed():.1f} s since the first call. "
                f"Raise the limit to go on; what was answered so far is kept.",
                limit="seconds",
            )

    def _elapsed(self) -> float:
        return 0.0 if self._started is None else self._clock() - self._started

    def __repr__(self) -> str:
        names = ("usd", "tokens", "calls", "seconds")
        limits = ", ".join(f"{name}={limit}" for name in names if (limit := getattr(self, name)) is not None)
        return f"Budget({limits})"


@dataclass(slots=True)
class _Spent:
    calls: int = 0
    tokens: int = 0
    usd: Decimal = Decimal(0)
    output: int = 0

    def add(self, calls: int, tokens: int, usd: Decimal) -> None:
        self.calls += calls
        self.tokens += tokens
        self.usd += usd


_NOTHING = Hold()


def checked_budget(budget: Any) -> Budget | None:
    """``budget``, or TypeError."""
    if budget is None or isinstance(budget, Budget):
        return budget
    raise TypeError(f"budget must be an afnio.Budget, got {budget!r:.80}: write Budget(usd=...), calls= or tokens=.")


def _dollars(usd: Any) -> Decimal:
    try:
        return Decimal(str(usd))
    except InvalidOperation:
        raise ValueError(f"Budget(usd={usd!r}): dollars are a number, for example Budget(usd=0.50).") from None


def _shown(value: int | Decimal) -> str:
    return f"${value:.4f}" if isinstance(value, Decimal) else str(value)
