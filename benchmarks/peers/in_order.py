"""Batches in the order of the samples, for gepa, which shuffles: each step shall have something of its own to learn."""

from __future__ import annotations

from typing import Any

__all__ = ["InOrder"]


class InOrder:
    """A batch sampler as gepa takes it."""

    def __init__(self, size: int) -> None:
        self.size = size

    def next_minibatch_ids(self, loader: Any, state: Any) -> list[Any]:
        """The batch of the step under way; after the last the first again."""
        ids = list(loader.all_ids())
        start = state.i * self.size % len(ids)
        return ids[start : start + self.size]
