"""Answers by a schema: the feedback on each field reaches the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pydantic
import pytest

import afnio
import afnio.cognitive.functional as F
from afnio.models.lm_server import LMServer
from afnio.models.lm_server.worlds.shop import Question
from afnio.models.lm_server.worlds.shop.laws import BOOKS
from tests.agents.conftest import Clients
from tests.agents.shop_agent import Asked, Batch, ShopAgent, ask, train

ASKED, HELD_OUT = Asked(24, seed=31, pictures=True), Asked(16, seed=32, pictures=True)


class Order(pydantic.BaseModel):
    """What a customer asked for."""

    product: str
    quantity: int
    total: float


class Receipt(Order):
    """The same with the amount as a text."""

    total: str  # type: ignore[assignment]


def equal(prediction: Any, target: Any) -> int:
    return int(prediction == target)


def all_right(scores: list[int]) -> bool:
    return all(score == 1 for score in scores)


def right_fields(question: Question, *, as_text: bool) -> dict[str, Any]:
    total = question.answer if as_text else float(question.answer)
    return {"product": question.product, "quantity": question.quantity, "total": total}


def accuracy(agent: ShopAgent, *, as_text: bool) -> dict[str, float]:
    fields = ask(agent, HELD_OUT).fields or {}
    wanted = [right_fields(question, as_text=as_text) for question in HELD_OUT.questions]
    return {
        name: fmean(said == right[name] for said, right in zip(field.data, wanted, strict=True))
        for name, field in fields.items()
    }


def losses(names: Sequence[str], *, as_text: bool) -> Any:
    """The sum of an evaluator for each of the fields."""
    known = {question.text: right_fields(question, as_text=as_text) for question in ASKED.questions}

    def judged(name: str, field: afnio.Variable, texts: afnio.Variable) -> Any:
        right = [known[text][name] for text in texts.data]
        purpose = f"exact match of the {name}"
        return F.deterministic_evaluator(field, right, equal, purpose, all_right, sum, "sum").explanation

    def loss(agent: ShopAgent, batch: Batch) -> Any:
        texts, _, pictures = batch
        fields = agent(texts, pictures).fields
        return F.sum([judged(name, fields[name], texts) for name in names])

    return loss


def test_every_field_is_learned(clients: Clients, request: pytest.FixtureRequest) -> None:
    as_text = request.node.callspec.params["clients"].startswith("anthropic")
    form = Receipt if as_text else Order
    agent = ShopAgent(clients.forward, critic=clients.critic, response_format=form, model="m")
    with afnio.local_engine():
        before = accuracy(agent, as_text=as_text)
        train(agent, ASKED, losses(("product", "quantity", "total"), as_text=as_text))
        after = accuracy(agent, as_text=as_text)
    assert max(before.values()) < 0.95 <= min(after.values())
    stated = set(BOOKS["system"].stated(str(agent.prompt.data)))
    assert {"naming", "pieces", "picture", "lookup"} <= stated
    assert ("bare" in stated) is as_text
    parsed = ask(agent, HELD_OUT).parsed
    assert all(isinstance(one, form) for one in parsed)


@pytest.mark.parametrize(("name", "law"), [("product", "naming"), ("quantity", "pieces")])
def test_feedback_on_one_field_says_nothing_of_the_others(server: LMServer, client: Any, name: str, law: str) -> None:
    agent = ShopAgent(client, response_format=Order, model="m")
    with afnio.local_engine():
        train(agent, ASKED, losses((name,), as_text=False), epochs=1)
    stated = set(BOOKS["system"].stated(str(agent.prompt.data)))
    assert stated & {"naming", "pieces"} == {law}
    critics = [request["body"] for request in server.requests(1000) if request["role"] == "backward"]
    assert any(f"the field '{name}'" in body for body in critics)
    assert not any(
        f"the field '{other}'" in body for body in critics for other in {"product", "quantity", "total"} - {name}
    )


def test_a_schema_as_a_dict_does_as_well(client: Any) -> None:
    schema = Order.model_json_schema()
    form = {"type": "json_schema", "json_schema": {"name": "Order", "schema": schema}}
    agent = ShopAgent(client, response_format=form, model="m")
    with afnio.local_engine():
        result = ask(agent, HELD_OUT)
    assert set(result.fields or {}) == {"product", "quantity", "total"}
    assert all(isinstance(value, int) for value in (result.fields or {})["quantity"].data)
