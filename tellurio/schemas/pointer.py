"""JSON pointers (RFC 6901): places in a JSON value, read and changed.

Source: https://www.rfc-editor.org/rfc/rfc6901
"""

from __future__ import annotations

from typing import Any

__all__ = ["PointerError", "at", "changed", "pointer_of"]


class PointerError(ValueError):
    """A pointer leads nowhere; says how far it leads, and what is there."""


def pointer_of(path: str) -> str:
    """A pointer from how people write one: ``messages.0.content`` is ``/messages/0/content``; a pointer stays."""
    if not path or path.startswith("/"):
        return path
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path.split("."))


def at(value: Any, pointer: str) -> Any:
    """What is at ``pointer``.

    Raises:
        PointerError: nothing is.
    """
    for number, part in enumerate(_parts(pointer)):
        value = _child(value, part, pointer, number)
    return value


def changed(value: Any, pointer: str, new: Any = None, *, remove: bool = False) -> Any:
    """``value`` with ``new`` at ``pointer``; it may be changed in place.

    Args:
        value: a JSON value.
        pointer: ``""``: all of it.  A key that an object lacks is added; ``-`` for a list's index appends.
        new: what is to be there.
        remove: take away what is there instead.

    Raises:
        PointerError: what is on the way is not there, or what is to be removed.
    """
    parts = _parts(pointer)
    if not parts:
        if remove:
            raise PointerError("the whole body cannot be removed")
        return new
    holder = value
    for number, part in enumerate(parts[:-1]):
        holder = _child(holder, part, pointer, number)
    _change(holder, parts[-1], pointer, len(parts) - 1, new, remove)
    return value


def _change(holder: Any, part: str, pointer: str, number: int, new: Any, remove: bool) -> None:
    if remove:
        _child(holder, part, pointer, number)
        del holder[int(part) if isinstance(holder, list) else part]
    elif isinstance(holder, dict):
        holder[part] = new
    elif isinstance(holder, list) and part in ("-", str(len(holder))):
        holder.append(new)
    else:
        _child(holder, part, pointer, number)
        holder[int(part)] = new


def _parts(pointer: str) -> list[str]:
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise PointerError(f"expected a JSON pointer like /messages/0/content, got {pointer[:200]!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _child(value: Any, part: str, pointer: str, number: int) -> Any:
    if isinstance(value, dict) and part in value:
        return value[part]
    if isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
        return value[int(part)]
    so_far = "/".join(pointer.split("/")[: number + 1]) or "the body"
    raise PointerError(
        f"{pointer[:200]!r} leads nowhere: {so_far} {_has(value)}, not {part[:100]!r}{_meant(value, part)}"
    )


def _has(value: Any) -> str:
    if isinstance(value, dict):
        return f"has {', '.join(map(repr, list(value)[:20])) or 'no keys'}"
    if isinstance(value, list):
        return f"is a list of {len(value)}{f' (0 to {len(value) - 1})' if value else ''}"
    return f"is {_KINDS.get(type(value).__name__, type(value).__name__)}"


_KINDS = {"str": "a text", "int": "a number", "float": "a number", "bool": "true or false", "NoneType": "null"}


def _meant(value: Any, part: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(part[:100], value, 1) if isinstance(value, dict) else []
    return f"; did you mean {near[0]!r}?" if near else ""
