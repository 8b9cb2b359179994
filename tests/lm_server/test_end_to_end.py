"""An agent trained on the simulation: what the spec promises of the world, over the real engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pytest

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.models.lm_server import LMServer
from afnio.models.lm_server.worlds.tickets import JOB_PROMPT, job_tickets
from afnio.models.openai import AsyncOpenAI
from afnio.models.simulated import simulated
from afnio.optim import TGD
from afnio.utils.data import DataLoader
from afnio.utils.datasets import SupportTickets

Batch = tuple[afnio.Variable, Any]


def answers(client: Any, prompt: afnio.Variable, tickets: afnio.Variable) -> afnio.Variable:
    template = afnio.Variable("{ticket}", role="the ticket")
    messages = [{"role": "system", "content": [prompt]}, {"role": "user", "content": [template]}]
    return F.chat_completion(client, messages, inputs={"ticket": tickets}, model="simulated")


def train(client: Any, prompt: cog.Parameter, batches: Sequence[Batch]) -> None:
    afnio.set_backward_model_client(client, completion_args={"model": "simulated"})
    optimizer = TGD([prompt], model_client=client, model="simulated")
    with afnio.local_engine():
        for tickets, targets in batches:
            optimizer.clear_grad()
            F.exact_match_evaluator(answers(client, prompt, tickets), targets).backward()
            optimizer.step()


def accuracy(client: Any, prompt: afnio.Variable, split: str) -> float:
    tickets, targets = next(iter(DataLoader(SupportTickets(split, "json"), batch_size=1000)))
    with afnio.no_grad():
        return fmean(
            said == right for said, right in zip(answers(client, prompt, tickets).data, targets.data, strict=True)
        )


def start() -> cog.Parameter:
    return cog.Parameter(JOB_PROMPT, role="system prompt of the ticket classifier")


@pytest.mark.parametrize("bad_share", [0.0, 0.15])
def test_two_epochs_lead_from_55_percent_to_95(bad_share: float) -> None:
    client, prompt = simulated(bad_share=bad_share), start()
    assert accuracy(client, prompt, "test") == pytest.approx(0.55)
    loader = DataLoader(SupportTickets("train", "json"), batch_size=8, shuffle=True, seed=1)
    train(client, prompt, [batch for _ in range(2) for batch in loader])
    assert accuracy(client, prompt, "test") >= 0.95
    assert accuracy(client, prompt, "val") >= 0.95


def job(*, every_step_learns: bool) -> list[Batch]:
    tickets = job_tickets(every_step_learns=every_step_learns)
    batches = [tickets[first : first + 8] for first in (0, 8, 16)]
    return [
        (afnio.Variable([text for text, _ in batch], role="tickets"), [json.dumps(answer) for _, answer in batch])
        for batch in batches
    ]


@pytest.mark.parametrize(
    ("faults", "extra"),
    [([], 0), (["malformed_optimizer@2"], 1), (["malformed_critic@1"], 1), (["429@5x4:retry_after=0"], 4)],
)
def test_the_job_takes_30_calls_and_less_than_10_000_tokens(faults: list[str], extra: int) -> None:
    prompt = start()
    with LMServer(bad_share=0.0, faults=faults) as server:
        client = AsyncOpenAI(api_key="any", base_url=server.base_url)
        train(client, prompt, job(every_step_learns=True))
        stats = server.stats(rows=False)
    assert stats["calls"] == 30 + extra
    assert stats["total"]["total_tokens"] < 10_000
    assert job_right(prompt) == 24


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_the_repeated_job_can_lose_an_update(lost: int) -> None:
    client, prompt = simulated(bad_share=0.0), start()
    for step, batch in enumerate(job(every_step_learns=False)):
        before = prompt.data
        train(client, prompt, [batch])
        if step == lost:
            prompt.data = before
    assert job_right(prompt) == 24


def job_right(prompt: afnio.Variable) -> int:
    client = simulated()
    with afnio.no_grad():
        return sum(
            said == right
            for tickets, targets in job(every_step_learns=True)
            for said, right in zip(answers(client, prompt, tickets).data, targets, strict=True)
        )
