"""The gate's laws, and the number of calls they cost."""

from __future__ import annotations

from typing import Any

import pytest

from afnio.cognitive import functional as F
from afnio.models.lm_server.worlds.tickets.job import JOB_PROMPT
from afnio.trainer import BatchGate, Callback, Fit, StrictGate, Verdict
from tests.trainer.job import Agent, counts, engine, loader, match, mean, model, quiet, roles


class Verdicts(Callback):
    def __init__(self) -> None:
        self.seen: list[Verdict] = []

    def on_verdict(self, fit: Fit, verdict: Verdict) -> None:
        self.seen.append(verdict)


def trained(*faults: str, gate: Any = "batch", **args: Any) -> tuple[Agent, Any, Any, list[Verdict]]:
    client, verdicts = model(*faults), Verdicts()
    agent, trainer = Agent(client), quiet(gate=gate, callbacks=[verdicts], **args)
    with engine(client):
        trainer.fit(agent, loader())
    return agent, client, trainer, verdicts.seen


def accuracy(agent: Agent) -> float:
    return quiet().test(agent, loader())["loss"]


def test_the_job_without_a_gate_takes_30_calls() -> None:
    agent, client, _, verdicts = trained(gate=None)
    assert counts(client) == {"forward": 24, "backward": 3, "optimizer": 3}
    assert verdicts == []
    assert accuracy(agent) == 1.0


def test_the_job_with_the_gate_takes_54_calls() -> None:
    agent, client, trainer, verdicts = trained()
    assert client.calls == 54
    assert roles(client) == ([*["forward"] * 8, "backward", "optimizer", *["forward"] * 8]) * 3
    assert all(verdict.kept and verdict.after == 1.0 for verdict in verdicts)
    assert trainer.state.ledger.total(phase="gate").calls == 24
    assert accuracy(agent) == 1.0


@pytest.mark.parametrize("which", [1, 2, 3])
def test_a_destructive_update_is_undone_and_proposed_again_once(which: int) -> None:
    agent, client, trainer, verdicts = trained(f"destructive@{which}")
    assert sum(not verdict.kept for verdict in verdicts) == 1
    undone = next(verdict for verdict in verdicts if not verdict.kept)
    assert undone.after < undone.before
    assert undone.proposal == 1
    again = verdicts[verdicts.index(undone) + 1]
    assert again.kept
    assert again.proposal == 2
    assert client.calls == 54 + 1 + 8
    assert trainer.state.progress.undone == 1
    assert accuracy(agent) == 1.0


def test_the_second_request_shows_what_was_undone_and_its_score() -> None:
    _, client, _, verdicts = trained("destructive@1")
    first, second = [body for body, role in zip(client.requests, roles(client), strict=True) if role == "optimizer"][:2]
    text = second["messages"][-1]["content"]
    assert "<history>" not in first["messages"][-1]["content"]
    assert f'score="{verdicts[0].after:.3g}" status="undone"' in text
    assert text.startswith(f'<variable role="system prompt of the classifier">{JOB_PROMPT}</variable>')


def test_two_bad_proposals_leave_the_prompt_as_it_was() -> None:
    agent, client, trainer, verdicts = trained("destructive@1x2", max_steps=1)
    assert [(verdict.proposal, verdict.kept) for verdict in verdicts] == [(1, False), (2, False)]
    assert agent.prompt.data == JOB_PROMPT
    assert counts(client)["optimizer"] == 2
    assert trainer.state.progress.updates == 0


def test_an_identical_second_proposal_is_judged_by_the_answers_at_hand() -> None:
    _, client, _, _ = trained("destructive@1x2", max_steps=1)
    assert counts(client)["forward"] == 16  # the batch, and the gate once: the same prompt again costs nothing


def test_ties_are_kept() -> None:
    """A prompt that is only worded differently changes no score."""

    class Rewording(Agent):
        def configure_optimizers(self) -> Any:
            optimizer = super().configure_optimizers()
            step = optimizer.step

            def reword(closure: Any = None) -> Any:
                before = self.prompt.data
                result = step(closure)
                self.prompt.data = before + "\n"
                return result

            optimizer.step = reword
            return optimizer

    client, verdicts = model(), Verdicts()
    agent = Rewording(client)
    with engine(client):
        quiet(callbacks=[verdicts], max_steps=1).fit(agent, loader())
    assert [(verdict.before == verdict.after, verdict.kept) for verdict in verdicts.seen] == [(True, True)]
    assert agent.prompt.data == JOB_PROMPT + "\n"


