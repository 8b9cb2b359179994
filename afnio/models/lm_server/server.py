"""The simulated model over HTTP, on loopback: raw aiohttp, no router, no middleware, no access log."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from afnio.models.lm_server.ask import Ask
from afnio.models.lm_server.counting import input_tokens
from afnio.models.lm_server.faults import Fault
from afnio.models.lm_server.roles import role_of
from afnio.models.lm_server.simulation import NOTICE, Refusal, Simulation, key_of, refusal_of
from afnio.models.lm_server.spellings import SPELLINGS, BadAskError, Spelling
from afnio.models.lm_server.stats import Row

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Handler", "Listening", "listen"]

_JSON = "application/json"
_NEAR = 0.004
_TICK = 0.0012
_EARLY = 0.0004
_IDLE = 16
"""The first three are seconds, see ``_sleep_until``; the last is how many open requests still count as idle."""
_TURNS = 8
"""Turns of the loop in which a connection that was taken is told to the server; asyncio needs three."""


async def listen(simulation: Simulation, port: int) -> tuple[Listening, int]:
    """Serve on 127.0.0.1; returns what is to be closed, and the port (``port``, or a free one for 0)."""
    from aiohttp import web

    server = web.Server(Handler(simulation).handle, access_log=None, handler_cancellation=True)
    listening = await Listening.begin(web.ServerRunner(server), port)
    return listening, listening.port


class Listening:
    """A runner of aiohttp that serves on a socket of 127.0.0.1, until it is closed."""

    def __init__(self, runner: web.BaseRunner, taken: socket.socket) -> None:
        self.runner, self._socket = runner, taken
        self.port: int = taken.getsockname()[1]

    @classmethod
    async def begin(cls, runner: web.BaseRunner, port: int = 0) -> Listening:
        """Listen on ``port``, or on a free one for 0.

        Raises:
            OSError: it is taken.
        """
        from aiohttp import web

        listening = cls(runner, socket.create_server(("127.0.0.1", port), backlog=2048))
        await runner.setup()
        await web.SockSite(runner, listening._socket, backlog=2048).start()
        return listening

    async def close(self) -> None:
        """Take no connection any more, and close every one: also those of clients that read no more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        for _ in range(_TURNS):  # asyncio does not close a connection that it took, if the server is closed meanwhile
            await asyncio.sleep(0)
        transports = [] if self.runner.server is None else [each.transport for each in self.runner.server.connections]
        await self.runner.cleanup()
        for transport in transports:
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)


class Handler:
    """Answers HTTP requests with one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The model's endpoints by POST, the controls under ``/__``."""
        spelling = SPELLINGS.get(request.path)
        if spelling is None or request.method != "POST":
            return await self._control(request)
        arrived, at = asyncio.get_running_loop().time(), time.time()
        return await self._call(request, spelling, arrived, at)

    async def _call(
        self, request: web.BaseRequest, spelling: Spelling, arrived: float, at: float
    ) -> web.StreamResponse:
        import orjson

        raw = await request.read()
        try:
            body = orjson.loads(raw)
            ask = spelling.parse(body)
        except (BadAskError, ValueError, TypeError, KeyError, AttributeError) as problem:
            return _refuse(spelling, Refusal(400, "invalid_request_error", f"Bad request: {problem}"), "")
        role, key = role_of(ask), key_of(request.path, body)
        row = self.simulation.stats.begin(role, request.path, ask.model, key, raw, at)
        try:
            return await self._answer(request, spelling, ask, row, arrived)
        except Refusal as refusal:
            row.status = refusal.status
            return _refuse(spelling, refusal, key)
        finally:
            self.simulation.stats.end(row)  # those of now: a reset in between has taken over what is open

    async def _answer(
        self, request: web.BaseRequest, spelling: Spelling, ask: Ask, row: Row, arrived: float
    ) -> web.StreamResponse:
        simulation = self.simulation
        simulation.check(ask, _api_key(request))
        fault = simulation.fault_for(ask, row.role, row.key)
        if fault:
            row.fault = fault.kind
            await _refuse_or_hang(request, fault, ask, simulation.settings.context_limit)
        answer = simulation.answer(ask, row.role, fault)
        row.bill(answer)
        await _sleep_until(arrived + simulation.latency_of(row.key), simulation.stats.open <= _IDLE)
        row.status = 200
        if ask.stream:
            return await _stream(request, spelling.stream(ask, answer, row.key[:24]), row.key, fault)
        return await _whole(request, spelling.render(ask, answer, row.key[:24]), row.key, fault)

    async def _control(self, request: web.BaseRequest) -> web.StreamResponse:
        """``/__stats``, ``/__requests``, ``/__faults``, ``/__reset``, ``/v1/models``, Anthropic's token count."""
        path, simulation = request.path, self.simulation
        if path == "/__stats":
            return _json(simulation.stats.as_dict(rows=request.query.get("rows") != "0"))
        if path == "/__requests":
            return _json(_bodies(simulation, int(request.query.get("last", "100"))))
        if path == "/__reset":
            simulation.reset()
            return _json({"reset": True})
        if path == "/__faults":
            return await self._faults(request)
        if path == "/v1/models":
            names = simulation.settings.models or ("simulated",)
            return _json({"object": "list", "data": [_model(name) for name in names]})
        if path == "/v1/messages/count_tokens":
            return await _count_tokens(request)
        missing = f"The simulation has no {request.method} {path}."
        return _json({"error": {"message": missing, "type": "invalid_request_error", "param": None, "code": None}}, 404)

    async def _faults(self, request: web.BaseRequest) -> web.StreamResponse:
        import orjson

        if request.method == "POST":
            try:
                self.simulation.set_faults(orjson.loads(await request.read()))
            except (ValueError, TypeError) as problem:
                return _json({"error": {"message": str(problem)}}, 400)
        plan = self.simulation.plan
        return _json([fault.as_dict() | {"met": met} for fault, met in zip(plan.faults, plan.met, strict=True)])


