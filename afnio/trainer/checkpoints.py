"""Checkpoint files: their names, how one is found, read and checked."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from afnio.errors import CheckpointError
from afnio.serialization import load, save

__all__ = ["FORMAT", "Folder", "read"]

logger = logging.getLogger("afnio.trainer")

FORMAT = "afnio.trainer/1"


class Folder:
    """The folder ``<root>/checkpoints``.

    Args:
        root: its parent; None: the working directory.
    """

    def __init__(self, root: str | os.PathLike[str] | None) -> None:
        self.path = Path.cwd() / "checkpoints" if root is None else Path(root) / "checkpoints"

    @property
    def best(self) -> Path:
        """Where the best is kept."""
        return self.path / "best.hf"

    def of_epoch(self, epoch: int) -> Path:
        """A new name for the end of ``epoch``, counted from 1; 0 is the start of the fit."""
        return self.path / f"checkpoint_epoch{epoch}_{_now()}.hf"

    def of_batch(self, epoch: int, batch: int) -> Path:
        """A new name for the end of ``batch``, counted from 0."""
        return self.path / f"epoch_{epoch}" / f"checkpoint_batch{batch}_{_now()}.hf"

    def new_log(self) -> Path:
        """A name for a call log that is not there yet."""
        stem = f"calls_{_now()}"
        names = (f"{stem}{f'_{number}' if number else ''}.jsonl" for number in range(10_000))
        return next(path for name in names if not (path := self.path / name).exists())

    def write(self, content: dict[str, Any], path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        save(content, path)

    def resolve(self, ckpt_path: str | os.PathLike[str]) -> tuple[Path, dict[str, Any]] | None:
        """Path and content of the checkpoint to resume from; None: ``"last"`` of a folder that has none.

        Raises:
            CheckpointError: it cannot be read.
        """
        if ckpt_path == "last":
            return self._last()
        path = self.best if ckpt_path == "best" else Path(ckpt_path)
        return path, read(path)

    def _last(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest checkpoint that can be read."""
        unreadable = None
        for path in self._newest_first():
            try:
                return path, read(path)
            except CheckpointError as error:
                logger.warning("%s The one before it is tried.", error)
                unreadable = error
        if unreadable is not None:
            raise CheckpointError(
                f"No checkpoint in {self.path} can be read. The last fault: {unreadable}"
            ) from unreadable
        logger.warning("ckpt_path='last': there is no checkpoint in %s yet; starting from the beginning.", self.path)
        return None

    def _newest_first(self) -> Iterator[Path]:
        found = [*self.path.glob("checkpoint_epoch*.hf"), *self.path.glob("epoch_*/checkpoint_batch*.hf")]
        # Where clocks are too coarse to tell two files apart, the end of an epoch is after its batches.
        return iter(sorted(found, key=lambda path: (path.stat().st_mtime_ns, _place(path)), reverse=True))


def read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint of a Trainer.

    Raises:
        CheckpointError: it is missing, damaged, or of another kind.
    """
    try:
        content = load(path)
    except OSError as error:
        raise CheckpointError(f"The checkpoint {path} cannot be read: {error.strerror}.") from error
    if not isinstance(content, dict) or "agent_state_dict" not in content:
        raise CheckpointError(
            f"{path} is no checkpoint of a Trainer: it holds no 'agent_state_dict'. "
            "The state of an agent alone is loaded by agent.load_state_dict(afnio.load(path))."
        )
    if not isinstance(content.get("trainer"), (dict, type(None))):
        raise CheckpointError(f"{path} is no whole checkpoint of a Trainer: its 'trainer' is no dict.")
    made_by = content.get("format")
    if made_by not in (None, FORMAT):
        raise CheckpointError(
            f"{path} has the format {made_by!r}, and this release reads {FORMAT!r}. Upgrade afnio-studio."
        )
    return content


def _place(path: Path) -> tuple[int, float]:
    """Epoch and batch by the file's name."""
    number = int("".join(filter(str.isdigit, path.name.split("_")[1])) or 0)
    if path.name.startswith("checkpoint_epoch"):
        return number, float("inf")
    return int("".join(filter(str.isdigit, path.parent.name)) or 0), float(number)


def _now() -> str:
    return time.strftime("%Y%m%d-%H%M%S")
