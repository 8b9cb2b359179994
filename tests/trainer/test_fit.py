"""What a fit does, in which order, and what it returns and tells."""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path
from typing import Any

import pytest

import afnio
from afnio import _dispatch
from afnio import cognitive as cog
from afnio.cognitive import functional as F
from afnio.errors import GraphError, NoEngineError, StepError
from afnio.models.lm_server import LMServer
from afnio.models.openai import OpenAI
from afnio.trainer import Callback, EarlyStopping, Failure, Fit, Metrics, Trainer
from afnio.utils.data import DataLoader
from afnio.variable import Variable
from tests.trainer.job import Agent, AsyncAgent, Tickets, all_ones, counts, engine, loader, match, mean, model, quiet
from tests.trainer.told import Told


class Events(Callback):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_fit_start(self, fit: Fit) -> None:
        self.seen.append("fit_start")

    def on_epoch_start(self, fit: Fit) -> None:
        self.seen.append(f"epoch_start {fit.progress.epoch}")

    def on_stage_start(self, fit: Fit, stage: Any) -> None:
        self.seen.append(f"{stage.name}_start {fit.agent.training} {afnio.is_grad_enabled()}")

    def on_batch_end(self, fit: Fit, stage: Any, outcome: Any, metrics: Any) -> None:
        self.seen.append(f"{stage.name}_batch {outcome.size}")

    def on_stage_end(self, fit: Fit, stage: Any, metrics: Any) -> None:
        self.seen.append(f"{stage.name}_end")

    def on_epoch_end(self, fit: Fit) -> None:
        self.seen.append(f"epoch_end {fit.progress.epoch}")

    def on_fit_end(self, fit: Fit) -> None:
        self.seen.append("fit_end")


def fitted(agent_type: type[Agent] = Agent, val: Any = None, **args: Any) -> tuple[Agent, Any, Any]:
    client = model()
    agent, trainer = agent_type(client), quiet(**args)
    with engine(client):
        trainer.fit(agent, loader(10), val)
    return agent, trainer, client


def test_the_order_of_events() -> None:
    events = Events()
    agent, *_ = fitted(val=loader(16), callbacks=[events], max_epochs=2)
    epoch = [
        "train_start True True",
        *["train_batch 10", "train_batch 10", "train_batch 4"],
        "train_end",
        "validation_start False True",
        *["validation_batch 16", "validation_batch 8"],
        "validation_end",
    ]
    expected = ["fit_start", "epoch_start 0", *epoch, "epoch_end 1", "epoch_start 1", *epoch, "epoch_end 2", "fit_end"]
    assert events.seen == expected
    assert agent.training


def test_the_names_of_metrics_and_what_the_tracker_is_told(tmp_path: Path) -> None:
    class More(Agent):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            return {
                "loss": loss,
                "length": Variable(7, role="length"),
                "flag": True,
                "each": [0.5] * len(batch[0].data),
            }

        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            return super().training_step(batch, batch_idx)

    told, client = Told(), model("destructive@1")
    trainer = quiet(tmp_path, max_epochs=2)
    with engine(client), _dispatch.use_tracker(told):
        trainer.fit(More(client), loader(), loader())
    names = ["train_loss", "train_length", "train_flag", "train_each", "val_loss", "total_cost($)"]
    assert [(name, step) for name, _, step in told.metrics] == [(name, step) for step in (1, 2) for name in names]
    assert {
        name: value for name, value, step in told.metrics if step == 2 and name != "total_cost($)"
    } == trainer.metrics
    assert trainer.metrics["train_length"] == 7.0
    kinds = [kind for kind, _ in told.events]
    assert kinds[0] == "fit_start"
    assert kinds[-1] == "fit_end"
    assert {"prompt", "gate", "checkpoint"} <= set(kinds)
    gates = [data for kind, data in told.events if kind == "gate"]
    assert [data["status"] for data in gates][:2] == ["undone", "kept"]
    assert gates[0]["updates"][0]["before"] != gates[0]["updates"][0]["after"]
    prompts = [data for kind, data in told.events if kind == "prompt"]
    assert all(data["gradients"] for data in prompts)
    assert len(told.calls) >= client.calls


