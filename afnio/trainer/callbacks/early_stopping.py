"""`EarlyStopping`: ends a fit that gets no better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from afnio.errors import StepError
from afnio.trainer.callbacks.base import Callback
from afnio.trainer.callbacks.keep_best import monitored
from afnio.trainer.fit import Fit

__all__ = ["EarlyStopping"]


class EarlyStopping(Callback):
    """Ends the fit when a score was not bettered for ``patience`` epochs.

    Args:
        patience: epochs to wait.
        min_delta: a smaller gain counts as none.
        target: a score that is good enough: the fit ends when it is reached.
        monitor: name of the metric, with its prefix: ``"val_loss"``; None: what the Trainer calls best.
        mode: ``"max"``: higher is better, ``"min"``: lower is; None: as for the Trainer.
        check_finite: end the fit when the score is NaN or infinite.

    Raises:
        ValueError: ``patience``, ``min_delta``, ``target`` or ``mode`` is something else.
        StepError: at the end of an epoch: there is no metric ``monitor``.

    Modelled on https://lightning.ai/docs/pytorch/stable/api/lightning.pytorch.callbacks.EarlyStopping.html
    """

    def __init__(
        self,
        patience: int = 3,
        min_delta: float = 0.0,
        target: float | None = None,
        *,
        monitor: str | None = None,
        mode: str | None = None,
        check_finite: bool = True,
    ) -> None:
        if not isinstance(patience, int) or isinstance(patience, bool) or patience < 1:
            raise ValueError(f"patience must be an int of at least 1, got {patience!r}.")
        for name, value in (("min_delta", min_delta), ("target", 0.0 if target is None else target)):
            if not isinstance(value, (int, float)) or math.isnan(value):
                raise ValueError(f"{name} must be a number, got {value!r}.")
        if mode not in (None, "max", "min"):
            raise ValueError(f"mode must be 'max' (higher scores are better), 'min' or None, got {mode!r}.")
        self.patience, self.min_delta, self.target = patience, min_delta, target
        self.monitor, self.mode, self.check_finite = monitor, mode, check_finite
        self._score: float | None = None
        self._waited = 0

    def on_fit_start(self, fit: Fit) -> None:
        """Forget an earlier fit, unless this one goes on with it."""
        if fit.checkpoint is None:
            self._score, self._waited = None, 0

    def on_epoch_end(self, fit: Fit) -> None:
        """Compare the score with the one remembered."""
        if not self._finite(fit):
            return
        name, score = self._now(fit)
        if name is None:
            return
        sign = 1 if (self.mode or fit.goal.mode) == "max" else -1
        if self.target is not None and (score - self.target) * sign >= 0:
            fit.stop(f"{name} reached {score:.4f}")
        gain = 0.0 if self._score is None else (score - self._score) * sign
        if self._score is None or gain > self.min_delta:
            self._score, self._waited = score, 0
            return
        self._waited += 1
        if self._waited >= self.patience:
            fit.stop(f"{name} was no better than {self._score:.4f} for {self._waited} epochs")

    def _finite(self, fit: Fit) -> bool:
        """Whether the epoch has a score that can be compared; with `check_finite` one that is none ends the fit."""
        found = monitored(fit) if self.monitor is None else self._now(fit)
        if found is None or math.isfinite(found[1]):
            return True
        name, score = found
        if self.check_finite:
            known = "there was none before" if self._score is None else f"the best before was {self._score:.4f}"
            fit.stop(f"{name} is {score}, which is no score; {known}")
        return not self.check_finite and not math.isnan(score)

    def _now(self, fit: Fit) -> tuple[str | None, float]:
        """Name and value of the metric; no name where there is nothing to compare yet."""
        if self.monitor is None:
            return (None, 0.0) if fit.best is None else (fit.best.metric, fit.best.score)
        if self.monitor not in fit.metrics:
            raise StepError(
                f"EarlyStopping(monitor={self.monitor!r}) is none of the metrics: {', '.join(sorted(fit.metrics))}."
            )
        return self.monitor, fit.metrics[self.monitor]

    def state_dict(self) -> dict[str, Any]:
        """The score waited on, and for how long."""
        return {"score": self._score, "waited": self._waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on waiting."""
        self._score, self._waited = state["score"], state["waited"]
