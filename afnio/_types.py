"""The shapes of values that travel through the library, named in one place."""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = ["JSON", "Data", "Messages", "Scalar"]

Scalar: TypeAlias = str | int | float
"""One value a Variable can hold."""

Data: TypeAlias = "Scalar | list[Data] | None"
"""What a Variable holds: nothing, a scalar, or a list of these, nested as deep as you like."""

JSON: TypeAlias = Any
"""A value as ``json.loads`` returns it."""

Messages: TypeAlias = list[dict[str, Any]]
"""A conversation as a chat API spells it: ``[{"role": "user", "content": "..."}]``."""
