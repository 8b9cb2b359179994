"""`Showing`: puts what happens on a display."""

from __future__ import annotations

from collections.abc import Mapping

from afnio.calls import Row
from afnio.calls.ledger import dollars
from afnio.trainer.averages import Metrics
from afnio.trainer.callbacks.base import Callback
from afnio.trainer.callbacks.reporting import BY_HAND
from afnio.trainer.costs import spent_since
from afnio.trainer.display import Display
from afnio.trainer.display.text import figures
from afnio.trainer.fit import PREDICT, TEST, TRAIN, VALIDATION, Fit, Stage
from afnio.trainer.outcome import Outcome

__all__ = ["Showing"]

HEADERS = {VALIDATION: "Validation", TEST: "Testing", PREDICT: "Predicting"}


class Showing(Callback):
    """Rows for the stages, and at the end what the gate did and cost, what is best, and why it ended early.

    Args:
        display: where.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._done = self._samples = 0
        self._before: Mapping[tuple[str, str, str, str], Row] = {}

    def on_fit_start(self, fit: Fit) -> None:
        """Where it goes on from."""
        self._before = fit.ledger.rows()
        if not fit.agent.automatic_optimization:
            self._display.line(BY_HAND)
        if fit.checkpoint is not None:
            at = fit.progress
            self._display.line(f"Resumed from {fit.checkpoint}: {at.epoch} epochs and {at.batch} batches are done.")

    def on_epoch_start(self, fit: Fit) -> None:
        """``Epoch 1/3``."""
        self._display.header(f"Epoch {fit.progress.epoch + 1}/{fit.max_epochs}")

    def on_stage_start(self, fit: Fit, stage: Stage) -> None:
        """A row begins."""
        if not fit.optimizers and stage is not TRAIN:
            self._display.header(HEADERS[stage])
        self._done, self._samples = (fit.progress.batch if stage is TRAIN else 0), 0
        self._display.start(stage.label, fit.totals.get(stage.name), self._done)

    def on_batch_end(self, fit: Fit, stage: Stage, outcome: Outcome, metrics: Metrics) -> None:
        """The row moves on."""
        self._done += 1
        self._samples += outcome.size + outcome.failed
        self._display.advance(self._done, self._samples, figures(fit.costs, metrics.prefixed(stage.prefix)))

    def on_stage_end(self, fit: Fit, stage: Stage, metrics: Metrics) -> None:
        """The row is complete."""
        self._display.stop(figures(fit.costs, fit.metrics))
        if metrics.failed:
            outcome = "have no prediction" if stage is PREDICT else "count as 0"
            self._display.line(f"{metrics.failed} of {metrics.samples} samples failed and {outcome}.")

    def on_fit_end(self, fit: Fit) -> None:
        """The sum of it all."""
        self._display.close()
        if fit.optimizers:
            for text in _summary(fit, self._before):
                self._display.line(text)


def _summary(fit: Fit, before: Mapping[tuple[str, str, str, str], Row]) -> list[str]:
    done = fit.progress
    updates = f"{done.updates} updates kept, {done.undone} undone, {done.skipped} skipped"
    lines = [f"{done.steps} steps: {updates}. Cost: {fit.costs}."]
    for phase, name in (("search", "The search"), ("gate", "The gate")):
        spent = spent_since(fit.ledger, before, phase)
        if spent.calls or spent.reused:
            lines.append(
                f"{name}: {spent.calls} calls ({spent.reused} reused), {spent.tokens} tokens, {_dollars(spent)}."
            )
    if fit.best is not None:
        lines.append(f"Best: {fit.best.metric} {fit.best.score:.4f} in epoch {fit.best.epoch}.")
    if fit.stop_reason is not None:
        lines.append(f"Ended early: {fit.stop_reason}")
    if fit.stop_reason is not None and fit.checkpoint is not None:
        lines.append(f"Go on with fit(..., ckpt_path='last'): {fit.checkpoint}")
    return lines


def _dollars(row: Row) -> str:
    return dollars(row.usd, row.unpriced)
