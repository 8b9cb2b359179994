"""The shapes of values that travel through the library, named in one place."""

from __future__ import annotations

from typing import Any, TypeAlias, Union

__all__ = ["Data", "JSON", "Messages", "Scalar"]

Scalar: TypeAlias = Union[str, int, float]
"""One value a Variable can hold."""

Data: TypeAlias = Union[None, Scalar, "list[Data]"]
"""What a Variable holds: nothing, a scalar, or a list of these, nested as deep as you like."""

JSON: TypeAlias = Any
"""A value as ``json.loads`` returns it."""

Messages: TypeAlias = list[dict[str, Any]]
"""A conversation as a chat API spells it: ``[{"role": "user", "content": "..."}]``."""
