"""Run a contender as a process of its own and read what it measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from afnio.models.simulated import simulated
from benchmarks.clients.driver import Task

__all__ = ["REPO", "ContenderError", "Run", "accuracy", "clean_environment", "run"]

REPO = Path(__file__).parents[1]


class ContenderError(Exception):
    """A contender ended with an error; the text is the end of what it said."""


@dataclass(frozen=True, slots=True)
class Run:
    """One repeat of the job.

    Attributes:
        seconds: wall time.
        cpu: seconds of processor time of the client process.
        prompt: the final prompt.
        stats: the server's counts.
        peak_mb: largest resident size of the client process so far, in MB of 10^6 bytes.
        told: what the contender told of it.
    """

    seconds: float
    cpu: float
    prompt: str
    stats: dict[str, Any]
    peak_mb: float
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """Calls the server answered, refused ones included."""
        return int(self.stats["calls"])

    @property
    def tokens(self) -> int:
        """Input and output tokens by the server's count."""
        return int(self.stats["total"]["total_tokens"])

    @property
    def by_role(self) -> str:
        """Calls by role, in words."""
        return ", ".join(f"{counts['calls']} {role}" for role, counts in self.stats["by_role"].items())


def clean_environment(**more: str) -> dict[str, str]:
    """Our environment without what is set for our libraries in it, and with ``more``.

    Nor is it said that byte code is not to be kept: a module that was changed would be compiled anew in each process,
    and what is measured would be Python's compiler.
    """
    ours = ("OPENAI_", "AFNIO_", "TELLURIO_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more


def run(
    module: str,
    task: Task,
    *,
    python: str = sys.executable,
    timeout: float = 300.0,
    environment: Mapping[str, str] | None = None,
) -> list[Run]:
    """Let ``module`` do ``task`` in a fresh interpreter; ``environment`` is added to what it finds there.

    Raises:
        ContenderError: it failed or took longer than ``timeout`` seconds.
    """
    full = clean_environment(PYTHONPATH=str(REPO), OPENAI_API_KEY="any", NO_PROXY="127.0.0.1", **(environment or {}))
    with tempfile.TemporaryDirectory(prefix="afnio-bench-") as folder:  # peers write logs and caches where they are
        try:
            done = subprocess.run(
                [python, "-m", module],
                input=json.dumps(asdict(task)),
                cwd=folder,
                env=full | {"HOME": folder, "XDG_CACHE_HOME": folder},
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise ContenderError(f"{module} took longer than {timeout:g} s") from None
    lines = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not lines:
        raise ContenderError(f"{module}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return [Run(**json.loads(line)) for line in lines]


def accuracy(prompt: str, samples: list[tuple[str, str]]) -> float:
    """Share of ``samples`` that the simulated model gets right with ``prompt``; asked after the clock has stopped."""
    return sum(_right(prompt, text, right) for text, right in samples) / len(samples)


@cache
def _right(prompt: str, text: str, right: str) -> bool:
    messages = [{"role": "system", "content": prompt}, {"role": "user", "content": text}]
    return simulated("tickets").chat(messages=messages) == right
