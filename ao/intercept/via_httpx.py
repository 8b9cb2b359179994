"""httpx and httpx2: a client's choice of a transport is followed by ours around it.

So every client is seen, also those made before, with whatever transport: of sockets, a proxy, mounts, ASGI, a mock.
The client itself goes on doing what it does: redirects, auth, cookies, event hooks, decompression.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from ao.intercept.calls import Call, Desk, Given
from ao.intercept.flow import Step, adrive, apause, drive, flow, pause
from ao.intercept.patching import Patches
from ao.intercept.seam import Live
from ao.intercept.tee import Tee

__all__ = ["patch"]


def patch(httpx: Any, patches: Patches, desk: Desk) -> None:
    """See the requests of ``httpx.Client`` and ``httpx.AsyncClient``; ``httpx`` is either of the two modules."""
    library = _Library(httpx, desk)
    for client, around in ((httpx.Client, _Transport), (httpx.AsyncClient, _AsyncTransport)):
        patches.wrap(client, "_transport_for_url", _chooser(library, around))


class _Library:
    """The module, and its stream classes with ours mixed in, so that they pass for its own."""

    def __init__(self, httpx: Any, desk: Desk) -> None:
        self.name: str = httpx.__name__
        self.httpx = httpx
        self.desk = desk
        self.decodes: Any = getattr(getattr(httpx, "_decoders", None), "SUPPORTED_DECODERS", ("gzip", "deflate"))
        self.teed = type("TeedStream", (_Teed, httpx.SyncByteStream), {})
        self.ateed = type("TeedStream", (_ATeed, httpx.AsyncByteStream), {})
        self.replayed = type("ReplayedStream", (_Replayed, httpx.SyncByteStream), {})
        self.areplayed = type("ReplayedStream", (_AReplayed, httpx.AsyncByteStream), {})


def _chooser(library: _Library, around: type[_Transport]) -> Any:
    def wrapper(choose: Any) -> Any:
        def transport_for_url(client: Any, url: Any) -> Any:
            transport = choose(client, url)
            return around(library, transport) if library.desk.listening(str(url)) else transport

        return transport_for_url

    return wrapper


class _Transport:
    """A transport around one request."""

    def __init__(self, library: _Library, transport: Any) -> None:
        self._library = library
        self._transport = transport

    def handle_request(self, request: Any) -> Any:
        """What the client calls."""
        sent = _Sent(self._library, request, self._library.teed, self._library.replayed)

        def act(step: Step) -> Any:
            if isinstance(step, Given):
                return sent.answer(step)
            return self._transport.handle_request(sent.request(step))

        return drive(flow(self._library.desk, sent), act)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _AsyncTransport(_Transport):
    async def handle_async_request(self, request: Any) -> Any:
        """What the client awaits."""
        sent = _Sent(self._library, request, self._library.ateed, self._library.areplayed)

        async def act(step: Step) -> Any:
            if isinstance(step, Given):
                return sent.answer(step)
            return await self._transport.handle_async_request(sent.request(step))

        return await adrive(flow(self._library.desk, sent), act)


class _Sent:
    def __init__(self, library: _Library, request: Any, teed: Any, replayed: Any) -> None:
        self.library = library.name
        self.method: str = request.method
        self.url = str(request.url)
        self.headers = request.headers
        self._httpx = library.httpx
        self._decodes = library.decodes
        self._request = request
        self._teed = teed
        self._replayed = replayed

    def body(self) -> bytes | None:
        request = self._request
        try:
            content: bytes = request.content
        except self._httpx.RequestNotRead:
            if not isinstance(request.stream, self._httpx.ByteStream):
                return None
            content = request.read()  # of a redirected request; it can be read as often as one likes
        return content

    def request(self, live: Live) -> Any:
        """What is sent: the script's request, or one like it with another body."""
        if live.body is None:
            return self._request
        headers = [(name, value) for name, value in self._request.headers.raw if name.lower() != b"content-length"]
        return self._httpx.Request(
            self._request.method,
            self._request.url,
            headers=[each for each in headers if each[0].lower() != b"transfer-encoding"],
            content=live.body,
            extensions=self._request.extensions,
        )

    def answer(self, given: Given) -> Any:
        """A response of the library, made from a record."""
        return self._httpx.Response(
            given.replay.status,
            headers=list(given.replay.framed()),
            stream=self._replayed(given),
            extensions={"http_version": b"HTTP/1.1"},
        )

    def teed(self, response: Any, call: Call) -> Any:
        headers = [(name, value) for name, value in response.headers.multi_items()]
        whole = self._read_already(response)
        tee = call.tee(response.status_code, headers, encoded=whole is None, decodes=self._decodes)
        if whole is None:
            response.stream = self._teed(response.stream, tee)
        else:
            tee.feed(whole)
            tee.finish(complete=True)
        return response

    def seen(self, error: BaseException) -> BaseException:
        return error

    def parts(self) -> Mapping[str, Any]:
        return {}  # the client adds the request

    def _read_already(self, response: Any) -> bytes | None:
        """The body of a response that a mock made from a text: the client won't iterate over its stream."""
        try:
            content: bytes = response.content
        except self._httpx.ResponseNotRead:
            return None
        return content


class _Stream:
    """A stream with a tee on it."""

    def __init__(self, stream: Any, tee: Tee) -> None:
        self._stream = stream
        self._tee = tee


class _Teed(_Stream):
    def __iter__(self) -> Iterator[bytes]:
        tee = self._tee
        tee.busy = True
        try:
            for piece in self._stream:
                tee.feed(piece)
                tee.busy = False
                yield piece
                tee.busy = True
        except GeneratorExit:
            raise
        except BaseException as error:
            tee.finish(complete=False, error=error)
            raise
        tee.finish(complete=True)

    def close(self) -> None:
        """The response was closed, read to its end or not."""
        try:
            self._stream.close()
        finally:
            self._tee.finish(complete=False)


class _ATeed(_Stream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        tee = self._tee
        tee.busy = True
        try:
            async for piece in self._stream:
                tee.feed(piece)
                tee.busy = False
                yield piece
                tee.busy = True
        except GeneratorExit:
            raise
        except BaseException as error:
            tee.finish(complete=False, error=error)
            raise
        tee.finish(complete=True)

    async def aclose(self) -> None:
        """The response was closed, read to its end or not."""
        try:
            await self._stream.aclose()
        finally:
            self._tee.finish(complete=False)


class _Record:
    """A recorded body, given piece by piece."""

    def __init__(self, given: Given) -> None:
        self._given = given

    def _end(self) -> None:
        """Raise what comes after the last piece."""
        error = self._given.error({})
        if error is not None:
            raise error


class _Replayed(_Record):
    def __iter__(self) -> Iterator[bytes]:
        for wait, piece in self._given.pieces():
            pause(wait)
            yield piece
        self._end()


class _AReplayed(_Record):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for wait, piece in self._given.pieces():
            await apause(wait)
            yield piece
        self._end()
