"""Means over batches, weighted by the number of samples, with a standard error where single scores are known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from afnio.trainer.outcome import Outcome

__all__ = ["Averages", "Metrics"]


class Metrics(dict[str, float]):
    """Metric -> mean over the samples.

    Attributes:
        stderr: metric -> standard error of the mean, where the score of each sample is known.
        samples: number of samples, failed ones included.
        failed: number of samples that were given up.
    """

    def __init__(
        self, values: Mapping[str, float], stderr: Mapping[str, float] | None = None, samples: int = 0, failed: int = 0
    ) -> None:
        super().__init__(values)
        self.stderr, self.samples, self.failed = dict(stderr or {}), samples, failed

    def prefixed(self, prefix: str) -> Metrics:
        """The same with ``prefix`` before each name."""
        stderr = {prefix + name: value for name, value in self.stderr.items()}
        return Metrics({prefix + name: value for name, value in self.items()}, stderr, self.samples, self.failed)


@dataclass(slots=True)
class _Sum:
    total: float = 0.0
    weight: int = 0
    squares: float = 0.0
    known: int = 0

    def add(self, value: float, weight: int, scores: Sequence[float] | None) -> None:
        self.total += value * weight
        self.weight += weight
        if scores is not None:
            self.squares += math.fsum(score * score for score in scores)
            self.known += weight

    def mean(self, zeros: int) -> float:
        return self.total / (self.weight + zeros)

    def stderr(self, zeros: int) -> float | None:
        count = self.weight + zeros
        if self.known != self.weight or count < 2:
            return None
        return math.sqrt(max(self.squares / count - self.mean(zeros) ** 2, 0.0) / (count - 1))


class Averages:
    """Adds up the outcomes of batches.

    Args:
        scores: the metrics in which a failed sample counts 0; the others are means over the samples that went through.
    """

    def __init__(self, scores: Sequence[str] = ()) -> None:
        self._scores = tuple(scores)
        self._sums: dict[str, _Sum] = {}
        self.size = self.failed = 0

    def add(self, outcome: Outcome) -> None:
        """Add a batch."""
        self.size += outcome.size
        self.failed += outcome.failed
        for name, value in outcome.values.items():
            self._sums.setdefault(name, _Sum()).add(
                value, outcome.size, outcome.scores.get(name) or outcome.known.get(name)
            )

    def metrics(self) -> Metrics:
        """The means so far."""
        means, errors = {}, {}
        for name, each in self._sums.items():
            zeros = self.failed if name in self._scores else 0
            means[name], error = each.mean(zeros), each.stderr(zeros)
            if error is not None:
                errors[name] = error
        if self.failed and not self._sums:
            means = dict.fromkeys(self._scores, 0.0)
        return Metrics(means, errors, self.size + self.failed, self.failed)

    def state_dict(self) -> dict[str, Any]:
        """The sums, as plain JSON values."""
        return {
            "size": self.size,
            "failed": self.failed,
            "sums": {name: asdict(each) for name, each in self._sums.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the sums of `state_dict`."""
        self.size, self.failed = state["size"], state["failed"]
        self._sums = {name: _Sum(**each) for name, each in state["sums"].items()}
