"""Tutorial 4: a Function of your own.

Ops are not only model calls. Here an op drops what is private from a mail before a model sees it, with a `forward` and
a `backward`, and `gradcheck` checks the laws that every backward has to keep. A second one is an evaluator.

It takes a few seconds. Without a key a simulated model answers; with `OPENAI_API_KEY` (or `OPENAI_BASE_URL` and
`AFNIO_MODEL`) a real one.
"""

# %%
import os
import re
from typing import Any

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.autodiff import Function, evaluator, gradcheck
from afnio.models.openai import OpenAI
from afnio.models.simulated import simulated
from afnio.optim import TGD

client: Any
if os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
    name = os.environ.get("AFNIO_MODEL") or "gpt-4o-mini"
    client = OpenAI(api_key=os.environ.get("OPENAI_API_KEY") or "none", model=name)
else:
    client = simulated("tickets")
    print("No key is set: a simulated model answers. It is a simulation, not an AI.\n")
afnio.set_backward_model_client(client)

# %% [markdown]
# `forward` gets a context and the arguments, and returns a Variable with a role: critics read roles. `backward` gets
# the feedback on the result and returns feedback for each argument: here it says what happened in between.


# %%
class Redact(Function):
    """Numbers of cards and addresses of mails are replaced."""

    @staticmethod
    def forward(ctx: Any, text: afnio.Variable) -> afnio.Variable:
        ctx.save_for_backward(text)
        clean = re.sub(r"\b\d{4}(?: \d{4}){3}\b", "[card]", text.data)
        return afnio.Variable(re.sub(r"\S+@\S+\.\w+", "[address]", clean), role=f"{text.role}, redacted")

    @staticmethod
    def backward(ctx: Any, grad_output: afnio.Variable) -> afnio.Variable:
        (text,) = ctx.saved_variables
        return afnio.Variable(f"Of {text.role}, before private data were cut: {grad_output.data}", grad_output.role)


note = afnio.Variable("Write to eve@example.com about card 1234 5678 9012 3456.", role="the note", requires_grad=True)
redacted = Redact.apply(note)
print(redacted.data, "|", redacted.role)
with afnio.local_engine():
    redacted.backward(afnio.Variable("Say which card it is.", role="feedback"))
print(note.grad[0].data)
print("gradcheck:", gradcheck(Redact.apply, [afnio.Variable("a@b.org", role="a mail", requires_grad=True)]))

# %% [markdown]
# A backward that breaks a law is caught: this one keeps the feedback to itself.


# %%
class Silent(Redact):
    """Loses the feedback."""

    @staticmethod
    def backward(ctx: Any, grad_output: afnio.Variable) -> afnio.Variable:
        return afnio.Variable("", grad_output.role)


try:
    gradcheck(Silent.apply, [afnio.Variable("a@b.org", role="a mail", requires_grad=True)])
except AssertionError as error:
    print(type(error).__name__, "-", error)

# %% [markdown]
# An evaluator is a Function too; `backward()` may start at it. This one wants short answers, and says so.


# %%
@evaluator
class Brevity(Function):
    """How many of the texts have at most a number of words; feedback for those that have more."""

    @staticmethod
    def forward(ctx: Any, texts: afnio.Variable, most: int) -> afnio.Variable:
        ctx.counts, ctx.most = [len(text.split()) for text in texts.data], most
        return afnio.Variable(sum(count <= most for count in ctx.counts), role="number of short answers")

    @staticmethod
    def backward(ctx: Any, grad_output: afnio.Variable) -> tuple[Any, None]:
        longest = max(ctx.counts)
        if longest <= ctx.most:
            return None, None
        return afnio.Variable(f"The answer has {longest} words; at most {ctx.most} are wanted.", "feedback"), None


prompt = cog.Parameter("Give the urgency: low, medium or high.", role="prompt of the classifier")
messages = [
    {"role": "system", "content": [prompt]},
    {"role": "user", "content": [afnio.Variable("{ticket}", role="the ticket")]},
]
tickets = [
    "Nobody here can work, the app has crashed. Mail me: eve@example.com",
    "Please add a dark mode, it is urgent! My card is 1234 5678 9012 3456.",
]
clean = [Redact.apply(afnio.Variable(ticket, role="ticket")).data for ticket in tickets]
optimizer = TGD([prompt], model_client=client)
with afnio.local_engine():
    answers = F.chat_completion(client, messages, inputs={"ticket": clean})
    short = Brevity.apply(answers, 3)
    right = F.exact_match_evaluator(answers, ["high", "low"])
    print(f"\n{answers.data}: {short.data} short, {right.score.data} right")
    afnio.autodiff.backward([short, right.score])  # both at once
    optimizer.step()
    answers = F.chat_completion(client, messages, inputs={"ticket": clean})
    print(f"{answers.data} after a step; the prompt:\n{prompt.data}")
