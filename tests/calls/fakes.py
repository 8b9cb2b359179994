"""A request and an inline transport to test the call path with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from afnio.calls import RawResponse, Reply, Request, Timeout, run_inline, send
from afnio.models.formats.openai_chat import OPENAI_CHAT, PATH
from tests.calls.endpoint import completion


class Inline:
    """Answers ``text(n)`` to the n-th request."""

    inline = True

    def __init__(self, text: Callable[[int], str] = lambda n: f"answer {n}") -> None:
        self.text, self.calls = text, 0

    async def send(self, request: Request, timeout: Timeout) -> RawResponse:
        self.calls += 1
        return RawResponse(200, completion(self.text(self.calls)))


def ask(content: str = "hi", role: str = "forward", node: str = "n", **body: Any) -> Request:
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **body}
    return Request("test", "test://", PATH, "m", body, OPENAI_CHAT, role, node)


def send_inline(request: Request, transport: Inline, **options: Any) -> Reply:
    return run_inline(send(request, transport, **options))
