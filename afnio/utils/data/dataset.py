"""`Dataset`: samples by number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Dataset"]

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Samples by number.  A subclass says how many there are and what each one is.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Dataset
    """

    def __getitem__(self, index: int) -> T_co:
        """Sample number ``index``, counted from 0."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(self, index).")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__(self).")

    def __iter__(self) -> Iterator[T_co]:
        return (self[index] for index in range(len(self)))
