"""A small HTTP server on loopback that answers what the test wants, chunk by chunk, and breaks off when told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass
class Answer:
    """``chunks`` go out one by one (chunked), ``body`` in one with its length; ``cut``: then the line breaks."""

    body: bytes = b""
    chunks: Iterable[bytes] | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    cut: bool = False


class Source:
    """``answers`` are given in turn, the last one for ever; ``asked`` are the requests: path, headers, body."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers) or [Answer(b"{}")]
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.waiting = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def bodies(self) -> list[Any]:
        """The JSON bodies it was sent."""
        return [json.loads(body) for _, _, body in self.asked]


def _handler(source: Source) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            source.asked.append((self.path, dict(self.headers), body))
            answer = source.next()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            try:
                self._send(answer)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_GET = do_POST  # noqa: N815

        def _send(self, answer: Answer) -> None:
            if answer.chunks is None:
                length = len(answer.body) + (10 if answer.cut else 0)
                self.send_header("content-length", str(length))
                self.end_headers()
                self.wfile.write(answer.body)
            else:
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for chunk in answer.chunks:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                    self.wfile.flush()
                if not answer.cut:
                    self.wfile.write(b"0\r\n\r\n")
            if answer.cut:
                self.close_connection = True

        def log_message(self, *args: Any) -> None:
            """Nothing: the test's output is its own."""

    return Handler


def events(*values: Any) -> list[bytes]:
    """Server-sent events, one a chunk."""
    return [b"data: " + json.dumps(value).encode() + b"\n\n" for value in values] + [b"data: [DONE]\n\n"]


def endless(make: Callable[[int], bytes]) -> Iterator[bytes]:
    """Chunks without end."""
    number = 0
    while True:
        yield make(number)
        number += 1
