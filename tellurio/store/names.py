"""Names of Runs, and the slugs that addresses are made of."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from tellurio.schemas.slugs import LONGEST_SLUG, slugify
from tellurio.store.words import ADJECTIVES, FOODS

__all__ = ["LONGEST_SLUG", "numbered", "random_name", "slugify"]


def random_name() -> str:
    """A readable name, e.g. ``hungry_brownie_557``: one of some 50 million."""
    return f"{secrets.choice(ADJECTIVES)}_{secrets.choice(FOODS)}_{1 + secrets.randbelow(999)}"


def numbered(name: str, taken: Callable[[str], bool]) -> str:
    """``name``, or with ``_1``, ``_2``, ... where it is taken: asks some log2(n) times, however many there are."""
    if not taken(name):
        return name
    high = 1
    while taken(f"{name}_{high}"):
        high *= 2
    low = high // 2  # taken (0: the bare name); high is free
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if taken(f"{name}_{middle}") else (low, middle)
    return f"{name}_{high}"
