"""A fit over a call log: ``python -m tests.trainer.replayed LOG MODE BASE_URL DATA [forbid]``; prints how it ended.

DATA is a folder with the file of FacilitySupport, or ``-``: the tickets that come with the library.  With ``forbid`` no
socket may be connected: whoever tries gets an error.
"""

from __future__ import annotations

import json
import sys
from statistics import fmean
from typing import Any

import afnio
from afnio import cognitive as cog
from afnio.cognitive import functional as F
from afnio.models.openai import AsyncOpenAI
from afnio.optim import TGD
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader
from afnio.utils.datasets import FacilitySupport, SupportTickets


class Reader(cog.Module):
    """Reads a message and answers with one word or with JSON; two prompts are learned, sample by sample."""

    def __init__(self, client: AsyncOpenAI, what: str) -> None:
        super().__init__()
        self.prompt = cog.Parameter(f"Read the message. Answer with {what}.", role="system prompt of the reader")
        self.hints = cog.Parameter("Be exact.", role="hints for the reader")
        self.template = afnio.Variable("{message}", role="the message")
        self.chat, self.client = cog.ChatCompletion(), client

    async def training_step(self, batch: Any, batch_idx: int) -> Any:
        message, target = batch
        messages = [
            {"role": "system", "content": [self.prompt, self.hints]},
            {"role": "user", "content": [self.template]},
        ]
        answer = await self.chat.acall(self.client, messages, inputs={"message": message}, model="sim")
        return F.exact_match_evaluator(answer, target, reduction_fn=fmean, reduction_fn_purpose="mean")

    validation_step = training_step

    def configure_optimizers(self) -> list[TGD]:
        return [TGD([each], model_client=self.client, momentum=1, model="sim") for each in (self.prompt, self.hints)]


def samples(data: str, split: str) -> list[Any]:
    """Pairs of a message and its answer."""
    if data == "-":
        tickets = SupportTickets(split, target="json")
        return [tickets[place] for place in range(24)]
    support = FacilitySupport(split, data)
    return [(support[place][0], support[place][1][1]) for place in range(24)]


def refuse(event: str, args: tuple[Any, ...]) -> None:
    """Let nobody connect, look up a host, or start a process."""
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        raise PermissionError(f"{event} in a replay: {args}")


def main(log: str, mode: Any, url: str, data: str, forbid: str = "") -> None:
    """Train for two epochs."""
    if forbid:
        sys.addaudithook(refuse)
    client = AsyncOpenAI(api_key="any", base_url=url)
    afnio.set_backward_model_client(client, completion_args={"model": "sim"})
    agent = Reader(client, "JSON with sentiment, urgency and queue" if data == "-" else "its sentiment")
    trainer = Trainer(max_epochs=2, enable_checkpointing=False, enable_progress_bar=False, enable_agent_summary=False)
    train = DataLoader(samples(data, "train"), batch_size=8, shuffle=True, seed=3)
    with afnio.local_engine(call_log=log, mode=mode) as engine:
        trainer.fit(agent, train, DataLoader(samples(data, "val"), batch_size=8))
    end = {"prompts": agent.export_prompts(), "metrics": trainer.metrics, "history": trainer.history}
    sys.stdout.write(json.dumps(end | {"paid": engine.ledger.total().calls}))


if __name__ == "__main__":
    main(*sys.argv[1:])
