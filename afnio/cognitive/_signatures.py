"""What a function says of itself: its description, the JSON schema of its arguments, how JSON becomes them."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

__all__ = ["arguments_of", "description_of", "hints_of", "schema_of"]

PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
LISTS = (list, Sequence, tuple, set, frozenset)
DICTS = (dict, Mapping)


# ---------------------------------------------------------------------------------------------- docstrings

# Compiled where they are first used, and not by whoever imports this.
_SECTION = (
    r"^(Args|Arguments|Parameters|Params|Returns?|Yields?|Raises|Examples?|Notes?|See Also|Attributes|Warnings?)"
    r"\s*:?\s*$"
)
_SPHINX = r"^:(?:param|parameter|arg)\s+(?:[^:]*\s)?(\w+)\s*:\s*(.*)$"


def description_of(fn: Callable[..., Any]) -> str:
    """The docstring before its first section."""
    lines = []
    for line in (inspect.getdoc(fn) or "").splitlines():
        if re.match(_SECTION, line) or line.startswith(":"):
            break
        lines.append(line)
    return "\n".join(lines).strip()


def _described(fn: Callable[..., Any]) -> dict[str, str]:
    """Name of a parameter -> what the docstring says of it: Google's, NumPy's or Sphinx's way."""
    lines = (inspect.getdoc(fn) or "").splitlines()
    found: dict[str, list[str]] = {}
    inside, depth, current = False, None, None
    for line in lines:
        sphinx = re.match(_SPHINX, line)
        if sphinx:
            current = found[sphinx[1]] = [sphinx[2]]
            continue
        header = re.match(_SECTION, line)
        if header:
            inside, depth, current = header[1] in ("Args", "Arguments", "Parameters", "Params"), None, None
            continue
        if set(line.strip()) == {"-"}:
            continue
        text, indent = line.strip(), len(line) - len(line.lstrip())
        if inside and text and (depth is None or indent <= depth):
            depth = indent
            name, _, rest = text.partition(":")
            name = name.partition("(")[0].strip().lstrip("*")
            numpy = indent == 0  # ``name : type``, and the description below
            current = found[name] = [] if numpy else [rest.strip()]
        elif current is not None and text and not line.startswith(":"):
            current.append(text)
    return {name: " ".join(words).strip() for name, words in found.items()}


# ---------------------------------------------------------------------------------------------- schemas


def hints_of(fn: Callable[..., Any], tool: str) -> dict[str, Any]:
    """Name -> type of each parameter.

    Raises:
        TypeError: a parameter has no type hint, or one that cannot be read; ``*args`` or ``**kwargs``.
    """
    outside = inspect.getclosurevars(fn).nonlocals if inspect.isfunction(fn) else {}
    try:
        hints = typing.get_type_hints(fn, localns=dict(outside), include_extras=True)
    except NameError as error:
        raise TypeError(
            f"The tool {tool!r} has a type hint that cannot be read: {error}. Define the type at the top of the "
            "module, or pass Tool(fn, schema={...})."
        ) from None
    found = {}
    for name, parameter in inspect.signature(fn).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(
                f"The tool {tool!r} has the parameter {parameter}, which a model cannot give by name. Name each "
                "parameter, or pass Tool(fn, schema={...})."
            )
        if name not in hints:
            raise TypeError(
                f"The parameter {name!r} of the tool {tool!r} has no type hint, so the model cannot be told what to "
                f"give. Write `{name}: str` (or int, float, bool, list[...], Literal[...], a pydantic model), or pass "
                "Tool(fn, schema={...})."
            )
        found[name] = hints[name]
    return found


