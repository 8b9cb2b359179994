"""Checkpoints, steps and loaders that are wrong: a clear error, and the agent as it was before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from afnio import cognitive as cog
from afnio.calls import Budget
from afnio.errors import BudgetExceeded, CheckpointError, StepError
from afnio.models.lm_server import LMServer
from afnio.optim import TGD
from afnio.serialization import load, save
from afnio.trainer import Callback, Fit
from tests.trainer.job import Agent, AsyncAgent, engine, loader, model, quiet, state
from tests.trainer.striking import Striking

REPO = Path(__file__).parents[2]


class Two(Agent):
    """Two prompts, two optimizers."""

    def __init__(self, client: Any, **args: Any) -> None:
        super().__init__(client, **args)
        self.extra = cog.Parameter("Be careful.", role="second prompt of the classifier")

    def messages(self) -> list[dict[str, Any]]:
        first, second = super().messages()
        return [first, {"role": "system", "content": [self.extra]}, second]

    def configure_optimizers(self) -> Any:
        return [TGD([each], model_client=self.client, momentum=1, model="sim") for each in (self.prompt, self.extra)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a fit of `Two`."""
    agent, trainer = Two(model()), quiet(tmp_path_factory.mktemp("saved"), max_steps=2)
    with engine(agent.client):
        trainer.fit(agent, loader())
    assert trainer.checkpoint is not None
    assert agent.prompt.data != "Be careful."
    return Path(trainer.checkpoint)


def changed(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for name in path[:-1]:
            content = content[name]
        if to is KeyError:
            del content[path[-1]]
        else:
            content[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed("agent_state_dict", "unknown", to=cog.Parameter("x", role="y")), "Unexpected key.*unknown"),
        (changed("agent_state_dict", "extra", to=KeyError), "Missing key.*extra"),
        (changed("agent_state_dict", "extra", to=5), "does not fit this agent"),
        (changed("optimizer_state_dict", to={}), "states of 1 optimizers, and configure_optimizers.* returns 2"),
        (changed("optimizer_state_dict", to=KeyError), "lacks 'optimizer_state_dict'"),
        (changed("optimizer_state_dict", 1, "param_groups", to=[]), "0 parameter groups"),
        (changed("optimizer_state_dict", 1, "state", to={7: {}}), "does not fit this agent"),
        (changed("trainer", to=[1]), "its 'trainer' is no dict"),
        (changed("trainer", "log", to={"file": 5}), "lacks 'state'"),
        (changed("trainer", "progress", to=KeyError), "lacks 'progress'"),
        (changed("trainer", "train", to=None), "does not fit this agent"),
        (changed("trainer", "best", to={"score": 1}), "does not fit this agent"),
        (changed("trainer", "costs", to={"usd": "much", "unpriced": 0}), "does not fit this agent"),
        (changed("trainer", "log", "state", to="x"), "does not fit this agent"),
    ],
)
def test_a_checkpoint_that_does_not_fit_changes_nothing(saved: Path, tmp_path: Path, change: Any, said: str) -> None:
    content = load(saved)
    change(content)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (log,) = saved.parents[1].glob("calls_*.jsonl")
    (folder / log.name).write_bytes(log.read_bytes())
    save(content, folder / "changed.hf")
    agent = Two(model())
    agent.extra.role = "as it was"
    before = [(each.data, each.role, each.requires_grad) for each in agent.parameters()]
    trainer = quiet(tmp_path)
    with engine(agent.client), pytest.raises(CheckpointError, match=said) as caught:
        trainer.fit(agent, loader(), ckpt_path=folder / "changed.hf")
    assert "changed.hf" in str(caught.value)
    assert [(each.data, each.role, each.requires_grad) for each in agent.parameters()] == before
    assert agent.client.calls == 0
    assert all(not optimizer.state_dict()["state"] for optimizer in agent._optimizers or ())
    with engine(agent.client):  # and it can be trained as if nothing had been
        quiet(max_steps=1).fit(agent, loader())