def test_costs_nobody_knows_are_told_as_such_never_as_0() -> None:
    told = Told()
    with LMServer(bad_share=0.0) as server, _dispatch.use_tracker(told):
        client = OpenAI(api_key="any", base_url=server.base_url)
        quiet().test(Agent(client), loader())
    assert [(name, value) for name, value, _ in told.metrics if name != "test_loss"] == [("unpriced_calls", 24)]


def test_a_small_last_batch_counts_by_its_samples() -> None:
    """24 tickets in batches of 10, 10 and 4: the mean over tickets, not over batches."""
    client = model()
    agent = Agent(client)
    whole = quiet().test(agent, loader(24))["loss"]
    assert quiet().test(agent, loader(10))["loss"] == pytest.approx(whole)
    assert quiet().test(agent, loader(7))["loss"] == pytest.approx(whole)


def test_metrics_have_a_standard_error_where_single_scores_are_known() -> None:
    class Single(Agent):
        def test_step(self, batch: Any, batch_idx: int) -> Any:
            return F.exact_match_evaluator(self(batch[0]), batch[1], None)

    client = model()
    metrics = quiet().test(Single(client), loader(10))
    scores = [1] * round(metrics["loss"] * 24) + [0] * round((1 - metrics["loss"]) * 24)
    assert metrics.stderr["loss"] == pytest.approx(statistics.stdev(scores) / 24**0.5)
    assert (metrics.samples, metrics.failed) == (24, 0)
    assert isinstance(metrics, dict)
    assert quiet().test(Agent(client), loader(10)).stderr["loss"] == pytest.approx(metrics.stderr["loss"])
    assert quiet().test(AsyncAgent(client), loader(10)).stderr["loss"] == pytest.approx(metrics.stderr["loss"])


@pytest.mark.parametrize(("reduction", "weight"), [(mean, 1), (sum, 8), (None, 1), (max, None)])
def test_a_batched_step_has_a_standard_error_where_its_score_is_a_mean_or_a_sum(reduction: Any, weight: Any) -> None:
    scores: list[int] = []

    def noted(prediction: str, target: str) -> int:
        scores.append(match(prediction, target))
        return scores[-1]

    class Reduced(Agent):
        def test_step(self, batch: Any, batch_idx: int) -> Any:
            message, answer = batch
            loss = F.deterministic_evaluator(self(message), answer, noted, "exact match", all_ones, reduction, "it")
            return {"loss": loss, "again": loss.score, "plain": 1.0}

    metrics = quiet().test(Reduced(model()), loader(8))
    if weight is None:
        assert metrics.stderr == {}
        return
    expected = weight * statistics.stdev(scores) / 24**0.5
    assert metrics.stderr == {"loss": pytest.approx(expected), "again": pytest.approx(expected)}


def test_sync_and_async_steps_learn_the_same() -> None:
    one, sync, _ = fitted(Agent)
    other, asynchronous, _ = fitted(AsyncAgent)
    assert one.prompt.data != Agent(model()).prompt.data
    assert sync.metrics["train_loss"] == pytest.approx(asynchronous.metrics["train_loss"])
    assert sync.best.score == asynchronous.best.score == 1.0
    assert quiet().test(one, loader()) == quiet().test(other, loader()) == {"loss": 1.0}


@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
def test_afit_sends_what_fit_sends(agent_type: type[Agent]) -> None:
    one, trainer, client = fitted(agent_type, val=loader())

    async def main() -> tuple[Agent, Any, Any]:
        again = model()
        agent, other = agent_type(again), quiet()
        with engine(again):
            await other.afit(agent, loader(10), loader())
            assert await other.atest(agent, loader()) == await quiet().avalidate(agent, loader())
        return agent, other, again

    other, atrainer, again = asyncio.run(main())
    assert sorted(map(str, again.requests[: client.calls])) == sorted(map(str, client.requests))
    assert other.prompt.data == one.prompt.data
    assert atrainer.history == trainer.history


