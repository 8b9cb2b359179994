"""`Callback`: what may be done while a fit runs, besides training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afnio.trainer.averages import Metrics
from afnio.trainer.fit import Fit, Stage
from afnio.trainer.gates import Verdict
from afnio.trainer.outcome import Failure, Outcome

__all__ = ["Callback"]


class Callback:
    """Told what happens; redefine what you want to hear.

    Callbacks are told one after the other, in the order given.  One may end the fit with ``fit.stop(reason)``.
    They run in the thread (or event loop) that called ``fit``.
    """

    def on_fit_start(self, fit: Fit) -> None:
        """Everything is set up, or loaded from a checkpoint; no call was made yet."""

    def on_epoch_start(self, fit: Fit) -> None:
        """Epoch number ``fit.progress.epoch`` (from 0) begins, or goes on after a resume."""

    def on_stage_start(self, fit: Fit, stage: Stage) -> None:
        """A pass over a data loader begins."""

    def on_batch_end(self, fit: Fit, stage: Stage, outcome: Outcome, metrics: Metrics) -> None:
        """A batch is done; ``metrics`` are the means so far."""

    def on_verdict(self, fit: Fit, verdict: Verdict) -> None:
        """The gate kept an update, or undid it."""

    def on_undo(self, fit: Fit) -> None:
        """What a batch proposed was taken back before the gate could judge it: something failed, or ends the fit."""

    def on_skip(self, fit: Fit, error: Exception) -> None:
        """A batch is left without an update: a model's reply could not be used."""

    def on_failure(self, fit: Fit, failure: Failure) -> None:
        """A sample was given up."""

    def on_stage_end(self, fit: Fit, stage: Stage, metrics: Metrics) -> None:
        """A pass over a data loader is over; ``metrics`` are its means, without prefix."""

    def on_epoch_end(self, fit: Fit) -> None:
        """Training and validation of an epoch are over."""

    def on_fit_end(self, fit: Fit) -> None:
        """The fit is over, whatever ended it; the best parameters are back."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep: plain JSON values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
