"""What an order costs: as a total, and as the expression that the model gives to the calculator."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

from afnio.models.lm_server.worlds.shop.catalogue import cents
from afnio.models.lm_server.worlds.shop.reading import Item, Order

__all__ = ["expression", "in_the_head", "total"]

SHIPPING, FREE_FROM = Decimal("4.90"), Decimal(50)
BULK_FROM = 10
_ALL = frozenset({"bulk", "club", "shipping"})

Prices = Mapping[str, Decimal]
"""Name of a product -> its price in EUR."""


def _goods(order: Order, prices: Prices, laws: Collection[str]) -> Decimal:
    goods = Decimal(0)
    for item in order.items:
        goods += prices[item.name] * item.count * (Decimal("0.90") if _is_bulk(item, laws) else 1)
    return goods * Decimal("0.95") if order.club and "club" in laws else goods


def _is_bulk(item: Item, laws: Collection[str]) -> bool:
    return "bulk" in laws and item.count >= BULK_FROM


def _shipping(order: Order, goods: Decimal, laws: Collection[str]) -> Decimal:
    return SHIPPING if order.delivered and "shipping" in laws and goods < FREE_FROM else Decimal(0)


def total(order: Order, prices: Prices, laws: Collection[str] = _ALL) -> Decimal:
    """The amount to pay, in EUR, if only ``laws`` hold."""
    goods = _goods(order, prices, laws)
    return cents(goods + _shipping(order, goods, laws) - order.voucher)


def in_the_head(order: Order, prices: Prices, laws: Collection[str]) -> Decimal:
    """The same without a calculator: what is behind the decimal point of a price is lost."""
    whole = {name: Decimal(int(price)) for name, price in prices.items()}
    return Decimal(int(total(order, whole, laws)))


def expression(order: Order, prices: Prices, laws: Collection[str], *, factors: bool, currency: bool) -> str:
    """What the model types into the calculator.

    Args:
        order: what is bought.
        prices: of its items.
        laws: names of the laws that hold.
        factors: a discount is a factor, else a percentage, which no calculator of ours can read.
        currency: each price has its currency, which none can read either.
    """
    unit = " EUR" if currency else ""
    bulk, club = (" * 0.90", " * 0.95") if factors else (" - 10%", " - 5%")
    terms = [
        (f"{item.count} * " if item.count > 1 else "")
        + f"{prices[item.name]}{unit}"
        + (bulk if _is_bulk(item, laws) else "")
        for item in order.items
    ]
    goods = " + ".join(terms)
    if order.club and "club" in laws:
        goods = f"({goods}){club}"
    shipping = _shipping(order, _goods(order, prices, laws), laws)
    return goods + (f" + {shipping}{unit}" if shipping else "") + (f" - {order.voucher}{unit}" if order.voucher else "")
