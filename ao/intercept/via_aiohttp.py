"""aiohttp: a client middleware of ours, innermost, on every request of every session.

What aiohttp does around it, it goes on doing: redirects, cookies, traces, ``raise_for_status``, decompression.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ao.intercept.calls import Call, Desk, Given
from ao.intercept.flow import Step, adrive, flow
from ao.intercept.patching import Patches
from ao.intercept.seam import Replay
from ao.intercept.tee import Tee

__all__ = ["patch"]

_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS", "TRACE")

_DECODES = ("gzip", "deflate", "br", "zstd")


def patch(aiohttp: Any, patches: Patches, desk: Desk) -> None:
    """See the requests of ``aiohttp.ClientSession``.

    Raises:
        AttributeError: aiohttp is older than 3.12, which brought middlewares.
    """
    aiohttp.ClientRequest.update_body  # noqa: B018 - came with the middlewares
    library = _Library(aiohttp, desk)

    def around(before: Any) -> Any:
        def request(self: Any, method: str, str_or_url: Any, **options: Any) -> Any:
            if desk.listening(str(str_or_url)) and str(method).upper() not in _WITHOUT_BODY:
                given = options.get("middlewares")
                chain = self._middlewares if given is None else given
                options["middlewares"] = (*chain, library.middleware)
            return before(self, method, str_or_url, **options)

        return request

    patches.wrap(aiohttp.ClientSession, "_request", around)


class _Library:
    def __init__(self, aiohttp: Any, desk: Desk) -> None:
        self.aiohttp = aiohttp
        self.desk = desk
        self.teed = type("TeedReader", (_Teed, aiohttp.StreamReader), {})
        self.replayed: Any = type("ReplayedReader", (_Replayed, aiohttp.StreamReader), {})

    async def middleware(self, request: Any, handler: Any) -> Any:
        """What aiohttp awaits instead of the connection."""
        sent = _Sent(self, request)
        return await adrive(flow(self.desk, sent), lambda step: sent.act(handler, step))


class _Sent:
    library = "aiohttp"

    def __init__(self, library: _Library, request: Any) -> None:
        self.method: str = request.method
        self.url = str(request.url)
        self.headers = request.headers
        self._library = library
        self._request = request
        self._made: Any = None

    def body(self) -> bytes | None:
        body = self._request.body
        if isinstance(body, bytes):
            return body
        value = body._value if isinstance(body, self._library.aiohttp.BytesPayload) else None
        return bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else None

    async def act(self, handler: Any, step: Step) -> Any:
        """Send the script's request, with another body if there is one; or answer it from a record."""
        if isinstance(step, Given):
            return await self._answer(step)
        if step.body is not None:
            kind = self._request.headers.get("Content-Type")
            await self._request.update_body(step.body)
            if kind:
                self._request.headers["Content-Type"] = kind
        return await handler(self._request)

    def teed(self, response: Any, call: Call) -> Any:
        session = self._request.session
        encoded = session is not None and not session.auto_decompress
        tee = call.tee(response.status, list(response.headers.items()), encoded=encoded, decodes=_DECODES)
        content = response.content
        if content.at_eof():
            tee.finish(complete=True)
        else:
            response.content = self._library.teed(content, tee)
        return response

    def seen(self, error: BaseException) -> BaseException:
        """aiohttp's timeout for all of a request cancels it first."""
        timer = getattr(self._request, "_timer", None)
        late = isinstance(error, asyncio.CancelledError) and getattr(timer, "_cancelled", False)
        return TimeoutError() if late else error

    def parts(self) -> Mapping[str, Any]:
        return {"_conn_key": self._request.connection_key}

    async def _answer(self, given: Given) -> Any:
        """A response of the class that the session wants, started from a record."""
        request, loop = self._request, asyncio.get_running_loop()
        content = self._library.replayed(_Nowhere(), 2**16, loop=loop)
        content.hold(given)
        options = {
            "writer": None,
            "continue100": None,
            "timer": None,
            "request_info": request.request_info,
            "traces": request._traces,
            "loop": loop,
            "session": request.session,
        }
        make, url = request.response_class, request.original_url
        try:
            response = make(request.method, url, stream_writer=SimpleNamespace(output_size=0), **options)
        except TypeError:  # before 3.14
            response = make(request.method, url, **options)
        await response.start(_Nowhere(self._message(given.replay), content))
        return response

    def _message(self, replay: Replay) -> Any:
        import multidict

        headers = replay.framed()
        raw = tuple((_raw(name), _raw(value)) for name, value in headers)
        return SimpleNamespace(
            version=self._library.aiohttp.HttpVersion11,
            code=replay.status,
            reason=_reason(replay.status),
            headers=multidict.CIMultiDictProxy(multidict.CIMultiDict(headers)),
            raw_headers=raw,
        )


def _raw(text: str) -> bytes:
    return text.encode("latin-1", "replace")


def _reason(status: int | None) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(status or 0).phrase
    except ValueError:
        return ""


class _Nowhere:
    """A connection, and the protocol on it, of an answer that comes from a record."""

    connected = True
    upgraded = False

    def __init__(self, message: Any = None, content: Any = None) -> None:
        self._said = (message, content)
        self._callbacks: list[Any] = []

    @property
    def protocol(self) -> _Nowhere:
        """The protocol of the connection."""
        return self

    async def read(self) -> Any:
        """Head and body of the answer."""
        return self._said

    def pause_reading(self, *args: Any, **options: Any) -> None:
        """There is no socket to slow down."""

    def resume_reading(self, *args: Any, **options: Any) -> None:
        """Nor to speed up."""

    def add_callback(self, callback: Any) -> None:
        """To be called when the script is done with the answer."""
        self._callbacks.append(callback)

    def release(self) -> None:
        """It is done."""
        while self._callbacks:
            self._callbacks.pop()()

    close = release


