"""`Callback`: what may be done while a fit runs, besides training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afnio.trainer.averages import Metrics
from afnio.trainer.fit import PREDICT, TEST, TRAIN, VALIDATION, Fit, Stage
from afnio.trainer.gates import Verdict
from afnio.trainer.outcome import Failure, Outcome

__all__ = ["HOOKS", "Callback"]


class Callback:
    """Told what happens; redefine what you want to hear.

    Callbacks are told one after the other, in the order given.  One may end the fit with ``fit.stop(reason)``.
    They run in the thread (or event loop) that called ``fit``.  What one raises ends the fit, like any other error.

    A *stage* is a pass over a data loader: ``stage.name`` is ``"train"``, ``"validation"``, ``"test"`` or
    ``"predict"``.  The hooks of stages and batches hear of all four, those by Lightning's names of one each;
    whoever redefines both ``on_batch_end`` and ``on_train_batch_end`` calls ``super().on_batch_end(...)``.
    ``validate``, ``test`` and ``predict`` tell of stages, batches, failures and exceptions only.

    ``fit`` is what is known of the fit: ``fit.agent``, ``fit.optimizers``, ``fit.progress``, ``fit.metrics``, ...

    Modelled on https://lightning.ai/docs/pytorch/stable/api/lightning.pytorch.callbacks.Callback.html
    """

    # a fit

    def on_fit_start(self, fit: Fit) -> None:
        """Everything is set up, or loaded from a checkpoint; no call was made yet."""

    def on_epoch_start(self, fit: Fit) -> None:
        """Epoch number ``fit.progress.epoch`` (from 0) begins, or goes on after a resume."""
        self.on_train_epoch_start(fit)

    def on_verdict(self, fit: Fit, verdict: Verdict) -> None:
        """The gate kept an update, or undid it."""

    def on_undo(self, fit: Fit) -> None:
        """What a batch proposed was taken back before the gate could judge it: something failed, or ends the fit."""

    def on_skip(self, fit: Fit, error: Exception) -> None:
        """A batch is left without an update: a model's reply could not be used."""

    def on_epoch_end(self, fit: Fit) -> None:
        """Training and validation of an epoch are over."""
        self.on_train_epoch_end(fit)

    def on_fit_end(self, fit: Fit) -> None:
        """The fit is over, whatever ended it; the best parameters are back."""

    # any pass over a data loader

    def on_stage_start(self, fit: Fit, stage: Stage) -> None:
        """A pass over a data loader begins."""
        hook = {VALIDATION: self.on_validation_start, TEST: self.on_test_start, PREDICT: self.on_predict_start}
        if stage in hook:
            hook[stage](fit)

    def on_batch_start(self, fit: Fit, stage: Stage, batch: Any, batch_idx: int) -> None:
        """A batch is about to be given to the step; several may be, where an async step is not trained."""
        hook = {
            TRAIN: self.on_train_batch_start,
            VALIDATION: self.on_validation_batch_start,
            TEST: self.on_test_batch_start,
            PREDICT: self.on_predict_batch_start,
        }
        hook[stage](fit, batch, batch_idx)

    def on_batch_end(self, fit: Fit, stage: Stage, outcome: Outcome, metrics: Metrics) -> None:
        """A batch is done; ``metrics`` are the means so far."""
        hook = {
            TRAIN: self.on_train_batch_end,
            VALIDATION: self.on_validation_batch_end,
            TEST: self.on_test_batch_end,
            PREDICT: self.on_predict_batch_end,
        }
        hook[stage](fit, outcome, metrics)

    def on_failure(self, fit: Fit, failure: Failure) -> None:
        """A sample was given up."""

    def on_stage_end(self, fit: Fit, stage: Stage, metrics: Metrics) -> None:
        """A pass over a data loader is over; ``metrics`` are its means, without prefix."""
        hook = {VALIDATION: self.on_validation_end, TEST: self.on_test_end, PREDICT: self.on_predict_end}
        if stage in hook:
            hook[stage](fit, metrics)

    def on_exception(self, fit: Fit, error: BaseException) -> None:
        """Something was raised, Ctrl-C included, and ends it all; a used-up budget is no exception."""

    # the same, by Lightning's names

    def on_train_epoch_start(self, fit: Fit) -> None:
        """`on_epoch_start`."""

    def on_train_epoch_end(self, fit: Fit) -> None:
        """`on_epoch_end`."""

    def on_train_batch_start(self, fit: Fit, batch: Any, batch_idx: int) -> None:
        """`on_batch_start` of training."""

    def on_train_batch_end(self, fit: Fit, outcome: Outcome, metrics: Metrics) -> None:
        """`on_batch_end` of training."""

    def on_validation_start(self, fit: Fit) -> None:
        """`on_stage_start` of validation, in a fit or not."""

    def on_validation_batch_start(self, fit: Fit, batch: Any, batch_idx: int) -> None:
        """`on_batch_start` of validation."""

    def on_validation_batch_end(self, fit: Fit, outcome: Outcome, metrics: Metrics) -> None:
        """`on_batch_end` of validation."""

    def on_validation_end(self, fit: Fit, metrics: Metrics) -> None:
        """`on_stage_end` of validation."""

    def on_test_start(self, fit: Fit) -> None:
        """`on_stage_start` of a test."""

    def on_test_batch_start(self, fit: Fit, batch: Any, batch_idx: int) -> None:
        """`on_batch_start` of a test."""

    def on_test_batch_end(self, fit: Fit, outcome: Outcome, metrics: Metrics) -> None:
        """`on_batch_end` of a test."""

    def on_test_end(self, fit: Fit, metrics: Metrics) -> None:
        """`on_stage_end` of a test."""

    def on_predict_start(self, fit: Fit) -> None:
        """`on_stage_start` of a prediction."""

    def on_predict_batch_start(self, fit: Fit, batch: Any, batch_idx: int) -> None:
        """`on_batch_start` of a prediction."""

    def on_predict_batch_end(self, fit: Fit, outcome: Outcome, metrics: Metrics) -> None:
        """`on_batch_end` of a prediction."""

    def on_predict_end(self, fit: Fit, metrics: Metrics) -> None:
        """`on_stage_end` of a prediction."""

    # checkpoints

    def on_save_checkpoint(self, fit: Fit, checkpoint: dict[str, Any]) -> None:
        """``checkpoint`` is about to be written; what is put into it comes back in `on_load_checkpoint`."""

    def on_load_checkpoint(self, fit: Fit, checkpoint: Mapping[str, Any]) -> None:
        """The fit goes on from ``checkpoint``; everything of it is loaded."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep of this callback: plain JSON values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
"""The names of all hooks."""
