"""What the tracker is told: enough to write the history of every prompt, with why and how well."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from afnio import Budget, _dispatch
from afnio import cognitive as cog
from afnio.models.lm_server.worlds.tickets.job import JOB_PROMPT
from afnio.optim import TGD
from afnio.trainer import Trainer
from afnio.variable import Variable
from tests.trainer.job import Agent, AsyncAgent, engine, loader, model, quiet, state
from tests.trainer.told import Told


class Desk(cog.Module):
    """An agent whose prompt is a part of a part of it."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self.clerk = Agent(client)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return self.clerk.training_step(batch, batch_idx)

    def configure_optimizers(self) -> Any:
        return self.clerk.configure_optimizers()


def fitted(*faults: str, agent_type: Any = Agent, **args: Any) -> tuple[Told, Any, Trainer]:
    told, client = Told(), model(*faults)
    agent, trainer = agent_type(client), quiet(**args)
    with engine(client), _dispatch.use_tracker(told):
        trainer.fit(agent, loader())
    return told, agent, trainer


def history(told: Told, name: str) -> list[Any]:
    """Value after value of a prompt, by what was told alone."""
    value = told.of("fit_start")[0]["prompts"][name]
    held = [value]
    for kind, data in told.events:
        if kind == "prompt" and data["parameter"] == name:
            assert data["before"] == held[-1]
            held.append(data["after"])
        if kind == "gate" and data["status"] == "undone":
            for update in data["updates"]:
                if update["parameter"] == name:
                    assert held.pop() == update["after"]
    return held


@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
def test_a_prompt_is_told_with_its_name_and_all_that_led_to_it(agent_type: Any) -> None:
    told, agent, trainer = fitted(agent_type=agent_type)
    start = told.of("fit_start")[0]
    assert start["prompts"] == {"prompt": JOB_PROMPT}
    assert start["roles"] == {"prompt": "system prompt of the classifier"}
    assert start["step"] == 0
    prompts = told.of("prompt")
    assert [data["step"] for data in prompts] == [1, 2, 3]
    for data in prompts:
        assert (data["parameter"], data["role"]) == ("prompt", "system prompt of the classifier")
        assert data["reasoning"]
        assert data["gradients"]
        assert all(gradient["text"] and gradient["samples"] for gradient in data["gradients"])
    assert history(told, "prompt")[-1] == agent.prompt.data == state(trainer).prompts()["prompt"]


def test_the_name_is_the_dotted_one() -> None:
    told, *_ = fitted(agent_type=Desk)
    assert list(told.of("fit_start")[0]["prompts"]) == ["clerk.prompt"]
    assert {data["parameter"] for data in told.of("prompt")} == {"clerk.prompt"}
    assert {update["parameter"] for data in told.of("gate") for update in data["updates"]} == {"clerk.prompt"}


def test_the_verdict_is_told_with_names_scores_and_values() -> None:
    told, agent, _ = fitted("destructive@1")
    first, second = told.of("gate")[:2]
    assert (first["status"], second["status"]) == ("undone", "kept")
    assert first["after"] < first["before"] <= second["after"]
    assert (first["proposal"], second["proposal"]) == (1, 2)
    assert first["step"] == second["step"] == 1
    proposals = told.of("prompt")
    assert first["updates"] == [
        {
            "parameter": "prompt",
            "role": "system prompt of the classifier",
            "before": JOB_PROMPT,
            "after": proposals[0]["after"],
        }
    ]
    assert proposals[1]["before"] == JOB_PROMPT
    assert [data["step"] for data in proposals] == [1, 1, 2, 3]
    assert history(told, "prompt")[-1] == agent.prompt.data


def test_without_a_gate_there_is_no_verdict() -> None:
    told, agent, _ = fitted(gate=None)
    assert told.of("gate") == []
    assert history(told, "prompt")[-1] == agent.prompt.data


@pytest.mark.parametrize("calls", range(10, 18))
def test_a_proposal_that_a_used_up_budget_left_unjudged_is_told_as_undone(calls: int) -> None:
    """8 forward calls, the critic's, the optimizer's, then the 8 of the gate."""
    told, agent, trainer = fitted(budget=Budget(calls=calls), restore_best=False)
    assert trainer.stop_reason is not None
    assert [data["status"] for data in told.of("gate")] == ["undone"]
    assert told.of("gate")[0]["after"] is None
    assert history(told, "prompt") == [JOB_PROMPT] == [agent.prompt.data]


