"""The estimate: exact in calls where the fit is as planned, and of the right size in tokens."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import afnio
from afnio.models.lm_server import LMServer
from afnio.models.openai import OpenAI
from afnio.models.prices import clear_prices, set_price
from afnio.trainer import Trainer
from tests.trainer.job import Agent, counts, engine, loader, model, quiet, state


@pytest.mark.parametrize("gate", [None, "batch"])
def test_calls_are_exact_when_every_batch_learns_once(gate: Any) -> None:
    client = model()
    agent, trainer = Agent(client), quiet(gate=gate)
    with engine(client):
        estimate = trainer.estimate(agent, loader(), model="sim")
        assert client.calls == 0
        trainer.fit(agent, loader())
    assert estimate.calls == client.calls
    assert {name: estimate.parts[name].calls for name in ("backward", "optimizer")} == {"backward": 3, "optimizer": 3}
    assert estimate.parts["forward"].calls == 24
    real = state(trainer).ledger.total().tokens
    assert real / 2 < estimate.tokens < real * 2
    assert estimate.usd == 0  # a model in this process is free


def test_epochs_validation_and_max_steps() -> None:
    afnio.set_backward_model_client(model(), completion_args={"model": "sim"})
    agent = Agent(model())
    estimate = Trainer(max_epochs=3).estimate(agent, loader(10), loader(8), calls_per_sample=2)
    assert {name: part.calls for name, part in estimate.parts.items()} == {
        "forward": 144,
        "backward": 18,
        "optimizer": 9,
        "gate": 144,
        "validation": 144,
    }
    estimate = Trainer(max_steps=3, gate=None).estimate(agent, loader())
    assert estimate.calls == 30
    assert str(estimate).splitlines()[-1].startswith("estimated total: 30 calls, ")


def test_the_price_is_near_what_is_paid() -> None:
    set_price("sim", input=100, output=200)
    try:
        with LMServer(bad_share=0.0) as server:
            client = OpenAI(api_key="any", base_url=server.base_url)
            agent, trainer = Agent(client), quiet()
            with engine(client):
                estimate = trainer.estimate(agent, loader(), model="sim", output_tokens=25)
                trainer.fit(agent, loader())
        paid = state(trainer).costs.usd
        assert estimate.usd is not None
        assert paid / 2 < estimate.usd < paid * 2
        assert isinstance(estimate.usd, Decimal)
    finally:
        clear_prices()


def test_an_unknown_price_is_said() -> None:
    client = OpenAI(api_key="any", base_url="http://127.0.0.1:9/v1")
    with engine(client):
        estimate = quiet().estimate(Agent(client), loader())
    assert estimate.usd is None
    assert "unpriced" in str(estimate)
    assert estimate.calls == 54


def test_a_loader_without_a_length() -> None:
    with pytest.raises(TypeError, match="estimate\\(\\) needs a DataLoader"):
        quiet().estimate(Agent(model()), (batch for batch in loader()))
    assert counts(model()) == {}
