"""`Tracking`: tells the ambient tracker metrics, verdicts and failures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afnio import _dispatch
from afnio.trainer.averages import Metrics
from afnio.trainer.callbacks.base import Callback
from afnio.trainer.fit import Fit, Stage
from afnio.trainer.gates import Verdict
from afnio.trainer.outcome import Failure

__all__ = ["COST", "UNPRICED", "Tracking"]

COST = "total_cost($)"
UNPRICED = "unpriced_calls"


class Tracking(Callback):
    """Metrics under ``train_``, ``val_`` and ``test_`` names, once an epoch; the rest as events.

    Args:
        steps: whether metrics have a step: the number of the epoch, from 1.
    """

    def __init__(self, steps: bool = True) -> None:
        self._steps = steps

    def on_fit_start(self, fit: Fit) -> None:
        """The prompts a fit starts from."""
        _event("fit_start", {"prompts": fit.prompts(), **fit.progress.state_dict()})

    def on_verdict(self, fit: Fit, verdict: Verdict) -> None:
        """What the gate found, and the values it judged."""
        updates = [
            {"role": update.parameter.role, "before": update.before, "after": update.after}
            for optimizer in fit.optimizers
            for update in optimizer.last_updates
            if update.before != update.after
        ]
        data = {"status": "kept" if verdict.kept else "undone", "before": verdict.before, "after": verdict.after}
        _event("gate", data | {"proposal": verdict.proposal, "updates": updates, "step": fit.progress.steps})

    def on_skip(self, fit: Fit, error: Exception) -> None:
        """An update that could not be made."""
        _event("update_skipped", {"error": f"{type(error).__name__}: {error}", "step": fit.progress.steps})

    def on_failure(self, fit: Fit, failure: Failure) -> None:
        """A sample that was given up."""
        error = f"{type(failure.error).__name__}: {failure.error}"
        _event(
            "sample_failed", {"stage": failure.stage, "batch": failure.batch, "sample": failure.sample, "error": error}
        )

    def on_stage_end(self, fit: Fit, stage: Stage, metrics: Metrics) -> None:
        """The means of a stage."""
        tracker = _dispatch.current_tracker()
        if tracker is None:
            return
        step = fit.progress.epoch_number if self._steps else None
        for name, value in metrics.prefixed(stage.prefix).items():
            tracker.metric(name, value, step)
        if not self._steps:
            _tell_costs(fit, step)

    def on_epoch_end(self, fit: Fit) -> None:
        """The cost so far."""
        _tell_costs(fit, fit.progress.epoch_number)

    def on_fit_end(self, fit: Fit) -> None:
        """How it ended, and with what."""
        best = (
            None if fit.best is None else {"score": fit.best.score, "metric": fit.best.metric, "epoch": fit.best.epoch}
        )
        data = {"stop_reason": fit.stop_reason, "interrupted": fit.interrupted, "best": best, "prompts": fit.prompts()}
        _event("fit_end", data)


def _tell_costs(fit: Fit, step: int | None) -> None:
    """Dollars, where any are known; and how many calls have no known price, where there are such."""
    tracker, costs = _dispatch.current_tracker(), fit.costs
    if tracker is None:
        return
    if costs.usd or not costs.unpriced:
        tracker.metric(COST, float(costs.usd), step)
    if costs.unpriced:
        tracker.metric(UNPRICED, costs.unpriced, step)


def _event(kind: str, data: Mapping[str, Any]) -> None:
    tracker = _dispatch.current_tracker()
    if tracker is not None:
        tracker.event(kind, data)