def schema_of(fn: Callable[..., Any], hints: Mapping[str, Any], tool: str) -> dict[str, Any]:
    """JSON schema of the arguments of ``fn``.

    Raises:
        TypeError: a type has no JSON form.
    """
    described, defs = _described(fn), dict[str, Any]()
    properties: dict[str, Any] = {}
    required = []
    for name, parameter in inspect.signature(fn).parameters.items():
        schema = _schema(hints[name], defs, f"parameter {name!r} of the tool {tool!r}")
        if described.get(name) and "description" not in schema:
            schema = {**schema, "description": described[name]}
        if parameter.default is parameter.empty:
            required.append(name)
        elif isinstance(parameter.default, (str, int, float, bool)):
            schema = {**schema, "default": _plain(parameter.default)}
        properties[name] = schema
    made = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {**made, "$defs": defs} if defs else made


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _schema(hint: Any, defs: dict[str, Any], where: str) -> dict[str, Any]:
    if hint is Any:
        return {}
    if hint in PLAIN:
        return {"type": PLAIN[hint]}
    origin, args = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return _annotated(args, defs, where)
    if origin is Literal:
        return _choices(list(args))
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(each, defs, where) for each in args]}
    inner = [each for each in args if each is not Ellipsis]
    if (origin or hint) in LISTS and all(
        each == inner[0] for each in inner
    ):  # a tuple of several types has no form that all APIs know
        return {"type": "array", "items": _schema(inner[0], defs, where) if inner else {}}
    if (origin or hint) in DICTS:
        return {"type": "object", "additionalProperties": _schema(args[1], defs, where) if len(args) == 2 else True}
    if isinstance(hint, type):
        found = _class_schema(hint, defs, where)
        if found is not None:
            return found
    raise TypeError(
        f"The {where} has the type {hint!r}, which has no JSON form. Use str, int, float, bool, None, list, dict, "
        "Literal, an Enum, a dataclass, a TypedDict or a pydantic model, or pass Tool(fn, schema={...})."
    )


def _annotated(args: tuple[Any, ...], defs: dict[str, Any], where: str) -> dict[str, Any]:
    schema = _schema(args[0], defs, where)
    for note in args[1:]:
        text = note if isinstance(note, str) else getattr(note, "description", None)
        if isinstance(text, str):
            schema = {**schema, "description": text}
    return schema


def _choices(values: list[Any]) -> dict[str, Any]:
    kinds = {PLAIN.get(type(value)) for value in values}
    kind = kinds.pop() if len(kinds) == 1 else None
    return {"type": kind, "enum": values} if kind else {"enum": values}


def _class_schema(hint: Any, defs: dict[str, Any], where: str) -> dict[str, Any] | None:
    if issubclass(hint, enum.Enum):
        return _choices([member.value for member in hint])
    if hasattr(hint, "model_json_schema"):
        schema = dict(hint.model_json_schema(ref_template="#/$defs/{model}"))
        defs.update(schema.pop("$defs", {}))
        return schema
    if dataclasses.is_dataclass(hint):
        optional = {
            each.name
            for each in dataclasses.fields(hint)
            if each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING
        }
    elif typing.is_typeddict(hint):
        optional = set(getattr(hint, "__optional_keys__", ()))
    else:
        return None
    hints = typing.get_type_hints(hint, include_extras=False)
    return {
        "type": "object",
        "properties": {name: _schema(each, defs, where) for name, each in hints.items()},
        "required": [name for name in hints if name not in optional],
        "additionalProperties": False,
    }


# ---------------------------------------------------------------------------------------------- values


def arguments_of(given: Mapping[str, Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values as what the types say; raises what their constructors raise."""
    return {name: _value(value, hints.get(name, Any)) for name, value in given.items()}


def _value(value: Any, hint: Any) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return _value(value, args[0])
    if origin in (Union, types.UnionType):
        return _one_of(value, args)
    kind = origin or hint
    if isinstance(value, list) and kind in LISTS:
        items = [_value(item, args[0] if args else Any) for item in value]
        return kind(items) if kind in (tuple, set, frozenset) else items
    if isinstance(value, dict) and kind in DICTS and len(args) == 2:
        return {name: _value(item, args[1]) for name, item in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, float):
        return int(value)
    return _made(value, hint) if isinstance(hint, type) else value


def _made(value: Any, hint: Any) -> Any:
    if issubclass(hint, enum.Enum):
        return hint(value)
    if hasattr(hint, "model_validate"):
        return hint.model_validate(value)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        make: Any = hint
        return make(**arguments_of(value, typing.get_type_hints(hint)))
    return value


def _one_of(value: Any, hints: Sequence[Any]) -> Any:
    if value is None and type(None) in hints:
        return None
    failed: Exception | None = None
    for hint in hints:
        try:
            made = _value(value, hint)
        except (ValueError, TypeError) as error:
            failed = error
            continue
        if hint not in PLAIN or isinstance(made, hint):
            return made
    if failed is not None:
        raise failed
    return value
