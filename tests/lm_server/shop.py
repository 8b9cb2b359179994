"""An agent of the world ``shop`` as a plain loop over chat completions, for tests of the world itself."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from afnio.models.lm_server.roles import role_of
from afnio.models.lm_server.simulation import Settings, Simulation, key_of
from afnio.models.lm_server.spellings import openai_chat
from afnio.models.lm_server.worlds.shop import CALCULATOR, PROMPT, SEARCH, Question, calculator, search
from afnio.models.lm_server.worlds.shop.laws import LAWS

__all__ = ["Model", "Texts", "Trace", "accuracy", "in_process", "run", "tool", "whole"]

TOOLS: dict[str, Callable[..., str]] = {"search": search, "calculator": calculator}
Model = Callable[[dict[str, Any]], dict[str, Any]]
"""The body of a chat completions request -> the body of its answer."""


@dataclass(frozen=True)
class Texts:
    """What the agent's model is told."""

    prompt: str = PROMPT
    search: str = SEARCH
    calculator: str = CALCULATOR


@dataclass
class Trace:
    """What the agent did: its answer, the model's turns, all messages."""

    answer: str
    turns: int
    messages: list[dict[str, Any]]

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """(tool, arguments) of each call, in order."""
        said = [call["function"] for message in self.messages for call in message.get("tool_calls") or ()]
        return [(call["name"], json.loads(call["arguments"])) for call in said]


def whole(*, without: Sequence[str] = ()) -> Texts:
    """Texts that state every law, or all but some."""
    texts = {"system": PROMPT, "search": SEARCH, "calculator": CALCULATOR}
    for law in LAWS:
        if law.name not in without:
            texts[law.about] += f"\n- {law.text}"
    if "calculator" in without:
        texts["system"] = texts["system"].replace(" Use the search tool and the calculator.", "")
    return Texts(texts["system"], texts["search"], texts["calculator"])


def in_process() -> Model:
    """The simulated model, without a server."""
    simulation = Simulation(Settings("shop", bad_share=0.0))

    def model(body: dict[str, Any]) -> dict[str, Any]:
        ask = openai_chat.parse(body)
        return openai_chat.render(
            ask, simulation.answer(ask, role_of(ask), None), key_of("/v1/chat/completions", body)[:24]
        )

    return model


def tool(name: str, description: str, argument: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def run(model: Model, question: Question, texts: Texts = Texts(), **given: Any) -> Trace:
    """Ask, run the tools that the model calls, until it answers."""
    tools = [tool("search", texts.search, "query"), tool("calculator", texts.calculator, "expression")]
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": texts.prompt},
        {"role": "user", "content": _content(question)},
    ]
    for turns in range(1, 12):
        body = {"model": "m", "messages": messages, "tools": tools, **given}
        said = model(body)["choices"][0]["message"]
        messages = [*messages, said]
        if not said.get("tool_calls"):
            return Trace(said["content"], turns, messages)
        messages += [_result(call) for call in said["tool_calls"]]
    raise AssertionError("the model goes on and on")


def _content(question: Question) -> Any:
    if question.picture is None:
        return question.text
    url = f"data:image/png;base64,{b64encode(question.picture).decode()}"
    return [{"type": "text", "text": question.text}, {"type": "image_url", "image_url": {"url": url}}]


def _result(call: dict[str, Any]) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call["id"], "content": _run(call["function"])}


def _run(function: dict[str, Any]) -> str:
    try:
        arguments = json.loads(function["arguments"])
        return TOOLS[function["name"]](**arguments)
    except (ValueError, KeyError, TypeError) as problem:
        return f"Error: {problem}"


def accuracy(model: Model, asked: Sequence[Question], texts: Texts) -> float:
    """Share of the questions that are answered right."""
    return sum([run(model, question, texts).answer == question.answer for question in asked]) / len(asked)
