"""`Reporting`: warns in the log of what went wrong without ending the fit."""

from __future__ import annotations

import logging

from afnio.trainer.callbacks.base import Callback
from afnio.trainer.fit import PREDICT, Fit
from afnio.trainer.outcome import Failure

__all__ = ["BY_HAND", "Reporting"]

BY_HAND = (
    "automatic_optimization=False: training_step() runs backward() and the optimizers itself, once for each batch. No "
    "gate judges its updates, and a sample that fails ends the fit."
)

logger = logging.getLogger("afnio.trainer")


class Reporting(Callback):
    """One warning for each sample given up and each update that could not be made.

    Args:
        end: warn of an early end too; where a display is, that says so.
    """

    def __init__(self, end: bool = False) -> None:
        self._end = end

    def on_fit_start(self, fit: Fit) -> None:
        """What is different when the steps optimize by hand."""
        if self._end and not fit.agent.automatic_optimization:
            logger.info(BY_HAND)

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
