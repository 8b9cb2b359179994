"""`Reporting`: warns in the log of what went wrong without ending the fit."""

from __future__ import annotations

import logging
import math

from afnio.trainer.averages import Metrics
from afnio.trainer.callbacks.base import Callback
from afnio.trainer.fit import PREDICT, TRAIN, Fit, Stage
from afnio.trainer.gates import Verdict
from afnio.trainer.outcome import Failure, Outcome

__all__ = ["BY_HAND", "Reporting"]

BY_HAND = (
    "automatic_optimization=False: training_step() runs backward() and the optimizers itself, once for each batch. No "
    "gate judges its updates, and a sample that fails ends the fit."
)

_NAN = (
    "%s() returned nan as %r %s. The mean, %s, is nan with it; a nan is never the best, and no update is kept for it. "
    "This is said once."
)

logger = logging.getLogger("afnio.trainer")


class Reporting(Callback):
    """One warning for each sample given up, each update that could not be made, and each metric that became NaN.

    Args:
        end: warn of an early end too; where a display is, that says so.
    """

    def __init__(self, end: bool = False) -> None:
        self._end = end
        self._nan: set[str] = set()
        self._done = 0

    def on_fit_start(self, fit: Fit) -> None:
        """What is different when the steps optimize by hand."""
        if self._end and not fit.agent.automatic_optimization:
            logger.info(BY_HAND)

    def on_verdict(self, fit: Fit, verdict: Verdict) -> None:
        """The updated prompts scored NaN."""
        if math.isnan(verdict.after):
            self._tell_nan(TRAIN, fit.goal.metric, f"after an update of batch {fit.progress.batch}")

    def on_batch_end(self, fit: Fit, stage: Stage, outcome: Outcome, metrics: Metrics) -> None:
        """A step told a NaN."""
        for name, value in outcome.values.items():
            if math.isnan(value):
                number = fit.progress.last_batch if stage is TRAIN else self._done
                self._tell_nan(stage, name, f"for batch {number}")
        self._done += 1

    def on_stage_start(self, fit: Fit, stage: Stage) -> None:
        """Batches are counted from 0."""
        self._done = 0

    def _tell_nan(self, stage: Stage, name: str, where: str) -> None:
        if stage.prefix + name not in self._nan:
            self._nan.add(stage.prefix + name)
            logger.warning(_NAN, stage.step, name, where, stage.prefix + name)

    def on_failure(self, fit: Fit, failure: Failure) -> None:
        """A sample was given up."""
        error = f"{type(failure.error).__name__}: {failure.error}"
        outcome = "has no prediction" if failure.stage == PREDICT.name else "counts as 0"
        where = failure.stage, failure.sample, failure.batch
        logger.warning("%s: sample %s of batch %d failed and %s. %s", *where, outcome, error)

    def on_skip(self, fit: Fit, error: Exception) -> None:
        """An update could not be made."""
        logger.warning("No update after batch %d: %s The prompts stay as they are.", fit.progress.batch, error)

    def on_fit_end(self, fit: Fit) -> None:
        """Why it ended early, and where to go on."""
        if self._end and fit.stop_reason is not None:
            where = f" Go on with fit(..., ckpt_path='last'): {fit.checkpoint}" if fit.checkpoint else ""
            reason = fit.stop_reason if fit.stop_reason.endswith(".") else f"{fit.stop_reason}."
            logger.warning("fit ended early: %s%s", reason, where)
