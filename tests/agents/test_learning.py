"""A tool agent learns its prompt and the descriptions of its tools, over real HTTP, by each API and client."""

from __future__ import annotations

import json
from typing import Any

import pytest

import afnio
from afnio.models.lm_server import LMServer
from afnio.models.lm_server.worlds.shop import LAWS
from afnio.models.lm_server.worlds.shop.laws import BOOKS
from afnio.models.lm_server.worlds.shop.reading import read
from tests.agents.conftest import Clients
from tests.agents.shop_agent import Asked, AsyncShopAgent, Batch, ShopAgent, ask, loader, right, train, turns

ASKED, HELD_OUT = Asked(24, seed=11), Asked(20, seed=12)
PICTURES, HELD_OUT_PICTURES = Asked(24, seed=21, pictures=True), Asked(20, seed=22, pictures=True)


def loss(agent: ShopAgent, batch: Batch) -> Any:
    return agent.training_step(batch, 0)


def learned(agent: ShopAgent) -> set[str]:
    return {law.name for law in LAWS if law.name in BOOKS[law.about].stated("\n".join(agent.texts().values()))}


@pytest.mark.parametrize("how", ["whole", "streamed", "pictures"])
def test_prompt_and_descriptions_are_learned(server: LMServer, clients: Clients, how: str) -> None:
    pictures, streamed = how == "pictures", how == "streamed"
    asked, held_out = (PICTURES, HELD_OUT_PICTURES) if pictures else (ASKED, HELD_OUT)
    agent = ShopAgent(clients.forward, critic=clients.critic, model="m", **({"stream": True} if streamed else {}))
    before = agent.texts()
    with afnio.local_engine() as engine:
        assert 0.3 <= right(agent, held_out) <= 0.55
        train(agent, asked, loss)
        result = ask(agent, held_out)
    said = [str(answer) for answer in result.output.data]
    assert sum(a == q.answer for a, q in zip(said, held_out.questions, strict=True)) >= 0.95 * len(held_out)
    after = agent.texts()
    assert all(after[name] != before[name] and after[name].startswith(before[name]) for name in before)
    assert ("picture" in learned(agent)) is pictures
    products = [len(read(question.text).items) for question in held_out.questions]
    assert turns(result) == [number + 2 for number in products], "a search for each, a calculation, the answer"
    assert {min(turns(result)), max(turns(result))} == {3, 6}

    # What the ledger counts is what the server has answered, and each tool call was carried out once.
    stats = server.stats()
    calls = {role: row.calls for (role,), row in engine.ledger.by("role").items()}
    assert calls == {role: counts["calls"] for role, counts in stats["by_role"].items()}
    total = engine.ledger.total()
    assert (total.calls, total.tokens) == (stats["calls"], stats["total"]["total_tokens"])
    assert len(agent.ran) == stats["total"]["tool_calls"] > 0
    assert {row["status"] for row in stats["requests"]} == {200}
    bodies = [json.loads(request["body"]) for request in server.requests(50) if request["role"] == "forward"]
    assert {body.get("stream", False) for body in bodies} == {streamed}


@pytest.mark.parametrize("kind", [ShopAgent, AsyncShopAgent])
def test_the_trainer_does_it_too(server: LMServer, client: Any, kind: type[ShopAgent]) -> None:
    agent = kind(client, model="m")
    trainer = afnio.trainer.Trainer(
        max_epochs=2, enable_checkpointing=False, enable_progress_bar=False, enable_agent_summary=False
    )
    with afnio.local_engine():
        trainer.fit(agent, loader(PICTURES), loader(HELD_OUT_PICTURES))
        assert trainer.test(agent, loader(HELD_OUT_PICTURES))["loss"] >= 0.95
    assert trainer.failures == []
    assert {"picture", "lookup", "single", "singular", "factors"} <= learned(agent)
    by_role = server.stats(rows=False)["by_role"]
    assert by_role["backward"]["calls"] < by_role["forward"]["calls"] / 5, "samples share a critic"
