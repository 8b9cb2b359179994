"""Server-sent events that end when the server does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse

from tellurio.server.hooks import Hooks

__all__ = ["event", "event_stream"]

PING = 15.0
"""Seconds of silence after which a comment is sent: so that proxies keep the line, and a client that went is found."""


def event(number: int, data: bytes, kind: str | None = None) -> bytes:
    """One event; ``data`` is JSON on one line.  A client that lost the line says ``number`` as its Last-Event-ID."""
    named = f"event: {kind}\n".encode() if kind else b""
    return b"id: %d\n%sdata: %s\n\n" % (number, named, data)


def event_stream(request: Request, events: AsyncIterator[bytes], *, ping: float = PING) -> StreamingResponse:
    """The answer that hands out ``events`` (as `event` makes them) as they come, until they or the server end."""
    hooks: Hooks = request.app.state.hooks
    return StreamingResponse(
        _until_closing(hooks.closing, events, ping), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


async def _until_closing(closing: asyncio.Event, events: AsyncIterator[bytes], ping: float) -> AsyncIterator[bytes]:
    end = asyncio.ensure_future(closing.wait())
    following: asyncio.Future[bytes | None] | None = None
    try:
        while True:
            if following is None:
                following = asyncio.ensure_future(_following(events))
            waited: set[asyncio.Future[Any]] = {end, following}
            await asyncio.wait(waited, timeout=ping, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                item, following = following.result(), None
                if item is None:
                    return
                yield item
            elif end.done():
                return
            else:
                yield b": still here\n\n"
    finally:
        for waiting in (end, following):
            if waiting is not None:
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await waiting
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


async def _following(events: AsyncIterator[bytes]) -> bytes | None:
    return await anext(events, None)