def test_when_all_samples_are_right_nothing_is_asked_but_the_forward() -> None:
    good, *_ = trained()
    client = model()
    agent, trainer = Agent(client, good.prompt.data), quiet()
    with engine(client):
        trainer.fit(agent, loader())
    assert counts(client) == {"forward": 24}
    assert trainer.best is not None
    assert trainer.best.score == 1.0


def test_undoing_takes_back_momentum_too() -> None:
    client = model("destructive@1x2")
    agent = Agent(client, momentum=2)
    with engine(client):
        quiet(max_steps=1).fit(agent, loader())
    state = agent.optimizers().state[agent.prompt]
    assert not state.get("momentum_buffer")
    assert [version.status for version in state["history"]] == ["undone", "undone"]


def test_where_lower_is_better() -> None:
    """The share of tickets answered wrong, to be brought down."""

    class Wrong(Agent):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return F.deterministic_evaluator(self(batch[0]), batch[1], differ, "mismatch", all_zeros, mean, "mean")

        test_step = training_step

    client, verdicts = model("destructive@2"), Verdicts()
    agent, trainer = Wrong(client), quiet(mode="min", callbacks=[verdicts])
    with engine(client):
        trainer.fit(agent, loader())
    assert [verdict.kept for verdict in verdicts.seen] == [True, False, True, True]
    assert all((verdict.after <= verdict.before) == verdict.kept for verdict in verdicts.seen)
    assert trainer.best is not None
    assert trainer.best.score == 0.0
    assert quiet(mode="min").test(agent, loader()) == {"loss": 0.0}


def differ(prediction: str, target: str) -> int:
    """1 if they differ."""
    return 1 - match(prediction, target)


def all_zeros(scores: list[int]) -> bool:
    """Whether every score is 0."""
    return not any(scores)


@pytest.mark.parametrize(
    ("gate", "mode", "before", "after", "kept"),
    [
        (BatchGate(), "max", 0.5, 0.5, True),
        (BatchGate(), "max", 0.5, 0.4, False),
        (BatchGate(0.2), "max", 0.5, 0.4, True),
        (BatchGate(), "min", 0.5, 0.4, True),
        (BatchGate(), "min", 0.5, 0.6, False),
        (StrictGate(), "max", 0.5, 0.5, False),
        (StrictGate(), "max", 0.5, 0.6, True),
        (StrictGate(), "min", 0.5, 0.4, True),
    ],
)
def test_gates(gate: Any, mode: str, before: float, after: float, kept: bool) -> None:
    assert gate.keeps(before, after, mode) is kept


def test_a_malformed_reply_leaves_the_prompt_and_the_fit_goes_on() -> None:
    _, client, trainer, _ = trained("malformed@1x2:role=optimizer")
    assert trainer.state.progress.skipped == 1
    assert trainer.state.progress.updates == 2
    assert counts(client)["optimizer"] == 4  # one with its repair turn, two good ones


def test_one_malformed_reply_is_mended_by_the_repair_turn() -> None:
    agent, _, trainer, _ = trained("malformed_optimizer@2")
    assert trainer.state.progress.skipped == 0
    assert accuracy(agent) == 1.0


@pytest.mark.parametrize("gate", ["epoch", 1, object()])
def test_an_unknown_gate(gate: Any) -> None:
    with pytest.raises(ValueError, match="gate must be 'batch', None or a Gate"):
        quiet(gate=gate)


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        (BatchGate, {"proposals": 0}),
        (BatchGate, {"proposals": 1.5}),
        (StrictGate, {"proposals": -1}),
        (BatchGate, {"tolerance": -0.1}),
        (BatchGate, {"tolerance": float("nan")}),
        (BatchGate, {"tolerance": "x"}),
    ],
)
def test_a_gate_that_could_not_work_is_refused(kind: Any, args: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is wanted"):
        kind(**args)
