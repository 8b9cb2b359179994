"""What the server counts: calls, tokens and tool calls by role, concurrency, and one row for each request."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from afnio.models.lm_server.ask import Answer

__all__ = ["Row", "Stats"]

KEEP_ROWS = 100_000
KEEP_BODIES = 4096


@dataclass(slots=True)
class Row:
    """One request; ``arrived`` and ``done`` are Unix times in seconds, ``done`` is 0 while it is open.

    ``tool_calls`` is how many tools its answer calls.
    """

    n: int
    role: str
    path: str
    model: str
    key: str
    arrived: float
    done: float = 0.0
    status: int = 0
    fault: str = ""
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    tool_calls: int = 0

    def bill(self, answer: Answer) -> None:
        """Write down what ``answer`` cost."""
        self.input_tokens, self.cached_tokens = answer.input_tokens, answer.cached_tokens
        self.output_tokens, self.reasoning_tokens = answer.output_tokens, answer.reasoning_tokens
        self.tool_calls = len(answer.tool_calls)


@dataclass(slots=True)
class Stats:
    """Counts since the start or the last reset."""

    rows: deque[Row] = field(default_factory=lambda: deque(maxlen=KEEP_ROWS))
    bodies: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=KEEP_BODIES))
    calls: int = 0
    open: int = 0
    max_concurrency: int = 0
    cpu_start: float = field(default_factory=time.process_time)

    def begin(self, role: str, path: str, model: str, key: str, raw: bytes, at: float) -> Row:
        """A request arrived, at the Unix time ``at``."""
        self.calls += 1
        self.open += 1
        self.max_concurrency = max(self.max_concurrency, self.open)
        row = Row(self.calls, role, path, model, key, at)
        self.rows.append(row)
        self.bodies.append((self.calls, raw))
        return row

    def end(self, row: Row) -> None:
        """It was answered, or its client is gone."""
        self.open -= 1
        row.done = time.time()

    def as_dict(self, *, rows: bool = True) -> dict[str, Any]:
        """What ``/__stats`` answers."""
        by_role: dict[str, dict[str, int]] = {}
        for row in self.rows:
            _add(by_role.setdefault(row.role, dict.fromkeys(_SUMS, 0)), row)
        total = {name: sum([counts[name] for counts in by_role.values()]) for name in _SUMS}
        return {
            "simulation": "These are the counts of a simulation, not an AI.",
            "calls": self.calls,
            "open": self.open,
            "max_concurrency": self.max_concurrency,
            "by_role": by_role,
            "total": total,
            "cpu_seconds": time.process_time() - self.cpu_start,
            "requests": [asdict(row) for row in self.rows] if rows else [],
        }


_ADDED = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "tool_calls")
_SUMS = ("calls", "errors", *_ADDED, "total_tokens")


def _add(counts: dict[str, int], row: Row) -> None:
    counts["calls"] += 1
    counts["errors"] += row.status != 200
    for name in _ADDED:
        counts[name] += getattr(row, name)
    counts["total_tokens"] += row.input_tokens + row.output_tokens
