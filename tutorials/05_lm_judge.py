"""Tutorial 5: an LM judge.

Where no rule says what is right, a model can: it reads an answer and replies with a score and an explanation. The
explanation is the feedback, so `backward()` costs no call to explain the score.

It takes a few seconds. Without a key a simulated model answers; with `OPENAI_API_KEY` (or `OPENAI_BASE_URL` and
`AFNIO_MODEL`) a real one.
"""

# %%
import os
from statistics import fmean
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
afnio.set_backward_model_client(client)

# %% [markdown]
# The agent classifies tickets. The judge is told the ticket, the answer and what a colleague wrote; its messages are
# Variables too, and could be trained as well.


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


judge = [
    {
        "role": "system",
        "content": [
            afnio.Variable(
                "You check the work of a support desk. Answer with JSON: score, 1 if the prediction means the same as "
                "the target, else 0, and explanation, one sentence.",
                role="prompt of the judge",
            )
        ],
    },
    {
        "role": "user",
        "content": [
            afnio.Variable(
                "Ticket: {ticket}\n<prediction>{prediction}</prediction>\n<target>{target}</target>", role="task"
            )
        ],
    },
]


def judged(agent: Classifier, tickets: afnio.Variable, answers: afnio.Variable) -> afnio.Loss:
    return F.lm_judge_evaluator(
        client,
        judge,
        agent(tickets),
        target=answers,
        inputs={"ticket": tickets},
        success_fn=all_right,
        reduction_fn=fmean,
        reduction_fn_purpose="mean",
    )


def all_right(scores: list[Any]) -> bool:
    """Nothing to improve: such samples send nothing back."""
    return all(score == 1 for score in scores)


def batch(split: str, numbers: range) -> tuple[afnio.Variable, afnio.Variable]:
    pairs = [SupportTickets(split, target="json")[number] for number in numbers]
    tickets = afnio.Variable([ticket.data for ticket, _ in pairs], role="tickets")
    return tickets, afnio.Variable([answer.data for _, answer in pairs], role="right answers")


# %%
agent = Classifier()
optimizer = TGD(agent.parameters(), model_client=client)
with afnio.local_engine() as engine:
    for step in range(3):
        loss = judged(agent, *batch("train", range(10 * step, 10 * step + 10)))
        optimizer.clear_grad()
        loss.backward()
        print(f"Step {step + 1}: the judge's mean score is {loss.score.data:.2f}.")
        print("  explanation:", " ".join(str(loss.explanation.data).split())[:120])
        for gradient in agent.prompt.grad:
            print("  feedback on the prompt:", gradient.data[:120])
        optimizer.step()

with afnio.no_grad():
    print(f"\nOn 30 new tickets: {judged(agent, *batch('test', range(30))).score.data:.2f}")
print(f"\nThe prompt now:\n\n{agent.prompt.data}\n")
for (role,), row in engine.ledger.by("role").items():
    print(f"{role:9} {row.calls:3} calls, {row.tokens:6,} tokens")
