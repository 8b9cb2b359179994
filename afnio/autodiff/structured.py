"""Structured outputs: a ``response_format`` as a contract, and the fields of what was answered."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from afnio.autodiff.schema import fault_of, leaves, strictly
from afnio.models.contract import Contract, Fault

__all__ = ["Shape", "shape_of"]

PASSED_ON = ("json_object", "text")
"""Types of a ``response_format`` that have no schema: the endpoint's business, not ours."""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What an answer must look like.

    Attributes:
        contract: the schema that is sent, and how a reply is read.
        paths: the fields, as paths through nested objects.
        plain: what was read -> the same as plain JSON values.
    """

    contract: Contract
    paths: tuple[tuple[str, ...], ...]
    plain: Callable[[Any], dict[str, Any]]

    def values(self, parsed: Any) -> dict[str, Any]:
        """Dotted name -> value of each field: text, number, bool or None; lists and objects as JSON text."""
        found = self.plain(parsed)
        return {".".join(path): _at(found, path) for path in self.paths}

    @property
    def names(self) -> tuple[str, ...]:
        """The fields' dotted names."""
        return tuple(".".join(path) for path in self.paths)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def shape_of(response_format: Any, where: str) -> Shape | None:
    """The shape that a ``response_format`` asks for; None: it has no schema, and is passed on to the endpoint.

    Args:
        response_format: a pydantic model class; the JSON schema of an object; ``{"type": "json_schema", ...}`` as
            OpenAI spells it; ``{"type": "json_object"}``; a `Shape`; None.

    Raises:
        TypeError: it is none of these.
        ValueError: its schema does not describe an object with properties.
    """
    if response_format is None or isinstance(response_format, Shape):
        return response_format
    if _is_model(response_format):
        return _of_model(response_format)
    if isinstance(response_format, Mapping):
        if response_format.get("type") in PASSED_ON and "properties" not in response_format:
            return None
        return _of_schema(dict(response_format), where)
    raise TypeError(
        f"{where}: response_format is a pydantic model class or the JSON schema of an object (a dict), got "
        f"{response_format!r:.100}."
    )


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and hasattr(value, "model_validate") and hasattr(value, "model_json_schema")


@functools.lru_cache(maxsize=256)
def _of_model(model: Any) -> Shape:
    schema = model.model_json_schema()
    _require_object(schema, f"response_format={model.__name__}")
    return _shape(model.__name__, schema, functools.partial(_validated, model), _dumped)


def _validated(model: Any, value: dict[str, Any]) -> Any:
    import pydantic

    try:
        return model.model_validate(value)
    except pydantic.ValidationError as error:
        raise Fault("; ".join([_told(each) for each in error.errors()])) from None


def _told(error: Mapping[str, Any]) -> str:
    name = ".".join(map(str, error["loc"]))
    return f"{f'{name!r}: ' if name else ''}{error['msg']}"


def _dumped(parsed: Any) -> dict[str, Any]:
    plain: dict[str, Any] = parsed.model_dump(mode="json", by_alias=True)
    return plain


def _of_schema(given: dict[str, Any], where: str) -> Shape:
    inner = given.get("json_schema") if given.get("type") == "json_schema" else None
    schema = inner.get("schema") if isinstance(inner, Mapping) else given
    name = inner.get("name") if isinstance(inner, Mapping) else given.get("title")
    _require_object(schema, f"{where}: response_format")
    assert isinstance(schema, Mapping)
    return _shape(str(name or "answer"), dict(schema), functools.partial(_fitting, schema), _itself)


def _require_object(schema: Any, where: str) -> None:
    if not isinstance(schema, Mapping) or not leaves_of(schema):
        raise ValueError(
            f"{where} must describe an object with properties, like "
            "{'type': 'object', 'properties': {'answer': {'type': 'string'}}, 'required': ['answer']}; "
            f"got {schema!r:.200}."
        )


def leaves_of(schema: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The fields of an object; ``[]``: it is none."""
    return [path for path in leaves(schema) if path]


def _fitting(schema: Any, value: dict[str, Any]) -> dict[str, Any]:
    fault = fault_of(value, schema)
    if fault is not None:
        raise Fault(fault)
    return value


def _itself(parsed: Any) -> dict[str, Any]:
    plain: dict[str, Any] = parsed
    return plain


def _shape(name: str, schema: dict[str, Any], read: Callable[[Any], Any], plain: Callable[[Any], Any]) -> Shape:
    sent, strict = strictly(schema)
    called = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:64]
    contract = Contract(called, sent, read, strict=strict, required=())
    return Shape(contract, tuple(leaves_of(schema)), plain)
