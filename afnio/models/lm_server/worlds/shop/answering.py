"""The forward answer: the next call of a tool, or the amount, in the form that was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from afnio.models.lm_server.ask import Ask, Tool, ToolCall
from afnio.models.lm_server.filling import fill
from afnio.models.lm_server.worlds.shop.conversation import Conversation, Done, conversation
from afnio.models.lm_server.worlds.shop.knowledge import known
from afnio.models.lm_server.worlds.shop.picture import code_in
from afnio.models.lm_server.worlds.shop.pricing import expression, in_the_head
from afnio.models.lm_server.worlds.shop.reading import Item, Order, read

__all__ = ["answer", "next_calls"]

GUESS = Decimal(10)
"""The price of a product that was not found."""
PATIENCE = 3
"""So many calls that could not be carried out, and the model answers with what it has."""
NO_ORDER = "I can only tell you what our products cost."

_PRICE = re.compile(r"\d+\.\d\d\b")
_AT_ONCE = re.compile(r"\b(?:in parallel|at once|at the same time|side by side)\b", re.IGNORECASE)
_FIELDS = {
    "product": re.compile(r"product|article|item|name", re.IGNORECASE),
    "quantity": re.compile(r"quantity|pieces|count|number", re.IGNORECASE),
    "total": re.compile(r"total|price|amount|sum|cost|answer", re.IGNORECASE),
}


def next_calls(ask: Ask) -> list[ToolCall]:
    """The tools to call now; none when the answer can be given."""
    talk = conversation(ask)
    laws, order = known(ask, talk), read(talk.question.text)
    if ask.tool_choice == "none" or not order.items or talk.invalid > PATIENCE:
        return []
    only = ask.tool_choice if ask.tool_choice in [tool.name for tool in ask.tools] else ""
    open_ = _queries(order, laws, talk)[len(talk.found) :]
    if talk.search and open_ and only in ("", talk.search.name):
        at_once = _AT_ONCE.search(ask.system)
        return [_call(talk.search, query) for query in (open_ if at_once else open_[:1])]
    wanted = "calculator" in laws and not talk.worked_out
    if talk.calculator and (wanted or only == talk.calculator.name):
        return [_call(talk.calculator, _expression(order, laws, talk))]
    return _forced(ask, only)


def _forced(ask: Ask, only: str) -> list[ToolCall]:
    """A call that the request insists on though there is nothing left to do."""
    tools = [tool for tool in ask.tools if tool.name == only] or ask.tools[:1]
    return [_call(tools[0], "0")] if only or ask.tool_choice == "required" else []


def _call(tool: Tool, text: str) -> ToolCall:
    properties: dict[str, Any] = tool.parameters.get("properties") or {"query": {}}
    name = next((name for name, schema in properties.items() if schema.get("type", "string") == "string"), "query")
    return ToolCall(tool.name, json.dumps({name: text}, ensure_ascii=False))


# -- what to search for


def _sought(order: Order, laws: Collection[str]) -> tuple[Item, ...]:
    return order.items if "lookup" in laws and "first_only" not in laws else order.items[:1]


def _queries(order: Order, laws: Collection[str], talk: Conversation) -> list[str]:
    """One query for each product that the model looks up."""
    return [_query(item, laws, talk) for item in _sought(order, laws)]


def _query(item: Item, laws: Collection[str], talk: Conversation) -> str:
    if "sentence" in laws:
        return talk.question.text
    if item.shown:
        codes = [code_in(image.data) for image in talk.question.images]
        return (codes[0] if "picture" in laws and codes else "") or item.words
    words = item.words
    if "single" in laws:
        words = words.removeprefix(f"{item.count} ")
    return words.removesuffix("s") if "singular" in laws and item.plural else words


# -- what it costs


def _prices(order: Order, laws: Collection[str], talk: Conversation) -> dict[str, Decimal]:
    found = [_price(done) for done in talk.found]
    prices = {item.name: price for item, price in zip(_sought(order, laws), found, strict=False)}
    return {item.name: prices.get(item.name) or GUESS for item in order.items}


def _price(done: Done) -> Decimal | None:
    match = None if done.failed else _PRICE.search(done.result)
    return Decimal(match[0]) if match else None


def _expression(order: Order, laws: Collection[str], talk: Conversation) -> str:
    prices = _prices(order, laws, talk)
    return expression(order, prices, laws, factors="factors" in laws, currency="with_currency" in laws)


def _amount(order: Order, laws: Collection[str], talk: Conversation) -> str:
    """What the calculator said last, else what the model works out in its head."""
    said = talk.worked_out[-1] if talk.worked_out else None
    try:
        amount = Decimal(said.result.strip()) if said and not said.failed else None
    except InvalidOperation:
        amount = None
    if amount is None:
        amount = in_the_head(order, _prices(order, laws, talk), laws)
    if "whole_euros" in laws:
        return f"{amount:.0f}"
    return f"{amount:.2f}" if "decimals" in laws else f"{amount:f}"


# -- in which form


def answer(ask: Ask) -> str:
    """The amount as a text, or a value of the schema that was asked for."""
    talk = conversation(ask)
    laws, order = known(ask, talk), read(talk.question.text)
    if not order.items:
        text = "\n".join([done.result for done in talk.found]) or NO_ORDER
        return text if ask.schema is None else json.dumps(fill(ask.schema, lambda name, allowed: text))
    amount = _amount(order, laws, talk)
    if ask.schema is None:
        return json.dumps({"total": amount}) if ask.json_mode else amount
    values = _values(order, laws, talk, amount)
    types = {name: schema.get("type") for name, schema in (ask.schema.get("properties") or {}).items()}

    def guess(name: str, allowed: Sequence[Any]) -> Any:
        field = next((field for field, words in _FIELDS.items() if words.search(name)), "total")
        return _typed(values[field], types.get(name), laws) if field == "total" else values[field]

    return json.dumps(fill(ask.schema, guess), ensure_ascii=False)


def _values(order: Order, laws: Collection[str], talk: Conversation, amount: str) -> dict[str, Any]:
    """Product, quantity and total, as the laws that hold say."""
    first = order.items[0]
    listed = talk.found[0].result.partition(" (code")[0] if talk.found and " (code" in talk.found[0].result else ""
    quantity = sum([item.count for item in order.items]) if "pieces" in laws else first.count
    product = listed if "naming" in laws and listed else first.words.removeprefix(f"{first.count} ")
    return {"product": product, "quantity": quantity, "total": amount}


def _typed(amount: str, kind: Any, laws: Collection[str]) -> Any:
    """A number where the schema wants one; a text has its currency unless the prompt wants it bare."""
    kinds = kind if isinstance(kind, list) else [kind]
    if "number" in kinds:
        return float(amount)
    if "integer" in kinds:
        return int(float(amount))
    return amount if "bare" in laws else f"{amount} EUR"
