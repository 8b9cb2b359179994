"""Tutorial 7: typed outputs.

The answer is an object of a pydantic class: its schema is sent, what comes back is checked, and each field is a
Variable of its own. Feedback on one field says which field it is about.

It takes a few seconds. Without a key a simulated model answers; with `OPENAI_API_KEY` (or `OPENAI_BASE_URL` and
`AFNIO_MODEL`) a real one.
"""

# %%
import json
import os
from typing import Any, Literal

from pydantic import BaseModel

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.models.openai import OpenAI
from afnio.models.scripted import Scripted
from afnio.models.simulated import simulated
from afnio.optim import TGD
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
# The class says what an answer looks like.


# %%
class Ticket(BaseModel):
    sentiment: Literal["positive", "neutral", "negative"]
    urgency: Literal["low", "medium", "high"]
    queue: Literal["account", "billing", "sales", "shipping", "technical"]


class Classifier(cog.Module):
    def __init__(self) -> None:
        super().__init__()
        self.prompt = cog.Parameter("Classify the support ticket.", role="system prompt of the ticket classifier")
        self.ticket = afnio.Variable("{ticket}", role="the ticket")
        self.turn = cog.ChatTurn()

    def forward(self, tickets: Any) -> Any:
        messages = [{"role": "system", "content": [self.prompt]}, {"role": "user", "content": [self.ticket]}]
        return self.turn(client, messages, inputs={"ticket": tickets}, response_format=Ticket)


def batch(split: str, numbers: range) -> tuple[list[str], list[Ticket]]:
    pairs = [SupportTickets(split, target="json")[number] for number in numbers]
    return [ticket.data for ticket, _ in pairs], [Ticket(**json.loads(answer.data)) for _, answer in pairs]


agent = Classifier()
tickets, right = batch("train", range(3))
result = agent(tickets)
print("Parsed:", result.parsed[0])
for field, value in result.fields.items():
    print(f"  {field:9} {value.data}  (role: {value.role})")

# %% [markdown]
# One evaluator a field; `backward` takes all of them in one pass, and asks the critic once for all three.

# %%
optimizer = TGD(agent.parameters(), model_client=client)
with afnio.local_engine() as engine:
    for step in range(3):
        tickets, right = batch("train", range(12 * step, 12 * step + 12))
        result = agent(tickets)
        losses = {
            field: F.exact_match_evaluator(value, [getattr(one, field) for one in right])
            for field, value in result.fields.items()
        }
        print(f"Step {step + 1}:", {field: f"{loss.score.data} of 12" for field, loss in losses.items()})
        optimizer.clear_grad()
        afnio.autodiff.backward([loss.explanation for loss in losses.values()])
        optimizer.step()

tickets, right = batch("test", range(30))
with afnio.no_grad():
    parsed = agent(tickets).parsed
print(f"\n{sum(one == target for one, target in zip(parsed, right, strict=True))} of 30 new tickets wholly right.")
print(f"\nThe prompt now:\n\n{agent.prompt.data}\n\n{engine.ledger}")

# %% [markdown]
# An answer that breaks the schema goes back once with its fault. If it stays broken, the sample has no `parsed` and
# says why; the others are not harmed. A scripted model shows it.

# %%
careless = Scripted({"one": {"sentiment": "neutral", "urgency": "low", "queue": "sales"}, "two": "I would say: sales."})
messages = [{"role": "user", "content": [afnio.Variable("{ticket}", role="ticket")]}]
result = F.chat_turn(careless, messages, {"ticket": ["ticket one", "ticket two"]}, response_format=Ticket)
print(result.parsed)
print(type(result.parse_error[1]).__name__, f"after {careless.calls} calls")