async def _sleep_until(moment: float, idle: bool) -> None:
    """Sleep until the loop's clock shows ``moment``: exactly when the server is idle, else within half a millisecond.

    A long sleep ends late by a thousandth of its length (Linux's timer slack), so its end is slept separately; and
    epoll rounds up to a millisecond, so an idle server sleeps that much less and spins for the rest.
    """
    clock = asyncio.get_running_loop().time
    if moment - clock() > 10 * _NEAR:
        await asyncio.sleep(moment - clock() - _NEAR)
    wait = moment - clock() - (_TICK if idle else _EARLY)
    if wait > 0:
        await asyncio.sleep(wait)
    while idle and clock() < moment:  # noqa: ASYNC110 - there is no event, only the clock
        await asyncio.sleep(0)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": NOTICE}


def _bodies(simulation: Simulation, last: int) -> list[dict[str, Any]]:
    rows = {row.n: row for row in simulation.stats.rows}
    kept = list(simulation.stats.bodies)[-last:]
    return [{"n": n, "role": rows[n].role, "path": rows[n].path, "body": raw.decode()} for n, raw in kept if n in rows]


async def _count_tokens(request: web.BaseRequest) -> web.Response:
    import orjson

    body = orjson.loads(await request.read())
    return _json({"input_tokens": input_tokens(SPELLINGS["/v1/messages"].parse(body | {"max_tokens": 1}))})


def _api_key(request: web.BaseRequest) -> str:
    headers = request.headers
    return headers.get("Authorization", "").removeprefix("Bearer ") or headers.get("x-api-key", "")


def _headers(key: str) -> dict[str, str]:
    ident = f"req_{key[:24]}"
    return {"x-request-id": ident, "request-id": ident, "x-simulation": NOTICE}


def _json(data: Any, status: int = 200) -> web.Response:
    import orjson
    from aiohttp import web

    return web.Response(body=orjson.dumps(data), status=status, content_type=_JSON)


def _refuse(spelling: Spelling, refusal: Refusal, key: str) -> web.Response:
    import orjson
    from aiohttp import web

    headers = _headers(key)
    if refusal.retry_after is not None:
        headers["Retry-After"] = f"{refusal.retry_after:g}"
    body = orjson.dumps(spelling.error(refusal.status, refusal.kind, refusal.message, refusal.code))
    return web.Response(body=body, status=refusal.status, content_type=_JSON, headers=headers)


async def _refuse_or_hang(request: web.BaseRequest, fault: Fault, ask: Ask, limit: int) -> None:
    """The faults that come instead of an answer; the others return."""
    refusal = refusal_of(fault, ask, limit)
    if refusal:
        raise refusal
    if fault.kind == "timeout":
        await asyncio.sleep(fault.seconds)
    if fault.kind in ("timeout", "reset"):
        _reset(request)
        await asyncio.sleep(0)
        raise ConnectionResetError("fault on demand")


def _reset(request: web.BaseRequest) -> None:
    """Close the connection with a TCP reset."""
    transport = request.transport
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _whole(request: web.BaseRequest, body: dict[str, Any], key: str, fault: Fault | None) -> web.StreamResponse:
    import orjson
    from aiohttp import web

    content = orjson.dumps(body)
    if fault and fault.kind == "truncated":
        content = content[: len(content) // 2]
    if fault and fault.kind == "cut":
        return await _cut_body(request, content, key)
    return web.Response(body=content, content_type=_JSON, headers=_headers(key))


async def _cut_body(request: web.BaseRequest, content: bytes, key: str) -> web.StreamResponse:
    from aiohttp import web

    response = web.StreamResponse(headers={**_headers(key), "Content-Type": _JSON, "Content-Length": str(len(content))})
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    return await _break_off(request, response)


async def _stream(request: web.BaseRequest, events: Any, key: str, fault: Fault | None) -> web.StreamResponse:
    from aiohttp import web

    response = web.StreamResponse(headers={**_headers(key), "Content-Type": "text/event-stream"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    parts: list[bytes] = list(events)
    broken = fault is not None and fault.kind in ("cut", "truncated")
    for part in parts[: len(parts) // 2] if broken else parts:
        await response.write(part)
    if broken:
        return await _break_off(request, response)
    await response.write_eof()
    return response


async def _break_off(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection after what was written has left."""
    if request.transport is not None:
        request.transport.close()
    await asyncio.sleep(0)
    raise ConnectionResetError("fault on demand")
