"""The one seam to the outside world: a transport sends a request and brings back what came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from afnio.calls.request import Request

__all__ = ["RawResponse", "Timeout", "Transport"]


@dataclass(slots=True)
class RawResponse:
    """What came back: status, headers (found by their lower-case name) and the content, decoded or not."""

    status: int
    content: bytes | dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timeout:
    """Seconds. ``connect`` limits how long a connection may take, ``total`` the whole attempt; None = no limit."""

    total: float | None = 600.0
    connect: float | None = 5.0


class Transport(Protocol):
    """Sends requests.

    ``inline`` promises that ``send`` never suspends, so that the call can be driven without an event loop.
    Failures to get an answer are ``APIConnectionError``; an answer with an error status is an answer.
    """

    inline: bool

    async def send(self, request: Request, timeout: Timeout) -> RawResponse:
        """Send ``request`` once."""
