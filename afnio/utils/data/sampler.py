"""Samplers: in which order the samples of a data set are visited.

A random sampler has a generator of its own; the global ``random`` is neither seeded nor drawn from.  Each
``iter()`` is an epoch: a fresh order, but the same one for the same ``seed`` and the same epoch number, in
every process.  ``state_dict`` and ``load_state_dict`` carry seed and epoch through a checkpoint.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]

T_co = TypeVar("T_co", covariant=True)


class Sampler(Generic[T_co]):
    """Base of all samplers: an iterable of sample numbers (or, for ``batch_sampler=``, of lists of them).

    A subclass defines ``__iter__`` and, where it can, ``__len__``.  One that is random also defines
    ``state_dict()`` and ``load_state_dict(state)`` if a fit is to resume in the middle of its epoch.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Sampler
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__(self).")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ... in this order."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class _SeededSampler(Sampler[int]):
    """A sampler whose order is a function of its seed and of the epoch, and of nothing else."""

    def __init__(self, seed: int | None) -> None:
        if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
            raise TypeError(f"seed must be an int or None, got {seed!r}.")
        self.seed = random.SystemRandom().getrandbits(63) if seed is None else seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Let the next ``iter()`` be epoch number ``epoch``, counted from 0."""
        self._epoch = epoch

    def state_dict(self) -> dict[str, Any]:
        """Seed and number of the next epoch."""
        return {"seed": self.seed, "epoch": self._epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the sampler that gave ``state`` stood."""
        self.seed, self._epoch = state["seed"], state["epoch"]

    def __iter__(self) -> Iterator[int]:
        # Not a generator: the epoch counts from iter(), not from the first sample drawn.
        generator = random.Random(f"{self.seed}/{self._epoch}")
        self._epoch += 1
        return self._draw(generator)

    def _draw(self, generator: random.Random) -> Iterator[int]:
        raise NotImplementedError


class RandomSampler(_SeededSampler):
    """Samples at random.

    Args:
        data_source: what the numbers count; only its length is used.
        replacement: whether a sample may be drawn again before all others were.
        num_samples: how many to draw in an epoch (default: all).  Without replacement and beyond the
            length, whole shuffled rounds follow each other.
        seed: makes every epoch repeatable.  Default: drawn from the operating system, and kept in ``state_dict``.

    Raises:
        TypeError: ``replacement`` is no bool, ``seed`` no int.
        ValueError: ``num_samples`` is not a positive int, or the data set is empty.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.RandomSampler
    """

    def __init__(
        self, data_source: Sized, replacement: bool = False, num_samples: int | None = None, seed: int | None = None
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement must be True or False, got {replacement!r}.")
        if num_samples is not None:
            _check_positive("num_samples", num_samples)
        if len(data_source) == 0:
            raise ValueError("RandomSampler has nothing to draw from: the data set is empty.")
        super().__init__(seed)
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples

    @property
    def num_samples(self) -> int:
        """How many are drawn in an epoch."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __len__(self) -> int:
        return self.num_samples

    def _draw(self, generator: random.Random) -> Iterator[int]:
        size, wanted = len(self.data_source), self.num_samples
        if self.replacement:
            yield from (generator.randrange(size) for _ in range(wanted))
            return
        while wanted > 0:
            order = list(range(size))
            generator.shuffle(order)
            yield from order[:wanted]
            wanted -= size


class SubsetRandomSampler(_SeededSampler):
    """The given numbers, each once, in a new random order each epoch.

    Raises:
        TypeError: ``seed`` is no int.
        ValueError: there are none.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.SubsetRandomSampler
    """

    def __init__(self, indices: Iterable[int], seed: int | None = None) -> None:
        super().__init__(seed)
        self.indices = list(indices)
        if not self.indices:
            raise ValueError("SubsetRandomSampler has nothing to draw from: there are no indices.")

    def __len__(self) -> int:
        return len(self.indices)

    def _draw(self, generator: random.Random) -> Iterator[int]:
        return iter(generator.sample(self.indices, len(self.indices)))


class WeightedRandomSampler(_SeededSampler):
    """Samples at random, sample ``i`` in proportion to ``weights[i]``.

    Args:
        weights: one number for each sample, not negative; they need not sum to one.
        num_samples: how many to draw in an epoch.
        replacement: False draws each sample at most once, in proportion to the weights of those still left.
        seed: as for `RandomSampler`.

    Raises:
        ValueError: a weight is negative or not finite, all are zero, ``num_samples`` is not a positive int, or
            there are not that many samples to draw without replacement.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.WeightedRandomSampler
    """

    def __init__(
        self, weights: Sequence[float], num_samples: int, replacement: bool = True, seed: int | None = None
    ) -> None:
        _check_positive("num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement must be True or False, got {replacement!r}.")
        self.weights = [_weight(index, weight) for index, weight in enumerate(weights)]
        drawable = sum(weight > 0 for weight in self.weights)
        if drawable == 0:
            raise ValueError("WeightedRandomSampler has nothing to draw from: there is no weight above zero.")
        if not replacement and num_samples > drawable:
            raise ValueError(
                f"Only {drawable} samples have a weight above zero, so {num_samples} cannot be drawn without "
                "replacement. Lower num_samples or pass replacement=True."
            )
        super().__init__(seed)
        self.num_samples = num_samples
        self.replacement = replacement

    def __len__(self) -> int:
        return self.num_samples

    def _draw(self, generator: random.Random) -> Iterator[int]:
        if self.replacement:
            return iter(generator.choices(range(len(self.weights)), self.weights, k=self.num_samples))
        # Efraimidis and Spirakis (2006): with keys log(u)/w, the order from the largest down is that of
        # drawing one after the other in proportion to the weights that are left.
        keys = [
            (math.log(1.0 - generator.random()) / weight, index) for index, weight in enumerate(self.weights) if weight
        ]
        return iter([index for _, index in heapq.nlargest(self.num_samples, keys)])


class BatchSampler(Sampler[list[int]]):
    """Lists of ``batch_size`` numbers of another sampler; the last one is shorter unless ``drop_last``.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.BatchSampler
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool = False) -> None:
        _check_positive("batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last must be True or False, got {drop_last!r}.")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        return self._group(iter(self.sampler))

    def set_epoch(self, epoch: int) -> None:
        """Let the next ``iter()`` be epoch number ``epoch``, if the sampler counts epochs."""
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The state of the sampler; empty if it has none."""
        return dict(self.sampler.state_dict()) if hasattr(self.sampler, "state_dict") else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Hand ``state`` to the sampler, if it takes one."""
        if state and hasattr(self.sampler, "load_state_dict"):
            self.sampler.load_state_dict(state)

    def _group(self, indices: Iterator[int]) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in indices:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        if not isinstance(self.sampler, Sized):
            raise TypeError(f"{type(self.sampler).__name__} has no length, so the number of batches is not known.")
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)


def _check_positive(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} must be a positive int, got {value!r}.")


def _weight(index: int, weight: float) -> float:
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
        raise ValueError(f"weights[{index}] must be a finite number of at least 0, got {weight!r}.")
    return float(weight)
