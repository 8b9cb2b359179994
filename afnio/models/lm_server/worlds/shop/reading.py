"""What the simulated model understands of a customer's question, whatever its prompt says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

__all__ = ["SHOWN", "Item", "Order", "read"]

_NO_PRODUCT = {
    *("voucher", "member", "total", "eur", "euros", "percent", "code", "order", "picture", "photo", "image", "few"),
    *("decimals", "pieces", "question", "customer", "price", "search", "calculator", "amount", "quantity", "tool"),
    *("of", "for", "with", "to", "in", "and", "or", "the", "shop", "catalogue"),
}
_ITEM = re.compile(
    r"(?<![\d.])\b(?P<count>\d{1,3}|an?)\s+(?P<name>of\s+(?:these|this)|[a-z]+\s+[a-z]+)\b", re.IGNORECASE
)
_VOUCHER = re.compile(r"\bvouchers?\b[^.?!]*?(\d+(?:\.\d+)?) ?EUR", re.IGNORECASE)
_CLUB = re.compile(r"\b(?:I am|I'm|we are|as) (?:a )?members?\b|\bmy membership\b", re.IGNORECASE)
_DELIVERED = re.compile(r"\bdeliver(?:ed|y)?\b|\bsend (?:it|them|everything)\b|\bby post\b", re.IGNORECASE)

SHOWN = "these"
"""The name of an item that is shown in a picture and not named."""


@dataclass(frozen=True, slots=True)
class Item:
    """Some pieces of one product; ``words`` is how the customer wrote it, without an article."""

    name: str
    count: int
    words: str

    @property
    def shown(self) -> bool:
        """Whether it is only shown in a picture."""
        return self.name == SHOWN

    @property
    def plural(self) -> bool:
        """Whether the customer wrote it in the plural."""
        return not self.shown and not self.words.endswith(self.name)


@dataclass(frozen=True, slots=True)
class Order:
    """What a question asks the price of."""

    items: tuple[Item, ...]
    club: bool = False
    delivered: bool = False
    voucher: Decimal = Decimal(0)


@lru_cache(maxsize=16384)
def read(question: str) -> Order:
    """The order in ``question``; one without items if it asks for no product."""
    found = [_item(match["count"], " ".join(match["name"].lower().split())) for match in _ITEM.finditer(question)]
    voucher = _VOUCHER.search(question)
    return Order(
        tuple([item for item in found if item is not None]),
        club=bool(_CLUB.search(question)),
        delivered=bool(_DELIVERED.search(question)),
        voucher=Decimal(voucher[1]) if voucher else Decimal(0),
    )


def _item(count: str, name: str) -> Item | None:
    pieces = int(count) if count.isdigit() else 1
    if name.startswith("of "):
        return Item(SHOWN, pieces, SHOWN)
    if _NO_PRODUCT & set(name.split()) or name.startswith("of") or not pieces:
        return None
    words = f"{pieces} {name}" if count.isdigit() else name
    return Item(name.removesuffix("s") if pieces > 1 else name, pieces, words)
