"""What an answer says: its bytes as one JSON body, its text, model, tokens, error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ao import dialects
from ao.dialects import _json
from ao.dialects.base import Asked
from ao.dialects.events import parse

__all__ = ["Reading", "read", "respell"]


@dataclass(slots=True)
class Reading:
    """An answer, read.

    ``body`` is JSON as if the answer had not been streamed; of an answer that is no JSON, its text.  ``usage`` has
    the names of ``afnio.calls.Usage``; None when nothing was reported.
    """

    body: Any
    model: str
    usage: dict[str, int] | None
    error: str
    reader: dialects.Dialect = field(repr=False, compare=False)

    @property
    def text(self) -> str:
        """What the answer says; ``""`` when it has no text."""
        text: str = _tried(self.reader.text, self.body, "")
        return text


def read(dialect: str, status: int | None, body: bytes, *, streamed: bool) -> Reading:
    """Read the answer of a call.

    Args:
        dialect: the name in ``Exchange.dialect``; one that is not registered here reads as plain JSON.
        status: of the answer.
        body: its bytes, decompressed; a stream that broke is read as far as it came.
        streamed: a stream was asked for.  (An error may come as plain JSON all the same.)
    """
    reader = dialects.get(dialect)
    value = _value(reader, body, streamed=streamed)
    error = _tried(reader.error, value, "")
    if not error and status is not None and status >= 400:
        error = value.strip()[:500] if isinstance(value, str) and value.strip() else f"status {status}"
    return Reading(value, _tried(reader.answering, value, ""), _tried(reader.usage, value, None), error, reader)


def _tried(reading: Callable[[Any], Any], value: Any, otherwise: Any) -> Any:
    """A dialect that fails on an odd answer (a user's own, say) must not lose the call."""
    try:
        return reading(value)
    except Exception:  # noqa: BLE001
        return otherwise


def _value(reader: dialects.Dialect, body: bytes, *, streamed: bool) -> Any:
    try:
        whole = _json.loads(body) if body else None
    except ValueError:
        whole = None
    if isinstance(whole, dict) and not (streamed and reader.name.startswith("ollama.")):
        return whole
    events = parse(body) if streamed else []
    if events:
        return _tried(reader.fold, events, events)
    return body.decode(errors="replace") if whole is None else whole


def respell(dialect: str, asked: Asked, body: Any, *, streamed: bool) -> list[bytes] | None:
    """The pieces of an answer that says ``body`` (an edited one), streamed if the script asked for a stream.

    None when the dialect can't spell a stream, or can't make one of this body.
    """
    if not streamed:
        return [_json.dumps(body)]
    pieces: list[bytes] | None = _tried(lambda value: dialects.get(dialect).spell(value, asked), body, None)
    return pieces
