"""Model classes by name, for loading what ``state_dict`` saved."""

from __future__ import annotations

__all__ = ["MODEL_REGISTRY", "register_model"]

MODEL_REGISTRY: dict[str, type] = {}
"""Class name -> model class."""


def register_model(cls: type) -> type:
    """Enter a model class under its name; usable as a decorator."""
    MODEL_REGISTRY[cls.__name__] = cls
    return cls
