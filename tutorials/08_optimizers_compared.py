"""Tutorial 8: optimizers compared.

One job, the same batches, several optimizers: TGD rewrites the prompt, Evolution tries several rewrites and keeps the
best, FewShot looks for examples to show, and TGD with FewShot does both. What does each reach, and for how many calls?

It takes a few seconds. Without a key a simulated model answers; with `OPENAI_API_KEY` (or `OPENAI_BASE_URL` and
`AFNIO_MODEL`) a real one.
"""

# %%
import os
from collections.abc import Callable
from statistics import fmean
from typing import Any

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.models.openai import OpenAI
from afnio.models.simulated import simulated
from afnio.optim import TGD, Evolution, FewShot
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader, Subset
from afnio.utils.datasets import SupportTickets

client: Any
if os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
    name = os.environ.get("AFNIO_MODEL") or "gpt-4o-mini"
    client = OpenAI(api_key=os.environ.get("OPENAI_API_KEY") or "none", model=name)
else:
    client = simulated("tickets")
    print("No key is set: a simulated model answers. It is a simulation, not an AI.\n")
afnio.set_backward_model_client(client)

# %% [markdown]
# The agent has room for both: a prompt, and `Demos` after it (nothing stands there while there are none).


# %%
Batch = tuple[afnio.Variable, afnio.Variable]


class Classifier(cog.Module):
    def __init__(self, made_by: Callable[["Classifier"], Any]) -> None:
        super().__init__()
        self.prompt = cog.Parameter(
            "Classify the support ticket. Answer with JSON that has the fields sentiment (positive, neutral or "
            "negative), urgency (low, medium or high) and queue (account, billing, sales, shipping or technical).",
            role="system prompt of the ticket classifier",
        )
        self.demos = cog.Demos()
        self.ticket = afnio.Variable("{ticket}", role="the ticket")
        self.chat = cog.ChatCompletion()
        self.made_by = made_by

    def training_step(self, batch: Batch, batch_idx: int) -> afnio.Loss:
        tickets, answers = batch
        messages = [
            {"role": "system", "content": [self.prompt, self.demos]},
            {"role": "user", "content": [self.ticket]},
        ]
        said = self.chat(client, messages, inputs={"ticket": tickets}, temperature=0)
        return F.exact_match_evaluator(said, answers, fmean, "mean")

    validation_step = test_step = training_step

    def configure_optimizers(self) -> Any:
        return self.made_by(self)


OPTIMIZERS: dict[str, Callable[[Classifier], Any]] = {
    "TGD": lambda agent: TGD([agent.prompt], client),
    "TGD, momentum 2": lambda agent: TGD([agent.prompt], client, momentum=2),
    "Evolution": lambda agent: Evolution([agent.prompt], client),
    "FewShot": lambda agent: FewShot([agent.demos]),
    "TGD and FewShot": lambda agent: [TGD([agent.prompt], client), FewShot([agent.demos])],
}

# %% [markdown]
# The same three batches of eight for each, once over. `Ledger.by("role")` says who was asked how often.

# %%
tickets = SupportTickets("train", target="json")
train = DataLoader(Subset(tickets, range(24)), batch_size=8)
test = DataLoader(SupportTickets("test", target="json"), batch_size=120)
print(f"{'optimizer':16} {'test':>5} {'calls':>6} {'reflection':>11} {'tokens':>9}")
for title, made_by in OPTIMIZERS.items():
    agent = Classifier(made_by)
    trainer = Trainer(max_epochs=1, enable_checkpointing=False, enable_progress_bar=False, enable_agent_summary=False)
    with afnio.local_engine() as engine:
        trainer.fit(agent, train)
    total, roles = engine.ledger.total(), engine.ledger.by("role")
    reflection = sum(row.calls for (role,), row in roles.items() if role != "forward")
    score = trainer.test(agent, test)["loss"]
    print(f"{title:16} {score:5.0%} {total.calls:6} {reflection:11} {total.tokens:9,}")
print(f"{'untrained':16} {trainer.test(Classifier(lambda _: None), test)['loss']:5.0%}")
