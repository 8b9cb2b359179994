"""`Outcome`: what a batch came to, whether its step ran once or once for each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from afnio.errors import StepError
from afnio.trainer.results import LOSS, Result, Value

__all__ = ["Failure", "Outcome", "manual_outcome", "outcome_of"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A sample that was given up.

    Attributes:
        stage: ``"train"``, ``"gate"``, ``"validation"``, ``"test"`` or ``"predict"``.
        batch: number of its batch, from 0.
        sample: its id: the number in the data set, where the loader says it.
        error: why.
    """

    stage: str
    batch: int
    sample: str
    error: BaseException


@dataclass(slots=True)
class Outcome:
    """What a batch came to.

    Attributes:
        batch: the samples that went through.
        size: how many they are.
        failed: how many were given up.
        values: metric -> mean over the samples that went through.
        scores: metric -> number of each sample, where the step tells them.
        known: the same, where only the evaluator knows them, in the unit of the metric's number.
        roots: the Variables to start ``backward`` at.
    """

    batch: Any
    size: int
    failed: int = 0
    values: dict[str, float] = field(default_factory=dict)
    scores: dict[str, list[float]] = field(default_factory=dict)
    known: dict[str, list[float]] = field(default_factory=dict)
    roots: list[Any] = field(default_factory=list)

    def score(self, metric: str, mode: str) -> float:
        """How well the batch did: failed samples count 0 where higher is better."""
        if not self.size:
            return 0.0 if mode == "max" else float("inf")
        value = self.values[metric if metric in self.values else LOSS]
        return value * self.size / (self.size + self.failed) if mode == "max" else value


def outcome_of(batch: Any, size: int, failed: int, results: Sequence[Result], where: str) -> Outcome:
    """Put the results of a batch together: one for the whole, or one for each sample.

    Raises:
        StepError: the samples' results do not name the same metrics, or a list of numbers has the wrong length.
    """
    made = Outcome(batch, size, failed, roots=[result.explanation for result in results])
    names = list(results[0].values)
    for result in results:
        if list(result.values) != names:
            raise StepError(f"{where} returned metrics {names} for one sample and {list(result.values)} for another.")
    for name in names:
        _note(made, name, _flat([result.values[name] for result in results]), len(results), where)
        known = [number for result in results for number in result.known.get(name, ())]
        if name not in made.scores and len(known) == size:
            made.known[name] = known
    return made


def manual_outcome(batch: Any, size: int, values: Mapping[str, Value], where: str) -> Outcome:
    """What a step that optimizes by hand told of its batch.

    Raises:
        StepError: a list of numbers has the wrong length.
    """
    made = Outcome(batch, size)
    for name, value in values.items():
        _note(made, name, _flat([value]), 1, where)
    return made


def _note(made: Outcome, name: str, numbers: list[float], results: int, where: str) -> None:
    """The mean of ``numbers``, of one result or one for each sample; their own if there is one for each sample."""
    if len(numbers) not in (results, made.size):
        raise StepError(
            f"{where} returned {len(numbers)} numbers as {name!r} for a batch of {made.size} samples. Return one "
            f"number for the batch, or a list with one for each sample."
        )
    made.values[name] = sum(numbers) / len(numbers)
    if len(numbers) == made.size:
        made.scores[name] = numbers


def _flat(values: Sequence[float | list[float]]) -> list[float]:
    return [number for value in values for number in (value if isinstance(value, list) else [value])]