def test_async_samples_run_side_by_side() -> None:
    """The step of each sample waits for all others: only a concurrent run gets past that."""

    class Together(AsyncAgent):
        waiting = 0
        all_here: asyncio.Event | None = None

        async def training_step(self, batch: Any, batch_idx: int) -> Any:
            self.all_here = self.all_here or asyncio.Event()
            self.waiting += 1
            if self.waiting % 8 == 0:
                self.all_here.set()
            await asyncio.wait_for(self.all_here.wait(), 150)
            return await super().training_step(batch, batch_idx)

    client = model()
    with engine(client):
        quiet(gate=None).fit(Together(client), loader())
    assert counts(client)["forward"] == 24


def test_the_best_prompt_comes_back_at_the_end() -> None:
    """The second epoch spoils the prompt; what validation liked best is what stays."""

    class Spoiler(Callback):
        def on_epoch_start(self, fit: Fit) -> None:
            if fit.progress.epoch == 1:
                fit.agent.get_parameter("prompt").data = "Say nothing."
                for optimizer in fit.optimizers:
                    optimizer.param_groups.clear()

    agent, trainer, _ = fitted(val=loader(), callbacks=[Spoiler()], max_epochs=2)
    assert trainer.history[0]["val_loss"] == 1.0
    assert trainer.history[1]["val_loss"] < 1.0
    assert (trainer.best.epoch, trainer.best.batch, trainer.best.metric) == (1, 2, "val_loss")
    assert trainer.best.prompts == {"prompt": agent.prompt.data}
    assert trainer.best.metrics["val_loss"] == 1.0

    spoiled, trainer, _ = fitted(val=loader(), callbacks=[Spoiler()], max_epochs=2, restore_best=False)
    assert spoiled.prompt.data == "Say nothing."
    assert trainer.best.prompts != {"prompt": "Say nothing."}


@pytest.mark.parametrize(
    ("monitor", "name"), [("wrong", "val_wrong"), ("val_wrong", "val_wrong"), ("train_loss", "train_loss")]
)
def test_monitor_and_mode(monitor: str, name: str) -> None:
    class Errors(Agent):
        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            return {"loss": loss, "wrong": 1.0 - loss.score.data}

    _, trainer, _ = fitted(Errors, val=loader(), monitor=monitor, mode="max" if "loss" in monitor else "min", gate=None)
    assert trainer.best.metric == name
    assert trainer.best.score == trainer.metrics[name]


def test_an_unknown_monitor_names_the_known_ones() -> None:
    with pytest.raises(StepError, match="monitor='f1' is none of the metrics: train_loss, val_loss"):
        fitted(val=loader(), monitor="f1")


