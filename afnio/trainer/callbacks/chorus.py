"""`Chorus`: many callbacks as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afnio.trainer.averages import Metrics
from afnio.trainer.callbacks.base import Callback
from afnio.trainer.fit import Fit, Stage
from afnio.trainer.gates import Verdict
from afnio.trainer.outcome import Failure, Outcome

__all__ = ["Chorus"]


class Chorus(Callback):
    """Tells each of ``callbacks``, in order."""

    def __init__(self, callbacks: Sequence[Any]) -> None:
        self.callbacks = list(callbacks)

    def on_fit_start(self, fit: Fit) -> None:
        """Told to each."""
        for each in self.callbacks:
            each.on_fit_start(fit)

    def on_epoch_start(self, fit: Fit) -> None:
        """Told to each."""
        for each in self.callbacks:
            each.on_epoch_start(fit)

    def on_stage_start(self, fit: Fit, stage: Stage) -> None:
        """Told to each."""
        for each in self.callbacks:
            each.on_stage_start(fit, stage)

    def on_batch_end(self, fit: Fit, stage: Stage, outcome: Outcome, metrics: Metrics) -> None:
        """Told to each."""
        for each in self.callbacks:
            each.on_batch_end(fit, stage, outcome, metrics)

    def on_verdict(self, fit: Fit, verdict: Verdict) -> None:
        """Told to each."""
        for each in self.callbacks:
            each.on_verdict(fit, verdict)

    def on_skip(self, fit: Fit, error: Exception) -> None:
        """Told to each."""
        for each in self.callbacks:
            each.on_skip(fit, error)

    def on_failure(self, fit: Fit, failure: Failure) -> None:
        """Told to each."""
        for each in self.callbacks:
            each.on_failure(fit, failure)

    def on_stage_end(self, fit: Fit, stage: Stage, metrics: Metrics) -> None:
        """Told to each."""
        for each in self.callbacks:
            each.on_stage_end(fit, stage, metrics)

    def on_epoch_end(self, fit: Fit) -> None:
        """Told to each."""
        for each in self.callbacks:
            each.on_epoch_end(fit)

    def on_fit_end(self, fit: Fit) -> None:
        """Told to each."""
        for each in self.callbacks:
            each.on_fit_end(fit)

    def states(self) -> list[dict[str, Any]]:
        """The state of each, for a checkpoint."""
        return [each.state_dict() for each in self.callbacks]

    def load_states(self, states: Sequence[dict[str, Any]]) -> None:
        """Give each its state back; callbacks that were not there then start anew."""
        for each, state in zip(self.callbacks, states, strict=False):
            if state:
                each.load_state_dict(state)
