"""Faults on demand: which request fails, and how.

As text (``Fault.parse``, the CLI's ``--fault``): ``KIND[@N][xTIMES][:option=value,...]``

    429@3                      the third request is refused once
    429@1x4:retry_after=0.2    the first four requests are refused
    malformed@1:role=optimizer the first optimizer request gets a reply that is no JSON
    500:p=0.05                 one request in twenty, drawn by a hash of the seed and the request
    bad_arguments@2            the second answer that calls tools calls the first of them wrongly
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from afnio.models.lm_server.roles import ROLES

__all__ = ["KINDS", "NEEDS", "Fault", "FaultPlan"]

KINDS: dict[str, str] = {
    "429": "too many requests, with Retry-After",
    "quota": "429 that waiting cannot heal: no credit left",
    "500": "internal server error",
    "503": "service unavailable",
    "timeout": "no answer for `seconds`, then the connection is closed",
    "reset": "the connection is reset before any answer",
    "truncated": "status 200, a body of half the JSON",
    "cut": "the connection breaks in the middle of the answer (a stream: of its events)",
    "malformed": "a reply that is no JSON, whoever asks",
    "malformed_optimizer": "the same for the optimizer only",
    "malformed_critic": "the same for the critic only",
    "destructive": "an optimizer update that drops every rule and adds wrong ones",
    "no_placeholder": "an optimizer update that loses the prompt's {placeholders}",
    "bad_arguments": "a tool call whose arguments break off: no JSON (Anthropic's API: none of them is there)",
    "unknown_tool": "a call of a tool that is not there",
    "broken_output": "an answer by a schema, whose JSON breaks off",
    "overflow": "400, the request is longer than the model's context",
}
"""What can go wrong on demand, and what it does."""
_ONLY = {
    "malformed_optimizer": "optimizer",
    "malformed_critic": "backward",
    "destructive": "optimizer",
    "no_placeholder": "optimizer",
    "broken_output": "forward",
}
NEEDS = {"bad_arguments": "tool_calls", "unknown_tool": "tool_calls", "broken_output": "schema"}
"""Kinds that only answers of one kind can meet: those that call tools, those that fit a schema."""

_SPELLED = re.compile(r"(?P<kind>\w+?)(?:@(?P<at>\d+))?(?:x(?P<times>\d+))?(?::(?P<options>.*))?")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Args:
        kind: one of ``KINDS``.
        at: number of the first request that fails, counted from 1 among the requests of ``role``
            (among all when ``role`` is ``""``). Without ``at`` and ``p`` it is 1.
        times: how many requests in a row fail from there on; with ``p``: at most how many in all, 0 for any number.
        role: only requests of this role (``forward``, ``backward``, ``reducer``, ``optimizer``, ``judge``).
        p: probability, drawn by a hash of the server's seed and the request instead of by counting.
        retry_after: seconds, for ``429``.
        seconds: how long ``timeout`` holds the request.
    """

    kind: str
    at: int | None = None
    times: int | None = None
    role: str = ""
    p: float | None = None
    retry_after: float = 1.0
    seconds: float = 600.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"There is no fault {self.kind!r}. Faults: {', '.join(KINDS)}.")
        if self.role and self.role not in ROLES:
            raise ValueError(f"There is no role {self.role!r}. Roles: {', '.join(ROLES)}.")
        if self.at is not None and self.p is not None:
            raise ValueError("A fault is given either `at` (the n-th request) or `p` (a probability), not both.")
        for name, value, least in (("at", self.at, 1), ("times", self.times, 0)):
            if value is not None and value < least:
                raise ValueError(f"{name} of a fault is at least {least}, got {value}: no request would ever meet it.")
        if self.p is not None and not 0 <= self.p <= 1:
            raise ValueError(f"p of a fault is a probability from 0 to 1, got {self.p:g}.")
        for name, seconds in (("retry_after", self.retry_after), ("seconds", self.seconds)):
            if not seconds >= 0:
                raise ValueError(f"{name} of a fault is a number of seconds of at least 0, got {seconds:g}.")

    @classmethod
    def parse(cls, text: str) -> Fault:
        """A fault from ``KIND[@N][xTIMES][:option=value,...]``."""
        found = _SPELLED.fullmatch(text.strip())
        if not found:
            raise ValueError(f"Cannot read the fault {text!r}: expected KIND[@N][xTIMES][:option=value,...].")
        options = (found["options"] or "").split(",")
        given: dict[str, Any] = dict(part.split("=", 1) for part in options if "=" in part)
        numbers: dict[str, Any] = {
            name: float(given[name]) for name in ("p", "retry_after", "seconds") if name in given
        }
        counts = {name: int(found[name]) for name in ("at", "times") if found[name]}
        unknown = set(given) - {"p", "retry_after", "seconds", "role"}
        if unknown:
            raise ValueError(f"A fault has no option {min(unknown)!r}; options: role, p, retry_after, seconds.")
        return cls(found["kind"], role=given.get("role", ""), **counts, **numbers)

    @classmethod
    def of(cls, given: Fault | str | Mapping[str, Any]) -> Fault:
        """A fault from itself, its text, or a mapping of its arguments (a JSON body)."""
        if isinstance(given, Fault):
            return given
        return cls.parse(given) if isinstance(given, str) else cls(**given)

    def as_dict(self) -> dict[str, Any]:
        """Its arguments, as JSON takes them."""
        return asdict(self)

    def concerns(self, role: str, answer: str = "") -> bool:
        """Whether requests of ``role`` count for it, if ``answer`` is what they get (see ``FaultPlan.pick``)."""
        return (self.role or _ONLY.get(self.kind, "") or role) == role and NEEDS.get(self.kind, answer) == answer


class FaultPlan:
    """Which fault, if any, each request meets.  Counts requests, per fault; knows no HTTP."""

    def __init__(self, faults: Iterable[Fault | str | Mapping[str, Any]] = (), *, seed: int = 0) -> None:
        self.faults = [Fault.of(fault) for fault in faults]
        self.seed = seed
        self.seen = [0] * len(self.faults)
        self.met = [0] * len(self.faults)
        self._asked: Counter[str] = Counter()

    def pick(self, role: str, key: str, answer: str = "") -> Fault | None:
        """The first fault that the next request, of ``role`` and with the hash ``key``, meets.

        ``answer`` is what it would be answered with: ``tool_calls``, ``schema``, or ``""`` for any other text.
        """
        if not self.faults:
            return None
        self._asked[key] += 1
        chosen = None
        for index, fault in enumerate(self.faults):
            if not fault.concerns(role, answer):
                continue
            self.seen[index] += 1
            if chosen is None and self._hits(index, fault, key):
                self.met[index] += 1
                chosen = fault
        return chosen

    def _hits(self, index: int, fault: Fault, key: str) -> bool:
        if fault.p is not None:
            spent = bool(fault.times) and self.met[index] >= (fault.times or 0)
            return not spent and self._draw(index, key) < fault.p
        first = fault.at or 1
        return first <= self.seen[index] < first + (1 if fault.times is None else fault.times)

    def _draw(self, index: int, key: str) -> float:
        """In [0, 1): by seed, fault, request and how often it was asked, so that arrival order plays no part."""
        text = f"{self.seed}/{index}/{key}/{self._asked[key]}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
