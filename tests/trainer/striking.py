"""`Striking`: the world of tickets, which strikes at a request chosen beforehand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from afnio.models.lm_server.ask import ToolCall
from afnio.models.lm_server.worlds import make_world

__all__ = ["Striking"]


class Striking:
    """The world of tickets; at the ``at``-th request, counted from 1, it strikes before it answers."""

    name = "tickets"

    def __init__(self, bad_share: float = 0.3) -> None:
        self._world = make_world("tickets", seed=0, bad_share=bad_share)
        self._lock, self._seen = threading.Lock(), 0
        self.at: int | None = None
        self.role: str | None = None
        self.strike: Callable[[], Any] = lambda: None

    def arm(self, at: int | None, strike: Callable[[], Any] = lambda: None, role: str | None = None) -> None:
        """Count from here on: all requests, or those of a role."""
        self._seen, self.at, self.strike, self.role = 0, at, strike, role

    def calls(self, ask: Any, role: str) -> list[ToolCall]:
        """It calls no tools."""
        return self._world.calls(ask, role)

    def reply(self, ask: Any, role: str) -> str:
        """What the world replies."""
        with self._lock:
            counts = self.role in (None, role)
            self._seen += counts
            strikes = counts and self._seen == self.at
        if strikes:
            self.strike()
        return self._world.reply(ask, role)

    def destroy(self, ask: Any) -> str:
        """What the world replies."""
        return self._world.destroy(ask)
