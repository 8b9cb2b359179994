"""Long runs against an endpoint that fails one request in twenty, in every way it can."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.models.lm_server import LMServer
from afnio.models.lm_server.worlds.tickets import JOB_PROMPT
from afnio.models.openai import AsyncOpenAI
from afnio.optim import TGD
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader
from afnio.utils.datasets import SupportTickets
from tests.autodiff.lab import backward_model

pytestmark = pytest.mark.soak

FAULTS = (
    "429:p=0.0125,retry_after=0.02",
    "500:p=0.0125",
    "reset:p=0.0125",
    "truncated:p=0.0125",
)


class Classifier(cog.Module):
    def __init__(self, client: AsyncOpenAI) -> None:
        super().__init__()
        self.prompt = cog.Parameter(JOB_PROMPT, role="system prompt of the ticket classifier")
        self.template = afnio.Variable("{ticket}", role="the ticket")
        self.chat = cog.ChatCompletion()
        self.client = client

    def forward(self, ticket: afnio.Variable) -> Any:
        messages = [{"role": "system", "content": [self.prompt]}, {"role": "user", "content": [self.template]}]
        return self.chat(self.client, messages, inputs={"ticket": ticket}, model="tickets", temperature=0)

    def training_step(self, batch: tuple[afnio.Variable, afnio.Variable], batch_idx: int) -> afnio.Loss:
        tickets, answers = batch
        return F.exact_match_evaluator(self(tickets), answers, fmean, "mean")

    validation_step = test_step = training_step

    def configure_optimizers(self) -> TGD:
        return TGD(self.parameters(), model_client=self.client, momentum=1, model="tickets")


def quiet(**args: Any) -> Trainer:
    return Trainer(enable_checkpointing=False, enable_progress_bar=False, enable_agent_summary=False, **args)


def loader(split: str, batch_size: int, **args: Any) -> DataLoader[Any]:
    return DataLoader(SupportTickets(split, target="json"), batch_size=batch_size, **args)


@pytest.mark.parametrize("seed", range(4))
def test_training_through_one_fault_in_twenty_learns_all_and_every_count_agrees(seed: int, tmp_path: Path) -> None:
    with LMServer("tickets", seed=seed, faults=FAULTS, process=True) as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key="any", max_retries=6)
        path = tmp_path / "calls.jsonl"
        with backward_model(client), afnio.local_engine(call_log=path) as engine:
            agent = Classifier(client)
            trainer = quiet(max_epochs=3)
            trainer.fit(agent, loader("train", 8, shuffle=True, seed=seed), loader("val", 60))
            score = quiet().test(agent, loader("test", 120))["loss"]
        stats = server.stats()
    assert score >= 0.95
    met = sum(row["fault"] != "" for row in stats["requests"])
    assert met >= len(stats["requests"]) / 50, "the faults were there"

    # The ledger, the client, the call log and the server count the same calls and tokens.
    answered = [row for row in stats["requests"] if row["status"] == 200 and not row["fault"]]
    total, usage = engine.ledger.total(), client.get_usage()
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    paid = [record for record in records if "ref" not in record]
    spent = sum(row["input_tokens"] + row["output_tokens"] for row in answered)
    assert total.calls == len(answered) == len(paid)
    assert total.tokens == usage["total_tokens"] == spent
    by_role = {role: row.calls for (role,), row in engine.ledger.by("role").items()}
    served = [row["role"] for row in answered]
    assert by_role == {role: served.count(role) for role in by_role}
