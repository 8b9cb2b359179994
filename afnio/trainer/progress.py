"""`Progress`: where a fit stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

__all__ = ["Progress"]


@dataclass(slots=True)
class Progress:
    """Where a fit stands.

    Attributes:
        epoch: number of epochs completed.
        batch: number of batches completed in the epoch under way; 0 between two epochs.
        last_batch: number of the batch done last, from 0 in its epoch; -1 before the first.
        steps: number of batches completed in all.
        samples: number of training samples seen in all.
        updates: number of updates that were kept.
        undone: number of updates that the gate undid.
        skipped: number of batches left without an update, because a model's reply could not be used.
    """

    epoch: int = 0
    batch: int = 0
    last_batch: int = -1
    steps: int = 0
    samples: int = 0
    updates: int = 0
    undone: int = 0
    skipped: int = 0

    def batch_done(self, samples: int) -> None:
        """Count a batch."""
        self.last_batch = self.batch
        self.batch += 1
        self.steps += 1
        self.samples += samples

    def epoch_done(self) -> None:
        """Count an epoch."""
        self.epoch += 1
        self.batch = 0

    @property
    def epoch_number(self) -> int:
        """The epoch worked on last, from 1; 0 before the first."""
        return self.epoch + 1 if self.batch else self.epoch

    def state_dict(self) -> dict[str, int]:
        """The counts, by name."""
        return asdict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the counts of `state_dict`."""
        for each in fields(self):
            setattr(self, each.name, state.get(each.name, 0))
