"""`ModelCheckpoint`: which checkpoints of a fit are written, and which are kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afnio.trainer.callbacks.base import Callback
from afnio.trainer.fit import Fit, Goal

__all__ = ["ModelCheckpoint"]


class ModelCheckpoint(Callback):
    """Says which checkpoints a Trainer writes and keeps; without one, this is its default.

    Args:
        save_top_k: of the checkpoints at the ends of epochs, keep the k that scored best in the monitored metric;
            -1: all of them; 0: none.
        keep_batches: of the checkpoints between the batches, keep this many, the newest; -1: all of them.
        every_n_train_steps: write one after each n-th batch.

    The newest checkpoint of all and ``best.hf`` are always kept.  Only files that this fit wrote are removed.

    Raises:
        ValueError: a number is out of its range.

    Modelled on https://lightning.ai/docs/pytorch/stable/api/lightning.pytorch.callbacks.ModelCheckpoint.html
    """

    def __init__(self, save_top_k: int = -1, keep_batches: int = 100, every_n_train_steps: int = 1) -> None:
        for name, value, least in (
            ("save_top_k", save_top_k, -1),
            ("keep_batches", keep_batches, -1),
            ("every_n_train_steps", every_n_train_steps, 1),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"ModelCheckpoint({name}={value!r}): expected an int of at least {least}.")
        self.save_top_k, self.keep_batches, self.every_n_train_steps = save_top_k, keep_batches, every_n_train_steps
        self._epochs: list[tuple[str, float | None]] = []
        self._batches: list[str] = []

    def on_fit_start(self, fit: Fit) -> None:
        """Leave the files of an earlier fit alone, unless this one goes on with it."""
        if fit.checkpoint is None:
            self._epochs, self._batches = [], []

    def wants_batch(self, steps: int) -> bool:
        """Whether a checkpoint is due after ``steps`` batches."""
        return steps % self.every_n_train_steps == 0

    def written(self, folder: Path, path: Path, score: float | None, goal: Goal, *, of_epoch: bool) -> list[Path]:
        """Note a new checkpoint; returns those to remove now."""
        name = path.relative_to(folder).as_posix()
        if of_epoch:
            self._epochs = [(other, known) for other, known in self._epochs if other != name] + [(name, score)]
        else:
            self._batches = [other for other in self._batches if other != name] + [name]
        gone = {*self._epochs_to_remove(goal), *self._batches_to_remove()} - {name}
        self._epochs = [(other, known) for other, known in self._epochs if other not in gone]
        self._batches = [other for other in self._batches if other not in gone]
        return [folder / other for other in sorted(gone)]

    def _epochs_to_remove(self, goal: Goal) -> list[str]:
        if self.save_top_k < 0:
            return []
        sign = 1 if goal.mode == "max" else -1
        places = range(len(self._epochs))
        ranked = sorted(places, key=lambda place: (_rank(self._epochs[place][1], sign), place), reverse=True)
        return [self._epochs[place][0] for place in ranked[self.save_top_k :]]

    def _batches_to_remove(self) -> list[str]:
        return [] if self.keep_batches < 0 else self._batches[: len(self._batches) - self.keep_batches]

    def state_dict(self) -> dict[str, Any]:
        """The files written so far."""
        return {"epochs": [list(each) for each in self._epochs], "batches": list(self._batches)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the files of the fit that is resumed."""
        self._epochs = [(name, score) for name, score in state["epochs"]]
        self._batches = list(state["batches"])


def _rank(score: float | None, sign: int) -> float:
    return float("-inf") if score is None or score != score else sign * score
