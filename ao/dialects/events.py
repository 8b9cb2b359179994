"""Streams taken apart, and put together: server-sent events, lines of JSON, an array that grows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ao.dialects import _json

__all__ = ["last_line", "lines", "parse", "sse"]

_LINE = re.compile(rb"\r\n|\n|\r")


def parse(body: bytes) -> list[Any]:
    """The JSON values of a stream, of whichever kind it is.  What is no JSON, or was cut off, is left out."""
    start = body.lstrip()[:6]
    if start.startswith(b"["):
        return _array(body)
    if start.startswith(b"{"):
        return [value for line in _LINE.split(body) if line.strip() for value in _values(line)]
    return [value for data in _data(body) for value in _values(data)]


def last_line(body: bytes) -> bytes:
    """The last line that is not empty; ``b""`` when it is not whole: no line break came after it."""
    return body.rstrip(b"\r\n").rpartition(b"\n")[2].strip() if body.endswith((b"\n", b"\r")) else b""


def _data(body: bytes) -> Iterable[bytes]:
    """The data of each server-sent event; the last one counts even when the empty line after it is missing."""
    gathered: list[bytes] = []
    for line in _LINE.split(body):
        if not line:
            if gathered:
                yield b"\n".join(gathered)
            gathered = []
        elif line.startswith(b"data:"):
            gathered.append(line[6:] if line.startswith(b"data: ") else line[5:])
    if gathered:
        yield b"\n".join(gathered)


def _values(text: bytes) -> list[Any]:
    try:
        return [_json.loads(text)]
    except ValueError:
        return []


def _array(body: bytes) -> list[Any]:
    """A JSON array; of one that was cut off, the elements that are whole."""
    import json

    try:
        found = _json.loads(body)
        return found if isinstance(found, list) else [found]
    except ValueError:
        pass
    text, found, decoder = body.decode(errors="replace"), [], json.JSONDecoder()
    position = text.find("[") + 1
    while True:
        while position < len(text) and text[position] in " \t\r\n,":
            position += 1
        try:
            value, position = decoder.raw_decode(text, position)
        except ValueError:
            return found
        found.append(value)


def sse(value: Any, event: str = "") -> bytes:
    """One server-sent event."""
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + _json.dumps(value) + b"\n\n"


def lines(values: Iterable[Any]) -> list[bytes]:
    """One line of JSON for each value."""
    return [_json.dumps(value) + b"\n" for value in values]
