"""The one place where an optimizer takes a model: a client, or the path of one."""

from __future__ import annotations

from typing import Any

__all__ = ["as_client"]


def as_client(given: Any) -> Any:
    """The client that ``given`` is, or names."""
    return given
