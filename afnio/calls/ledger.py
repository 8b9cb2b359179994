"""The ledger: what the calls of a session were, added up."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from afnio.calls.request import Reply

__all__ = ["Ledger", "Row", "dollars"]


@dataclass(slots=True)
class Row:
    """Sums over calls. ``calls`` are the live ones, ``reused`` those answered without one (log, joined, memo).

    Tokens, dollars and seconds are those of live calls only. ``usd`` is the sum over the calls whose price is known,
    ``unpriced`` counts the others, ``estimated`` the calls whose tokens are an estimate.
    """

    calls: int = 0
    reused: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    usd: Decimal = Decimal(0)
    unpriced: int = 0
    estimated: int = 0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Input plus output tokens."""
        return self.input_tokens + self.output_tokens

    def add(self, reply: Reply) -> None:
        """Count one reply."""
        if reply.source != "live":
            self.reused += 1
            return
        usage, usd = reply.usage, reply.cost.usd
        self.calls += 1
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.cached_tokens += usage.cached_tokens
        self.reasoning_tokens += usage.reasoning_tokens
        self.estimated += usage.estimated
        self.seconds += reply.seconds
        if usd is None:
            self.unpriced += 1
        elif usd:
            self.usd += usd

    def absorb(self, other: Row) -> None:
        """Add another row's sums."""
        for name in _NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_NAMES = tuple(each.name for each in fields(Row))
Key = tuple[str, str, str, str]


class Ledger:
    """Calls, tokens, dollars and seconds by (phase, role, model, node). Safe to use from several threads."""

    def __init__(self) -> None:
        self._rows: dict[Key, Row] = {}
        self._lock = threading.Lock()

    def add(self, phase: str, role: str, model: str, node: str, reply: Reply) -> None:
        """Count one reply."""
        key = (phase, role, model, node)
        with self._lock:
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = Row()
            row.add(reply)

    def rows(self) -> dict[Key, Row]:
        """A copy: (phase, role, model, node) -> sums, in the order of first use."""
        with self._lock:
            return {key: _copy(row) for key, row in self._rows.items()}

    def total(self, *, phase: str | None = None, role: str | None = None, model: str | None = None) -> Row:
        """The sum over all rows, or over those of one phase, role or model."""
        wanted = (phase, role, model)
        total = Row()
        for key, row in self.rows().items():
            if all(want is None or want == have for want, have in zip(wanted, key, strict=False)):
                total.absorb(row)
        return total

    def by(self, *names: str) -> dict[tuple[str, ...], Row]:
        """Sums grouped by some of ``"phase"``, ``"role"``, ``"model"``, ``"node"``."""
        places = [("phase", "role", "model", "node").index(name) for name in names]
        groups: dict[tuple[str, ...], Row] = {}
        for key, row in self.rows().items():
            group = groups.setdefault(tuple(key[place] for place in places), Row())
            group.absorb(row)
        return groups

    def __repr__(self) -> str:
        row = self.total()
        cost = dollars(row.usd, row.unpriced)
        return f"Ledger({row.calls} calls, {row.reused} reused, {row.tokens} tokens, {cost})"


def dollars(usd: Decimal, unpriced: int) -> str:
    """``$0.0123``; calls without a known price are named, never counted as free."""
    if not unpriced:
        return f"${usd:.4f}"
    return f"${usd:.4f} + {unpriced} calls unpriced" if usd else "unpriced"


def _copy(row: Row) -> Row:
    values: list[Any] = [getattr(row, name) for name in _NAMES]
    return Row(*values)