class _Teed:
    """Mixed into a ``StreamReader``: stands in front of another one, with a tee on what is read.

    Its own slots stay empty, so that what it does not have is the other one's.
    """

    _reader: Any
    _tee: Tee

    def __init__(self, reader: Any, tee: Tee) -> None:
        self._reader = reader
        self._tee = tee

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def __repr__(self) -> str:
        return repr(self._reader)

    async def read(self, n: int = -1) -> bytes:
        if n >= 0:
            return await self._heard(self._reader.read(n), may_be_empty=n == 0)
        if hasattr(self._reader, "set_read_chunk_size"):
            self._reader.set_read_chunk_size(sys.maxsize)
        pieces: list[bytes] = []
        while piece := await self.readany():
            pieces.append(piece)
        return b"".join(pieces)

    async def readany(self) -> bytes:
        return await self._heard(self._reader.readany())

    async def readline(self, **options: Any) -> bytes:
        return await self._heard(self._reader.readline(**options))

    async def readuntil(self, separator: bytes = b"\n", **options: Any) -> bytes:
        return await self._heard(self._reader.readuntil(separator, **options))

    async def readexactly(self, n: int) -> bytes:
        try:
            return await self._heard(self._reader.readexactly(n), may_be_empty=n <= 0)
        except asyncio.IncompleteReadError as error:
            self._took(error.partial)
            raise

    async def readchunk(self) -> tuple[bytes, bool]:
        piece: tuple[bytes, bool] = await self._guarded(self._reader.readchunk())
        self._took(piece[0], may_be_empty=piece[1])
        return piece

    def read_nowait(self, n: int = -1) -> bytes:
        piece: bytes = self._reader.read_nowait(n)
        self._took(piece, may_be_empty=True)
        return piece

    async def _heard(self, reading: Any, *, may_be_empty: bool = False) -> bytes:
        piece: bytes = await self._guarded(reading)
        self._took(piece, may_be_empty=may_be_empty)
        return piece

    async def _guarded(self, reading: Any) -> Any:
        self._tee.busy = True
        try:
            return await reading
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            raise  # the first is no error of the stream; after the second the script may read on
        except BaseException as error:
            self._tee.finish(complete=False, error=error)
            raise
        finally:
            self._tee.busy = False

    def _took(self, piece: bytes, *, may_be_empty: bool = False) -> None:
        self._tee.feed(piece)
        if self._reader.at_eof() or not (piece or may_be_empty):
            self._tee.finish(complete=self._reader.exception() is None)

    def set_exception(self, error: Any, *args: Any) -> None:
        """The script closes or releases the response.  What has come, and it has not read, came all the same."""
        if self._tee.open:
            self._tee.feed(b"".join(getattr(self._reader, "_buffer", ()))[getattr(self._reader, "_buffer_offset", 0) :])
            self._tee.finish(complete=self._reader.is_eof())
        self._reader.set_exception(error, *args)

    def exception(self) -> Any:
        return self._reader.exception()

    def on_eof(self, callback: Any) -> None:
        self._reader.on_eof(callback)

    def is_eof(self) -> bool:
        return bool(self._reader.is_eof())

    def at_eof(self) -> bool:
        return bool(self._reader.at_eof())

    async def wait_eof(self) -> None:
        await self._reader.wait_eof()

    def unread_data(self, data: bytes) -> None:
        self._reader.unread_data(data)

    def set_read_chunk_size(self, n: int) -> None:
        """Of aiohttp 3.14 and later, called by its own ``iter_chunked``."""
        if hasattr(self._reader, "set_read_chunk_size"):
            self._reader.set_read_chunk_size(n)

    def get_read_buffer_limits(self) -> Any:
        return self._reader.get_read_buffer_limits()


class _Replayed:
    """Mixed into a ``StreamReader``: fed the next recorded piece when somebody waits for it."""

    begin_http_chunk_receiving: Any
    end_http_chunk_receiving: Any
    feed_data: Any
    feed_eof: Any
    set_exception: Any

    def hold(self, given: Given) -> None:
        """Give this."""
        self._given = given
        self._pieces = deque(given.pieces())
        self._chunked = any(name.lower() == "transfer-encoding" for name, _ in given.replay.headers)
        self._end()

    async def _wait(self, func_name: str) -> None:
        if not self._pieces:
            error = self._given.error({})
            self.set_exception(error)
            raise error or EOFError
        wait, piece = first = self._pieces[0]
        await asyncio.sleep(max(wait, 0.0))
        if self._pieces and self._pieces[0] is first:
            self._pieces.popleft()
            self._give(piece)

    def _give(self, piece: bytes) -> None:
        if self._chunked:
            self.begin_http_chunk_receiving()
        self.feed_data(piece)
        if self._chunked:
            self.end_http_chunk_receiving()
        self._end()

    def _end(self) -> None:
        """The end, if there is one; before an error the script is given what there is."""
        if not self._pieces and self._given.replay.fault is None:
            self.feed_eof()
