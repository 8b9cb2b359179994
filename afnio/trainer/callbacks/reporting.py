"""`Reporting`: warns in the log of what went wrong without ending the fit."""

from __future__ import annotations

import logging

from afnio.trainer.callbacks.base import Callback
from afnio.trainer.fit import Fit
from afnio.trainer.outcome import Failure

__all__ = ["Reporting"]

logger = logging.getLogger("afnio.trainer")


class Reporting(Callback):
    """One warning for each sample given up and each update that could not be made."""

    def on_failure(self, fit: Fit, failure: Failure) -> None:
        """A sample was given up."""
        error = f"{type(failure.error).__name__}: {failure.error}"
        logger.warning(
            "%s: sample %s of batch %d failed and counts as 0. %s", failure.stage, failure.sample, failure.batch, error
        )

    def on_skip(self, fit: Fit, error: Exception) -> None:
        """An update could not be made."""
        logger.warning("No update after batch %d: %s The prompts stay as they are.", fit.progress.batch, error)
