"""Tutorial 6: an agent with tools.

It answers questions about prices with a search and a calculator. Its prompt and the descriptions of both tools are
learned: feedback on an answer flows back through every turn of the conversation.

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
from afnio.models.lm_server.worlds import shop
from afnio.models.openai import OpenAI
from afnio.models.simulated import simulated
from afnio.optim import TGD
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader, Dataset

client: Any
if os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
    name = os.environ.get("AFNIO_MODEL") or "gpt-4o-mini"
    client = OpenAI(api_key=os.environ.get("OPENAI_API_KEY") or "none", model=name)
else:
    client = simulated("shop")
    print("No key is set: a simulated model answers. It is a simulation, not an AI.\n")
afnio.set_backward_model_client(client)

# %% [markdown]
# Tools are functions. What the model is told of them comes from the type hints and the docstring; the docstring's text
# is the description that is learned. Both run in this process.


# %%
@cog.tool
def search(query: str) -> str:
    """Searches the catalogue of the shop."""
    return shop.search(query)


@cog.tool
def calculator(expression: str) -> str:
    """Works out an expression."""
    return shop.calculator(expression)


print(search.schema)

# %% [markdown]
# `ToolLoop` asks the model, runs what it calls, and goes on until it answers; a batch of questions side by side.


# %%
class ShopAgent(cog.Module):
    def __init__(self) -> None:
        super().__init__()
        self.prompt = cog.Parameter(shop.PROMPT, role="system prompt of the shop's agent")
        self.question = afnio.Variable("{question}", role="template of the question")
        self.loop = cog.ToolLoop([search, calculator], max_turns=8)

    def forward(self, questions: afnio.Variable) -> Any:
        messages = [{"role": "system", "content": [self.prompt]}, {"role": "user", "content": [self.question]}]
        return self.loop(client, messages, inputs={"question": questions})

    def training_step(self, batch: tuple[afnio.Variable, afnio.Variable], batch_idx: int) -> afnio.Loss:
        questions, answers = batch
        return F.exact_match_evaluator(self(questions).output, answers, fmean, "mean")

    validation_step = test_step = training_step

    def configure_optimizers(self) -> TGD:
        return TGD(self.parameters(), model_client=client)


def asked(count: int, seed: int) -> DataLoader[Any]:
    rows = [{"question": one.text, "answer": one.answer} for one in shop.questions(count, seed=seed)]
    return DataLoader(Dataset.from_list(rows, "question", "answer"), batch_size=12)


# %% [markdown]
# One question before the training: which tools are called, and what comes of it.

# %%
agent = ShopAgent()
question = shop.questions(6, seed=1)[5]
print(question.text, "(right:", f"{question.answer})")


def show(agent: ShopAgent) -> None:
    with afnio.no_grad():
        result = agent(afnio.Variable(question.text, role="question"))
    for message in result.messages[2:]:
        if message["role"] == "tool":
            print("  a tool says:", [part.data for part in message["content"]])
    print("  answer:", result.output.data, "| stopped by:", result.stop_reason[0].value)


show(agent)

# %%
trainer = Trainer(max_epochs=2, enable_checkpointing=False, enable_progress_bar=False, enable_agent_summary=False)
before = trainer.test(agent, asked(20, seed=12))["loss"]
with afnio.local_engine() as engine:
    trainer.fit(agent, asked(24, seed=11))
after = trainer.test(agent, asked(20, seed=12))["loss"]
print(f"\n20 new questions: {before:.0%} -> {after:.0%} right. What was learned:")
for parameter, text in agent.export_prompts().items():
    print(f"\n{parameter}:\n{text}")
print()
show(agent)
print(f"\n{engine.ledger}")
