"""Tutorial 1: the loop by hand.

An agent's prompt is trained as a network's weights are: run it, score it, go backward, step. Nothing is hidden: what
comes back from `backward()` is text, and this tutorial shows it.

It takes a few seconds. Without a key a simulated model answers; with `OPENAI_API_KEY` (or `OPENAI_BASE_URL` and
`AFNIO_MODEL`) a real one.
"""

# %%
import os
from typing import Any

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.models.openai import OpenAI
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
afnio.set_backward_model_client(client)  # who says what was wrong

# %% [markdown]
# The agent: one prompt that is learned, a template for the ticket, one call of a model. In PyTorch's words: a `Module`
# with a `Parameter`.


# %%
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


def batch(split: str, numbers: range) -> tuple[afnio.Variable, afnio.Variable]:
    """Some tickets with their right answers: a Variable with a list each."""
    pairs = [SupportTickets(split, target="json")[number] for number in numbers]
    tickets = afnio.Variable([ticket.data for ticket, _ in pairs], role="tickets")
    return tickets, afnio.Variable([answer.data for _, answer in pairs], role="right answers")


agent = Classifier()
tickets, answers = batch("train", range(8))
print("A ticket:      ", " ".join(tickets.data[0].split())[:90], "...")
print("Its answer:    ", agent(tickets).data[0])
print("Should be:     ", answers.data[0])

# %% [markdown]
# Four steps. `clear_grad()` forgets old feedback, the evaluator scores the batch, `backward()` asks the model what the
# prompt lacks (one call for all tickets that failed; none for those that are right), `step()` has the prompt rewritten.

# %%
optimizer = TGD(agent.parameters(), model_client=client, constraints=["Every rule of the prompt is one line."])
with afnio.local_engine() as engine:
    for step in range(4):
        tickets, answers = batch("train", range(8 * step, 8 * step + 8))
        optimizer.clear_grad()
        loss = F.exact_match_evaluator(agent(tickets), answers)
        loss.backward()
        print(f"\nStep {step + 1}: {loss.score.data} of 8 right.")
        for gradient in agent.prompt.grad:
            print("  feedback:", gradient.data or "none: all of them are right")
        optimizer.step()

# %% [markdown]
# What came of it, on tickets the agent has not seen. `no_grad` builds no graph. By hand nobody judges an update: where
# a rule that the feedback names is missing in the prompt, the update was a bad one (some are, as with real models). The
# Trainer's gate, in tutorial 2, undoes those.

# %%
tickets, answers = batch("test", range(60))
with afnio.no_grad():
    right = F.exact_match_evaluator(agent(tickets), answers).score.data
print(f"\nThe prompt now:\n\n{agent.prompt.data}\n\n{right} of 60 new tickets right.")
for (role,), row in engine.ledger.by("role").items():
    print(f"{role:9} {row.calls:3} calls, {row.tokens:6,} tokens")
