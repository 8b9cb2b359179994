"""`KeepBest`: remembers the best parameters and brings them back at the end."""

from __future__ import annotations

import copy
import math

from afnio.errors import StepError
from afnio.trainer.callbacks.base import Callback
from afnio.trainer.fit import TRAIN, VALIDATION, Best, Fit, learnables

__all__ = ["KeepBest", "monitored"]


class KeepBest(Callback):
    """At the end of each epoch the parameters are compared with the best so far; a tie goes to the later ones, and a
    score that is NaN is never the best.

    By the monitored metric on validation data, where there are some; else on the training data, each batch counted
    with the score of the parameters that were held after it.

    Args:
        restore: bring the best back when the fit ends.
    """

    def __init__(self, restore: bool = True) -> None:
        self.restore = restore

    def on_epoch_end(self, fit: Fit) -> None:
        """Compare."""
        found = monitored(fit)
        if found is None or math.isnan(found[1]):
            return
        name, score = found
        if fit.best is None or not fit.goal.better(fit.best.score, score):
            at, prompts = fit.progress, copy.deepcopy(fit.prompts())
            fit.best = Best(score, name, at.epoch_number, at.last_batch, prompts, dict(fit.metrics))

    def on_fit_end(self, fit: Fit) -> None:
        """Bring the best back."""
        if self.restore and fit.best is not None:
            for name, variable in learnables(fit.agent, fit.optimizers).items():
                if name in fit.best.prompts:
                    variable.data = copy.deepcopy(fit.best.prompts[name])


def monitored(fit: Fit) -> tuple[str, float] | None:
    """Name and value of the metric that says what is best; None: steps that optimize by hand told no loss.

    Raises:
        StepError: no step returned the metric that was asked for.
    """
    metric = fit.goal.metric
    for stage in (VALIDATION, TRAIN):
        name = stage.prefix + metric
        if name in fit.metrics and fit.goal.monitor in (None, metric, name):
            return name, fit.held.metrics()[metric] if stage is TRAIN else fit.metrics[name]
    if fit.goal.monitor is None and not fit.agent.automatic_optimization:
        return None
    raise StepError(
        f"monitor={fit.goal.monitor!r} is none of the metrics: {', '.join(sorted(fit.metrics))}. "
        f"Name one of them, or return {metric!r} from the steps."
    )
