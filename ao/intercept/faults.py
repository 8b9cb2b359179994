"""Errors of a transport as plain JSON, and raised again from it: refused connections, timeouts, broken streams."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TypeAlias

from ao.intercept.credentials import public_text

__all__ = ["LEFT", "Fault", "can_raise", "fault_of", "raised"]

Fault: TypeAlias = Mapping[str, Any]
"""An exception without its objects: ``kind``, ``args``, ``state`` (its attributes), ``cause``; one in it is a fault."""

LEFT: Fault = {"kind": "left"}
"""The script read no further: of what comes then, nothing is recorded."""

LEFT_TEXT = (
    "the recorded stream was left here: when it was recorded, the script read no further, so there is no more of this "
    "answer to give. To ask the model anew: --no-cache (ao-record --rerun RUN --no-cache ..., ao-tool rerun RUN "
    "--no-cache). To give it a whole answer: ao-tool edit RUN NODE --output"
)

_BROKEN = {
    "httpx": "httpx.ReadError",
    "httpx2": "httpx2.ReadError",
    "urllib3": "urllib3.exceptions.ProtocolError",
    "aiohttp": "aiohttp.client_exceptions.ClientPayloadError",
}
"""Library -> its error of a connection that broke while an answer was read."""

_THEIRS = {
    "httpx": ("httpx", "httpcore", "h11"),
    "httpx2": ("httpx2", "httpcore2", "h11"),
    "urllib3": ("urllib3", "requests"),
    "aiohttp": ("aiohttp",),
}
"""Library -> first words of the modules whose errors are raised in its calls."""

_LIBRARIES = frozenset(name for names in _THEIRS.values() for name in names)
_SYSTEMS = ("builtins", "socket", "ssl", "http")
"""The same of Python's own, but errors of the system only."""

_OF_THE_SYSTEM = ("errno", "strerror", "filename")
_LONGEST = 2**12
_DEEPEST = 5


def fault_of(error: BaseException | None) -> Fault | None:
    """What can be raised again; None: it is no error of a transport (a cancellation, Ctrl-C, a fault of the script)."""
    return None if error is None or not _known(type(error)) else _described(error, 0)


def _described(error: BaseException, depth: int) -> dict[str, Any]:
    state = dict(vars(error))
    if isinstance(error, OSError):
        told = {name: getattr(error, name) for name in _OF_THE_SYSTEM}
        state |= {name: value for name, value in told.items() if value is not None}
    fault = {
        "kind": f"{type(error).__module__}.{type(error).__qualname__}",
        "args": [_plain(value, depth) for value in error.args],
        "state": {name: _plain(value, depth) for name, value in state.items()},
    }
    cause = _plain(error.__cause__, depth)
    return fault | {"cause": cause} if isinstance(cause, dict) else fault


def _plain(value: Any, depth: int) -> Any:
    """A text, a number or a fault; of another library's error its text, of anything else nothing is kept."""
    if isinstance(value, str):
        return public_text(str(value))
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, bytes):  # what came before it broke: only its length is ever told
        return value[:_LONGEST].decode("latin-1")
    if isinstance(value, Exception):
        return _described(value, depth + 1) if _known(type(value)) and depth < _DEEPEST else public_text(str(value))
    return None


def can_raise(fault: Fault, library: str) -> bool:
    """Whether ``raised`` makes the same of it in a call of this library."""
    return library in _BROKEN if fault is LEFT else _kind(fault, library) is not None


def raised(fault: Fault, library: str, parts: Mapping[str, Any]) -> Exception:
    """The exception, to be raised in a call of ``library``.

    Args:
        fault: see `fault_of`, or `LEFT`.
        library: as ``Exchange.library`` names it.  What httpx raised is httpx2's if that makes the call now.
        parts: attribute -> the object of this call that it holds, where no record can keep it (``pool``).
    """
    if fault is LEFT:
        kind = _kind({"kind": _BROKEN.get(library, "")}, library) or ConnectionError
        return kind(LEFT_TEXT)
    try:
        error = _made(fault, library, parts)
    except (TypeError, AttributeError, KeyError):  # a class that is made otherwise now
        error = None
    return error or ConnectionError(f"{fault.get('kind')}: {fault.get('args')}")


def _made(fault: Fault, library: str, parts: Mapping[str, Any]) -> Exception | None:
    """As unpickling does it: without ``__init__``, which takes something else in each class."""
    kind = _kind(fault, library)
    if kind is None:
        return None
    args = tuple(_value(value, library, parts) for value in fault["args"])
    error = kind.__new__(kind, *args)
    error.args = args
    for name, value in fault["state"].items():
        if name in _OF_THE_SYSTEM and isinstance(error, OSError):
            setattr(error, name, value)
        else:
            error.__dict__[name] = parts.get(name) if value is None else _value(value, library, parts)
    error.__cause__ = _value(fault.get("cause"), library, parts)
    return error


def _value(value: Any, library: str, parts: Mapping[str, Any]) -> Any:
    return _made(value, library, parts) if isinstance(value, dict) else value


def _kind(fault: Fault, library: str) -> type[Exception] | None:
    """The class; None where it is not there, or none that this library raises."""
    module, _, name = str(fault["kind"]).rpartition(".")
    first, dot, rest = module.partition(".")
    if library in ("httpx", "httpx2") and first in _OF_HTTPX:
        first = first.removesuffix("2") + library.removeprefix("httpx")
    if first in _LIBRARIES and first not in _THEIRS.get(library, ()):
        return None
    found = getattr(sys.modules.get(first + dot + rest), name, None)
    return found if isinstance(found, type) and _known(found) else None


_OF_HTTPX = ("httpx", "httpx2", "httpcore", "httpcore2")


def _known(kind: type) -> bool:
    if not issubclass(kind, Exception):
        return False
    first = kind.__module__.partition(".")[0]
    return first in _LIBRARIES or (first in _SYSTEMS and (issubclass(kind, OSError) or first == "http"))
