"""`default_collate`: a batch out of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afnio.variable import Variable

__all__ = ["default_collate"]


def default_collate(samples: Sequence[Any]) -> Any:
    """Make one batch of a list of samples.

    | samples | batch |
    |---|---|
    | Variables | one Variable whose data is the list of theirs; role and ``requires_grad`` of the first |
    | tuples | a tuple; each position: Variables become one Variable, tuples are collated, the rest is a list |
    | dicts | a dict of lists |
    | anything else, or a mixture | the list itself |

    So samples ``(x, (a, b))`` of Variables make a batch ``(X, (A, B))`` of Variables.

    Raises:
        ValueError: tuples of different lengths, dicts with different keys.
        TypeError: Variables whose data cannot stand in one list (text beside numbers).
    """
    if _all(samples, Variable):
        first = samples[0]
        return Variable([sample.data for sample in samples], first.role, first.requires_grad)
    if _all(samples, tuple):
        return _collate_tuples(samples)
    if _all(samples, dict):
        return _collate_dicts(samples)
    return list(samples)


def _all(samples: Sequence[Any], kind: type) -> bool:
    return bool(samples) and all(isinstance(sample, kind) for sample in samples)


def _collate_tuples(samples: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    first = samples[0]
    for number, sample in enumerate(samples):
        if len(sample) != len(first):
            raise ValueError(
                f"The samples of a batch must have the same parts: the first has {len(first)}, "
                f"number {number} of the batch has {len(sample)}."
            )
    parts = [
        default_collate(part) if _all(part, Variable) or _all(part, tuple) else list(part)
        for part in zip(*samples, strict=True)
    ]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def _collate_dicts(samples: Sequence[dict[Any, Any]]) -> dict[Any, list[Any]]:
    first = samples[0]
    for number, sample in enumerate(samples):
        if sample.keys() != first.keys():
            raise ValueError(
                f"The samples of a batch must have the same keys: the first has {list(first)}, "
                f"number {number} of the batch has {list(sample)}."
            )
    return {key: [sample[key] for sample in samples] for key in first}
