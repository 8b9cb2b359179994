"""What the examples share: a small support desk that asks a model, and some tickets with what is right for them.

With ``OPENAI_API_KEY`` the model is a real one.  Without it a simulation answers: by rules, in this process.  It is not
an AI.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from openai import AsyncOpenAI, OpenAI

MODEL = "gpt-5-mini"
SENTIMENT = "Classify the sentiment of the message: positive, neutral or negative. Answer with that one word."


@dataclass
class Ticket:
    """A message, and the sentiment that is right for it."""

    id: int
    text: str
    sentiment: str


TICKETS = [
    Ticket(1, "Thank you, the cleaning was perfect.", "positive"),
    Ticket(2, "When is the office closed?", "neutral"),
    Ticket(3, "The heating is broken and this is terrible.", "negative"),
    Ticket(4, "Great job, the elevator stands still since you repaired it.", "negative"),
    Ticket(5, "I am following up on the leaking pipe. This is my third message.", "negative"),
    Ticket(6, "Wonderful work on the garden!", "positive"),
]


def simulate() -> None:
    """Without a key, start the simulation and let this process and its children use it."""
    if os.environ.get("OPENAI_API_KEY"):
        return
    from afnio.models.lm_server import LMServer

    print("No OPENAI_API_KEY: a simulation answers. It is not an AI.")
    os.environ["OPENAI_API_KEY"] = "simulation"
    os.environ["OPENAI_BASE_URL"] = LMServer("tickets").start().base_url


def ask(text: str, system: str = SENTIMENT, **options: float) -> str:
    """Ask the model, and wait for its answer."""
    with OpenAI() as client:
        answer = client.chat.completions.create(model=MODEL, messages=_messages(text, system), **options)
    return answer.choices[0].message.content or ""


async def aask(text: str, system: str = SENTIMENT) -> str:
    """The same for async code."""
    async with AsyncOpenAI() as client:
        answer = await client.chat.completions.create(model=MODEL, messages=_messages(text, system))
    return answer.choices[0].message.content or ""


def _messages(text: str, system: str) -> Any:
    return [{"role": "system", "content": system}, {"role": "user", "content": text}]
