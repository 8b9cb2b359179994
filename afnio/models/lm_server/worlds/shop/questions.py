"""Questions of customers, with their right answers: drawn by a seed, the same in every process."""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal

from afnio.models.lm_server.worlds.shop.catalogue import CATALOGUE
from afnio.models.lm_server.worlds.shop.picture import picture_of
from afnio.models.lm_server.worlds.shop.pricing import total
from afnio.models.lm_server.worlds.shop.reading import SHOWN, Item, Order

__all__ = ["CALCULATOR", "PROMPT", "SEARCH", "Question", "questions"]

PROMPT = (
    "You help the customers of a shop with questions about prices. Use the search tool and the calculator. "
    "Reply with the amount in EUR and nothing else."
)
SEARCH = "Searches the catalogue of the shop."
CALCULATOR = "Works out an expression."
"""Texts to start from: all that they state is to use the calculator."""

_OPENINGS = ("What do I pay for {}?", "How much is it for {}?", "I would like {}. What is the total?")
_DELIVERY = ("Please have it delivered.", "With delivery to my door.", "Can you send it by post?")
_CLUB = ("I am a member of the club.", "As a member of your club, please.")


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        text: what the customer writes.
        answer: the amount, as a text with two decimals.
        product: name of its first product.
        quantity: number of all pieces.
        picture: a PNG of its first product, or None: then the text names it.
    """

    text: str
    answer: str
    product: str
    quantity: int
    picture: bytes | None = None


def questions(count: int, *, seed: int = 0, pictures: bool = False) -> list[Question]:
    """``count`` questions, each of one to four products.

    Args:
        count: how many.
        seed: of the draws; other seeds give other questions (a split of the data is a seed).
        pictures: every third question shows its first product instead of naming it.
    """
    source = random.Random(f"shop {seed}")
    return [_question(source, shown=pictures and number % 3 == 0) for number in range(count)]


def _question(source: random.Random, *, shown: bool) -> Question:
    plain = source.random() < 0.5
    names = source.sample(sorted(CATALOGUE), 1 if plain else source.choice((1, 2, 2, 3, 4)))
    counts = [1 if plain else source.choice((1, 2, 3, 4, 6, 12, 15)) for _ in names]
    known = [Item(name, pieces, "") for name, pieces in zip(names, counts, strict=True)]
    order = Order(
        tuple(known),
        club=not plain and source.random() < 0.35,
        delivered=not plain and source.random() < 0.45,
        voucher=_voucher(source, names[0]) if plain else Decimal(0),
    )
    prices = {name: product.price for name, product in CATALOGUE.items()}
    said = [
        _said(name, pieces, shown=shown and place == 0)
        for place, (name, pieces) in enumerate(zip(names, counts, strict=True))
    ]
    text = " ".join(
        [
            source.choice(_OPENINGS).format(_listed(said)),
            *([f"I have a voucher of {order.voucher:.2f} EUR."] if order.voucher else []),
            *([source.choice(_CLUB)] if order.club else []),
            *([source.choice(_DELIVERY)] if order.delivered else []),
        ]
    )
    picture = picture_of(CATALOGUE[names[0]].code) if shown else None
    return Question(text, f"{total(order, prices):.2f}", names[0], sum(counts), picture)


def _voucher(source: random.Random, name: str) -> Decimal:
    """Worth less than the product, and such that the rest has two decimals in any case."""
    price = CATALOGUE[name].price
    while True:
        worth = Decimal(source.randrange(5, int(price * 100), 5)) / 100
        if str(price - worth)[-1] != "0":
            return worth


def _said(name: str, pieces: int, *, shown: bool) -> str:
    if shown:
        return f"{pieces} of {SHOWN if pieces > 1 else 'this'}"
    if pieces > 1:
        return f"{pieces} {name}s"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _listed(said: list[str]) -> str:
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
