"""Optimizers that try values, under a Trainer: the batch is evaluated for them, and no feedback is paid for in vain."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from afnio import cognitive as cog
from afnio.calls import Budget
from afnio.errors import BudgetExceeded
from afnio.models.lm_server import LMServer
from afnio.models.openai import AsyncOpenAI
from afnio.optim import TGD, Evolution, FewShot
from afnio.trainer import Trainer
from tests.autodiff.lab import backward_model, remote
from tests.trainer.job import Agent, AsyncAgent, counts, engine, loader, model, quiet, role, state
from tests.trainer.test_resume import run, same_end


class Shown(Agent):
    """The classifier, with room for examples."""

    how = "evolution"

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.demos = cog.Demos()

    def messages(self) -> list[dict[str, Any]]:
        """Examples stand after the prompt."""
        return [{"role": "system", "content": [self.prompt, self.demos]}, {"role": "user", "content": [self.template]}]

    def configure_optimizers(self) -> Any:
        """What is asked for."""
        tgd = TGD([self.prompt], self.client, model="sim")
        return {
            "evolution": Evolution([self.prompt], self.client, model="sim"),
            "few shot": FewShot([self.demos]),
            "both": [tgd, FewShot([self.demos])],
        }[self.how]


class AsyncShown(Shown, AsyncAgent):
    """The same, one ticket at a time."""


def fit(how: str, agent_class: type[Shown] = Shown, **args: Any) -> tuple[Shown, Any, Trainer]:
    client = model()
    agent = agent_class(client)
    agent.how = how
    trainer = quiet(**args)
    with engine(client):
        trainer.fit(agent, loader())
    return agent, client, trainer


@pytest.mark.parametrize("agent_class", [Shown, AsyncShown])
@pytest.mark.parametrize("how", ["evolution", "few shot", "both"])
def test_sync_and_async_steps_learn_the_same(agent_class: type[Shown], how: str) -> None:
    agent, client, trainer = fit(how, agent_class)
    with engine(client):
        assert trainer.validate(agent, loader(24))["loss"] >= 0.875
    assert state(trainer).progress.updates == 3
    twin, _, _ = fit(how)
    assert (agent.prompt.data, agent.demos.data) == (twin.prompt.data, twin.demos.data)


def test_no_feedback_is_computed_for_those_that_learn_without() -> None:
    _, client, _ = fit("few shot")
    assert set(counts(client)) == {"forward"}
    _, client, _ = fit("both")
    asked = [body["messages"][-1]["content"] for body in client.requests if role(body) == "backward"]
    assert len(asked) == 3
    assert all("Give feedback on: v1 (system prompt of the classifier)." in text for text in asked)


def test_what_is_known_is_not_asked_again() -> None:
    """The batch itself, the pool's own answers and the gate's come from memory: no request is sent twice."""
    _, client, _ = fit("evolution", max_epochs=2)
    sent = [repr(body) for body in client.requests if role(body) == "forward"]
    assert len(sent) == len(set(sent))


def test_samples_keep_their_names_over_epochs() -> None:
    client = model()
    agent = Shown(client)
    kept: list[Evolution] = []

    def configure() -> Any:
        kept.append(Evolution([agent.prompt], client, model="sim"))
        return kept[0]

    agent.configure_optimizers = configure  # type: ignore[method-assign]
    with engine(client):
        quiet(max_epochs=2).fit(agent, loader())
    held = next(member for member in kept[0].pool.members if member.values == (agent.prompt.data,))
    assert sorted(held.scores, key=int) == [str(number) for number in range(24)]


def test_lower_may_be_better() -> None:
    class Errors(Shown):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            return {"loss": loss, "errors": 1 - loss.score.data}

    client = model()
    agent = Errors(client)
    trainer = quiet(monitor="errors", mode="min")
    with engine(client):
        trainer.fit(agent, loader())
        assert trainer.validate(agent, loader(24))["errors"] == 0


def test_a_sample_that_cannot_be_scored_counts_as_wrong() -> None:
    class Fragile(Shown):
        """Fails on one ticket, once its prompt knows of refunds."""

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            message, _ = batch
            if "Refund requests" in self.prompt.data and any("K41" in text for text in message.data):
                raise ValueError("broken")
            return super().training_step(batch, batch_idx)

    client = model()
    agent = Fragile(client)
    trainer = quiet()
    with engine(client):
        trainer.fit(agent, loader())
    assert state(trainer).progress.steps == 3
    assert {failure.sample for failure in state(trainer).failures} <= {str(number) for number in range(24)}


@pytest.mark.parametrize("calls", [20, 45, 60])
def test_the_budget_ends_a_search_and_the_best_so_far_is_kept(calls: int) -> None:
    client = model()
    agent = Shown(client)
    trainer = quiet(budget=Budget(calls=calls))
    with engine(client):
        try:
            trainer.fit(agent, loader())
        except BudgetExceeded:
            assert calls < 24
    assert len(client.requests) <= calls
    assert "Classify the support ticket" in agent.prompt.data


class Searching(Shown):
    """As the tests of resuming make it."""

    def __init__(self, client: Any, **_: Any) -> None:
        super().__init__(client)


class FewShotAgent(Searching):
    """Learns examples."""

    how = "few shot"


@pytest.mark.parametrize("agent_type", [Searching, FewShotAgent])
def test_killed_anywhere_a_search_goes_on_without_paying_twice(agent_type: type[Agent], tmp_path: Path) -> None:
    args: dict[str, Any] = {"agent_type": agent_type, "faults": ()}
    whole = run(tmp_path / "whole", **args)
    for kill_at in range(1, len(whole.requests) + 1, len(whole.requests) // 7):
        root = tmp_path / str(kill_at)
        first = run(root, kill_at, **args)
        second = run(root, resume="last", **args)
        assert first.requests + second.requests == whole.requests
        same_end(second, whole)


@pytest.mark.parametrize("how", ["evolution", "few shot", "both"])
def test_the_estimate_is_enough_for_what_a_search_may_try(how: str) -> None:
    client = model()
    agent = Shown(client)
    agent.how = how
    trainer = quiet()
    with engine(client):
        estimate = trainer.estimate(agent, loader(), model="sim")
        trainer.fit(agent, loader())
    made = counts(client)
    searched = estimate.parts["search"].calls
    assert made["forward"] <= estimate.parts["forward"].calls + searched + (24 if how == "both" else 0)
    assert estimate.parts["optimizer"].calls >= made.get("optimizer", 0)
    assert estimate.parts["backward"].calls == (0 if how == "few shot" else 3)
    assert ("gate" in estimate.parts) == (how == "both")


def test_what_the_search_cost_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    client = model()
    with engine(client):
        quiet(enable_progress_bar=True).fit(Shown(client), loader())
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("The search: ")]
    assert line.startswith("The search: 48 calls (")


@pytest.mark.parametrize("agent_class", [Shown, AsyncShown])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["fit", "afit"])
@pytest.mark.parametrize("how", ["evolution", "both"])
def test_against_a_real_server_every_way_learns_the_same(
    agent_class: type[Shown], asynchronous: bool, how: str
) -> None:
    with LMServer(latency=0.002, jitter=0.005, bad_share=0.0) as server:
        client = AsyncOpenAI(api_key="any", base_url=server.base_url)
        agent, trainer = agent_class(client), quiet()
        agent.how = how
        with engine(client):
            if asynchronous:
                asyncio.run(trainer.afit(agent, loader()))
            else:
                trainer.fit(agent, loader())
        calls = {name: found["calls"] for name, found in server.stats()["by_role"].items() if found["calls"]}
    expected, client_, _ = fit(how)
    assert (agent.prompt.data, agent.demos.data) == (expected.prompt.data, expected.demos.data)
    assert calls == counts(client_)


@pytest.mark.parametrize("lm_calls", ["server", "client"])
@pytest.mark.parametrize("how", ["evolution", "both"])
def test_over_a_servers_engine_it_learns_the_same(lm_calls: str, how: str) -> None:
    with LMServer(bad_share=0.0) as server:
        client = AsyncOpenAI(api_key="any", base_url=server.base_url)
        agent = Shown(client)
        agent.how = how
        with backward_model(client), remote(lm_calls):
            quiet().fit(agent, loader())
        calls = {name: found["calls"] for name, found in server.stats()["by_role"].items() if found["calls"]}
    expected, client_, _ = fit(how)
    assert (agent.prompt.data, agent.demos.data) == (expected.prompt.data, expected.demos.data)
    assert calls == counts(client_)