def test_unknown_keys_beside_the_known_ones_are_left_alone(saved: Path, tmp_path: Path) -> None:
    content = load(saved)
    content["of_a_callback"] = {"hello": 1}
    content["trainer"]["of_a_later_release"] = 1
    save(content, tmp_path / "more.hf")
    agent, trainer = Two(model()), quiet()
    with engine(agent.client):
        trainer.fit(agent, loader(), ckpt_path=tmp_path / "more.hf")
    assert state(trainer).progress.steps == 3


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_checkpoint(saved: Path, tmp_path: Path, share: float) -> None:
    content = saved.read_bytes()
    (tmp_path / "cut.hf").write_bytes(content[: int(share * len(content))])
    agent = Two(model())
    before = agent.export_prompts()
    with engine(agent.client), pytest.raises(CheckpointError, match=r"cut\.hf"):
        quiet().fit(agent, loader(), ckpt_path=tmp_path / "cut.hf")
    assert agent.export_prompts() == before


def test_a_callback_that_refuses_a_checkpoint(saved: Path) -> None:
    class Refuses(Callback):
        def on_load_checkpoint(self, fit: Fit, checkpoint: Any) -> None:
            raise PermissionError("not this one")

    agent = Two(model())
    before = agent.export_prompts()
    with engine(agent.client), pytest.raises(PermissionError, match="not this one") as caught:
        quiet(callbacks=[Refuses()]).fit(agent, loader(), ckpt_path=saved)
    assert "Raised by the callback Refuses, in on_load_checkpoint()." in caught.value.__notes__
    assert agent.export_prompts() == before


# steps


class Sync(Agent):
    """Returns three numbers for eight samples."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return {"loss": super().training_step(batch, batch_idx), "each": [1.0, 2.0, 3.0]}

    validation_step = test_step = training_step


class Async(AsyncAgent):
    """Returns three numbers for one sample."""

    async def training_step(self, batch: Any, batch_idx: int) -> Any:
        return {"loss": await super().training_step(batch, batch_idx), "each": [1.0, 2.0, 3.0]}

    validation_step = test_step = training_step


@pytest.mark.parametrize("agent_type", [Sync, Async])
@pytest.mark.parametrize("use", ["fit", "validate", "test"])
def test_lists_of_a_wrong_length(agent_type: type[Agent], use: str) -> None:
    """Neither one number nor one for each sample."""
    agent = agent_type(model())
    before = agent.export_prompts()
    with engine(agent.client), pytest.raises(StepError, match=r"numbers as 'each' for a batch of \d+ samples"):
        getattr(quiet(), use)(agent, loader())
    assert agent.export_prompts() == before


def test_samples_that_disagree_about_the_metrics() -> None:
    class Moody(AsyncAgent):
        async def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = await AsyncAgent.training_step(self, batch, batch_idx)
            return {"loss": loss, f"m{len(batch[0].data[0]) % 2}": 1.0}

    agent = Moody(model())
    with engine(agent.client), pytest.raises(StepError, match="for one sample and"):
        quiet().fit(agent, loader())


# loaders


class Torn:
    """Raises in the middle, the first time."""

    def __init__(self, at: int) -> None:
        self.at, self.torn = at, False

    def __iter__(self) -> Iterator[Any]:
        for number, batch in enumerate(loader()):
            if number == self.at and not self.torn:
                self.torn = True
                raise OSError("the disk is gone")
            yield batch

    def __len__(self) -> int:
        return 3


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_training_loader_that_raises_in_the_middle(tmp_path: Path, at: int) -> None:
    whole = Agent(model())
    with engine(whole.client):
        quiet().fit(whole, loader())
    agent, torn = Agent(model()), Torn(at)
    before, trainer = agent.prompt.data, quiet(tmp_path)
    with engine(agent.client), pytest.raises(OSError, match="the disk is gone") as caught:
        trainer.fit(agent, torn)
    notes = caught.value.__notes__
    assert f"Raised by train_dataloader, while it made batch {at} (counted from 0) of the epoch." in notes
    assert any("ckpt_path='last'" in note for note in notes)
    assert (agent.prompt.data == before) == (at == 0)
    again = Agent(agent.client)
    with engine(agent.client):
        quiet(tmp_path).fit(again, torn, ckpt_path="last")
    assert again.prompt.data == whole.prompt.data


def test_a_validation_loader_that_raises_in_the_middle(tmp_path: Path) -> None:
    agent, trainer = Agent(model()), quiet(tmp_path)
    with engine(agent.client), pytest.raises(OSError, match="the disk is gone") as caught:
        trainer.fit(agent, loader(), Torn(1))
    assert "Raised by val_dataloader" in caught.value.__notes__[0]
    assert state(trainer).progress.steps == 3
    assert agent.training


# budgets


@pytest.mark.parametrize("limit", [{"calls": 0}, {"tokens": 0}, {"usd": 0}, {"usd": "0.00"}, {"seconds": 0}])
def test_a_budget_of_zero_is_met_at_the_first_call(tmp_path: Path, limit: dict[str, Any]) -> None:
    class Predicts(Agent):
        def predict_step(self, batch: Any, batch_idx: int) -> Any:
            return self(batch[0])

    agent = Predicts(model())
    before, trainer = agent.prompt.data, quiet(tmp_path, budget=Budget(**limit))
    with engine(agent.client):
        trainer.fit(agent, loader())
        assert "is used up" in (trainer.stop_reason or "")
        with pytest.raises(BudgetExceeded, match=r"Budget\(\w+=0"):
            trainer.predict(agent, loader())
    assert agent.client.calls == 0
    assert agent.prompt.data == before
    with engine(agent.client):
        quiet(tmp_path).fit(agent, loader(), ckpt_path="last")
    assert agent.prompt.data != before


# SIGTERM

TERMINATED = """
import asyncio, sys
from pathlib import Path
from afnio.models.openai import OpenAI
from afnio.trainer import Callback
from tests.trainer.job import Agent, engine, loader, quiet