def test_early_stopping() -> None:
    _, trainer, _ = fitted(val=loader(), max_epochs=9, callbacks=[EarlyStopping(target=1.0)])
    assert trainer.state.progress.epoch == 1
    assert trainer.stop_reason == "val_loss reached 1.0000"
    with pytest.raises(ValueError, match="patience"):
        EarlyStopping(patience=0)
    with pytest.raises(ValueError, match="min_delta must be a number, got 'x'"):
        EarlyStopping(min_delta="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="target must be a number, got nan"):
        EarlyStopping(target=float("nan"))


def test_max_steps() -> None:
    _, trainer, _ = fitted(max_steps=4, max_epochs=5, gate=None)
    assert trainer.state.progress.steps == 4
    assert trainer.state.progress.epoch == 1
    assert len(trainer.history) == 2


def test_several_optimizers() -> None:
    class Two(Agent):
        def __init__(self, client: Any) -> None:
            super().__init__(client)
            self.extra = cog.Parameter("Be careful.", role="second prompt of the classifier")

        def messages(self) -> list[dict[str, Any]]:
            first, second = super().messages()
            return [first, {"role": "system", "content": [self.extra]}, second]

        def configure_optimizers(self) -> Any:
            return [
                afnio.optim.TGD([self.prompt], model_client=self.client, model="sim"),
                afnio.optim.TGD([self.extra], model_client=self.client, model="sim"),
            ]

    agent, trainer, client = fitted(Two)
    assert len(agent.optimizers()) == 2
    assert counts(client)["optimizer"] % 2 == 0
    assert set(trainer.best.prompts) == {"prompt", "extra"}


def test_manual_optimization_only_calls_the_step() -> None:
    class Manual(Agent):
        def __init__(self, client: Any) -> None:
            super().__init__(client)
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            optimizer = self.optimizers()
            optimizer.clear_grad()
            loss = super().training_step(batch, batch_idx)
            loss.backward()
            optimizer.step()
            return loss

    agent, trainer, client = fitted(Manual)
    assert counts(client)["forward"] == 24  # no gate, no second forward
    assert counts(client)["optimizer"] > 0
    assert trainer.state.progress.steps == 3
    assert quiet().test(Agent(model(), agent.prompt.data), loader()) == {"loss": 1.0}


def test_llm_clients_are_counted_and_cleared() -> None:
    client = model()
    agent, trainer = Agent(client), quiet()
    with engine(client):
        trainer.fit(agent, loader(), llm_clients=[client])
        assert client.get_usage()["total_tokens"] == 0
        quiet().validate(agent, loader(), [client])
    assert client.get_usage()["total_tokens"] == 0
    with pytest.raises(TypeError, match="llm_clients"):
        quiet().validate(agent, loader(), [object()])


def test_validate_and_test_need_no_engine_and_change_nothing() -> None:
    client = model()
    agent, told = Agent(client), Told()
    agent.eval()
    with _dispatch.use_tracker(told):
        assert quiet().validate(agent, loader(10)) == quiet().test(agent, loader(10))
    assert [name for name, *_ in told.metrics] == ["val_loss", "total_cost($)", "test_loss", "total_cost($)"]
    assert {step for *_, step in told.metrics} == {None}
    assert not agent.training
    assert agent.prompt.grad == []


# what is refused


def test_fit_needs_an_engine() -> None:
    with pytest.raises(NoEngineError, match=r"Trainer\.fit\(\) needs an active Run"):
        quiet().fit(Agent(model()), loader())


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((object(),), TypeError, "agent must be a cognitive.Module, got object"),
        ((None, 5), TypeError, "train_dataloader must be a DataLoader or another iterable"),
        ((None, [1], 5), TypeError, "val_dataloader must be"),
        ((None, [1], None, 5), TypeError, "ckpt_path must be a path"),
        ((None, None), ValueError, "needs a train_dataloader"),
        ((None, []), ValueError, "train_dataloader has no batches"),
        ((None, [], []), ValueError, "has no batches"),
    ],
)
def test_arguments_of_fit(args: tuple[Any, ...], error: type[Exception], message: str) -> None:
    client = model()
    agent, *rest = args
    with engine(client), pytest.raises(error, match=message):
        quiet().fit(agent or Agent(client), *rest)
    assert client.calls == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"max_epochs": 0}, "max_epochs must be an int of at least 1"),
        ({"max_steps": 1.5}, "max_steps must be"),
        ({"mode": "best"}, "mode must be 'max'"),
        ({"monitor": 3}, "monitor must be the name of a metric"),
        ({"default_root_dir": 3}, "default_root_dir must be a path"),
    ],
)
def test_arguments_of_the_trainer(args: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        Trainer(**args)


def test_measuring_needs_data() -> None:
    agent = Agent(model())
    with pytest.raises(ValueError, match=r"validate\(\) needs a val_dataloader"):
        quiet().validate(agent)
    with pytest.raises(ValueError, match=r"test\(\) needs a test_dataloader"):
        quiet().test(agent)
    with pytest.raises(ValueError, match="gave no batches"):
        quiet().test(agent, iter([]))
    with pytest.raises(TypeError, match="agent must be"):
        quiet().test("agent", loader())  # type: ignore[arg-type]


def test_an_empty_data_set() -> None:
    with pytest.raises(ValueError, match="empty"):
        DataLoader(Tickets(slice(0, 0)))
    with pytest.raises(ValueError, match="has no batches"), engine(model()):
        quiet().fit(Agent(model()), DataLoader(Tickets(slice(0, 3)), batch_size=8, drop_last=True))


def test_a_generator_is_walked_once() -> None:
    client = model()
    with engine(client), pytest.raises(ValueError, match="A generator can be walked only once"):
        quiet(max_epochs=2).fit(Agent(client), (batch for batch in loader()))


@pytest.mark.parametrize("configured", [None, [], [1], "TGD"])
def test_configure_optimizers_must_return_optimizers(configured: Any) -> None:
    class Wrong(Agent):
        def configure_optimizers(self) -> Any:
            return configured

    with engine(model()), pytest.raises(TypeError, match="configure_optimizers"):
        quiet().fit(Wrong(model()), loader())


@pytest.mark.parametrize("missing", ["training_step", "configure_optimizers", "validation_step"])
def test_what_the_agent_does_not_define(missing: str) -> None:
    bare = type("Bare", (Agent,), {missing: getattr(cog.Module, missing)})
    client = model()
    with engine(client), pytest.raises(NotImplementedError, match=f"Bare does not define {missing}"):
        quiet().fit(bare(client), loader(), loader())
    assert client.calls == 0


LOSS = F.exact_match_evaluator(Variable("a", role="x"), "a")


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "None"),
        (0.5, r"0\.5 \(float\)"),
        ("good", r"'good' \(str\)"),
        ((1, 2, 3), "a tuple of 3"),
        ({}, "a dict without the key 'loss' \\(its keys: none\\)"),
        ({"score": 1}, "its keys: 'score'"),
        ({"loss": 1.0}, r"1\.0 \(float\) under the key loss"),
        ((LOSS.score, "because"), "explanation is 'because'"),
        (("high", LOSS.explanation), "'high' \\(str\\) as 'loss'"),
        ((Variable("high"), LOSS.explanation), "a Variable that holds 'high' as 'loss'"),
        ({"loss": LOSS, "f1": "?"}, r"'\?' \(str\) as 'f1'"),
        ({"loss": LOSS, "f1": []}, "a list of 0 as 'f1'"),
    ],
)
def test_rubbish_from_a_step(returned: Any, said: str) -> None:
    class Rubbish(Agent):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return returned

        test_step = training_step

    for use in (quiet().fit, quiet().test):
        with engine(model()), pytest.raises(StepError, match=said) as caught:
            use(Rubbish(model()), loader())
        assert "Rubbish.training_step() returned" in str(caught.value)
        assert "return {'loss': loss, 'accuracy': 0.5}" in str(caught.value)


