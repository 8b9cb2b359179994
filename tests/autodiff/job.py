"""A small training job with a diamond, shared parameters, two evaluators, and an agent with tools:
`python -m tests.autodiff.job`."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import afnio.cognitive as cog
from afnio import functional as F
from afnio.models.lm_server.ask import Ask, ToolCall
from afnio.models.lm_server.roles import task_of
from afnio.optim import TGD
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff.lab import Lab, by_role, feedback, open_lab, system, user


def _digest(ask: Ask) -> str:
    return hashlib.sha256(task_of(ask).encode()).hexdigest()[:8]


SCHEMA = {"type": "object", "properties": {"word": {"type": "string"}, "size": {"type": "integer"}}}


def length(text: str) -> int:
    """Tell how long a text is."""
    return len(text)


def shout(text: str) -> str:
    """Write a text in capitals."""
    return text.upper()


def _calls(ask: Ask) -> list[ToolCall]:
    """One or two calls in the first turn of most samples, and again where the text says so."""
    turns = sum(turn.role == "assistant" for turn in ask.turns)
    draw = int(hashlib.sha256(ask.user.encode()).hexdigest()[:4], 16) % 4
    if turns >= min(draw, 2):
        return []
    return [ToolCall(tool.name, json.dumps({"text": f"{ask.user} {turns}"})) for tool in ask.tools[: draw // 2 + 1]]


def _answer(ask: Ask) -> Any:
    told = f"{_digest(ask)}|{len(ask.system)}"
    return {"word": told, "size": len(ask.turns)} if ask.schema else told


def run(lab: Lab) -> list[str]:
    """Three steps; the prompts at the end.  Every answer is a digest of its request."""
    lab.brain.rule = by_role(
        forward=_answer,
        backward=lambda ask: feedback(ask, lambda name: f"{name} {_digest(ask)}"),
        optimizer=lambda ask: f"Rewritten {_digest(ask)}{' of {x}' if '{x}' in task_of(ask) else ''}",
    )
    lab.brain.calling = _calls
    loop = cog.ToolLoop([length, shout], max_turns=3, response_format=SCHEMA)
    descriptions = [tool.description for tool in loop.tools.values()]
    prompts = [*(Parameter(f"Prompt {number} {{x}}", f"prompt {number}") for number in range(3)), *descriptions]
    optimizer = TGD(prompts, lab.client, momentum=2, constraints=["Be brief.", "Be kind."], model="brain")
    for _ in range(3):
        batch = Variable([f"ticket {number}" for number in range(4)], "ticket")
        first = lab.chat([system(prompts[0])], inputs={"x": batch})
        second = lab.chat([system(prompts[1], prompts[0])], inputs={"x": first})
        third = lab.chat([system(prompts[2]), user(prompts[1])], inputs={"x": F.split(first, "|")[0]})
        read = lab.loop(loop, [system(prompts[0]), user(Variable("{x}"))], inputs={"x": batch}, user=Variable("me"))
        assert read.fields is not None
        losses = [F.exact_match_evaluator(value, ["no"] * 4) for value in (second, third + second, read.fields["word"])]
        optimizer.clear_grad()
        lab.backward(F.sum([loss.score for loss in losses]))
        lab.step(optimizer)
        optimizer.record(0.5, kept=True)
    return [str(prompt.data) for prompt in prompts]


if __name__ == "__main__":
    with open_lab() as lab:
        prompts = run(lab)
        json.dump({"requests": lab.client.requests, "prompts": prompts}, sys.stdout)
