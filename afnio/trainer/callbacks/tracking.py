"""`Tracking`: tells the ambient tracker what a fit starts from, its metrics, verdicts and failures, and how it ended.

New prompts are told by the optimizers, checkpoints by `Checkpointing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afnio import _dispatch
from afnio.trainer.averages import Metrics
from afnio.trainer.callbacks.base import Callback
from afnio.trainer.fit import Fit, Stage, learnables
from afnio.trainer.gates import Verdict
from afnio.trainer.outcome import Failure

__all__ = ["COST", "UNPRICED", "Tracking"]

COST = "total_cost($)"
UNPRICED = "unpriced_calls"


class Tracking(Callback):
    """Metrics under ``train_``, ``val_`` and ``test_`` names, once an epoch; the rest as events, plain JSON values.

    Prompts, verdicts and failures count steps in batches, from 1; step 0 is what the fit starts from.

    Args:
        fits: whether it listens to a fit, whose metrics have a step: the number of the epoch, from 1; else to a
            validation or a test, which tells only metrics.
    """

    def __init__(self, fits: bool = True) -> None:
        self._fits = fits

    def on_fit_start(self, fit: Fit) -> None:
        """The prompts a fit starts from, by name."""
        trained = learnables(fit.agent, fit.optimizers)
        data = {
            "prompts": {name: variable.data for name, variable in trained.items()},
            "roles": {name: variable.role for name, variable in trained.items()},
            "step": fit.progress.steps,
        }
        _event("fit_start", data | fit.progress.state_dict())

    def on_verdict(self, fit: Fit, verdict: Verdict) -> None:
        """What the gate found, and the values it judged."""
        data = {"status": "kept" if verdict.kept else "undone", "before": verdict.before, "after": verdict.after}
        _event("gate", data | {"proposal": verdict.proposal, "updates": _updates(fit), "step": _step(fit)})

    def on_undo(self, fit: Fit) -> None:
        """Values that were taken back, and that nobody judged."""
        updates = _updates(fit)
        if updates:
            data = {"status": "undone", "before": None, "after": None, "proposal": None}
            _event("gate", data | {"updates": updates, "step": _step(fit)})

    def on_skip(self, fit: Fit, error: Exception) -> None:
        """An update that could not be made."""
        _event("update_skipped", {"error": f"{type(error).__name__}: {error}", "step": _step(fit)})

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
        step = fit.progress.epoch_number if self._fits else None
        for name, value in metrics.prefixed(stage.prefix).items():
            tracker.metric(name, value, step)
        if not self._fits:
            _tell_costs(fit, step)

    def on_epoch_end(self, fit: Fit) -> None:
        """The cost so far."""
        _tell_costs(fit, fit.progress.epoch_number)

    def on_fit_end(self, fit: Fit) -> None:
        """How it ended, and with what."""
        if not self._fits:
            return
        best = (
            None if fit.best is None else {"score": fit.best.score, "metric": fit.best.metric, "epoch": fit.best.epoch}
        )
        data = {"stop_reason": fit.stop_reason, "interrupted": fit.interrupted, "best": best, "prompts": fit.prompts()}
        _event("fit_end", data)


def _step(fit: Fit) -> int:
    """Number of the batch under way, from 1."""
    return fit.progress.steps + 1


def _updates(fit: Fit) -> list[dict[str, Any]]:
    """What the batch under way changed last."""
    return [
        {"parameter": update.name, "role": update.parameter.role, "before": update.before, "after": update.after}
        for optimizer in fit.optimizers
        for update in optimizer.last_updates
        if update.step == _step(fit) and update.before != update.after
    ]


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
