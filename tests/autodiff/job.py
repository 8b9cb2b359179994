"""A small training job with a diamond, shared parameters and two evaluators: `python -m tests.autodiff.job`."""

from __future__ import annotations

import hashlib
import json
import sys

from afnio import functional as F
from afnio.models.lm_server.ask import Ask
from afnio.models.lm_server.roles import task_of
from afnio.optim import TGD
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff.lab import Lab, by_role, feedback, open_lab, system, user


def _digest(ask: Ask) -> str:
    return hashlib.sha256(task_of(ask).encode()).hexdigest()[:8]


def run(lab: Lab) -> list[str]:
    """Three steps; the prompts at the end.  Every answer is a digest of its request."""
    lab.brain.rule = by_role(
        forward=lambda ask: f"{_digest(ask)}|{len(ask.system)}",
        backward=lambda ask: feedback(ask, lambda name: f"{name} {_digest(ask)}"),
        optimizer=lambda ask: f"Rewritten {_digest(ask)} of {{x}}",
    )
    prompts = [Parameter(f"Prompt {number} {{x}}", f"prompt {number}") for number in range(3)]
    optimizer = TGD(prompts, lab.client, momentum=2, constraints=["Be brief.", "Be kind."], model="brain")
    for _ in range(3):
        batch = Variable([f"ticket {number}" for number in range(4)], "ticket")
        first = lab.chat([system(prompts[0])], inputs={"x": batch})
        second = lab.chat([system(prompts[1], prompts[0])], inputs={"x": first})
        third = lab.chat([system(prompts[2]), user(prompts[1])], inputs={"x": F.split(first, "|")[0]})
        losses = [F.exact_match_evaluator(value, ["no"] * 4) for value in (second, third + second)]
        optimizer.clear_grad()
        lab.backward(F.sum([loss.score for loss in losses]))
        lab.step(optimizer)
        optimizer.record(0.5, kept=True)
    return [str(prompt.data) for prompt in prompts]


if __name__ == "__main__":
    with open_lab() as lab:
        prompts = run(lab)
        json.dump({"requests": lab.client.requests, "prompts": prompts}, sys.stdout)
