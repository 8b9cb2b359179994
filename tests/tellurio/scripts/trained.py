"""Trains a ticket classifier under a Run; prints what it knows, to be held against what is stored."""

from __future__ import annotations

import json
import sys
from statistics import fmean
from typing import Any

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
import afnio.tellurio as te
from afnio.models.openai import AsyncOpenAI
from afnio.models.prices import set_price
from afnio.optim import TGD
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader
from afnio.utils.datasets import SupportTickets

START = "Classify the support ticket. Answer with JSON that has the fields sentiment, urgency and queue."


class Desk(cog.Module):
    """The prompt is a parameter of a part, so that its name has a dot."""

    def __init__(self, client: AsyncOpenAI) -> None:
        super().__init__()
        self.clerk = cog.Module()
        self.clerk.prompt = cog.Parameter(START, role="system prompt of the clerk")
        self.template = afnio.Variable("{ticket}", role="the ticket")
        self.chat = cog.ChatCompletion()
        self.client = client

    def forward(self, ticket: Any) -> Any:
        messages = [
            {"role": "system", "content": [self.clerk.prompt]},
            {"role": "user", "content": [self.template]},
        ]
        return self.chat(self.client, messages, inputs={"ticket": ticket}, model="tickets")

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        tickets, answers = batch
        return F.exact_match_evaluator(self(tickets), answers, reduction_fn=fmean, reduction_fn_purpose="mean")

    validation_step = test_step = training_step

    def configure_optimizers(self) -> TGD:
        return TGD(self.parameters(), model_client=self.client, model="tickets")


class AsyncDesk(Desk):
    """The same with steps that are ``async def`` and get one ticket at a time."""

    async def training_step(self, batch: Any, batch_idx: int) -> Any:
        tickets, answers = batch
        messages = [
            {"role": "system", "content": [self.clerk.prompt]},
            {"role": "user", "content": [self.template]},
        ]
        answer = await self.chat.acall(self.client, messages, inputs={"ticket": tickets}, model="tickets")
        return F.exact_match_evaluator(answer, answers, reduction_fn=fmean, reduction_fn_purpose="mean")

    validation_step = test_step = training_step


def main(kind: str) -> None:
    set_price("tickets", input="0.1", output="0.3")
    client = AsyncOpenAI()
    afnio.set_backward_model_client(client, completion_args={"model": "tickets"})
    data = SupportTickets("train", target="json")
    train, val = [data[i] for i in range(16)], [data[i] for i in range(16, 24)]
    agent = AsyncDesk(client) if kind == "async" else Desk(client)
    trainer = Trainer(max_epochs=2, enable_progress_bar=False, enable_agent_summary=False)
    with te.init("acme", "Desk", **json.loads(sys.argv[2])) as run:
        trainer.fit(agent, DataLoader(train, batch_size=8), DataLoader(val, batch_size=8))
        state = trainer.state
        assert state is not None
        known = {
            "run": f"acme/desk/{run.slug}",
            "prompt": agent.clerk.prompt.data,
            "history": trainer.history,
            "usd": str(state.ledger.total().usd),
            "calls": state.ledger.total().calls,
            "updates": state.progress.updates,
            "undone": state.progress.undone,
        }
    print(json.dumps(known))


if __name__ == "__main__":
    main(sys.argv[1])
