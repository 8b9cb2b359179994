"""`Checkpointing`: writes a checkpoint at the start, after batches, after each epoch, and of the best."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from afnio import _dispatch
from afnio.errors import CheckpointError
from afnio.trainer.averages import Metrics
from afnio.trainer.callbacks.base import Callback
from afnio.trainer.callbacks.keep_best import monitored
from afnio.trainer.callbacks.model_checkpoint import ModelCheckpoint
from afnio.trainer.checkpoints import Folder
from afnio.trainer.fit import TRAIN, Fit, Stage
from afnio.trainer.outcome import Outcome

__all__ = ["Checkpointing"]

logger = logging.getLogger("afnio.trainer")


class Checkpointing(Callback):
    """Each file is there whole or not at all.

    One that cannot be written (a full disk) is warned of once and the training goes on: the parameters are in memory
    and the calls in the call log.  Only the first one must succeed, before anything was paid for.

    Args:
        folder: where to.
        pack: makes the content.
        policy: says which are written and kept.
    """

    def __init__(self, folder: Folder, pack: Callable[[], dict[str, Any]], policy: ModelCheckpoint) -> None:
        self._folder, self._pack, self._policy = folder, pack, policy
        self._warned = False

    def on_fit_start(self, fit: Fit) -> None:
        """The start, unless it is a checkpoint already.

        Raises:
            CheckpointError: it cannot be written.
        """
        if fit.checkpoint is not None:
            return
        path, content = self._folder.of_epoch(0), self._pack()
        try:
            self._folder.write(content, path)
        except (OSError, TypeError) as error:
            raise CheckpointError(
                f"No checkpoint can be written to {self._folder.path}: {error} Choose another default_root_dir=, "
                "make the agent savable, or pass enable_checkpointing=False."
            ) from error
        self._written(fit, path)

    def on_batch_end(self, fit: Fit, stage: Stage, outcome: Outcome, metrics: Metrics) -> None:
        """After a batch of training."""
        if stage is TRAIN and self._policy.wants_batch(fit.progress.steps):
            self._write(fit, [self._folder.of_batch(fit.progress.epoch_number, fit.progress.last_batch)])

    def on_epoch_end(self, fit: Fit) -> None:
        """After each epoch that was completed; and the best."""
        progress = fit.progress
        paths = [] if progress.batch else [self._folder.of_epoch(progress.epoch)]
        if fit.best and (fit.best.epoch, fit.best.batch) == (progress.epoch_number, progress.last_batch):
            paths.insert(0, self._folder.best)
        self._write(fit, paths)

    def _write(self, fit: Fit, paths: list[Path]) -> None:
        if not paths:
            return
        content = self._pack()
        try:
            for path in paths:
                self._folder.write(content, path)
                self._written(fit, path)
        except (OSError, TypeError) as error:
            if not self._warned:
                self._warned = True
                last = f"The last one that was is {fit.checkpoint}." if fit.checkpoint else ""
                logger.warning("A checkpoint could not be written: %s. Training goes on without. %s", error, last)

    def _tidy(self, fit: Fit, path: Path) -> None:
        """Remove what is not kept.  A file that cannot be removed only takes space."""
        of_epoch = path.parent == self._folder.path
        score = monitored(fit) if of_epoch and fit.progress.steps else None
        value = None if score is None else score[1]
        for old in self._policy.written(self._folder.path, path, value, fit.goal, of_epoch=of_epoch):
            with contextlib.suppress(OSError):
                old.unlink(missing_ok=True)
                if old.parent != self._folder.path and not any(old.parent.iterdir()):
                    old.parent.rmdir()

    def _written(self, fit: Fit, path: Path) -> None:
        if path != self._folder.best:
            fit.checkpoint = str(path)
            self._tidy(fit, path)
        tracker = _dispatch.current_tracker()
        if tracker is not None:
            where = {"path": str(path.absolute()), "best": path == self._folder.best}
            tracker.event("checkpoint", where | {"epoch": fit.progress.epoch_number, "batch": fit.progress.last_batch})
