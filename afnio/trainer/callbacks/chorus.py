"""`Chorus`: many callbacks as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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

    def on_undo(self, fit: Fit) -> None:
        """Told to each."""
        for each in self.callbacks:
            each.on_undo(fit)

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

    def states(self) -> dict[str, dict[str, Any]]:
        """The states of those that have one, for a checkpoint."""
        return {name: state for name, each in self._named() if (state := each.state_dict())}

    def load_states(self, states: Mapping[str, dict[str, Any]]) -> None:
        """Give each its state back; callbacks that were not there then start anew."""
        for name, each in self._named():
            if name in states:
                each.load_state_dict(states[name])

    def _named(self) -> Iterator[tuple[str, Any]]:
        """Class and number among those of its class -> callback."""
        seen: Counter[str] = Counter()
        for each in self.callbacks:
            kind = type(each).__qualname__
            yield f"{kind}:{seen[kind]}", each
            seen[kind] += 1
