"""Further ways to the same: in process, several calls a turn, bad updates, shared descriptions, pictures from tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.models.lm_server import LMServer
from afnio.models.lm_server.worlds import shop
from afnio.models.lm_server.worlds.shop.laws import BOOKS
from afnio.models.openai import AsyncOpenAI
from afnio.models.simulated import simulated
from afnio.trainer import Trainer
from tests.agents.conftest import CONNECT, Clients
from tests.agents.shop_agent import Asked, Batch, ShopAgent, ask, loader, right, train, turns

ASKED, HELD_OUT = Asked(24, seed=11), Asked(16, seed=12)


def loss(agent: ShopAgent, batch: Batch) -> Any:
    return agent.training_step(batch, 0)


def test_in_process_over_openais_api_and_over_anthropics_the_same_is_learned(server: LMServer) -> None:
    learned = []
    for client in (
        simulated("shop", bad_share=0.0),
        CONNECT["openai"](server).critic,
        CONNECT["anthropic"](server).critic,
    ):
        afnio.set_backward_model_client(client, completion_args={"model": "m"})
        agent = ShopAgent(client, model="m")
        with afnio.local_engine():
            train(agent, ASKED, loss)
        learned.append(agent.texts())
    assert learned[0] == learned[1] == learned[2]


def test_several_calls_in_one_turn(server: LMServer, clients: Clients) -> None:
    agent = ShopAgent(clients.forward, critic=clients.critic, model="m")
    agent.prompt.data = f"{agent.prompt.data} Search for everything at the same time."
    with afnio.local_engine():
        train(agent, ASKED, loss)
        result = ask(agent, HELD_OUT)
    said = [str(answer) for answer in result.output.data]
    assert said == [question.answer for question in HELD_OUT.questions]
    assert set(turns(result)) == {3}
    stats = server.stats()
    assert max(row["tool_calls"] for row in stats["requests"]) == 4
    assert len(agent.ran) == stats["total"]["tool_calls"]


@pytest.mark.parametrize(("seed", "bad_share"), [(5, 0.15), (6, 0.15), (5, 0.4), (7, 0.4)])
def test_the_gate_keeps_bad_updates_out(seed: int, bad_share: float) -> None:
    client = simulated("shop", seed=seed, bad_share=bad_share)
    afnio.set_backward_model_client(client, completion_args={"model": "m"})
    agent = ShopAgent(client, model="m")
    trainer = Trainer(max_epochs=4, enable_checkpointing=False, enable_progress_bar=False, enable_agent_summary=False)
    with afnio.local_engine():
        trainer.fit(agent, loader(ASKED), loader(HELD_OUT))
        assert right(agent, HELD_OUT) >= 0.95
    assert trainer.failures == []


def test_a_picture_that_a_tool_returns_is_seen(server: LMServer, clients: Clients) -> None:
    """The model's next request has the picture's bytes, whatever the API."""

    def photograph(query: str) -> Sequence[Any]:
        """Looks up a photo."""
        return [f"Here is {query}.", afnio.content.image(shop.picture_of("H11"))]

    loop = cog.ToolLoop([photograph])
    messages = [{"role": "user", "content": [afnio.Variable("What do I pay for a brass hinge?", "question")]}]
    with afnio.no_grad():
        result = loop(clients.forward, messages, model="m")
    assert turns(result) == [2]
    body = server.requests(1)[0]["body"]
    data = afnio.content.image(shop.picture_of("H11"))["source"]["data"]
    assert data in body


def test_a_description_of_ones_own_that_two_agents_share(server: LMServer, client: Any) -> None:
    shared = cog.Parameter(shop.SEARCH, "description of the search")
    first, second = ShopAgent(client, model="m"), ShopAgent(client, model="m")
    for agent in (first, second):
        agent.loop = cog.ToolLoop(
            [cog.Tool(shop.search, description=shared), cog.Tool(shop.calculator, description=shop.CALCULATOR)]
        )
    batch = next(iter(loader(ASKED)))
    with afnio.local_engine():
        optimizer = first.configure_optimizers()
        scores = [agent.training_step(batch, 0) for agent in (first, second)]
        F.sum([score.explanation for score in scores]).backward()
        optimizer.step()
    assert set(BOOKS["search"].stated(str(shared.data))) == {"single", "singular"}
    assert second.loop.tools["search"].description is shared


def test_a_recorded_fit_replays_without_the_model(tmp_path: Any) -> None:
    learned = []
    with LMServer("shop", bad_share=0.0) as server:
        client = CONNECT["anthropic"](server).critic
        afnio.set_backward_model_client(client, completion_args={"model": "m"})
        agent = ShopAgent(client, model="m", stream=True)
        with afnio.local_engine(tmp_path / "calls.jsonl"):
            train(agent, ASKED, loss)
        learned.append(agent.texts())
    agent = ShopAgent(client, model="m")  # whether an answer was streamed is no part of the question
    with afnio.local_engine(tmp_path / "calls.jsonl", mode="replay"):
        train(agent, ASKED, loss)
    assert [*learned, agent.texts()] == learned * 2


def test_a_faulty_endpoint_only_takes_longer(server: LMServer) -> None:
    client = AsyncOpenAI(api_key="any", base_url=server.base_url, max_retries=6)
    afnio.set_backward_model_client(client, completion_args={"model": "m"})
    agent = ShopAgent(client, model="m", stream=True)
    server.faults = ["429@3x6:retry_after=0.01", "500@20x2", "reset@31", "cut@40", "malformed@1:role=backward"]
    with afnio.local_engine():
        train(agent, ASKED, loss)
        assert [fault["met"] for fault in server.faults] == [6, 2, 1, 1, 1]
        server.faults = []
        assert right(agent, HELD_OUT) >= 0.95


class Clerk(cog.Module):
    """Looks up what an article costs."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self.client = client
        self.prompt = cog.Parameter("Find the price.", "system prompt of the clerk")
        self.loop = cog.ToolLoop([cog.Tool(shop.search, description=shop.SEARCH)])

    def forward(self, article: str) -> Any:
        """Looks up what an article costs."""
        question = afnio.Variable(f"What do I pay for 1 {article}?", "question to the clerk")
        messages = [{"role": "system", "content": [self.prompt]}, {"role": "user", "content": [question]}]
        return self.loop(self.client, messages, model="m").output


