"""Batches of any shape: how many samples one holds, and some of its samples as a smaller batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from afnio.variable import Variable

__all__ = ["get_batch_size", "known_ids", "sample_ids", "select"]


def get_batch_size(batch: Any) -> int:
    """Number of samples in ``batch``.

    A Variable that holds a list has as many samples as the list has items, any other value is one sample.  A tuple
    or dict has the size of its first part that has one.  A list is a list of samples, unless its items
    are batched themselves.

    Raises:
        ValueError: the batch is empty.
    """
    size = _size(batch)
    if size == 0:
        raise ValueError("The batch is empty: it holds no samples.")
    return 1 if size is None else size


def select(batch: Any, indices: Sequence[int]) -> Any:
    """The samples at ``indices`` as a batch of the same shape; what all samples share stays as it is."""
    return _select(batch, indices, get_batch_size(batch))


def sample_ids(batch: Any) -> list[str]:
    """The ids the data loader gave the samples, else their positions in the batch."""
    return known_ids(batch) or list(map(str, range(get_batch_size(batch))))


def known_ids(batch: Any) -> list[str] | None:
    """The ids the data loader gave the samples, or None."""
    size = get_batch_size(batch)
    found = _find(batch, lambda v: v._samples if v._samples and len(v._samples) == size else None)
    return list(found) if found else None


def _size(value: Any) -> int | None:
    if isinstance(value, Variable):
        return len(value.data) if isinstance(value.data, list) else None
    if isinstance(value, dict):
        return _first_size(value.values())
    if isinstance(value, tuple):
        return _first_size(value)
    if isinstance(value, list):
        return _first_size(value) if _is_columns(value) else len(value)
    return None


def _first_size(parts: Any) -> int | None:
    return next((size for size in map(_size, parts) if size is not None), None)


def _is_columns(value: list[Any]) -> bool:
    """Whether a list holds the parts of a batch, each for all samples, rather than the samples."""
    return _find(value, lambda v: True if isinstance(v.data, list) else None) is not None


def _find(value: Any, look: Callable[[Variable], Any]) -> Any:
    """What ``look`` first finds in a Variable of ``value``."""
    if isinstance(value, Variable):
        return look(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return next((found for part in parts if (found := _find(part, look)) is not None), None)


def _select(value: Any, indices: Sequence[int], size: int) -> Any:
    if isinstance(value, Variable):
        return _select_variable(value, indices, size)
    if isinstance(value, dict):
        return {key: _select(part, indices, size) for key, part in value.items()}
    if isinstance(value, tuple):
        parts = [_select(part, indices, size) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        if _is_columns(value):
            return [_select(part, indices, size) for part in value]
        return [value[index] for index in indices] if len(value) == size else value
    return value


def _select_variable(value: Variable, indices: Sequence[int], size: int) -> Variable:
    if not isinstance(value.data, list) or len(value.data) != size:
        return value
    part = Variable([value.data[index] for index in indices], value.role, value.requires_grad)
    if value._samples is not None and len(value._samples) == size:
        part._samples = tuple(value._samples[index] for index in indices)
    return part
