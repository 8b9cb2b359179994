"""Quickstart: an agent whose prompt learns from its mistakes.

make demo                              on the simulated model: no key, no network, no cost
.venv/bin/tellurio open                what it stored: prompts, gradients, calls, costs, metrics
.venv/bin/tellurio down                ends the server it started
OPENAI_API_KEY=sk-... make demo        the same on OpenAI
OPENAI_BASE_URL=http://localhost:11434/v1 AFNIO_MODEL=llama3.1 make demo      the same on Ollama, vLLM, ...
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
import afnio.tellurio as te
from afnio.errors import AfnioError, TellurioError
from afnio.models.lm_server import NOTICE, LMServer
from afnio.models.openai import AsyncOpenAI
from afnio.optim import TGD
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader
from afnio.utils.datasets import SupportTickets

SIMULATED = "tickets"  # the world the simulated model knows

START_PROMPT = (
    "Classify the support ticket. Answer with JSON that has the fields sentiment (positive, neutral or negative), "
    "urgency (low, medium or high) and queue (account, billing, sales, shipping or technical)."
)


# 1. The agent: a Module, like in PyTorch.  Its Parameter is the prompt; training rewrites it.
class TicketClassifier(cog.Module):
    def __init__(self, client: AsyncOpenAI, model: str) -> None:
        super().__init__()
        self.prompt = cog.Parameter(START_PROMPT, role="system prompt of the ticket classifier")
        self.template = afnio.Variable("{ticket}", role="the ticket")
        self.chat = cog.ChatCompletion()
        self.client, self.model = client, model

    def forward(self, ticket: afnio.Variable) -> afnio.Variable:
        messages = [
            {"role": "system", "content": [self.prompt]},
            {"role": "user", "content": [self.template]},
        ]
        answer: afnio.Variable = self.chat(
            self.client, messages, inputs={"ticket": ticket}, model=self.model, temperature=0
        )
        return answer

    def training_step(self, batch: tuple[afnio.Variable, afnio.Variable], batch_idx: int) -> afnio.Loss:
        tickets, answers = batch
        return F.exact_match_evaluator(self(tickets), answers, reduction_fn=fmean, reduction_fn_purpose="mean")

    validation_step = test_step = training_step

    def configure_optimizers(self) -> TGD:
        return TGD(
            self.named_parameters(),
            model_client=self.client,
            constraints=["Every rule of the prompt is one line."],
            momentum=1,
            model=self.model,
        )


@contextlib.contextmanager
def connect() -> Iterator[tuple[AsyncOpenAI, str]]:
    """The model to train on: a real one if a key or an address is set, else the simulated one."""
    if os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
        model = os.environ.get("AFNIO_MODEL") or "gpt-4o-mini"
        client = AsyncOpenAI(api_key=os.environ.get("OPENAI_API_KEY") or "none")
        print(f"Model: {model} at {client.get_config()['base_url']}")
        afnio.set_backward_model_client(client, completion_args={"model": model})
        yield client, model
        return
    with LMServer(world=SIMULATED, latency=0.05) as server:
        print("Neither OPENAI_API_KEY nor OPENAI_BASE_URL is set: this demo runs on a simulated model.")
        print(f"What answers here is a {NOTICE}.\n")
        client = AsyncOpenAI(base_url=server.base_url, api_key="simulated")
        afnio.set_backward_model_client(client, completion_args={"model": SIMULATED})
        yield client, SIMULATED


def begin(model: str) -> te.Run | None:
    """A Run on the Tellurio server, which is started if there is none; None if that fails."""
    lm_calls: Literal["server", "client"] = "client" if model == SIMULATED else "server"  # only we can reach it
    try:
        return te.init(
            "tutorials",
            "Quickstart",
            description="A prompt that learns from its mistakes",
            config={"model": model},
            lm_calls=lm_calls,
        )
    except (TellurioError, ValueError, OSError) as error:
        print(f"There is no server to train through: {type(error).__name__}: {error}")
        print("Training goes on without one, in this process: the same prompts, and nothing is stored.\n")
        return None


def spent(total: Any) -> str:
    """Calls, tokens and dollars; a model whose price nobody knows is unpriced, never free."""
    cost = "unpriced" if total["unpriced"] else f"${total['usd'] or 0:.4f}"
    return f"{total['calls']} calls, {total['input_tokens'] + total['output_tokens']:,} tokens, {cost}"


def main() -> None:
    train, test = SupportTickets("train", target="json"), SupportTickets("test", target="json")
    train_loader = DataLoader(train, batch_size=8, shuffle=True, seed=0)
    test_loader = DataLoader(test, batch_size=len(test))
    started = time.perf_counter()

    with connect() as (client, model), (run := begin(model)) or afnio.local_engine() as engine:
        agent = TicketClassifier(client, model)
        trainer = Trainer(max_epochs=1, enable_checkpointing=False, enable_agent_summary=False)
        before = trainer.test(agent, test_loader)["loss"]
        print(f"\nBefore: {before:.0%} of {len(test)} held-out tickets right. The prompt:\n\n{agent.prompt.data}\n")

        # 2. The loop by hand: forward, backward, step.
        optimizer = agent.configure_optimizers()
        batches = iter(train_loader)
        for step in range(2):
            tickets, answers = next(batches)
            optimizer.clear_grad()
            loss = agent.training_step((tickets, answers), step)
            loss.backward()  # textual gradients: what should the prompt say instead?
            print(f"Step {step + 1} by hand: {loss.score.data:.0%} right. The gradient says:")
            print("\n".join(f"  {gradient.data}" for gradient in agent.prompt.grad))
            optimizer.step()  # the prompt is rewritten

        # 3. The same by the Trainer, which also undoes a step that made its own batch worse.
        trainer.fit(agent, train_loader)

        after = trainer.test(agent, test_loader)["loss"]
        print(f"\nAfter: {after:.0%} of {len(test)} held-out tickets right. The prompt:\n\n{agent.prompt.data}\n")
        print(f"Test accuracy: {before:.2f} -> {after:.2f}")
        total = engine.cost if isinstance(engine, te.Run) else asdict(engine.ledger.total())
        print(f"{spent(total)}, {time.perf_counter() - started:.1f} s")
        if model == SIMULATED:
            print("The model was simulated: these figures show how training works, not how well a real model learns.")
    if run is not None:
        command = os.path.relpath(Path(sys.executable).with_name("tellurio"))
        print(f"\nPrompts, gradients, calls, costs and metrics are stored: {run.url}")
        print(f"Open them: {command} open {run.organization.slug}/{run.project.slug}/{run.slug}")
        print(f"End the server: {command} down")


if __name__ == "__main__":
    try:
        main()
    except AfnioError as error:  # a wrong key, an endpoint that is not there, ...: its message says what to do
        sys.exit(f"{type(error).__name__}: {error}")
