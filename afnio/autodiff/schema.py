"""JSON schemas: what is wrong with a value, how a schema is made strict, which fields it has."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["fault_of", "leaves", "strictly"]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: _is_number(value) and float(value).is_integer(),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}

WORDS = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
WORDS |= {"null": "null", "array": "a list", "object": "an object"}


def fault_of(value: Any, schema: Any, name: str = "it") -> str | None:
    """The first thing in which ``value`` breaks ``schema``, in words; None: it fits.

    Args:
        name: what the value is called.
    """
    return next(_faults(value, schema, schema, name), None)


def _faults(value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        if schema is False:
            yield f"{at} must not be there"
        return
    if "$ref" in schema:
        yield from _faults(value, _resolved(schema["$ref"], root), root, at)
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(TYPES[kind](value) for kind in kinds if kind in TYPES):
        yield f"{at} must be {' or '.join(WORDS.get(kind, kind) for kind in kinds)}, not {_short(value)}"
        return
    for part in schema.get("allOf", ()):
        yield from _faults(value, part, root, at)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            yield from _alternatives(value, schema[word], root, at)
    yield from _listed(value, schema, at)
    yield from _inside(value, schema, root, at)


def _listed(value: Any, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if "const" in schema and value != schema["const"]:
        yield f"{at} must be {_short(schema['const'])}, not {_short(value)}"
    if "enum" in schema and not any(value == one and type(value) is type(one) for one in schema["enum"]):
        yield f"{at} must be one of {', '.join(map(_short, schema['enum']))}, not {_short(value)}"


def _inside(value: Any, schema: Mapping[str, Any], root: Any, at: str) -> Iterator[str]:
    if isinstance(value, str):
        yield from _text(value, schema, at)
    elif isinstance(value, list):
        yield from _array(value, schema, root, at)
    elif isinstance(value, dict):
        yield from _object(value, schema, root, at)
    elif _is_number(value):
        yield from _number(value, schema, at)


def _resolved(reference: str, root: Any) -> Any:
    found = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def _alternatives(value: Any, alternatives: list[Any], root: Any, at: str) -> Iterator[str]:
    found = [next(_faults(value, each, root, at), None) for each in alternatives]
    if None not in found:
        yield " or ".join(dict.fromkeys(fault for fault in found if fault))


def _text(value: str, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if len(value) < schema.get("minLength", 0):
        yield f"{at} must have at least {schema['minLength']} characters"
    if len(value) > schema.get("maxLength", math.inf):
        yield f"{at} must have at most {schema['maxLength']} characters"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at} must match the pattern {schema['pattern']!r}, not {_short(value)}"


def _number(value: float, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if value < schema.get("minimum", -math.inf):
        yield f"{at} must be at least {schema['minimum']}, not {value}"
    if value > schema.get("maximum", math.inf):
        yield f"{at} must be at most {schema['maximum']}, not {value}"
    if value <= schema.get("exclusiveMinimum", -math.inf):
        yield f"{at} must be more than {schema['exclusiveMinimum']}, not {value}"
    if value >= schema.get("exclusiveMaximum", math.inf):
        yield f"{at} must be less than {schema['exclusiveMaximum']}, not {value}"


def _array(value: list[Any], schema: Mapping[str, Any], root: Any, at: str) -> Iterator[str]:
    if len(value) < schema.get("minItems", 0):
        yield f"{at} must have at least {schema['minItems']} items, not {len(value)}"
    if len(value) > schema.get("maxItems", math.inf):
        yield f"{at} must have at most {schema['maxItems']} items, not {len(value)}"
    first = schema.get("prefixItems", [])
    for number, item in enumerate(value):
        inner = first[number] if number < len(first) else schema.get("items", True)
        yield from _faults(item, inner, root, f"{at}[{number}]")


def _object(value: dict[str, Any], schema: Mapping[str, Any], root: Any, at: str) -> Iterator[str]:
    known = schema.get("properties", {})
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        yield f"{at} has no {' and no '.join(map(repr, missing))}"
    others = schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in known:
            yield from _faults(item, known[name], root, _below(at, name))
        elif others is False:
            yield f"{at} has {name!r}, which is not known; known: {', '.join(map(repr, known)) or 'nothing'}"
        else:
            yield from _faults(item, others, root, _below(at, name))


def _below(at: str, name: str) -> str:
    return repr(name) if at == "it" else f"{at[:-1]}.{name}'" if at.endswith("'") else f"{at}.{name}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:60]} ... {text[-15:]}"


# ---------------------------------------------------------------------------------------------- strict


def strictly(schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """``schema`` as structured outputs want it, and whether it could be made strict.

    Every property is required and no other is allowed.  An object with names of its own choosing has no strict form:
    then the schema is sent as it is.
    """
    try:
        return _strict(schema, schema, ()), True
    except _LooseError:
        return dict(schema), False


class _LooseError(Exception):
    """The schema has no strict form."""


_DROPPED = frozenset({"default", "discriminator", "oneOf", "allOf"})


def _strict(schema: Any, root: Any, inside: tuple[str, ...]) -> Any:
    if not isinstance(schema, Mapping):
        raise _LooseError
    if "$ref" in schema:
        return _strict_reference(schema, root, inside)
    parts = schema.get("allOf", ())
    if len(parts) == 1:
        return _strict({**{k: v for k, v in schema.items() if k != "allOf"}, **parts[0]}, root, inside)
    if parts:
        raise _LooseError
    made = {key: value for key, value in schema.items() if key not in _DROPPED}
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        made["anyOf"] = [_strict(each, root, inside) for each in choices]
    for key in ("$defs", "definitions"):
        if key in schema:
            made[key] = {name: _strict(each, root, (*inside, f"#/{key}/{name}")) for name, each in schema[key].items()}
    if "items" in schema:
        made["items"] = _strict(schema["items"], root, inside)
    if schema.get("type") == "object" or "properties" in schema:
        if not schema.get("properties") or schema.get("additionalProperties", False) is not False:
            raise _LooseError
        made["properties"] = {name: _strict(each, root, inside) for name, each in schema["properties"].items()}
        made |= {"required": list(schema["properties"]), "additionalProperties": False}
    return made


def _strict_reference(schema: Mapping[str, Any], root: Any, inside: tuple[str, ...]) -> Any:
    """A reference stands alone: what stands beside one is put into a copy of what it refers to."""
    reference = schema["$ref"]
    beside = {key: value for key, value in schema.items() if key not in ("$ref", "default")}
    if not beside or reference in inside:
        return {"$ref": reference}
    return _strict({**_resolved(reference, root), **beside}, root, (*inside, reference))


# ---------------------------------------------------------------------------------------------- fields


def leaves(schema: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The paths to the fields of an object, down through objects whose fields are known, in order."""
    return list(_leaves(schema, schema, (), ()))


def _leaves(schema: Any, root: Any, path: tuple[str, ...], inside: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    found, inside = _as_object(schema, root, inside)
    if found is None:
        yield path
        return
    for name, each in found["properties"].items():
        yield from _leaves(each, root, (*path, name), inside)


def _as_object(schema: Any, root: Any, inside: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
    """The object that ``schema`` describes, also one that may be null or is referred to; None: it is none."""
    while isinstance(schema, Mapping):
        if "$ref" in schema:
            if schema["$ref"] in inside:
                return None, inside  # it holds itself
            inside = (*inside, schema["$ref"])
            schema = _resolved(schema["$ref"], root)
        elif len(parts := schema.get("allOf", ())) == 1:
            schema = parts[0]
        elif parts := [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]:
            if len(parts) > 1:
                return None, inside
            schema = parts[0]
        else:
            return (schema if schema.get("properties") else None), inside
    return None, inside
