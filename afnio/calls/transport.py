"""The one seam to the outside world: a transport sends a request and brings back what came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from afnio.calls.request import Request

__all__ = ["RawResponse", "Take", "Timeout", "Transport"]

Take = Callable[[str, "str | dict[str, Any]"], None]
"""Gets each event of a stream: its name, and its data (decoded or not)."""


@dataclass(slots=True)
class RawResponse:
    """What came back: status, headers (found by their lower-case name) and the content, decoded or not.

    ``streamed``: the content came as events, and is in the hands of whoever took them.
    """

    status: int
    content: bytes | dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    streamed: bool = False

    @property
    def request_id(self) -> str | None:
        """The provider's id of the request, if it gave one."""
        return request_id_of(self.headers) if self.headers else None


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """``x-request-id`` (OpenAI and most) or ``request-id`` (Anthropic)."""
    return headers.get("x-request-id") or headers.get("request-id")


@dataclass(frozen=True, slots=True)
class Timeout:
    """Seconds. ``connect`` limits how long a connection may take, ``total`` the whole attempt; None = no limit."""

    total: float | None = 600.0
    connect: float | None = 5.0


class Transport(Protocol):
    """Sends requests.

    One that can stream has besides ``async def stream(request, body, timeout, take: Take) -> RawResponse``: it sends
    ``body`` and gives each event to ``take`` as it comes.  An answer that is no stream after all is returned whole.

    ``inline`` promises that ``send`` never suspends, so that the call can be driven without an event loop.
    Failures to get an answer are ``APIConnectionError``; an answer with an error status is an answer.
    """

    inline: bool

    async def send(self, request: Request, timeout: Timeout) -> RawResponse:
        """Send ``request`` once."""
