"""`DataLoader`: batches of a data set, in the order of a sampler."""

from __future__ import annotations

import contextvars
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

from afnio.utils.data.collate import default_collate
from afnio.utils.data.dataset import Dataset, check_dataset
from afnio.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler
from afnio.variable import Variable

__all__ = ["DataLoader"]

T = TypeVar("T")


class DataLoader(Generic[T]):
    """Batches of a data set.  Each ``iter()`` is a fresh epoch; several may run at once.

    Args:
        dataset: anything with ``__getitem__`` and ``__len__``.
        batch_size: samples in a batch.
        shuffle: visit the samples in a new random order each epoch.
        sampler: an iterable of sample numbers that says the order; excludes ``shuffle``.
        drop_last: leave out a last batch that is not full.
        seed: makes the order of ``shuffle`` repeatable, epoch by epoch.
        batch_sampler: an iterable of lists of sample numbers; excludes the four above.
        collate_fn: makes a batch of a list of samples; default `default_collate`.
        num_workers: threads that read samples ahead, for data sets that are slow to read.  0 reads in the
            caller's thread.  The batches and their order are the same.

    Variables that collating makes know the samples they hold: ``_samples`` lists the sample numbers.

    Raises:
        TypeError: the data set has no samples by number, or an argument is of a wrong kind.
        ValueError: the data set is empty, or the arguments contradict each other.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader
    """

    def __init__(
        self,
        dataset: Dataset[T] | Sequence[T],
        batch_size: int = 1,
        shuffle: bool = False,
        sampler: Iterable[int] | None = None,
        drop_last: bool = False,
        seed: int | None = None,
        *,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        collate_fn: Callable[[list[T]], Any] | None = None,
        num_workers: int = 0,
    ) -> None:
        check_dataset(dataset, "dataset")
        for name, given in (("sampler", sampler), ("batch_sampler", batch_sampler)):
            if given is not None and not isinstance(given, Iterable):
                raise TypeError(f"{name} must be an iterable, got {type(given).__name__}.")
        if collate_fn is not None and not callable(collate_fn):
            raise TypeError(f"collate_fn must be a function of a list of samples, got {type(collate_fn).__name__}.")
        if not isinstance(shuffle, bool):
            raise ValueError(f"shuffle must be True or False, got {shuffle!r}.")
        if not isinstance(num_workers, int) or isinstance(num_workers, bool) or num_workers < 0:
            raise ValueError(f"num_workers must be an int of at least 0, got {num_workers!r}.")
        if sampler is not None and shuffle:
            raise ValueError("sampler and shuffle exclude each other: the sampler says the order.")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError("batch_sampler excludes batch_size, shuffle, sampler and drop_last: it says them all.")
        if len(dataset) == 0:
            raise ValueError(f"The data set is empty: {dataset!r} has no samples to load.")
        self.dataset = dataset
        self.collate_fn: Callable[[list[T]], Any] = default_collate if collate_fn is None else collate_fn
        self.num_workers = num_workers
        if batch_sampler is None:
            order = _sampler_for(dataset, shuffle, seed) if sampler is None else sampler
            batch_sampler = BatchSampler(order, batch_size, drop_last)
        self.batch_sampler = batch_sampler
        self._skip = 0  # batches the next iter() leaves out, because they were handed out before the checkpoint
        self._place: _Place | None = None

    @property
    def sampler(self) -> Iterable[Any]:
        """What says the order of the samples."""
        batches = self.batch_sampler
        return batches.sampler if isinstance(batches, BatchSampler) else batches

    @property
    def batch_size(self) -> int | None:
        """Samples in a full batch; None where a batch sampler of your own decides."""
        return self.batch_sampler.batch_size if isinstance(self.batch_sampler, BatchSampler) else None

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        if not isinstance(self.batch_sampler, Sized):
            raise TypeError(
                f"{type(self.batch_sampler).__name__} has no length, so the number of batches is not known."
            )
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        # Not a generator: the epoch begins at iter(), so that two epochs begun together are two epochs.
        place = self._place = _Place(_state_of(self.batch_sampler), self._skip)
        batches = itertools.islice(iter(self.batch_sampler), self._skip, None)
        self._skip = 0
        return self._hand_out(batches, place)

    def set_epoch(self, epoch: int) -> None:
        """Let the next ``iter()`` be epoch number ``epoch``, counted from 0."""
        if hasattr(self.batch_sampler, "set_epoch"):
            self.batch_sampler.set_epoch(epoch)
        self._place, self._skip = None, 0

    def state_dict(self) -> dict[str, Any]:
        """Where the epoch begun last stands: the sampler's state at its start and the batches handed out since."""
        if self._place is None:
            return {"sampler": _state_of(self.batch_sampler), "batch": self._skip}
        return {"sampler": self._place.sampler, "batch": self._place.batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next ``iter()`` go on with the batch after those handed out when ``state`` was taken.

        A sampler of your own comes back to its place if it has ``state_dict`` and ``load_state_dict``, or if
        its order is always the same.
        """
        if hasattr(self.batch_sampler, "load_state_dict"):
            self.batch_sampler.load_state_dict(state["sampler"])
        self._place, self._skip = None, state["batch"]

    def _hand_out(self, batches: Iterator[Sequence[int]], place: _Place) -> Iterator[Any]:
        for indices, samples in self._read(batches):
            place.batch += 1
            yield _label(self._collated(samples), indices, samples)
        if self._place is place:
            self._place = None  # the epoch is over: the next state is the start of the next one

    def _collated(self, samples: list[T]) -> Any:
        try:
            return self.collate_fn(samples)
        except Exception as error:
            name = getattr(self.collate_fn, "__qualname__", repr(self.collate_fn))
            error.add_note(f"Raised by the DataLoader's collate_fn, {name}, from {len(samples)} samples.")
            raise

    def _read(self, batches: Iterator[Sequence[int]]) -> Iterator[tuple[Sequence[int], list[T]]]:
        if self.num_workers:
            yield from self._read_ahead(batches)
        else:
            for indices in batches:
                yield indices, [self._get(index) for index in indices]

    def _read_ahead(self, batches: Iterator[Sequence[int]]) -> Iterator[tuple[Sequence[int], list[T]]]:
        from concurrent.futures import Future, ThreadPoolExecutor

        pool = ThreadPoolExecutor(self.num_workers, thread_name_prefix="afnio-data")
        waiting: deque[tuple[Sequence[int], list[Future[T]]]] = deque()
        try:
            for indices in batches:
                waiting.append((indices, [pool.submit(contextvars.copy_context().run, self._get, i) for i in indices]))
                # One batch is being used, and the threads have two samples each to go on with.
                if sum(len(futures) for _, futures in waiting) - len(waiting[0][1]) >= 2 * self.num_workers:
                    yield _finished(waiting.popleft())
            while waiting:
                yield _finished(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _get(self, index: int) -> T:
        try:
            return self.dataset[index]
        except Exception as error:
            error.add_note(f"The DataLoader was reading sample {index} of {type(self.dataset).__name__}.")
            raise


class _Place:
    """Where one epoch stands."""

    __slots__ = ("batch", "sampler")

    def __init__(self, sampler: dict[str, Any], batch: int) -> None:
        self.sampler = sampler
        self.batch = batch


def _sampler_for(dataset: Sized, shuffle: bool, seed: int | None) -> Sampler[int]:
    return RandomSampler(dataset, seed=seed) if shuffle else SequentialSampler(dataset)


def _state_of(sampler: Any) -> dict[str, Any]:
    return dict(sampler.state_dict()) if hasattr(sampler, "state_dict") else {}


def _finished(entry: tuple[Sequence[int], list[Any]]) -> tuple[Sequence[int], list[Any]]:
    indices, futures = entry
    return indices, [future.result() for future in futures]


def _label(batch: Any, indices: Sequence[int], samples: list[Any]) -> Any:
    """Write on each Variable that collating made which samples it holds; the data set's own stay as they are."""
    theirs = {id(variable) for variable in _variables(samples)}
    ids = tuple(map(str, indices))
    for variable in _variables(batch):
        data = variable.data
        if (
            isinstance(data, list)
            and len(data) == len(ids)
            and variable._samples is None
            and id(variable) not in theirs
        ):
            variable._samples = ids
    return batch


def _variables(tree: Any) -> Iterator[Variable]:
    if isinstance(tree, Variable):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from _variables(value)
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from _variables(item)
