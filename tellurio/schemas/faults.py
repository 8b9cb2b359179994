"""Errors as they travel: our own by name with what they carry, all others by what they say."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

from afnio import errors
from afnio.calls import _json
from afnio.errors import AfnioError, JobError

__all__ = ["ASKED", "pack_error", "read_error"]

ASKED = "asked"
"""Attribute of an error that came from the other side: the question it was the answer to."""

PLAIN = ("KeyError", "LookupError", "RuntimeError", "TypeError", "ValueError")
"""Built-in errors that come back as what they are."""


def pack_error(error: BaseException) -> dict[str, Any]:
    """``error`` in JSON."""
    known = next((cls.__name__ for cls in type(error).__mro__ if _class(cls.__name__) is cls), None)
    carried = {}
    for name, value in vars(error).items():
        if name != ASKED and not isinstance(error, AfnioError):
            continue
        try:
            carried[name] = _json.loads(_json.dumps(value))
        except TypeError:
            continue  # what has no JSON form (the errors of single samples) stays behind
    said = _text_of(error) if known is not None else f"{type(error).__name__}: {_text_of(error)}"
    return {"type": known or "JobError", "message": said, "carried": carried}


def _text_of(error: BaseException) -> str:
    """What it says, in a form that JSON has; a user's class may fail at it, and somebody waits for the error."""
    try:
        said = str(error)
    except Exception as fault:  # noqa: BLE001
        return f"(its text cannot be had: {type(fault).__name__})"
    return said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_error(form: Mapping[str, Any]) -> Exception:
    """The error that `pack_error` told of."""
    cls = _class(str(form.get("type"))) or JobError
    error = cls.__new__(cls)
    Exception.__init__(error, str(form.get("message", "")))
    carried = form.get("carried")
    if isinstance(carried, Mapping):
        vars(error).update({name: value for name, value in carried.items() if isinstance(name, str)})
    return error


def _class(name: str) -> type[Exception] | None:
    found = getattr(errors, name, None) if name not in PLAIN else getattr(builtins, name)
    return found if isinstance(found, type) and issubclass(found, Exception) else None
