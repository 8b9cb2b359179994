"""What a fit cost, in dollars: by the ledger, or by the usage of the clients the user named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from afnio.calls import Ledger, Row
from afnio.calls.ledger import dollars

__all__ = ["Costs", "spent_since"]


class Costs:
    """Adds up dollars.

    Args:
        ledger: where all calls of the session are counted.
        clients: if given, their usage is added up instead, and cleared each time.

    Attributes:
        usd: the sum over calls whose price is known.
        unpriced: number of the other calls.
    """

    def __init__(self, ledger: Ledger, clients: Sequence[Any] = ()) -> None:
        self._ledger, self._clients = ledger, list(clients)
        self._seen = ledger.total()
        self.usd, self.unpriced = Decimal(0), 0

    def collect(self) -> None:
        """Add what was spent since the last time."""
        if self._clients:
            for client in self._clients:
                cost = client.get_usage()["cost"]
                client.clear_usage()
                self.usd += Decimal(str(cost["amount"]))
                self.unpriced += cost.get("unpriced", 0)
            return
        now = self._ledger.total()
        self.usd += now.usd - self._seen.usd
        self.unpriced += now.unpriced - self._seen.unpriced
        self._seen = now

    def add(self, usd: Decimal, unpriced: int) -> None:
        """Add what another process spent."""
        self.usd += usd
        self.unpriced += unpriced

    def __str__(self) -> str:
        return dollars(self.usd, self.unpriced)

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"usd": str(self.usd), "unpriced": self.unpriced}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.usd, self.unpriced = Decimal(state["usd"]), state["unpriced"]


def spent_since(ledger: Ledger, before: Mapping[Any, Row], phase: str) -> Row:
    """What the calls of ``phase`` came to since ``before``, an earlier ``ledger.rows()``."""
    total = Row()
    for key, row in ledger.rows().items():
        if key[0] == phase:
            total.absorb(row)
            if key in before:
                total.absorb(_negative(before[key]))
    return total


def _negative(row: Row) -> Row:
    return Row(*(-getattr(row, name) for name in Row.__slots__))
