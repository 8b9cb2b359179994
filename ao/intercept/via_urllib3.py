"""urllib3, and so requests, botocore and whoever else is built on it: the connection pool's ``urlopen``.

A replayed answer goes through the standard library's parser and urllib3's own response, as if it came from a socket:
chunks, lines and lengths are theirs.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from http.client import HTTPResponse as RawResponse
from inspect import signature
from typing import Any

from ao.intercept.calls import Call, Desk, Given
from ao.intercept.flow import Step, drive, flow, pause
from ao.intercept.patching import Patches
from ao.intercept.seam import Live
from ao.intercept.tee import Tee

__all__ = ["patch"]

_TEE = "_ao_tee"
_ports = {"http": 80, "https": 443}
_outer: ContextVar[_Sent | None] = ContextVar("ao_urlopen", default=None)


def patch(urllib3: Any, patches: Patches, desk: Desk) -> None:
    """See the requests of all pools, and what is read from their responses."""
    pool, response = urllib3.connectionpool.HTTPConnectionPool, urllib3.response.HTTPResponse
    patches.wrap(pool, "urlopen", lambda urlopen: _opener(urlopen, desk, response))
    patches.wrap(response, "read", lambda read: _reader(read, all_by_default=True))
    if hasattr(response, "read1"):
        patches.wrap(response, "read1", lambda read: _reader(read, all_by_default=False))
    patches.wrap(response, "read_chunked", _chunk_reader)
    patches.wrap(response, "close", _closer)
    patches.wrap(response, "drain_conn", _closer)


def _opener(before: Any, desk: Desk, response: Any) -> Any:
    names = list(signature(before).parameters)[1:]

    def urlopen(self: Any, method: str, url: str, *args: Any, **options: Any) -> Any:
        if not desk.listening(_absolute(self, url)):
            return _passed(before, self, method, url, args, options)
        given = dict(zip(names[2:], args, strict=False)) | options
        sent = _Sent(self, method, url, given, response)
        return drive(flow(desk, sent), lambda step: sent.act(before, step))

    return urlopen


def _passed(before: Any, pool: Any, method: str, url: str, args: Any, options: dict[str, Any]) -> Any:
    """Not to be looked at; perhaps because it is urllib3 itself that tries again, from inside a request of ours."""
    outer = _outer.get()
    retries = options.get("retries") or (args[2] if len(args) > 2 else None)
    history = getattr(retries, "history", ())
    if outer is not None and outer.pool is pool and history:
        outer.tried(history[-1])
    return before(pool, method, url, *args, **options)


class _Sent:
    library = "urllib3"

    def __init__(self, pool: Any, method: str, url: str, options: dict[str, Any], response: Any) -> None:
        self.pool = pool
        self.method = method
        self.url = _absolute(pool, url)
        self.headers = _Headers(options.get("headers") or pool.headers or {})
        self._target = url
        self._options = options
        self._response = response
        self._history: list[Any] = []

    def body(self) -> bytes | None:
        body = self._options.get("body")
        if isinstance(body, str):
            return body.encode()
        return bytes(body) if isinstance(body, (bytes, bytearray, memoryview)) else None

    def act(self, before: Any, step: Step) -> Any:
        """Send it, or answer it from a record."""
        return self.answer(step) if isinstance(step, Given) else self.send(before, step)

    def send(self, before: Any, live: Live) -> Any:
        """Send the script's request, or one like it with another body."""
        options = self._options
        if live.body is not None:
            gone = ("content-length", "transfer-encoding")
            headers = {name: value for name, value in self.headers.items() if name.lower() not in gone}
            options = options | {"body": live.body, "headers": headers, "chunked": False}
        token = _outer.set(self)
        try:
            return before(self.pool, self.method, self._target, **options)
        finally:
            _outer.reset(token)

    def tried(self, attempt: Any) -> None:
        """urllib3 has tried, and tries again."""
        self._history.append(attempt)

    def seen(self, error: BaseException) -> BaseException:
        return error

    def parts(self) -> Mapping[str, Any]:
        return {"pool": self.pool}

    def answer(self, given: Given) -> Any:
        """urllib3's response over the standard library's, over a file that holds the record."""
        raw = RawResponse(_Socket(given, self.parts()), method=self.method)  # type: ignore[arg-type]
        raw.begin()
        known = signature(self._response.__init__).parameters
        options: dict[str, Any] = {
            "body": raw,
            "headers": raw.headers.items(),
            "status": raw.status,
            "version": raw.version,
            "version_string": "HTTP/1.1",
            "reason": raw.reason,
            "preload_content": self._options.get("preload_content", True),
            "decode_content": self._options.get("decode_content", True),
            "original_response": raw,
            "retries": self._options.get("retries") or None,
            "enforce_content_length": False,
            "request_method": self.method,
            "request_url": self._target,
        }
        options["headers"] = dict(options["headers"])
        return self._response(**{name: value for name, value in options.items() if name in known})

    def teed(self, response: Any, call: Call) -> Any:
        for attempt in self._history:
            call.tried(attempt.status, None if attempt.error is None else type(attempt.error).__name__)
        whole = self._options.get("preload_content", True)
        encoded = not self._options.get("decode_content", True)
        decodes = getattr(self._response, "CONTENT_DECODERS", ("gzip", "deflate"))
        tee = call.tee(response.status, list(response.headers.items()), encoded=encoded, decodes=decodes)
        if whole:
            tee.feed(response.data)
            tee.finish(complete=True)
        else:
            setattr(response, _TEE, tee)
        return response


