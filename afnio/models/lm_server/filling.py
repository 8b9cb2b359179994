"""A JSON value for any JSON schema: obey its names and enums, ask the world for each leaf."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Guess", "fill"]

Guess = Callable[[str, Sequence[Any]], Any]
"""``guess(name, allowed)``: a value for the property ``name``, or None. ``allowed`` is empty without an enum."""

_EMPTY: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "null": None}


def fill(schema: dict[str, Any], guess: Guess, name: str = "", root: dict[str, Any] | None = None) -> Any:
    """A value that fits ``schema``; ``name`` is that of the property it is for, ``root`` resolves ``$ref``."""
    root = schema if root is None else root
    schema = _resolve(schema, root)
    kind = _kind(schema)
    if kind == "object":
        properties: dict[str, dict[str, Any]] = schema.get("properties", {})
        return {key: fill(sub, guess, key, root) for key, sub in properties.items()}
    if kind == "array":
        return _fill_array(schema, guess, name, root)
    allowed = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    value = guess(name, allowed)
    if allowed:
        return value if value in allowed else allowed[0]
    return value if _fits(value, kind) else _EMPTY.get(kind, "")


def _resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference:
        found: Any = root
        for part in str(reference).removeprefix("#/").split("/"):
            found = found[part] if part and part != "#" else found
        return dict(found)
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return _resolve(next((option for option in options if option.get("type") != "null"), options[0]), root)
    return schema


def _kind(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    return str(kind) if kind else ("object" if "properties" in schema else "string")


def _fill_array(schema: dict[str, Any], guess: Guess, name: str, root: dict[str, Any]) -> list[Any]:
    least = int(schema.get("minItems", 0))
    one = fill(schema.get("items", {}), guess, name, root) if least else None
    return [one] * least


def _fits(value: object, kind: str) -> bool:
    if kind == "null":
        return value is None
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str)
