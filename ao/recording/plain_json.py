"""JSON of plain values, without the ``json`` module: importing that takes longer than starting a small script."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["dumps"]


def dumps(value: Any) -> str:
    """``value`` as JSON; what JSON does not know becomes its text."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if type(value) is int or (type(value) is float and value - value == 0):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ",".join([f"{_quoted(str(name))}:{dumps(each)}" for name, each in value.items()]) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(dumps, value)) + "]"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # an argument or a path that is no UTF-8: half characters are no JSON for a server
        text = text.encode("utf-8", "replace").decode()
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return _escaped(text)


def _escaped(text: str) -> str:
    try:
        from _json import encode_basestring_ascii
    except ImportError:
        from json.encoder import encode_basestring_ascii
    return encode_basestring_ascii(text)
