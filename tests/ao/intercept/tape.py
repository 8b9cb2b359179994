"""A recorder for tests: keeps all calls, and gives them again when it is told to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from threading import Lock

from ao.intercept.seam import Decision, Exchange, Live, Outcome


class Tape:
    """``calls`` holds each exchange with its last outcome, ``ends`` every outcome as it was told."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.ends: list[tuple[Exchange, Outcome]] = []
        self.notices: list[str] = []
        self.replaying = False
        self.edit: Callable[[Exchange], Decision | None] = lambda exchange: None
        self._given: dict[tuple[str, bytes], int] = defaultdict(int)
        self._lock = Lock()

    def begin(self, exchange: Exchange) -> Decision:
        with self._lock:
            edited = self.edit(exchange)
            if edited is not None:
                self.exchanges.append(exchange)
                return edited
            if self.replaying:
                return self._again(exchange)
            self.exchanges.append(exchange)
            return Live()

    def _again(self, exchange: Exchange) -> Decision:
        key = (exchange.path, exchange.body)
        known = [each for each in self.exchanges if (each.path, each.body) == key]
        again = self.outcome(known[self._given[key]]).replay()
        self._given[key] += 1
        assert again is not None
        return again

    def end(self, exchange: Exchange, outcome: Outcome) -> None:
        self.ends.append((exchange, outcome))

    def outcome(self, exchange: Exchange) -> Outcome:
        """The last word on a call."""
        return [outcome for known, outcome in self.ends if known is exchange][-1]

    @property
    def outcomes(self) -> list[Outcome]:
        """The last word on each call that was sent."""
        ended = [known for known, _ in self.ends]
        return [self.outcome(exchange) for exchange in self.exchanges if exchange in ended]

    def only(self) -> tuple[Exchange, Outcome]:
        """The only call."""
        assert len(self.exchanges) == 1, [exchange.label for exchange in self.exchanges]
        return self.exchanges[0], self.outcome(self.exchanges[0])