class Ends(Callback):
    def on_fit_end(self, fit):
        print("ended", fit.interrupted, fit.stop_reason, Path(fit.checkpoint).is_file(), flush=True)

root, url, how = sys.argv[1:]
client = OpenAI(api_key="any", base_url=url)
trainer, agent = quiet(Path(root), callbacks=[Ends()]), Agent(client)
with engine(client):
    if how == "afit":
        asyncio.run(trainer.afit(agent, loader(), ckpt_path="last"))
    else:
        trainer.fit(agent, loader(), ckpt_path="last")
print("done", agent.prompt.data)
"""


@pytest.mark.parametrize("how", ["fit", "afit"])
@pytest.mark.parametrize("at", [3, 20])
def test_sigterm_ends_the_fit_cleanly_and_then_the_process(tmp_path: Path, how: str, at: int) -> None:
    world = Striking(bad_share=0.0)

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", TERMINATED, str(tmp_path), server.base_url, how]
        env = {**os.environ, "PYTHONPATH": str(REPO)}
        return subprocess.Popen(command, cwd=REPO, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    with LMServer(world) as server:
        started = threading.Event()
        victim: list[subprocess.Popen[str]] = []

        def strike() -> None:
            started.wait()
            victim[0].terminate()

        world.arm(at, strike)
        victim.append(start())
        started.set()
        out, err = victim[0].communicate(timeout=150)
        assert victim[0].returncode == -signal.SIGTERM, err
        assert out == "ended True terminated by SIGTERM. True\n"
        world.arm(None)
        out, err = start().communicate(timeout=150)
        assert "ended False None True\ndone " in out, err


def test_a_program_that_handles_sigterm_itself_keeps_its_handler() -> None:
    class Looks(Callback):
        seen: Any = None

        def on_epoch_start(self, fit: Fit) -> None:
            self.seen = signal.getsignal(signal.SIGTERM)

    looks, own = Looks(), lambda number, frame: None
    before = signal.signal(signal.SIGTERM, own)
    try:
        agent = Agent(model())
        with engine(agent.client):
            quiet(callbacks=looks, max_steps=1).fit(agent, loader())
        assert looks.seen is own
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)
