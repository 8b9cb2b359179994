"""Roles of what ops make: from the roles of what they read, bounded however long a chain of ops is."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["all_of", "bounded"]

LIMIT = 2_000
"""Characters of a role.  A role that quotes the role before it would take quadratic space along a chain."""


def all_of(roles: Iterable[str]) -> str:
    """``"<one> and <other>"``."""
    return bounded(" and ".join(roles))


def bounded(role: str) -> str:
    """``role``, without its middle where it is too long."""
    return role if len(role) <= LIMIT else f"{role[: LIMIT // 2]} ... {role[-LIMIT // 2 :]}"
