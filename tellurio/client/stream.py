"""Server-sent events, as they come in over a response's body."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, NamedTuple

from afnio.calls import _json

__all__ = ["Event", "events"]


class Event(NamedTuple):
    """One event: its id, its kind, and its decoded data."""

    id: str
    kind: str
    data: Any


async def events(chunks: AsyncIterable[bytes]) -> AsyncIterator[Event]:
    """The events in a stream of bytes, cut anywhere.  Comments are left out; a last one that is not whole is too.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (as our servers write them: ``\\n`` ends a
    line, and the data are one line).
    """
    rest: list[bytes] = []
    async for chunk in chunks:
        if b"\n\n" not in chunk and not (rest and rest[-1].endswith(b"\n")):
            rest.append(chunk)  # a long event in many pieces is put together once
            continue
        *blocks, last = b"".join([*rest, chunk]).split(b"\n\n")
        rest = [last]
        for block in blocks:
            event = _read(block)
            if event is not None:
                yield event


def _read(block: bytes) -> Event | None:
    fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line and not line.startswith(b":"))
    if b"data" not in fields:
        return None
    return Event(fields.get(b"id", b"").decode(), fields.get(b"event", b"").decode(), _json.loads(fields[b"data"]))
