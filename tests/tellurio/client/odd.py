"""Servers as one would not wish to meet them: another version, another program, one that breaks off.

They are real HTTP servers on a loopback port; what a good server does is tested with ours.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tellurio.schemas.version import HEADER, our_version

USER = {"id": "u1", "username": "ada", "slug": "ada", "email": "ada@example.com"}


@dataclass
class Answer:
    """What is sent; ``status`` 0 breaks the connection off instead."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    version: str | None = field(default_factory=our_version)

    def bytes(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Asked:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Odd:
    """A server that answers as its ``script`` says; ``asked`` has the requests."""

    script: Callable[[Asked], Answer]
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def paths(self) -> list[str]:
        return [each.path for each in self.asked]


@contextlib.contextmanager
def serving(script: Callable[[Asked], Answer], port: int = 0) -> Iterator[Odd]:
    odd = Odd(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            odd.asked.append(asked)
            answer = odd.script(asked)
            if not answer.status:
                self.close_connection = True
                return
            content = answer.bytes()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.version is not None:
                self.send_header(HEADER, answer.version)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    odd.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield odd
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def knows(*keys: str, version: str | None = None) -> Callable[[Asked], Answer]:
    """A server that knows these keys, all of one user."""
    said = version or our_version()

    def script(asked: Asked) -> Answer:
        if asked.path == "/api/v1/me":
            if asked.headers.get("authorization") in {f"Bearer {key}" for key in keys}:
                return Answer(body={"user": USER, "server": {"version": said, "server_id": "s"}}, version=said)
            refused = {"error": {"code": "unauthorized", "message": "no"}}
            return Answer(401, refused, {"X-Request-ID": "r1"}, version=said)
        return Answer(404, {"error": {"code": "not_found", "message": "there is nothing"}}, version=said)

    return script


def website(asked: Asked) -> Answer:
    """What answers is no Tellurio server."""
    return Answer(200, b"<html>Welcome!</html>", {"Content-Type": "text/html; charset=utf-8"}, version=None)
