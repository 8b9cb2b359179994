"""`Feed`: a data loader as the loops use it: batch by batch, resumable in the middle of an epoch."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any

from afnio.calls import User
from afnio.errors import CheckpointError
from afnio.trainer.marks import differences, fingerprint, sizes
from afnio.utils.data import DataLoader, Dataset

__all__ = ["END", "Feed"]

logger = logging.getLogger("afnio.trainer")

END: Any = object()
"""What `Feed.next` returns after the last batch."""


class Feed:
    """Batches of ``loader``.

    Args:
        loader: a ``DataLoader``, or anything that can be iterated again and again.
        name: the argument it was given as, for errors.

    Raises:
        TypeError: it is not iterable.
        ValueError: it has no batches.
    """

    def __init__(self, loader: Iterable[Any], name: str) -> None:
        if isinstance(loader, str) or not isinstance(loader, Iterable):
            raise TypeError(f"{name} must be a DataLoader or another iterable of batches, got {type(loader).__name__}.")
        if isinstance(loader, Dataset):
            raise TypeError(
                f"{name} is a data set, and batches are wanted: write DataLoader({type(loader).__name__}(...))."
            )
        if isinstance(loader, Mapping) or any(isinstance(each, (DataLoader, Dataset)) for each in _listed(loader)):
            raise TypeError(
                f"{name} is a {type(loader).__name__} of loaders, and one loader is wanted: join the data, "
                "DataLoader(ConcatDataset([...])), or call validate() or test() once for each."
            )
        self.loader, self.name = loader, name
        self.total = _length(loader)
        if self.total == 0:
            raise ValueError(f"{name} has no batches: its data set is empty, or smaller than a batch with drop_last.")
        self._batches: Iterator[Any] = iter(())
        self._given = 0
        self._mark: dict[str, str] | None = None
        self._resuming = False

    def begin(self, done: int = 0) -> None:
        """Begin an epoch; ``done`` batches of it were seen before."""
        self._given, self._resuming = done, False
        resumes_itself = hasattr(self.loader, "load_state_dict")
        self._batches = itertools.islice(iter(self.loader), 0 if resumes_itself else done, None)

    async def next(self) -> Any:
        """The next batch, or `END`."""
        try:
            batch = await User(next, self._batches, END)
            if self._mark is None and batch is not END:
                self._mark = fingerprint(batch)
            return batch
        except Exception as error:
            error.add_note(f"Raised by {self.name}, while it made batch {self._given} (counted from 0) of the epoch.")
            raise
        finally:
            self._given += 1

    def no_batches(self) -> ValueError:
        """The error of an epoch without a batch."""
        hint = " A generator can be walked only once: pass a list or a DataLoader." if self._walks_once() else ""
        return ValueError(f"{self.name} gave no batches: its data set is empty.{hint}")

    def _walks_once(self) -> bool:
        return isinstance(self.loader, Iterator)

    def state_dict(self) -> dict[str, Any]:
        """The loader's own state, if it has one."""
        return dict(self.loader.state_dict()) if hasattr(self.loader, "state_dict") else {}

    def marks(self) -> dict[str, Any]:
        """What tells its data from others: their number, and a fingerprint of a sample that was seen."""
        return {**sizes(self.loader, self.total), "mark": self._mark}

    def check_marks(self, saved: Mapping[str, Any] | None, under_way: bool) -> None:
        """Compare the data with those of a checkpoint; a difference is warned of.

        Args:
            saved: what `marks` said then; None: nothing is known.
            under_way: whether the checkpoint is of the middle of an epoch, which has a meaning in its own data only.

        Raises:
            CheckpointError: the middle of an epoch is to be gone on from with more or fewer data.
        """
        if not saved:
            return
        size, content = differences(saved, self.loader, self.total)
        what = f"{self.name} is not what the checkpoint was made with: {' and '.join([*size, *content])}."
        if size and under_way:
            raise CheckpointError(
                f"{what} The checkpoint is of the middle of an epoch. Pass the same data, or a checkpoint of the end "
                "of an epoch (checkpoint_epoch...hf) to go on with other data."
            )
        if size or content:
            logger.warning("%s The fit goes on with the new data.", what)
        else:
            self._mark = saved.get("mark")

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give the loader its state back."""
        if state and hasattr(self.loader, "load_state_dict"):
            self.loader.load_state_dict(dict(state))
            self._resuming = True

    def close(self) -> None:
        """The fit is over.  A place that it never went on from is not left to whoever uses the loader next."""
        if self._resuming and isinstance(self.loader, DataLoader):
            self.loader.load_state_dict({**self.loader.state_dict(), "batch": 0})


def _listed(loader: object) -> Sequence[Any]:
    return loader if isinstance(loader, (list, tuple)) else ()


def _length(loader: Any) -> int | None:
    if not isinstance(loader, Sized):
        return None
    try:
        return len(loader)
    except TypeError:
        return None  # a sampler without a length