class _Headers(Mapping[str, str]):
    """Headers that are found in any case."""

    def __init__(self, headers: Any) -> None:
        self._headers = {_text(name).lower(): (_text(name), _text(value)) for name, value in dict(headers).items()}

    def __getitem__(self, name: str) -> str:
        return self._headers[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._headers.values())

    def __len__(self) -> int:
        return len(self._headers)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _absolute(pool: Any, url: str) -> str:
    if not url.startswith("/"):
        return url
    host = f"[{pool.host}]" if ":" in pool.host else pool.host
    port = "" if pool.port in (None, _ports.get(pool.scheme)) else f":{pool.port}"
    return f"{pool.scheme}://{host}{port}{url}"


def _reader(before: Any, *, all_by_default: bool) -> Any:
    """``read`` and ``read1``: what they return, the script gets.  Without a size, the first reads all."""

    def read(self: Any, amt: Any = None, decode_content: Any = None, *args: Any, **options: Any) -> Any:
        tee: Tee | None = self.__dict__.get(_TEE)
        if tee is None or not tee.open:
            return before(self, amt, decode_content, *args, **options)
        try:
            with tee.reading():
                data = before(self, amt, decode_content, *args, **options)
        except BaseException as error:
            tee.finish(complete=False, error=error)
            raise
        _feed(self, tee, data, decode_content)
        everything = all_by_default and (amt is None or amt < 0)
        if everything or (not data and amt != 0) or _exhausted(self):
            tee.finish(complete=True)
        return data

    return read


def _chunk_reader(before: Any) -> Any:
    """``read_chunked``, and with it ``stream`` and ``requests``' iterators, of a chunked answer."""

    def read_chunked(self: Any, amt: Any = None, decode_content: Any = None) -> Any:
        pieces = before(self, amt, decode_content)
        tee: Tee | None = self.__dict__.get(_TEE)
        return pieces if tee is None or not tee.open else _teed(self, tee, pieces, decode_content)

    return read_chunked


def _teed(response: Any, tee: Tee, pieces: Iterator[bytes], decode_content: Any) -> Iterator[bytes]:
    while True:
        try:
            with tee.reading():
                piece = next(pieces, None)
        except BaseException as error:
            tee.finish(complete=False, error=error)
            raise
        if piece is None:
            tee.finish(complete=True)
            return
        _feed(response, tee, piece, decode_content)
        yield piece


def _closer(before: Any) -> Any:
    """``close`` and ``drain_conn``: the script does not want the rest.  (Closing by a read that fails is not this.)"""

    def close(self: Any) -> Any:
        tee: Tee | None = self.__dict__.get(_TEE)
        if tee is not None and tee.open and not tee.busy:
            tee.feed(_decoded(self), encoded=not self.decode_content)
            tee.finish(complete=_exhausted(self) and not getattr(self, "chunked", False))
        return before(self)

    return close


def _feed(response: Any, tee: Tee, data: Any, decode_content: Any) -> None:
    decoded = response.decode_content if decode_content is None else decode_content
    tee.feed(data, encoded=not decoded)


def _decoded(response: Any) -> bytes:
    """What urllib3 has decoded, and nobody has read."""
    return b"".join(getattr(getattr(response, "_decoded_buffer", None), "buffer", ()))


def _exhausted(response: Any) -> bool:
    """Nothing is left on the wire, nor decoded and not yet given out."""
    raw = response._fp
    closed = raw is None or (raw.isclosed() if hasattr(raw, "isclosed") else bool(getattr(raw, "closed", True)))
    decoder = getattr(response, "_decoder", None)
    waiting = getattr(decoder, "has_unconsumed_tail", False)
    return closed and not waiting and not len(getattr(response, "_decoded_buffer", b""))


class _Socket:
    """What ``http.client`` takes for a socket: a file that holds a recorded answer."""

    def __init__(self, given: Given, parts: Mapping[str, Any]) -> None:
        self._given, self._parts = given, parts

    def makefile(self, mode: str, *args: Any, **options: Any) -> Any:
        """The file."""
        return io.BufferedReader(_Wire(self._given, self._parts))


class _Wire(io.RawIOBase):
    """A recorded answer as bytes on the wire; each chunk comes when it is asked for."""

    def __init__(self, given: Given, parts: Mapping[str, Any]) -> None:
        self._given, self._parts = given, parts
        self._pieces = _wire(given)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = next(self._pieces, b"")
        if not self._left and (error := self._given.error(self._parts)) is not None:
            raise error
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def _wire(given: Given) -> Iterator[bytes]:
    """Chunked if the recorded answer was; else with a length, as without one its end would be that of the file.

    An answer that ends with an error has no end.
    """
    replay = given.replay
    chunked = any(name.lower() == "transfer-encoding" for name, _ in replay.headers)
    whole = replay.fault is None
    framing = ("transfer-encoding", "content-length") if chunked or whole else ()
    headers = [f"{name}: {value}" for name, value in replay.headers if name.lower() not in framing]
    if chunked or whole:
        headers.append("transfer-encoding: chunked" if chunked else f"content-length: {len(replay.body)}")
    status = replay.status or 0
    yield f"HTTP/1.1 {status} {_reason(status)}\r\n".encode()
    yield ("\r\n".join(headers) + "\r\n\r\n").encode("latin-1", "replace")
    for wait, piece in given.pieces():
        pause(wait)
        yield b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
    if chunked and whole:
        yield b"0\r\n\r\n"


def _reason(status: int) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
