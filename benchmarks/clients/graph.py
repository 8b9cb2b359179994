"""Forward and backward over large graphs with a scripted model: what the graph itself costs."""

from __future__ import annotations

import gc
import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.models.scripted import Scripted

TEXT = {name: {"variable": name, "text": "Be brief."} for name in ("v1", "v2")}
ONE = json.dumps({"feedback": [TEXT["v1"]]})
TWO = json.dumps({"feedback": [TEXT["v1"], TEXT["v2"]]})
NUMBERS = itertools.count()
MODEL = Scripted(lambda body: f"answer number {next(NUMBERS)}")
CRITIC = Scripted(lambda body: TWO if "v2 (" in body["messages"][-1]["content"] else ONE)


def call(prompt: afnio.Variable, x: afnio.Variable | str) -> afnio.Variable:
    return F.chat_completion(MODEL, [{"role": "user", "content": [prompt]}], inputs={"x": x})


def fan(prompt: afnio.Variable, size: int) -> afnio.Variable:
    """Calls side by side, joined by one sum."""
    return F.sum([call(prompt, "a question") for _ in range(size)])


def chain(prompt: afnio.Variable, size: int) -> afnio.Variable:
    """Calls one after the other, each fed with the answer of the last."""
    x: afnio.Variable | str = "a question"
    for _ in range(size):
        x = call(prompt, x)
    assert isinstance(x, afnio.Variable)
    return x


def once(build: Callable[[afnio.Variable, int], afnio.Variable], size: int) -> tuple[float, float]:
    """Milliseconds a node: forward, backward."""
    MODEL.requests.clear()
    CRITIC.requests.clear()
    gc.collect()
    prompt = cog.Parameter("Answer {x}", role="prompt")
    started = time.perf_counter()
    end = build(prompt, size)
    between = time.perf_counter()
    end.backward(afnio.Variable("This is too long.", role="feedback"))
    ended = time.perf_counter()
    assert len(prompt.grad) == size
    return (between - started) / size * 1000, (ended - between) / size * 1000


def main(plan: list[list[Any]]) -> None:
    """For each (shape, size, repeats) of ``plan`` one JSON line."""
    afnio.set_backward_model_client(CRITIC)
    shapes = {"fan": fan, "chain": chain}
    with afnio.local_engine():
        once(fan, 100)
        for shape, size, repeats in plan:
            times = [once(shapes[shape], size) for _ in range(repeats)]
            print(json.dumps({"shape": shape, "size": size, "times": times}), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
