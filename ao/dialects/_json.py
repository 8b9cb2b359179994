"""JSON for the hot path: orjson, imported at the first call, where it can work."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from functools import cache
from typing import Any

__all__ = ["dumps", "library", "loads", "strict"]

_NEEDED = ("uuid", "platform", "dataclasses", "datetime", "enum", "zoneinfo")
"""What orjson imports with its first ``dumps``, and what that imports."""
_STDLIB = os.path.dirname(os.__file__) + os.sep


@cache
def library() -> Any:
    """``orjson``; None beside a script whose folder has a file named like a module that orjson imports.

    It would get the script's file, and crash the interpreter.
    """
    if not all(map(_is_pythons, _NEEDED)):
        return None
    try:
        orjson = importlib.import_module("orjson")
    except ImportError:
        return None
    return orjson if hasattr(orjson, "OPT_SORT_KEYS") else None


def _is_pythons(name: str) -> bool:
    """Whether that name means Python's own module here.  Imports nothing: a script's file may do things."""
    try:
        module = sys.modules.get(name)
        spec = importlib.util.find_spec(name) if module is None else getattr(module, "__spec__", None)
    except (ImportError, ValueError):
        return False
    return spec is not None and (not spec.has_location or str(spec.origin).startswith(_STDLIB))


def loads(content: bytes | str) -> Any:
    """The value of a JSON text; ``ValueError`` when it is none.  Bytes that are no UTF-8 become U+FFFD."""
    orjson = library()
    try:
        if orjson is not None:
            return orjson.loads(content)
    except ValueError:
        pass
    return json.loads(content.decode(errors="replace") if isinstance(content, bytes) else content)


def strict(content: bytes) -> Any:
    """The value of a JSON text; ``ValueError`` also where others are lenient: NaN, half characters, no UTF-8."""
    orjson = library()
    if orjson is not None:
        return orjson.loads(content)
    value = json.loads(content.decode(), parse_constant=_none_such)
    json.dumps(value, ensure_ascii=False).encode()  # UnicodeEncodeError is a ValueError
    return value


def _none_such(name: str) -> Any:
    raise ValueError(name)


def dumps(value: object, *, sort: bool = False) -> bytes:
    """Compact UTF-8 JSON."""
    orjson = library()
    try:
        if orjson is not None:
            content: bytes = orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort else None)
            return content
    except TypeError:  # whole numbers beyond 64 bits, half characters
        pass
    try:
        return json.dumps(value, separators=(",", ":"), sort_keys=sort, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), sort_keys=sort).encode()