def test_an_update_of_two_optimizers_of_which_one_failed_is_told_as_undone() -> None:
    class Two(Agent):
        def __init__(self, client: Any) -> None:
            super().__init__(client)
            self.second = cog.Parameter("Second part.", role="second part of the system prompt")

        def messages(self) -> list[dict[str, Any]]:
            return [{"role": "system", "content": [self.prompt, self.second]}, *super().messages()[1:]]

        def configure_optimizers(self) -> Any:
            return [
                TGD([self.prompt], model_client=self.client, model="sim"),
                TGD([self.second], model_client=self.client, model="sim", max_length=1),
            ]

    told, agent, trainer = fitted(agent_type=Two, max_steps=1)
    assert state(trainer).progress.skipped == 1
    assert [data["parameter"] for data in told.of("prompt")] == ["prompt"]
    (gate,) = told.of("gate")
    assert (gate["status"], [update["parameter"] for update in gate["updates"]]) == ("undone", ["prompt"])
    assert told.of("update_skipped")[0]["step"] == gate["step"] == 1
    assert history(told, "prompt") == [agent.prompt.data]


def test_a_resumed_fit_counts_its_steps_on(tmp_path: Path) -> None:
    client = model()
    with engine(client):
        quiet(tmp_path, max_steps=2).fit(Agent(client), loader())
        told = Told()
        with _dispatch.use_tracker(told):
            quiet(tmp_path).fit(Agent(client), loader(), ckpt_path="last")
    start = told.of("fit_start")[0]
    assert (start["step"], start["prompts"]["prompt"] == JOB_PROMPT) == (2, False)
    assert [data["step"] for data in told.of("prompt")] == [3]


def test_checkpoints_are_told_by_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told, *_ = fitted(root=Path("here"))
    written = [Path(data["path"]) for data in told.of("checkpoint")]
    assert all(path.is_absolute() for path in written)
    assert {path for path in written if path.exists()} == set((tmp_path / "here").rglob("*.hf"))
    assert [Path(data["path"]).name for data in told.of("checkpoint") if data["best"]] == ["best.hf"]


def test_a_validation_or_a_test_tells_metrics_only() -> None:
    told, client = Told(), model()
    with _dispatch.use_tracker(told):
        quiet().validate(Agent(client), loader())
        quiet().test(Agent(client), loader())
    assert told.events == []
    assert [name for name, *_ in told.metrics if name != "total_cost($)"] == ["val_loss", "test_loss"]


# by hand


def by_hand(optimizers: Any, agents: list[Agent], steps: int = 2) -> Told:
    told, batches = Told(), list(loader())
    with engine(agents[0].client), _dispatch.use_tracker(told):
        for step in range(steps):
            for optimizer, agent in zip(optimizers, agents, strict=True):
                optimizer.clear_grad()
                agent.training_step(batches[step], step).backward()
                optimizer.step()
    return told


def test_a_loop_by_hand_tells_versions_by_role() -> None:
    agent = Agent(model())
    told = by_hand([agent.configure_optimizers()], [agent])
    first, second = told.of("prompt")
    assert (first["parameter"], first["step"], second["step"]) == ("system prompt of the classifier", 1, 2)
    assert (first["before"], second["before"], second["after"]) == (JOB_PROMPT, first["after"], agent.prompt.data)
    assert first["gradients"][0]["samples"]


def test_two_parameters_of_one_role_have_two_names() -> None:
    client = model()
    agents = [Agent(client), Agent(client)]
    optimizers = [agent.configure_optimizers() for agent in agents]
    told = by_hand(optimizers, agents)
    role = "system prompt of the classifier"
    assert [data["parameter"] for data in told.of("prompt")] == [role, f"{role} (2)"] * 2
    again = by_hand([agents[1].configure_optimizers()], [agents[1]], steps=3)
    assert {data["parameter"] for data in again.of("prompt")} <= {role}  # another Run, other names


def test_parameters_that_were_given_with_names_keep_them() -> None:
    agent = Agent(model())
    told = by_hand([TGD(agent.named_parameters(), model_client=agent.client, model="sim")], [agent])
    assert [data["parameter"] for data in told.of("prompt")] == ["prompt", "prompt"]


def test_a_step_in_an_event_loop_tells_the_same() -> None:
    agent, told = Agent(model()), Told()
    optimizer = agent.configure_optimizers()

    async def step() -> None:
        agent.training_step(next(iter(loader())), 0).backward()
        await optimizer.astep()

    with engine(agent.client), _dispatch.use_tracker(told):
        asyncio.run(step())
    assert [data["step"] for data in told.of("prompt")] == [1]


def test_a_step_without_feedback_tells_nothing() -> None:
    agent, told = Agent(model()), Told()
    optimizer = agent.configure_optimizers()
    with engine(agent.client), _dispatch.use_tracker(told):
        optimizer.step()
        assert told.events == []
        agent.prompt.grad.append(Variable("", role="nothing"))
        optimizer.step()
    assert told.events == []


def test_a_tracker_that_cannot_be_referenced_weakly_is_told_roles() -> None:
    class Slots(Told):
        __slots__ = ()
        __hash__ = None  # type: ignore[assignment]

    agent, told = Agent(model()), Slots()
    optimizer = agent.configure_optimizers()
    with engine(agent.client), _dispatch.use_tracker(told):
        agent.training_step(next(iter(loader())), 0).backward()
        optimizer.step()
    assert [data["parameter"] for data in told.of("prompt")] == ["system prompt of the classifier"]
