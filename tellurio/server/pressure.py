"""Back-pressure: when too much waits for the database, the next to come is told to come back later."""

from __future__ import annotations

from tellurio.server.refusals import Refused

__all__ = ["Pressure"]


class Pressure:
    """Counts what waits.

    Args:
        requests: how many requests may wait at once.
        size: how many bytes they may hold.
    """

    def __init__(self, requests: int, size: int) -> None:
        self._most_requests, self._most_bytes = requests, size
        self.requests = self.size = 0

    def enter(self) -> None:
        """One more request.

        Raises:
            Refused: 429, with Retry-After.
        """
        if self.requests >= self._most_requests:
            raise self._busy()
        self.requests += 1

    def hold(self, size: int) -> None:
        """That request holds ``size`` more bytes.

        Raises:
            Refused: 429, with Retry-After; they are not counted.
        """
        # One request may hold more than all may together: else it would be refused for ever.
        if self.size + size > self._most_bytes and self.requests > 1:
            raise self._busy()
        self.size += size

    def leave(self, size: int) -> None:
        """The request is done; it held ``size`` bytes."""
        self.requests -= 1
        self.size -= size

    def _busy(self) -> Refused:
        message = (
            "The server has more to store than it can keep up with. Nothing of this was stored; send it again later."
        )
        return Refused(429, message, headers={"Retry-After": "1", "Connection": "close"})
