"""Tutorial 2: the Trainer.

The same agent, and no loop to write: `Trainer` runs the batches, undoes an update that made its batch worse (the gate),
validates, writes checkpoints and goes on after a stop. At the end the checkpoint is used in place of the training.

It takes a few seconds. Without a key a simulated model answers; with `OPENAI_API_KEY` (or `OPENAI_BASE_URL` and
`AFNIO_MODEL`) a real one.
"""

# %%
import os
import tempfile
from statistics import fmean
from typing import Any

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.models.openai import OpenAI
from afnio.models.simulated import simulated
from afnio.optim import TGD
from afnio.trainer import Callback, EarlyStopping, Fit, Trainer, Verdict
from afnio.utils.data import DataLoader
from afnio.utils.datasets import SupportTickets

client: Any
if os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
    name = os.environ.get("AFNIO_MODEL") or "gpt-4o-mini"
    client = OpenAI(api_key=os.environ.get("OPENAI_API_KEY") or "none", model=name)
else:
    client = simulated("tickets", bad_share=0.5, seed=2)  # half of its updates are bad: the gate has something to do
    print("No key is set: a simulated model answers. It is a simulation, not an AI.\n")
afnio.set_backward_model_client(client)

# %% [markdown]
# The steps are Lightning's: what to learn from, what to measure, which optimizer.


# %%
Batch = tuple[afnio.Variable, afnio.Variable]


class Classifier(cog.Module):
    def __init__(self) -> None:
        super().__init__()
        self.prompt = cog.Parameter(
            "Classify the support ticket. Answer with JSON that has the fields sentiment (positive, neutral or "
            "negative), urgency (low, medium or high) and queue (account, billing, sales, shipping or technical).",
            role="system prompt of the ticket classifier",
        )
        self.ticket = afnio.Variable("{ticket}", role="the ticket")
        self.chat = cog.ChatCompletion()

    def forward(self, tickets: afnio.Variable) -> afnio.Variable:
        messages = [{"role": "system", "content": [self.prompt]}, {"role": "user", "content": [self.ticket]}]
        answers: afnio.Variable = self.chat(client, messages, inputs={"ticket": tickets}, temperature=0)
        return answers

    def training_step(self, batch: Batch, batch_idx: int) -> afnio.Loss:
        tickets, answers = batch
        return F.exact_match_evaluator(self(tickets), answers, reduction_fn=fmean, reduction_fn_purpose="mean")

    validation_step = test_step = training_step

    def predict_step(self, batch: Batch, batch_idx: int) -> Any:
        return self(batch[0]).data

    def configure_optimizers(self) -> TGD:
        return TGD(self.parameters(), model_client=client)


train = DataLoader(SupportTickets("train", target="json"), batch_size=12, shuffle=True, seed=0)
val = DataLoader(SupportTickets("val", target="json"), batch_size=60)
test = DataLoader(SupportTickets("test", target="json"), batch_size=120)

# %% [markdown]
# A callback hears what happens; this one tells what the gate found. The budget ends a fit cleanly before the call that
# would exceed it.


# %%
class Gatekeeper(Callback):
    def on_verdict(self, fit: Fit, verdict: Verdict) -> None:
        said = "kept" if verdict.kept else "undone"
        print(f"  batch {fit.progress.batch + 1}: {verdict.before:.2f} -> {verdict.after:.2f}, {said}")


folder = tempfile.mkdtemp()
quiet: dict[str, Any] = {"enable_progress_bar": False, "enable_agent_summary": False, "default_root_dir": folder}
trainer = Trainer(
    max_epochs=1, callbacks=[Gatekeeper(), EarlyStopping(target=1.0)], budget=afnio.Budget(calls=1500), **quiet
)
agent = Classifier()
before = trainer.test(agent, test)
with afnio.local_engine() as engine:
    trainer.fit(agent, train, val)
after = trainer.test(agent, test)
print(f"\nTest accuracy: {before['loss']:.2f} -> {after['loss']:.2f}")
print(f"{engine.ledger}; ended early: {trainer.stop_reason}")

# %% [markdown]
# A fit can go on. A new agent in a new process would take up the last checkpoint like this: parameters, optimizer,
# place in the data; calls that were made after the checkpoint are answered from the log beside it.

# %%
again = Classifier()
trainer = Trainer(max_epochs=2, **quiet)
with afnio.local_engine() as engine:
    trainer.fit(again, train, val, ckpt_path="last")
print(
    f"\nGone on to epoch 2: validation {trainer.metrics['val_loss']:.2f}; best so far {trainer.best.score:.2f}"
    if trainer.best
    else ""
)
print(trainer.predict(again, test)[0][0])
print(f"\nThe prompt now:\n\n{again.prompt.data}")
