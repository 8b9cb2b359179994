"""`SupportTickets`: 300 made-up support tickets, to be sorted by urgency, sentiment and queue."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from afnio.utils.data.dataset import Dataset
from afnio.utils.datasets._source import describe
from afnio.variable import Variable

__all__ = ["SupportTickets"]

Sample = tuple[Variable, Any]
"""What follows the message depends on ``target``."""

FIELDS = ("sentiment", "urgency", "queue")


class SupportTickets(Dataset[Sample]):
    """Support tickets of a made-up electronics shop, shipped with the package: no download.

    ``sentiment`` is positive, neutral or negative; ``urgency`` low, medium or high; ``queue`` billing, technical,
    account, shipping or sales.  The right answers follow from a plain reading and ten laws of the shop ("Refund
    requests go to the billing queue, ..."), which the tickets show and nothing tells: that is what there is to learn.
    A plain reading gets all three fields right on 55 percent of the tickets.  120 tickets to train, 60 to validate,
    120 to test, made by ``scripts/make_support_tickets.py``.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        target: ``"fields"`` for samples ``(message, (urgency, sentiment, queue))``; ``"json"`` for samples
            ``(message, answer)`` with all three in one JSON text. All parts are Variables.

    Raises:
        ValueError: an unknown split or target.
    """

    def __init__(self, split: str, target: str = "fields") -> None:
        if split not in ("train", "val", "test"):
            raise ValueError(f"split must be 'train', 'val' or 'test', got {split!r}.")
        if target not in ("fields", "json"):
            raise ValueError(f"target must be 'fields' or 'json', got {target!r}.")
        self.split, self.target = split, target
        self._rows = _tickets()[split]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        row = self._rows[index]
        message = Variable(row["text"], "support ticket")
        if self.target == "json":
            answer = json.dumps({field: row[field] for field in FIELDS})
            return message, Variable(answer, "output sentiment, urgency and queue")
        return message, (
            Variable(row["urgency"], "output urgency"),
            Variable(row["sentiment"], "output sentiment"),
            Variable(row["queue"], "output queue"),
        )

    def __repr__(self) -> str:
        return describe(self, split=self.split, target=self.target)


@cache
def _tickets() -> dict[str, list[dict[str, Any]]]:
    """The shipped file: split -> rows of ``id``, ``text`` and the three answers."""
    path = Path(__file__).with_name("support_tickets.json")
    splits: dict[str, list[dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))
    return splits
