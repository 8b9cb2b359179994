"""A small HTTP endpoint in a thread, whose answers a test decides."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Self

from aiohttp import web

from afnio.models.lm_server.server import Listening

Answer = Callable[["Endpoint", dict[str, Any]], Awaitable[web.StreamResponse]]


def completion(text: str = "hello", **usage: int) -> dict[str, Any]:
    tokens = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12} | usage
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": tokens,
    }


def message(text: str = "hello", **fields: Any) -> dict[str, Any]:
    """An answer of the messages API."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 2},
    } | fields


def events(*data: Any, end: bytes = b"", cut: bool = False, **headers: str) -> Answer:
    """A stream of these events (objects, or bytes as they are); ``cut``: then the connection breaks."""

    async def answer(endpoint: Endpoint, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "x-request-id": "req-s"} | headers)
        response.enable_chunked_encoding()
        await response.prepare(endpoint.request)
        for each in data:
            raw = each if isinstance(each, bytes) else f"data: {json.dumps(each)}\n\n".encode()
            await response.write(raw)
        if cut:
            endpoint.transport.close()  # type: ignore[union-attr]
            return response
        await response.write(end)
        await response.write_eof()
        return response

    return answer


async def hello(endpoint: Endpoint, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(completion(), headers={"x-request-id": "req-1"})


def status(code: int, error: Any = None, **headers: str) -> Answer:
    """Always this error status."""
    content = {"error": error or {"message": f"error {code}", "code": None, "type": None, "param": None}}

    async def answer(endpoint: Endpoint, body: dict[str, Any]) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(content, status=code, headers={"x-request-id": "req-9"} | named)

    return answer


class Endpoint:
    """Serves ``POST /v1/chat/completions``; the n-th request gets the n-th of ``answers``, the last one for good."""

    def __init__(self, *answers: Answer) -> None:
        self.answers: list[Answer] = list(answers) or [hello]
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.queries: list[dict[str, str]] = []
        self.gate: asyncio.Event  # answers of `held` wait for it
        self.arrived = threading.Semaphore(0)

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    @property
    def calls(self) -> int:
        return len(self.bodies)

    def open_gate(self) -> None:
        self._loop.call_soon_threadsafe(self.gate.set)

    def _serve(self, ready: threading.Event) -> None:
        async def main() -> None:
            self._loop, self._stop, self.gate = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
            app = web.Application()
            app.router.add_post("/{any:.*}/chat/completions", self._chat)
            app.router.add_post("/{any:.*}/messages", self._chat)
            runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
            listening = await Listening.begin(runner)
            self.port = listening.port
            self.url = f"http://127.0.0.1:{self.port}"
            self.base_url = f"{self.url}/v1"
            ready.set()
            await self._stop.wait()
            await listening.close()

        asyncio.run(main())

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        number = len(self.bodies)
        self.bodies.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.queries.append(dict(request.query))
        self.arrived.release()
        self.transport, self.request = request.transport, request
        return await self.answers[min(number, len(self.answers) - 1)](self, body)


async def held(endpoint: Endpoint, body: dict[str, Any]) -> web.StreamResponse:
    """Answers once the test opens the gate."""
    await endpoint.gate.wait()
    return web.json_response(completion("held"))


async def reset(endpoint: Endpoint, body: dict[str, Any]) -> web.StreamResponse:
    endpoint.transport.abort()  # type: ignore[union-attr]
    return web.Response()


async def truncated(endpoint: Endpoint, body: dict[str, Any]) -> web.StreamResponse:
    return web.Response(body=json.dumps(completion()).encode()[:40], content_type="application/json")


async def garbage(endpoint: Endpoint, body: dict[str, Any]) -> web.StreamResponse:
    return web.Response(text="<html>a login page</html>", content_type="text/html")