def test_an_agent_can_be_a_tool_of_another_and_learns_with_it(client: Any) -> None:
    agent = ShopAgent(client, model="m")
    agent.loop = cog.ToolLoop([cog.Tool(Clerk(client), name="search"), agent.loop.tools["calculator"]])
    before = agent.texts()
    with afnio.local_engine():
        train(agent, Asked(4, seed=3), loss, epochs=1)
    after = agent.texts()
    assert {name for name in before if after[name] != before[name]} >= {
        "prompt",
        "loop.tools.search.description",
        "loop.tools.search.fn.prompt",
    }


PROGRAM = """
import hashlib, json
import afnio
from afnio.models.simulated import simulated
from tests.agents.shop_agent import Asked, ShopAgent, train

client = simulated("shop")
afnio.set_backward_model_client(client, completion_args={"model": "m"})
agent = ShopAgent(client, model="m")
with afnio.local_engine():
    train(agent, Asked(24, seed=21, pictures=True), lambda agent, batch: agent.training_step(batch, 0), epochs=1)
sent = sorted(json.dumps(body, sort_keys=True) for body in client.requests)
print(json.dumps([agent.texts(), len(sent), hashlib.sha256("".join(sent).encode()).hexdigest()]))
"""


def test_two_processes_send_the_same_and_learn_the_same() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert shop.LAWS[0].text in json.loads(said[0])[0]["prompt"]
