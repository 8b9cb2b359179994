"""What a batch comes to with values that an optimizer tries."""

from __future__ import annotations

import math
from typing import Any

from afnio.calls import phase
from afnio.optim.evaluation import Evaluation, evaluators
from afnio.trainer.batches import known_ids
from afnio.trainer.fit import Goal
from afnio.trainer.outcome import Outcome
from afnio.trainer.results import LOSS
from afnio.trainer.steps import StepRunner

__all__ = ["evaluation"]


async def evaluation(runner: StepRunner, goal: Goal, batch: Any, index: int) -> Evaluation:
    """Run the step on ``batch`` with the values the parameters have now, and score each sample, higher is better."""
    with phase("search"):
        outcome = await runner.run(batch, index)
    names, there = known_ids(batch), None if outcome.batch is None else known_ids(outcome.batch)
    sign = 1.0 if goal.mode == "max" else -1.0
    numbers = _scores(outcome, goal)
    if numbers is None or names is None or len(numbers) != len(there or ()):
        numbers = numbers or [outcome.score(goal.metric, goal.mode)]
        return Evaluation([_signed(number, sign) for number in numbers], None, outcome.roots)
    found = dict(zip(there or (), numbers, strict=True))
    worst = 0.0 if goal.mode == "max" else math.inf  # as a sample that was given up counts elsewhere
    return Evaluation([_signed(found.get(name, worst), sign) for name in names], names, outcome.roots)


def _signed(number: float, sign: float) -> float:
    """``number`` so that higher is better; NaN is worse than all."""
    return -math.inf if math.isnan(number) else sign * number


def _scores(outcome: Outcome, goal: Goal) -> list[float] | None:
    """The number of each sample: as the step tells it, else as the evaluator of its loss knows it."""
    metric = goal.metric if goal.metric in outcome.values else LOSS
    if metric in outcome.scores:
        return outcome.scores[metric]
    scored = [float(score) for node in evaluators(outcome.roots) for score, _ in node.ctx.scored]
    return scored if metric == LOSS and len(scored) == outcome.size else None
