"""How an API spells requests, answers, streams and errors.  A new API is one module and one line in the table."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any, Protocol

from afnio.models.lm_server.ask import Answer, Ask, Image

__all__ = ["BadAskError", "Spelling", "event", "image_at", "image_of", "number", "pieces", "text_of"]

CREATED = 1_700_000_000
"""Every answer's creation time: the same request must give the same bytes in every process."""


class Spelling(Protocol):
    """One API format.  The modules beside this one are its implementations."""

    def parse(self, body: dict[str, Any]) -> Ask:
        """Read a request; BadAskError when it is none."""
        ...

    def render(self, ask: Ask, answer: Answer, ident: str) -> dict[str, Any]:
        """The body of a whole answer."""
        ...

    def stream(self, ask: Ask, answer: Answer, ident: str) -> Iterator[bytes]:
        """The server-sent events of a streamed answer."""
        ...

    def error(self, status: int, kind: str, message: str, code: str | None) -> dict[str, Any]:
        """The body of an error."""
        ...


class BadAskError(Exception):
    """The request is not what the API takes; becomes a 400."""


def event(data: dict[str, Any], name: str = "") -> bytes:
    """One server-sent event."""
    import orjson

    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + orjson.dumps(data) + b"\n\n"


def pieces(text: str, words: int = 3) -> list[str]:
    """``text`` in pieces of a few words, as a stream brings it; joined they are ``text``."""
    parts = re.findall(r"\s*\S+|\s+$", text)
    return ["".join(parts[start : start + words]) for start in range(0, len(parts), words)]


def text_of(content: object) -> str:
    """The text of a message's content: a string, or the text parts of a list, a newline between two."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join([str(part["text"]) for part in content if isinstance(part, dict) and "text" in part])


_DATA_URL = re.compile(r"data:(?P<kind>[\w.+-]+/[\w.+-]+);base64,(?P<data>.*)", re.DOTALL)


def image_at(url: str) -> Image:
    """The picture of a data URL, or one that is elsewhere: the simulation fetches nothing."""
    found = _DATA_URL.fullmatch(url)
    return image_of(found["data"], found["kind"]) if found else Image(b"", url=url)


def image_of(data: str, media_type: str) -> Image:
    """A picture from base64 text; BadAskError when it is none."""
    try:
        return Image(b64decode(data, validate=True), media_type)
    except ValueError as problem:
        raise BadAskError(f"an image is not valid base64: {problem}") from None


def number(value: object) -> int | None:
    """A limit such as ``max_tokens``, or None."""
    return value if isinstance(value, int) and value > 0 else None
