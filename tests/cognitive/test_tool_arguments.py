"""What the simplest tests of tools do not see: whole numbers that come as 3.0, models within models."""

from __future__ import annotations

import json
from typing import Any

import pydantic

import afnio.cognitive as cog
from afnio.models.scripted import Scripted
from afnio.variable import Variable


class Place(pydantic.BaseModel):
    """Where."""

    town: str


class Order(pydantic.BaseModel):
    """What to whom."""

    to: Place
    goods: list[str]


def send(order: Order, copies: int) -> str:
    """Send an order."""
    assert type(copies) is int
    assert type(order.to) is Place
    return f"{copies} to {order.to.town}"


def test_models_within_models_are_described_and_made() -> None:
    given = {"order": {"to": {"town": "Ulm"}, "goods": []}, "copies": 3.0}
    model = Scripted([[{"type": "tool_use", "id": "1", "name": "send", "input": given}], "sent"])
    loop = cog.ToolLoop([send], on_error="raise")
    result = loop(model, [{"role": "user", "content": [Variable("Send it.", "task")]}], model="m")
    assert result.output.data == "sent"
    assert model.requests[1]["messages"][-1]["content"] == "3 to Ulm"
    assert _unresolved(model.requests[0]["tools"][0]["function"]["parameters"]) == []


def _unresolved(schema: dict[str, Any]) -> list[str]:
    """References that lead nowhere."""
    named = json.dumps(schema).split('"$ref": "#/$defs/')[1:]
    assert named, "the inner model is described once, and referred to"
    return [name for name in (part.partition('"')[0] for part in named) if name not in schema.get("$defs", {})]
