"""Samples that fail, and errors that end a fit: nothing is lost, and nothing is hidden."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from afnio.autodiff import no_grad
from afnio.calls import Budget
from afnio.cognitive import functional as F
from afnio.errors import (
    APITimeoutError,
    APIUnreachableError,
    AuthenticationError,
    ContextLengthError,
    InternalServerError,
    StepError,
)
from afnio.models.lm_server import LMServer
from afnio.models.lm_server.worlds.tickets.job import JOB_PROMPT, job_tickets
from afnio.models.openai import OpenAI
from afnio.models.prices import clear_prices, set_price
from afnio.models.scripted import Scripted
from tests.trainer.job import Agent, AsyncAgent, Tickets, counts, engine, loader, match, model, quiet, role, state

TICKETS = [text for text, _ in job_tickets(every_step_learns=True)]


def failing(*numbers: int, times: int = 10**6, error: Any = None) -> Callable[[dict[str, Any], int], None]:
    """Requests to classify these tickets fail, each so many times."""
    left = dict.fromkeys(numbers, times)
    raised = error or ContextLengthError("too long", status_code=400)

    def before(body: dict[str, Any], number: int) -> None:
        if role(body) == "forward":
            ticket = TICKETS.index(body["messages"][-1]["content"])
            if left.get(ticket):
                left[ticket] -= 1
                raise raised

    return before


def fitted(before: Any, agent_type: type[Agent] = Agent, **args: Any) -> tuple[Agent, Any, Any]:
    client = model(before=before)
    agent, trainer = agent_type(client), quiet(**args)
    with engine(client):
        trainer.fit(agent, loader())
    return agent, trainer, client


@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
def test_a_sample_that_fails_once_is_retried_and_only_that_one(agent_type: type[Agent]) -> None:
    _, trainer, client = fitted(failing(3, 12, times=1), agent_type, gate=None)
    assert trainer.failures == []
    assert counts(client)["forward"] == 24 + 2  # the answers of the others were at hand


@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
@pytest.mark.parametrize("gate", [None, "batch"])
def test_a_sample_that_fails_for_good_is_reported_once_and_counts_as_0(
    agent_type: type[Agent], gate: Any, caplog: pytest.LogCaptureFixture
) -> None:
    agent, trainer, _ = fitted(failing(3, 12), agent_type, gate=gate)
    assert [(f.stage, f.batch, f.sample) for f in trainer.failures] == [("train", 0, "3"), ("train", 1, "12")]
    assert all(isinstance(failure.error, ContextLengthError) for failure in trainer.failures)
    told = [record for record in caplog.records if record.name.startswith("afnio")]
    assert [record.getMessage().split(" failed")[0] for record in told] == [
        "train: sample 3 of batch 0",
        "train: sample 12 of batch 1",
    ]
    client = model(before=failing(3, 12))
    metrics = quiet().test(agent_type(client, agent.prompt.data), loader())
    assert metrics["loss"] == pytest.approx(22 / 24)
    assert (metrics.failed, metrics.samples) == (2, 24)
    assert trainer.best.score <= 22 / 24


def test_a_failed_sample_weighs_in_the_mean() -> None:
    right = quiet().test(Agent(model()), loader())["loss"] * 24
    one_right = next(n for n in range(24) if quiet().test(Agent(model()), loader(1, rows=slice(n, n + 1)))["loss"] == 1)
    metrics = quiet().test(Agent(model(before=failing(one_right))), loader())
    assert metrics["loss"] == pytest.approx((right - 1) / 24)


@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
def test_errors_of_the_users_own_code_are_traced_to_their_samples(agent_type: type[Agent]) -> None:
    class Picky(Agent):
        def test_step(self, batch: Any, batch_idx: int) -> Any:
            prediction = self(batch[0])
            if any(TICKETS[5] == text for text in batch[0].data):
                raise KeyError("urgency")
            return F.deterministic_evaluator(prediction, batch[1], match, "exact match", None, sum, "sum")

    class AsyncPicky(Picky):
        async def test_step(self, batch: Any, batch_idx: int) -> Any:
            return super().test_step(batch, batch_idx)

    client = model()
    trainer = quiet()
    metrics = trainer.test((AsyncPicky if agent_type is AsyncAgent else Picky)(client), loader())
    assert [(failure.sample, repr(failure.error)) for failure in trainer.failures] == [("5", "KeyError('urgency')")]
    assert metrics.failed == 1
    assert client.calls == 24 + 1  # a fresh answer did not help


@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
def test_when_the_whole_first_batch_fails_the_error_is_raised(agent_type: type[Agent]) -> None:
    with pytest.raises(ContextLengthError, match="too long") as caught:
        fitted(failing(*range(24)), agent_type)
    assert "Every sample of the first batch failed" in "".join(caught.value.__notes__)


def test_a_bug_in_the_step_is_raised_as_it_is() -> None:
    class Buggy(Agent):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            super().training_step(batch, batch_idx)
            raise ZeroDivisionError("a bug")

        test_step = training_step

    client = model()
    with engine(client), pytest.raises(ZeroDivisionError, match="a bug"):
        quiet().fit(Buggy(client), loader())
    assert client.calls == 8  # the answers stay the same ones


def test_a_bug_in_an_async_step_is_raised_as_it_is() -> None:
    class Buggy(AsyncAgent):
        async def training_step(self, batch: Any, batch_idx: int) -> Any:
            await super().training_step(batch, batch_idx)
            raise ZeroDivisionError("a bug")

    client = model()
    with engine(client), pytest.raises(ZeroDivisionError, match="a bug"):
        quiet().fit(Buggy(client), loader())
    assert client.calls == 8


@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
def test_a_later_batch_may_fail_whole(agent_type: type[Agent]) -> None:
    _, trainer, _ = fitted(failing(*range(8, 16)), agent_type)
    assert [failure.sample for failure in trainer.failures] == [str(n) for n in range(8, 16)]
    assert trainer.state.progress.steps == 3


def test_samples_that_fail_under_the_new_prompt_count_against_it() -> None:
    def before(body: dict[str, Any], number: int) -> None:
        if role(body) == "forward" and body["messages"][0]["content"] != JOB_PROMPT:
            raise ContextLengthError("the new prompt is too long", status_code=400)

    agent, trainer, _ = fitted(before, max_steps=1)
    assert agent.prompt.data == JOB_PROMPT
    assert trainer.state.progress.undone == 2
    assert {failure.stage for failure in trainer.failures} == {"gate"}


def test_one_right_answer_does_not_make_up_for_those_that_failed() -> None:
    """Of the samples that went through all are right, but the batch as a whole does worse."""
    client = model()
    agent, trainer = Agent(client), quiet(gate=None, max_steps=1)
    with engine(client):
        trainer.fit(agent, loader())
        alone = next(number for number in range(8) if match(*_answer_and_target(agent, number)))

    def before(body: dict[str, Any], number: int) -> None:
        told, ticket = body["messages"][0]["content"], body["messages"][-1]["content"]
        if role(body) == "forward" and told != JOB_PROMPT and ticket != TICKETS[alone]:
            raise ContextLengthError("the new prompt is too long", status_code=400)

    judged, trainer, _ = fitted(before, max_steps=1)
    assert judged.prompt.data == JOB_PROMPT
    assert trainer.state.progress.undone == 2


def _answer_and_target(agent: Agent, number: int) -> tuple[str, str]:
    ticket, target = Tickets()[number]
    with no_grad():
        return str(agent(ticket).data), str(target.data)


def test_failures_in_validation_too() -> None:
    client = model(before=failing(9))
    agent, trainer = Agent(client), quiet()
    metrics = trainer.validate(agent, loader())
    assert metrics.failed == 1
    with engine(client):
        trainer.fit(agent, loader(rows=slice(0, 8)), loader())
    assert [(failure.stage, failure.sample) for failure in trainer.failures] == [("validation", "9")]


# errors that end the fit


def broken(stage: str, error: Exception, number: int = 1) -> Callable[[dict[str, Any], int], None]:
    """From the ``number``-th request of a role on, all requests fail."""
    seen = 0

    def before(body: dict[str, Any], _: int) -> None:
        nonlocal seen
        seen += role(body) == stage
        if seen >= number:
            raise error

    return before


@pytest.mark.parametrize("stage", ["forward", "backward", "optimizer"])
@pytest.mark.parametrize(
    "error",
    [AuthenticationError("wrong key", status_code=401), APIUnreachableError("nobody there")],
    ids=["key", "host"],
)
@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
def test_an_error_all_samples_share_ends_the_fit_at_once(
    stage: str, error: Exception, agent_type: type[Agent], tmp_path: Path
) -> None:
    client = model(before=broken(stage, error))
    agent, trainer = agent_type(client), quiet(tmp_path)
    with engine(client), pytest.raises(type(error)) as caught:
        trainer.fit(agent, loader())
    assert counts(client)[stage] == 1 or stage == "forward"
    assert agent.prompt.data == JOB_PROMPT
    assert trainer.stop_reason == f"{type(error).__name__}: {error}"
    assert str(trainer.checkpoint) in "".join(caught.value.__notes__)


def test_when_the_gate_dies_the_update_is_taken_back(tmp_path: Path) -> None:
    client = model(before=broken("forward", AuthenticationError("expired", status_code=401), number=12))
    agent, trainer = Agent(client), quiet(tmp_path)
    with engine(client), pytest.raises(AuthenticationError):
        trainer.fit(agent, loader())
    assert agent.prompt.data == JOB_PROMPT
    again = model()
    with engine(again):
        quiet(tmp_path).fit(Agent(again), loader(), ckpt_path="last")
    assert again.calls == 54 - 8 - 2 - 3  # three answers of the gate were paid for


@pytest.mark.parametrize("stage", ["backward", "optimizer"])
def test_a_failing_backward_or_optimizer_call_costs_one_update(stage: str, caplog: pytest.LogCaptureFixture) -> None:
    calls = 0

    def before(body: dict[str, Any], number: int) -> None:
        nonlocal calls
        calls += role(body) == stage
        if role(body) == stage and calls == 1:
            raise InternalServerError("down", status_code=500)

    _, trainer, _ = fitted(before)
    assert trainer.state.progress.skipped == 1
    assert trainer.state.progress.updates == 2
    assert "No update after batch 0: down" in caplog.text


def test_an_unreachable_endpoint_is_an_error_that_says_so() -> None:
    client = OpenAI(api_key="any", base_url="http://127.0.0.1:9/v1", max_retries=0)
    with engine(client), pytest.raises(APIUnreachableError):
        quiet().fit(Agent(client), loader())


@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
def test_one_sample_without_an_answer_in_time_is_no_reason_to_end(agent_type: type[Agent]) -> None:
    _, trainer, _ = fitted(failing(2, error=APITimeoutError("no answer within 600 s")), agent_type)
    assert [failure.sample for failure in trainer.failures if failure.stage == "train"] == ["2"]
    assert trainer.state.progress.steps == 3


@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
def test_an_endpoint_that_answers_nobody_any_more_ends_the_fit(agent_type: type[Agent]) -> None:
    client = model(before=failing(*range(8, 16), error=APITimeoutError("no answer within 600 s")))
    agent, trainer = agent_type(client), quiet()
    with engine(client), pytest.raises(APITimeoutError):
        trainer.fit(agent, loader())
    assert trainer.state is not None
    assert trainer.state.progress.steps == 1


# budgets


@pytest.mark.parametrize("limit", [{"calls": 0}, {"tokens": 0}, {"usd": 0}, {"seconds": 0}])
def test_a_budget_of_zero_ends_at_once_and_changes_nothing(
    limit: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    agent, trainer, client = fitted(lambda body, number: None, budget=Budget(**limit))
    assert client.calls == 0
    assert agent.prompt.data == JOB_PROMPT
    assert f"Budget({next(iter(limit))}=0" in trainer.stop_reason
    assert not trainer.interrupted
    assert caplog.text.count("fit ended early: Budget(") == 1


@pytest.mark.parametrize("limit", range(1, 54, 7))
@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
def test_a_budget_of_calls_is_exact_and_keeps_what_the_gate_approved(limit: int, agent_type: type[Agent]) -> None:
    agent, trainer, client = fitted(lambda body, number: None, agent_type, budget=Budget(calls=limit))
    assert client.calls == limit or agent_type is AsyncAgent
    assert client.calls <= limit
    assert f"Budget(calls={limit})" in trainer.stop_reason
    updates = trainer.state.progress.updates
    assert (agent.prompt.data == JOB_PROMPT) == (updates == 0)
    before, after = (
        quiet().test(Agent(model(), prompt), loader())["loss"] for prompt in (JOB_PROMPT, agent.prompt.data)
    )
    assert after >= before


def test_after_the_budget_is_used_up_the_agent_can_still_be_tested() -> None:
    agent, trainer, client = fitted(lambda body, number: None, budget=Budget(calls=20))
    assert trainer.test(agent, loader())["loss"] > 0
    assert client.calls == 20 + 24


def test_one_budget_over_the_engine_and_the_trainer() -> None:
    client = model()
    with engine(client, budget=Budget(calls=3)), pytest.raises(ValueError, match="Give it once"):
        quiet(budget=Budget(calls=5)).fit(Agent(client), loader())
    trainer = quiet()
    with engine(client, budget=Budget(calls=3)) as found:
        trainer.fit(Agent(client), loader())
        assert found.ledger.total().calls == 3
    assert "Budget(calls=3)" in str(trainer.stop_reason)


def test_a_budget_in_dollars_needs_a_price_and_keeps_to_it() -> None:
    with LMServer(bad_share=0.0) as server:
        client = OpenAI(api_key="any", base_url=server.base_url)
        with engine(client), pytest.raises(ValueError, match="needs a price for model 'sim'"):
            quiet(budget=Budget(usd=1)).fit(Agent(client), loader())
        trainer = quiet(gate=None)
        with engine(client):
            trainer.fit(Agent(client), loader())
        assert str(state(trainer).costs) == "unpriced"
        set_price("sim", input=1000, output=2000)
        trainer = quiet(budget=Budget(usd=10))
        with engine(client) as found:
            trainer.fit(Agent(client), loader())
        assert 0 < state(trainer).costs.usd == found.ledger.total().usd <= 10
        assert "Budget(usd=10)" in str(trainer.stop_reason)


@pytest.fixture(autouse=True)
def _no_prices() -> Iterator[None]:
    yield
    clear_prices()


def test_step_errors_are_not_retried() -> None:
    calls = []

    class Rubbish(Agent):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            calls.append(json.dumps(batch_idx))

    with engine(model()), pytest.raises(StepError):
        quiet().fit(Rubbish(model()), loader())
    assert len(calls) == 1


@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
def test_an_answer_no_code_can_use_is_asked_for_anew(agent_type: type[Agent]) -> None:
    """The model answers ticket 4 badly once; the step cannot read that, however often it is shown the same."""
    first = [4]

    class Strict(agent_type):  # type: ignore[misc, valid-type]
        def __init__(self, client: Any) -> None:
            super().__init__(client)
            self.seen = 0

        def read(self, prediction: Any) -> Any:
            if "nonsense" in prediction.data:
                raise ValueError("nonsense")
            return prediction

        def forward(self, message: Any) -> Any:
            return self.read(super().forward(message))

    def answer(body: dict[str, Any]) -> Any:
        if role(body) == "forward" and first and body["messages"][-1]["content"] == TICKETS[first[0]]:
            first.clear()
            return "nonsense"
        return honest._answer(body, 0)

    honest = model()
    client = Scripted(answer, model="sim")
    agent, trainer = Strict(client), quiet(gate=None)
    if agent_type is AsyncAgent:
        step = agent.training_step

        async def training_step(batch: Any, batch_idx: int) -> Any:
            agent.forward(batch[0])
            return await step(batch, batch_idx)

        agent.training_step = training_step
    with engine(client):
        trainer.fit(agent, loader())
    assert trainer.failures == []
    assert counts(client)["forward"] == 24 + 1


def test_without_reuse_a_retry_pays_only_for_what_failed(tmp_path: Path) -> None:
    client = model(before=failing(3, 12, times=1))
    trainer = quiet(tmp_path, gate=None, reuse_answers=False)
    with engine(client):
        trainer.fit(Agent(client), loader())
    assert trainer.failures == []
    assert counts(client)["forward"] == 24 + 2


def test_a_batch_that_fails_though_each_sample_goes_through() -> None:
    class Crowded(Agent):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            if batch_idx == 1 and len(batch[0].data) > 1:
                raise MemoryError("too many at once")
            return super().training_step(batch, batch_idx)

    client, trainer = model(), quiet(gate=None)
    with engine(client):
        trainer.fit(Crowded(client), loader())
    assert [(failure.batch, type(failure.error)) for failure in trainer.failures] == [(1, MemoryError)] * 8
    assert counts(client)["forward"] == 24


def test_a_cancelled_afit_leaves_the_agent_as_it_was(tmp_path: Path) -> None:
    cancelled: list[asyncio.Task[None]] = []

    def before(body: dict[str, Any], number: int) -> None:
        if number == 12:  # in the gate: the proposal is in place
            cancelled[0].get_loop().call_soon_threadsafe(cancelled[0].cancel)
            raise InternalServerError("gone", status_code=500)

    async def main() -> None:
        client = model(before=before)
        agent, trainer = Agent(client), quiet(tmp_path)
        with engine(client):
            cancelled.append(asyncio.ensure_future(trainer.afit(agent, loader())))
            with pytest.raises(asyncio.CancelledError):
                await cancelled[0]
        assert agent.prompt.data == JOB_PROMPT
        assert trainer.interrupted
        assert trainer.checkpoint is not None

    asyncio.run(main())
