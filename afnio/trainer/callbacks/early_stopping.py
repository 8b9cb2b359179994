"""`EarlyStopping`: ends a fit that gets no better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afnio.trainer.callbacks.base import Callback
from afnio.trainer.fit import Fit

__all__ = ["EarlyStopping"]


class EarlyStopping(Callback):
    """Ends the fit when the best score was not bettered for ``patience`` epochs.

    Args:
        patience: epochs to wait.
        min_delta: a smaller gain counts as none.
        target: a score that is good enough: the fit ends when it is reached.

    Modelled on https://lightning.ai/docs/pytorch/stable/api/lightning.pytorch.callbacks.EarlyStopping.html
    """

    def __init__(self, patience: int = 3, min_delta: float = 0.0, target: float | None = None) -> None:
        if patience < 1:
            raise ValueError(f"patience must be at least 1, got {patience}.")
        self.patience, self.min_delta, self.target = patience, min_delta, target
        self._score: float | None = None
        self._waited = 0

    def on_epoch_end(self, fit: Fit) -> None:
        """Compare the best score with the one remembered."""
        if fit.best is None:
            return
        score, goal = fit.best.score, fit.goal
        if self.target is not None and not goal.better(self.target, score):
            fit.stop(f"{fit.best.metric} reached {score:.4f}")
        gain = 0.0 if self._score is None else (score - self._score) * (1 if goal.mode == "max" else -1)
        if self._score is None or gain > self.min_delta:
            self._score, self._waited = score, 0
            return
        self._waited += 1
        if self._waited >= self.patience:
            fit.stop(f"{fit.best.metric} was no better than {self._score:.4f} for {self._waited} epochs")

    def state_dict(self) -> dict[str, Any]:
        """The score waited on, and for how long."""
        return {"score": self._score, "waited": self._waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on waiting."""
        self._score, self._waited = state["score"], state["waited"]
