"""The same through a Tellurio server: forward here; critic and optimizer there, or here on the server's word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from afnio._dispatch import use_engine
from afnio.models.lm_server import LMServer
from tests.agents.conftest import CONNECT
from tests.agents.shop_agent import Asked, ShopAgent, right, train
from tests.autodiff.lab import Served, backward_model
from tests.tellurio.engine.place import Place
from tests.tellurio.running import ServerProcess

ASKED, HELD_OUT = Asked(24, seed=21, pictures=True), Asked(16, seed=22, pictures=True)


@pytest.fixture(scope="module")
def tellurio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(tmp_path_factory.mktemp("agents") / "home")
    yield running
    running.stop()


@pytest.fixture
def place(tellurio: ServerProcess, server: LMServer, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The server with a new Run, and the shop's model."""
    monkeypatch.setenv("ALLOW_API_KEY_SHARING", "true")
    return Place(tellurio, server, Served())


@pytest.mark.parametrize(
    ("kind", "lm_calls"), [("openai", "server"), ("anthropic", "server"), ("openai SDK", "client")]
)
def test_prompt_and_descriptions_are_learned(place: Place, kind: str, lm_calls: str) -> None:
    clients = CONNECT[kind](place.lm)
    agent = ShopAgent(clients.forward, critic=clients.critic, model="m")
    before, engine = agent.texts(), place.engine(lm_calls=lm_calls)
    with backward_model(clients.critic), engine.session(), use_engine(engine):
        train(agent, ASKED, lambda agent, batch: agent.training_step(batch, 0))
        assert right(agent, HELD_OUT) >= 0.95
    after = agent.texts()
    assert all(after[name] != before[name] for name in before)

    # Calls made there are stored there and counted here, too.
    served = {role: counts["calls"] for role, counts in place.lm.stats(rows=False)["by_role"].items()}
    assert {role: row.calls for (role,), row in engine.ledger.by("role").items()} == served
    stored = [call["role"] for call in place.get("/calls")]
    made_there = {role: served[role] for role in ("backward", "optimizer")} if lm_calls == "server" else {}
    assert {role: stored.count(role) for role in stored} == made_there
