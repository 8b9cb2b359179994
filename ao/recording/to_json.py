"""A record as one line of JSON, without credentials, whatever a script has put into it."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ao.dialects._json import library

__all__ = ["public", "to_json"]

_REDACTION = "afnio.calls.redact"


def to_json(fields: Mapping[str, Any]) -> bytes:
    """``fields`` as a JSON object; what JSON does not know becomes what is nearest to it."""
    return _redacted(_dumped(fields))


def public(text: str) -> str:
    """``text`` without credentials."""
    return _redacted(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _redacted(data: bytes) -> bytes:
    redacted: bytes = (sys.modules.get(_REDACTION) or _redaction()).redacted(data)
    return redacted


def _dumped(value: Any) -> bytes:
    orjson = library()
    try:
        if orjson is not None:
            content: bytes = orjson.dumps(value, _plain, orjson.OPT_NON_STR_KEYS)
            return content
    except (TypeError, RecursionError):
        pass
    return json.dumps(_clean(value, 0), default=str, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    """Scalars of numpy, Decimals, paths, dataclasses of users."""
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)


DEEPEST = 200
"""Levels of nesting after which a value is its text."""


def _clean(value: Any, depth: int) -> Any:
    """``value`` without half characters, cycles, and numbers that JSON cannot hold."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else None
    if depth >= DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {_clean(str(name), 0): _clean(each, depth + 1) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(each, depth + 1) for each in value]
    return _clean(str(value), 0)


def _redaction() -> ModuleType:
    """`afnio.calls.redact`: the script's, with the hook it set, or one of our own, loaded without all of afnio."""
    module = sys.modules.get(_OWN)
    if module is None:
        spec = importlib.util.spec_from_file_location(_OWN, _FILE)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[_OWN] = module
    return module


_OWN = "ao.recording._redaction"
_FILE = Path(__file__).parents[2].joinpath(*_REDACTION.split(".")).with_suffix(".py")
