"""The catalogue of the shop, and the two tools that its agents have: a search and a calculator.

They are what a user's tools would be: plain functions that run in the agent's process, not in the server.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

__all__ = ["CATALOGUE", "Product", "calculator", "cents", "search"]


class Product(NamedTuple):
    """One product: its code and its price in EUR."""

    code: str
    price: Decimal


CATALOGUE: dict[str, Product] = {
    name: Product(code, Decimal(price))
    for name, code, price in (
        ("brass hinge", "H11", "4.20"),
        ("steel hinge", "H12", "3.15"),
        ("oak board", "B21", "18.75"),
        ("pine board", "B22", "11.40"),
        ("glass knob", "K31", "2.85"),
        ("iron hook", "K32", "1.95"),
        ("door handle", "D41", "12.60"),
        ("wall bracket", "D42", "6.45"),
        ("desk lamp", "L51", "39.90"),
        ("floor lamp", "L52", "84.50"),
        ("paint roller", "P61", "7.30"),
        ("paint can", "P62", "16.05"),
        ("garden hose", "G71", "24.95"),
        ("garden rake", "G72", "13.35"),
        ("drill bit", "T81", "3.80"),
        ("saw blade", "T82", "9.25"),
    )
}


def search(query: str) -> str:
    """The products whose name has every word of ``query``, or whose code it is: one a line, with code and price."""
    words = query.lower().split()
    found = [
        f"{name} (code {product.code}): {product.price} EUR each"
        for name, product in CATALOGUE.items()
        if words and (set(words) <= set(name.split()) or words == [product.code.lower()])
    ]
    return "\n".join(found) or f"Nothing found for {query!r}."


def cents(value: Decimal) -> Decimal:
    """``value`` rounded to cents, half a cent upwards."""
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


_BINARY: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def calculator(expression: str) -> str:
    """The value of ``expression``, rounded to cents and without zeros at the end (``8.4``).

    Raises:
        ValueError: it holds anything but numbers, ``+ - * /`` and brackets.
    """
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, ArithmeticError):
        raise _unreadable(expression) from None
    text = f"{cents(value):f}"
    return text.rstrip("0").rstrip(".")


def _value(node: ast.expr) -> Decimal:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return Decimal(str(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](_value(node.left), _value(node.right))
    raise SyntaxError


def _unreadable(expression: str) -> ValueError:
    return ValueError(f"Cannot read the expression {expression!r}: only numbers, + - * / and brackets are known.")
