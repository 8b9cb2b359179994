"""An agent with a search and a calculator, and how it is trained on the simulated shop."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio._op_result import OpResult
from afnio.models.lm_server.worlds import shop
from afnio.models.lm_server.worlds.shop import questions
from afnio.optim import TGD
from afnio.utils.data import DataLoader, Dataset

__all__ = ["Asked", "AsyncShopAgent", "ShopAgent", "ask", "loader", "right", "train", "turns"]

BATCH = 12

Batch = tuple[afnio.Variable, afnio.Variable, list[bytes | None]]
"""Texts of questions, right answers, pictures."""


class Asked(Dataset[Any]):
    """Questions of the shop."""

    def __init__(self, count: int, *, seed: int, pictures: bool = False) -> None:
        self.questions = questions(count, seed=seed, pictures=pictures)

    def __len__(self) -> int:
        return len(self.questions)

    def __getitem__(self, index: int) -> tuple[afnio.Variable, afnio.Variable, bytes | None]:
        one = self.questions[index]
        return afnio.Variable(one.text, "question"), afnio.Variable(one.answer, "right answer"), one.picture


def loader(asked: Asked, batch_size: int = BATCH) -> DataLoader[Any]:
    """The questions in batches."""
    return DataLoader(asked, batch_size=batch_size)


class ShopAgent(cog.Module):
    """Answers questions on prices: its prompt and the descriptions of its two tools are learned.

    Attributes:
        ran: what the tools were given, in any order.
    """

    def __init__(self, client: Any, *, response_format: Any = None, critic: Any = None, **given: Any) -> None:
        super().__init__()
        self.client, self.given = client, given
        self.ran: list[str] = []
        self.critic = client if critic is None else critic
        self.prompt = cog.Parameter(shop.PROMPT, "system prompt of the shop's agent")
        self.question = afnio.Variable("{question}", "template of the question")
        tools = [self._tool(shop.search, shop.SEARCH), self._tool(shop.calculator, shop.CALCULATOR)]
        self.loop = cog.ToolLoop(tools, max_turns=8, response_format=response_format)

    def _tool(self, function: Callable[[str], str], description: str) -> cog.Tool:
        if function is shop.search:

            def search(query: str) -> str:
                self.ran.append(query)
                return function(query)

            return cog.Tool(search, description=description)

        async def calculator(expression: str) -> str:
            self.ran.append(expression)
            return function(expression)

        return cog.Tool(calculator, description=description)

    def texts(self) -> dict[str, str]:
        """What is learned, by name."""
        return {name: str(parameter.data) for name, parameter in self.named_parameters()}

    def messages(self, pictures: Sequence[bytes | None]) -> list[dict[str, Any]]:
        """What is sent."""
        shown = [picture and afnio.content.image(picture) for picture in pictures]
        content = [self.question, shown] if any(shown) else [self.question]
        return [{"role": "system", "content": [self.prompt]}, {"role": "user", "content": content}]

    def forward(self, texts: afnio.Variable, pictures: Sequence[bytes | None]) -> Any:
        """The answers to a batch of questions."""
        return self.loop(self.client, self.messages(pictures), {"question": texts}, **self.given)

    def training_step(self, batch: Batch, batch_idx: int) -> Any:
        """The share of right answers."""
        texts, answers, pictures = batch
        return F.exact_match_evaluator(self(texts, pictures).output, answers, fmean, "mean")

    validation_step = test_step = training_step

    def configure_optimizers(self) -> TGD:
        """TGD on all texts."""
        return TGD(self.parameters(), model_client=self.critic, model="m")


class AsyncShopAgent(ShopAgent):
    """The same with an async step, which gets one question at a time."""

    async def training_step(self, batch: Batch, batch_idx: int) -> Any:
        """Whether the answer is right."""
        texts, answers, pictures = batch
        asked = self.messages(pictures)
        result = await self.loop.acall(self.client, asked, {"question": texts}, **self.given)
        return F.exact_match_evaluator(result.output, answers, fmean, "mean")

    validation_step = test_step = training_step


def train(agent: ShopAgent, asked: Asked, loss: Callable[[ShopAgent, Batch], Any], *, epochs: int = 2) -> None:
    """Some epochs by hand."""
    optimizer = agent.configure_optimizers()
    for _ in range(epochs):
        for batch in loader(asked):
            optimizer.clear_grad()
            loss(agent, batch).backward()
            optimizer.step()


def ask(agent: ShopAgent, asked: Asked) -> OpResult[Any]:
    """The answers to all of ``asked``, in one batch."""
    texts = afnio.Variable([question.text for question in asked.questions], "question")
    with afnio.no_grad():
        result: OpResult[Any] = agent(texts, [question.picture for question in asked.questions])
    return result


def right(agent: ShopAgent, asked: Asked) -> float:
    """Share of the questions that are answered right."""
    said = ask(agent, asked).output.data
    return fmean(one == question.answer for one, question in zip(said, asked.questions, strict=True))


def turns(result: OpResult[Any]) -> list[int]:
    """How often the model was asked, for each sample."""
    said = [message["content"][0]._content for message in result.messages if message["role"] == "assistant"]
    return [builtins.sum(blocks is not None for blocks in sample) for sample in zip(*said, strict=True)]
