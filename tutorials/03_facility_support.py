"""Tutorial 3: FacilitySupport, an agent with three prompts.

Real e-mails to a facility service, each with an urgency, a sentiment and ten yes-or-no categories. Three parts of the
agent read each mail side by side; one loss of three evaluators trains all three prompts at once.

The 200 e-mails (of Meta's `llama-prompt-ops`) are downloaded once. Where that does not work, the made-up tickets of the
package take their place.

It takes a few seconds. Without a key a simulated model answers; with `OPENAI_API_KEY` (or `OPENAI_BASE_URL` and
`AFNIO_MODEL`) a real one.
"""

# %%
import json
import os
from statistics import fmean
from typing import Any

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.errors import DatasetError
from afnio.models.openai import OpenAI
from afnio.models.simulated import simulated
from afnio.optim import TGD
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader, Dataset
from afnio.utils.datasets import FacilitySupport, SupportTickets

client: Any
if os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
    name = os.environ.get("AFNIO_MODEL") or "gpt-4o-mini"
    client = OpenAI(api_key=os.environ.get("OPENAI_API_KEY") or "none", model=name)
else:
    client = simulated("tickets")
    print("No key is set: a simulated model answers. It is a simulation, not an AI.\n")
afnio.set_backward_model_client(client)

# %% [markdown]
# The data: a mail, and three right answers.

# %%
train: Dataset[Any]
test: Dataset[Any]
try:
    train, test = FacilitySupport("train"), FacilitySupport("test")
    print("Data: FacilitySupport, real e-mails.")
except DatasetError as error:
    print(f"FacilitySupport is not there ({str(error).split(': ')[0]}). SupportTickets, made-up ones, take its place.")
    train, test = SupportTickets("train"), SupportTickets("test")
message, (urgency, sentiment, third) = train[0]
print(" ".join(message.data.split())[:90], "...")
print(urgency.data, "|", sentiment.data, "|", third.data[:60])

# %% [markdown]
# A part: one prompt, one call. The agent has three of them, in a `ModuleDict`. The third answers with a word for the
# tickets, and with JSON for the e-mails: there the score is the share of categories that are right.


# %%
class Part(cog.Module):
    def __init__(self, task: str, role: str) -> None:
        super().__init__()
        self.prompt = cog.Parameter(task, role=role)
        self.mail = afnio.Variable("{mail}", role="the mail")
        self.chat = cog.ChatCompletion()

    def forward(self, mail: afnio.Variable) -> afnio.Variable:
        messages = [{"role": "system", "content": [self.prompt]}, {"role": "user", "content": [self.mail]}]
        answer: afnio.Variable = self.chat(client, messages, inputs={"mail": mail}, temperature=0)
        return answer


def agreement(said: str, right: str) -> float:
    """Share of the categories that are right; of a word, whether it is the right one."""
    if not right.startswith("{"):
        return float(said == right)
    try:
        answer = json.loads(said)
    except ValueError:
        return 0.0
    target = json.loads(right)
    return fmean(bool(answer.get(name)) == value for name, value in target.items())


if third.data.startswith("{"):
    names = ", ".join(json.loads(third.data))
    task = f"Answer with a JSON object that says true or false for each of these categories of the message: {names}."
else:
    task = "Give the queue of the message: account, billing, sales, shipping or technical. Answer with the word only."


class Support(cog.Module):
    def __init__(self) -> None:
        super().__init__()
        ask = "Answer with the word only."
        self.parts = cog.ModuleDict(
            {
                "urgency": Part(f"Give the urgency of the message: low, medium or high. {ask}", "prompt for urgency"),
                "sentiment": Part(
                    f"Give the sentiment of the message: positive, neutral or negative. {ask}", "prompt for sentiment"
                ),
                "third": Part(task, "prompt for the categories"),
            }
        )

    def training_step(self, batch: tuple[afnio.Variable, Any], batch_idx: int) -> dict[str, Any]:
        mail, targets = batch
        losses = {}
        for (name, part), target in zip(self.parts.items(), targets, strict=True):
            losses[name] = F.deterministic_evaluator(
                part(mail), target, agreement, "agreement with the target", all_right, fmean, "mean"
            )
        score = F.sum([loss.score for loss in losses.values()])
        explanation = F.sum([loss.explanation for loss in losses.values()])
        return {"loss": (score, explanation), **{name: loss.score.data for name, loss in losses.items()}}

    test_step = training_step

    def configure_optimizers(self) -> TGD:
        return TGD(self.parameters(), model_client=client)


def all_right(scores: list[Any]) -> bool:
    """Nothing to improve."""
    return all(score == 1 for score in scores)


# %% [markdown]
# Three scores in one: the batch's loss is their sum, 3 at best. The single ones are metrics.

# %%
agent = Support()
trainer = Trainer(
    max_epochs=1, max_steps=3, enable_checkpointing=False, enable_progress_bar=False, enable_agent_summary=False
)
before = trainer.test(agent, DataLoader(test, batch_size=34))
with afnio.local_engine() as engine:
    trainer.fit(agent, DataLoader(train, batch_size=22))
after = trainer.test(agent, DataLoader(test, batch_size=34))
for metric in before:
    print(f"{metric:10} {before[metric]:.2f} -> {after[metric]:.2f}")
for parameter, text in agent.export_prompts().items():
    print(f"\n{parameter}:\n{text}")
print(f"\n{engine.ledger}")
if client.get_provider() == "scripted" and third.data.startswith("{"):
    print(
        "The simulation knows the laws of a shop of its own, not those of these e-mails: it learns nothing from them."
    )