def test_a_loss_without_a_graph() -> None:
    class NoGraph(Agent):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return LOSS

    with engine(model()), pytest.raises(GraphError, match="leaf"):
        quiet().fit(NoGraph(model()), loader())


def test_metrics_of_the_trainer_before_any_fit() -> None:
    trainer = quiet()
    assert trainer.metrics == {}
    assert isinstance(trainer.metrics, Metrics)
    assert (trainer.best, trainer.stop_reason, trainer.interrupted, trainer.checkpoint) == (None, None, False, None)
    assert (trainer.history, trainer.failures) == ([], [])
    assert Failure("train", 0, "1", ValueError()).sample == "1"


@pytest.mark.parametrize("wrong", [[loader()], (loader(), loader()), {"a": loader()}, [Tickets()]])
def test_several_loaders_are_refused_before_anything_is_paid_for(wrong: Any) -> None:
    agent = Agent(model())
    with engine(agent.client):
        for given in ((wrong,), (loader(), wrong)):
            with pytest.raises(TypeError, match="of loaders, and one loader is wanted"):
                quiet().fit(agent, *given)
    with pytest.raises(TypeError, match="val_dataloader is a .* call validate"):
        quiet().validate(agent, wrong)
    assert agent.client.calls == 0


def test_frozen_parameters_are_told_before_anything_is_paid_for() -> None:
    agent = Agent(model())
    agent.requires_grad_(False)
    with engine(agent.client), pytest.raises(GraphError, match="'system prompt of the classifier'.* no feedback would"):
        quiet().fit(agent, loader())
    assert agent.client.calls == 0

    class Thaw(Callback):
        def on_epoch_start(self, fit: Fit) -> None:
            fit.agent.requires_grad_(True)

    with engine(agent.client):
        quiet(callbacks=[Thaw()], max_steps=1).fit(agent, loader())
    assert agent.client.calls > 0
