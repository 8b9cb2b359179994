"""The frame every contender runs in, so that all are clocked alike.  Standard library only: peers use it too.

Outside the clock: interpreter start, imports, making the client, and one call on a text that does not come up again
(lazy imports, first connection).  Inside: all else, from the first batch to the last update, new connections included.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["WARM_TEXT", "Contender", "Task", "main"]

WARM_TEXT = "Just saying hello. Nothing to do here."


@dataclass
class Task:
    """What a contender has to do.

    Attributes:
        base_url: of the OpenAI-compatible server, up to ``/v1``.
        prompt: the system prompt to start from.
        samples: (text, right answer) pairs, in the order in which they are taken.
        batch: samples in a batch.
        gate: whether a step is judged on its own batch, and undone if it made that worse.
        repeats: how often the job is done, each time from the start.
        count: whether to ask the server for its counts.
        call_log: folder for a call log; "": none.
    """

    base_url: str
    prompt: str
    samples: list[tuple[str, str]]
    batch: int = 8
    gate: bool = False
    repeats: int = 1
    count: bool = True
    call_log: str = ""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Contender:
    """One way to do the task.

    Attributes:
        warm: makes one call.
        run: does the whole job and returns the final prompt.
        begin: what comes before each repeat, outside the clock.
        end: what comes after it, outside the clock; what it returns is told.
    """

    warm: Callable[[], object]
    run: Callable[[], str]
    begin: Callable[[], object] = lambda: None
    end: Callable[[], dict[str, Any]] = dict


def main(prepare: Callable[[Task], Contender]) -> None:
    """Read the task from standard input, do it, print one JSON line for each repeat."""
    task = Task(**json.loads(sys.stdin.read()))
    contender = prepare(task)
    contender.warm()
    for _ in range(task.repeats):
        if task.count:
            _ask(task, "POST", "/__reset")
        contender.begin()
        cpu, started = time.process_time(), time.perf_counter()
        prompt = contender.run()
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        told = contender.end()
        stats = _ask(task, "GET", "/__stats?rows=0") if task.count else {}
        line = {"seconds": seconds, "cpu": cpu, "prompt": prompt, "stats": stats, "peak_mb": _peak_mb(), "told": told}
        print("RESULT " + json.dumps(line), flush=True)


def _ask(task: Task, method: str, path: str) -> Any:
    request = urllib.request.Request(task.base_url.removesuffix("/v1") + path, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def _peak_mb() -> float:
    """The largest resident size so far (VmHWM), in MB of 10^6 bytes; 0 where the system does not say."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except OSError:
        return 0.0
    return kilobytes * 1024 / 1e6
