"""The job these tests train: 24 tickets in three batches of 8, and the simulated model, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import afnio
from afnio import cognitive as cog
from afnio.autodiff import LocalEngine
from afnio.cognitive import functional as F
from afnio.models.lm_server.roles import role_of
from afnio.models.lm_server.simulation import Settings, Simulation, key_of
from afnio.models.lm_server.spellings import openai_chat
from afnio.models.lm_server.worlds.tickets.job import JOB_PROMPT, job_tickets
from afnio.models.scripted import Scripted
from afnio.optim import TGD
from afnio.trainer import Fit, Trainer
from afnio.utils.data import DataLoader, Dataset
from afnio.variable import Variable

FIELDS = ("sentiment", "urgency", "queue")


class Tickets(Dataset[Any]):
    """The 24 tickets; every batch of 8 has something of its own to teach."""

    def __init__(self, rows: slice = slice(None)) -> None:
        self._rows = job_tickets(every_step_learns=True)[rows]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[Variable, Variable]:
        text, answer = self._rows[index]
        return Variable(text, "ticket"), Variable(json.dumps({name: answer[name] for name in FIELDS}), "right answer")


def match(prediction: str, target: str) -> int:
    """1 if both are the same JSON."""
    try:
        return int(json.loads(prediction) == json.loads(target))
    except ValueError:
        return 0


def all_ones(scores: list[int]) -> bool:
    """Whether every score is 1."""
    return all(score == 1 for score in scores)


def mean(scores: list[float]) -> float:
    """The mean."""
    return sum(scores) / len(scores)


class Agent(cog.Module):
    """Classifies tickets by one prompt."""

    def __init__(self, client: Any, prompt: str = JOB_PROMPT, **optimizer_args: Any) -> None:
        super().__init__()
        self.prompt = cog.Parameter(prompt, role="system prompt of the classifier")
        self.template = Variable("{message}", role="the ticket")
        self.chat = cog.ChatCompletion()
        self.client = client
        self.optimizer_args = {"model": "sim", **optimizer_args}

    def messages(self) -> list[dict[str, Any]]:
        """What is sent."""
        return [{"role": "system", "content": [self.prompt]}, {"role": "user", "content": [self.template]}]

    def forward(self, message: Variable) -> Any:
        """The answers."""
        return self.chat(self.client, self.messages(), inputs={"message": message}, model="sim")

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        """The mean of the exact matches."""
        message, answer = batch
        return F.deterministic_evaluator(self(message), answer, match, "exact match", all_ones, mean, "mean")

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        """The same."""
        return self.training_step(batch, batch_idx)

    def test_step(self, batch: Any, batch_idx: int) -> Any:
        """The same."""
        return self.training_step(batch, batch_idx)

    def configure_optimizers(self) -> Any:
        """TGD on the prompt."""
        return TGD(self.parameters(), model_client=self.client, **self.optimizer_args)


class AsyncAgent(Agent):
    """The same with an async step, which gets one ticket at a time."""

    async def training_step(self, batch: Any, batch_idx: int) -> Any:
        """One exact match."""
        message, answer = batch
        assert len(message.data) == 1
        prediction = await self.chat.acall(self.client, self.messages(), inputs={"message": message}, model="sim")
        return F.deterministic_evaluator(prediction, answer, match, "exact match", all_ones, mean, "mean")

    async def validation_step(self, batch: Any, batch_idx: int) -> Any:
        """The same."""
        return await self.training_step(batch, batch_idx)

    async def test_step(self, batch: Any, batch_idx: int) -> Any:
        """The same."""
        return await self.training_step(batch, batch_idx)


def role(body: dict[str, Any]) -> str:
    """On whose behalf a request is made."""
    return role_of(openai_chat.parse(body))


def model(*faults: str, before: Callable[[dict[str, Any], int], None] = lambda body, number: None) -> Scripted:
    """The simulated model; ``faults`` are those of the LM server that spoil content.

    ``before`` is called with each request and its number, from 1, and may raise.
    """
    simulation = Simulation(Settings("tickets", bad_share=0.0), faults)

    def answer(body: dict[str, Any]) -> Any:
        before(body, len(client.requests))
        ask = openai_chat.parse(body)
        who = role_of(ask)
        fault = simulation.plan.pick(who, key_of("/v1/chat/completions", body))
        return openai_chat.render(ask, simulation.answer(ask, who, fault), "sim")

    client = Scripted(answer, model="sim")
    return client


@contextmanager
def engine(client: Any, **args: Any) -> Iterator[LocalEngine]:
    """The local engine, with ``client`` as the backward model."""
    afnio.set_backward_model_client(client, completion_args={"model": "sim"})
    with afnio.local_engine(**args) as found:
        yield found


def loader(batch_size: int = 8, rows: slice = slice(None), **args: Any) -> DataLoader[Any]:
    """The tickets in batches."""
    return DataLoader(Tickets(rows), batch_size=batch_size, **args)


def quiet(root: Path | None = None, **args: Any) -> Trainer:
    """A Trainer that shows nothing; it writes checkpoints if it has a folder."""
    options = {"max_epochs": 1, "enable_progress_bar": False, "enable_agent_summary": False} | args
    return Trainer(enable_checkpointing=root is not None, default_root_dir=root, **options)


def state(trainer: Trainer) -> Fit:
    """What is known of its last fit."""
    assert trainer.state is not None
    return trainer.state


def roles(client: Scripted) -> list[str]:
    """Role after role of the requests made."""
    return [role(body) for body in client.requests]


def counts(client: Scripted) -> dict[str, int]:
    """Role -> number of requests."""
    made = roles(client)
    return {name: made.count(name) for name in dict.fromkeys(made)}
