"""A streamed answer: events come, text goes out, a whole body is left, as if it had not been streamed."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from afnio.calls.request import ErrorEvent, Request
from afnio.calls.sse import event_of
from afnio.calls.transport import RawResponse, Take, Timeout, Transport
from afnio.errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APIStatusError,
    StreamCutError,
)

__all__ = ["NOBODY", "Sink", "pieces", "streamed"]


class Sink:
    """Gives pieces of text to whoever asked for them, and knows what was given."""

    def __init__(self, on_text: Callable[[str], object] | None) -> None:
        self._on_text = on_text
        self.given: list[str] = []

    def take(self, text: str) -> None:
        """Pass ``text`` on; an error of the user's function ends the call."""
        if self._on_text is None or not text:
            return
        self.given.append(text)
        try:
            self._on_text(text)
        except Exception as error:
            raise ListenerFailed(error) from error

    def rest(self, text: str) -> None:
        """Give the whole of an answer that did not come as a stream (from a log, say), in pieces."""
        if self._on_text is not None and not self.given:
            for piece in pieces(text):
                self.take(piece)


NOBODY = Sink(None)
"""Where no one listens."""


class ListenerFailed(Exception):
    """``on_text`` raised; kept apart from the errors of the connection it was called under."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))


def pieces(text: str) -> list[str]:
    """``text`` word by word; joined they are ``text``."""
    return re.findall(r"\s*\S+|\s+$", text)


_without_usage: set[str] = set()
"""Endpoints that refuse to be asked for the usage of a stream."""


async def streamed(request: Request, transport: Transport, timeout: Timeout, sink: Sink) -> RawResponse:
    """Ask once, as a stream where the transport can; returns the whole answer.

    Raises:
        StreamCutError: it broke off after some of it was given to the sink.
        APIError: it failed before.
    """
    stream: Callable[..., Awaitable[RawResponse]] | None = getattr(transport, "stream", None)
    if stream is None:
        return await transport.send(request, timeout)
    told = request.endpoint not in _without_usage
    raw = await _once(request, stream, timeout, sink, told)
    if told and raw.status in (400, 422) and b"stream_options" in _bytes(raw):
        _without_usage.add(request.endpoint)
        raw = await _once(request, stream, timeout, sink, False)
    return raw


def _bytes(raw: RawResponse) -> bytes:
    return raw.content if isinstance(raw.content, bytes) else str(raw.content).encode()


async def _once(
    request: Request, stream: Callable[..., Awaitable[RawResponse]], timeout: Timeout, sink: Sink, usage: bool
) -> RawResponse:
    folder = request.format.folder()
    take: Take = lambda name, data: sink.take(folder.add(*_event(name, data, request)))  # noqa: E731
    try:
        raw = await stream(request, request.format.streamed(request.body, usage=usage), timeout, take)
        if raw.streamed:
            raw.content = folder.body()
        return raw
    except ErrorEvent as event:
        error: APIError = _typed(event, request)
        raise _cut(error, request, sink) from event
    except APIStatusError:
        raise
    except (APIConnectionError, APIResponseError) as error:
        error.provider, error.model = request.provider, request.model
        raise _cut(error, request, sink) from error.__cause__


def _event(name: str, data: str | dict[str, Any], request: Request) -> tuple[str, dict[str, Any]]:
    if isinstance(data, dict):
        return name, data
    try:
        return event_of(name, data)
    except ValueError:
        raise APIResponseError(
            f"{request.provider} sent an event that is no JSON object: {data[:200]!r}. Check base_url.", body=data
        ) from None


def _typed(event: ErrorEvent, request: Request) -> APIError:
    return request.format.error(event.status, {}, event.body, request)


def _cut(error: APIError, request: Request, sink: Sink) -> APIError:
    """``error``, or what it is when the caller has some of the answer already."""
    if not sink.given:
        return error
    text = "".join(sink.given)
    return StreamCutError(
        f"The answer broke off after {len(text)} characters that were passed on already, so it is not asked for "
        f"again: {error} What came is in this error's .text; without on_text the call would have been retried.",
        text=text,
        provider=request.provider,
        model=request.model,
        request_id=error.request_id,
    )
