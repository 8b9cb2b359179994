"""Tutorial 9: tracking Runs.

`te.init` in the place of `local_engine`: three Runs with different settings, stored on the Tellurio server of this
machine (it starts by itself), then read back and compared. `tellurio open` shows them in a browser.

It takes a few seconds. Without a key a simulated model answers; with `OPENAI_API_KEY` (or `OPENAI_BASE_URL` and
`AFNIO_MODEL`) a real one.
"""

# %%
import os
from statistics import fmean
from typing import Any, Literal

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
import afnio.tellurio as te
from afnio.models.openai import OpenAI
from afnio.models.simulated import simulated
from afnio.optim import TGD
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
who: Literal["server", "client"] = "client" if client.get_provider() == "scripted" else "server"


# %%
class Classifier(cog.Module):
    def __init__(self, task: str) -> None:
        super().__init__()
        self.prompt = cog.Parameter(task, role="system prompt of the ticket classifier")
        self.ticket = afnio.Variable("{ticket}", role="the ticket")
        self.chat = cog.ChatCompletion()

    def training_step(self, batch: tuple[afnio.Variable, afnio.Variable], batch_idx: int) -> afnio.Loss:
        tickets, answers = batch
        messages = [{"role": "system", "content": [self.prompt]}, {"role": "user", "content": [self.ticket]}]
        said = self.chat(client, messages, inputs={"ticket": tickets}, temperature=0)
        return F.exact_match_evaluator(said, answers, fmean, "mean")

    validation_step = test_step = training_step

    def configure_optimizers(self) -> TGD:
        return TGD(self.named_parameters(), model_client=client)


TASK = "Classify the support ticket. Answer with JSON that has the fields sentiment, urgency and queue."
tickets = SupportTickets("train", target="json")
val = DataLoader(SupportTickets("val", target="json"), batch_size=60)

# %% [markdown]
# One Run for each number of training tickets. The Trainer logs its metrics, the versions of the prompt and the costs by
# itself; what you add with `run.log` is beside them.

# %%
quiet: dict[str, Any] = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_agent_summary": False}
for count in (4, 12, 48):
    with te.init("tutorials", "How many tickets", config={"tickets": count}, tags=["tutorial"], lm_calls=who) as run:
        agent = Classifier(TASK)
        Trainer(max_epochs=1, **quiet).fit(agent, DataLoader(Subset(tickets, range(count)), batch_size=12), val)
        run.log("words of the prompt", len(agent.prompt.data.split()))

# %% [markdown]
# What is stored can be searched, sorted and read, here or in any other process.

# %%
api = te.Api()
found = list(
    api.runs("tutorials/how-many-tickets", filter=["status = COMPLETED", "tags = tutorial"], limit=3)
)  # newest
print(f"\n{'run':24} {'tickets':>8} {'accuracy':>9} {'calls':>6}")
for stored in found:
    accuracy = stored.metrics("val_loss")[-1]["value"]
    print(f"{stored.name:24} {stored.config['tickets']:8} {accuracy:9.0%} {stored.cost['calls']:6}")
best = next(iter(api.runs("tutorials/how-many-tickets", filter="config.tickets > 4", sort="-metrics.val_loss")))
print(f"\nThe versions of the prompt in the best of them, {best.name}:")
for version in best.prompts():
    print(f"  {version['version']} ({version['status']}): {len(version['value'].splitlines())} lines")
print(f"\nOpen it: tellurio open tutorials/how-many-tickets/{best.slug}")
