"""The same job by ``Trainer.fit``, with its gate or without."""

from __future__ import annotations

import itertools
from statistics import fmean
from typing import Any

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.models.openai import AsyncOpenAI
from afnio.optim import TGD
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader
from benchmarks.clients.driver import WARM_TEXT, Contender, Task, main
from benchmarks.clients.runs import Engine


class Classifier(cog.Module):
    def __init__(self, client: AsyncOpenAI, prompt: str) -> None:
        super().__init__()
        self.prompt = cog.Parameter(prompt, role="system prompt of the ticket classifier")
        self.template = afnio.Variable("{ticket}", role="the ticket")
        self.chat = cog.ChatCompletion()
        self.client = client

    def forward(self, ticket: afnio.Variable | str) -> afnio.Variable:
        messages = [{"role": "system", "content": [self.prompt]}, {"role": "user", "content": [self.template]}]
        answer: afnio.Variable = self.chat(
            self.client, messages, inputs={"ticket": ticket}, model="tickets", temperature=0
        )
        return answer

    def training_step(self, batch: tuple[afnio.Variable, afnio.Variable], batch_idx: int) -> afnio.Loss:
        tickets, answers = batch
        return F.exact_match_evaluator(self(tickets), answers, fmean, "mean")

    def configure_optimizers(self) -> TGD:
        return TGD(self.parameters(), model_client=self.client, model="tickets")


def prepare(task: Task) -> Contender:
    client = AsyncOpenAI(base_url=task.base_url, api_key="any")
    afnio.set_backward_model_client(client, completion_args={"model": "tickets"})
    samples = [(afnio.Variable(text, "ticket"), afnio.Variable(right, "answer")) for text, right in task.samples]
    gate: dict[str, Any] = {} if task.gate else {"gate": None}
    engine = Engine(task)
    folders = (f"fit-{number}" for number in itertools.count())

    def run() -> str:
        files = {"default_root_dir": next(folders)} if task.options.get("files") else {"enable_checkpointing": False}
        with engine.here():
            agent = Classifier(client, task.prompt)
            trainer = Trainer(max_epochs=1, enable_agent_summary=False, **files, **gate)
            trainer.fit(agent, DataLoader(samples, batch_size=task.batch))
        return str(agent.prompt.data)

    return Contender(lambda: Classifier(client, task.prompt)(WARM_TEXT), run, engine.begin, engine.end)


if __name__ == "__main__":
    main(prepare)
