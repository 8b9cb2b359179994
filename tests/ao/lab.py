"""A folder of its own for each test: a home, where a server seems to run, and scripts that are recorded in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 120.0
"""Seconds before a test gives up on a script."""

RECORD = [sys.executable, "-m", "ao.runner.record"]
REPO = Path(__file__).parents[2]


@dataclass
class Ran:
    """What a command came to."""

    status: int
    out: str
    err: str


class Lab:
    """A home folder and a working directory.

    Args:
        folder: both are made in it.
        server: whether ``server.json`` says that a server runs, so that none is started.
    """

    def __init__(self, folder: Path, *, server: bool = True) -> None:
        self.home, self.cwd = folder / "home", folder / "work"
        self.cwd.mkdir(parents=True)
        if server:
            (self.home / "server").mkdir(parents=True)
            facts = {"pid": os.getpid(), "url": "http://127.0.0.1:9", "key": "tel_none"}
            (self.home / "server" / "server.json").write_text(json.dumps(facts))
        self.env = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("AO_", "TELLURIO_", "PYTEST_"))
            },
            "TELLURIO_HOME": str(self.home),
            "OPENAI_API_KEY": "test",
            "ANTHROPIC_API_KEY": "test",
            "PYTHONPATH": str(REPO),
        }

    def write(self, name: str, source: str) -> str:
        """Write a script; returns its name."""
        path = self.cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return name

    def run(self, command: Sequence[str], *, env: Mapping[str, str] = {}, stdin: str = "") -> Ran:
        """Run a command in the working directory."""
        done = subprocess.run(
            list(command),
            cwd=self.cwd,
            env={**self.env, **env},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def record(self, *arguments: str, **options: Any) -> Ran:
        """``ao-record`` with these arguments."""
        return self.run([*RECORD, *arguments], **options)

    def python(self, *arguments: str, **options: Any) -> Ran:
        """``python`` with these arguments."""
        return self.run([sys.executable, *arguments], **options)

    @property
    def records(self) -> list[dict[str, Any]]:
        """All that lies in journals, in the order in which it happened."""
        lines = [line for path in self.home.glob("journals/*/*.jsonl") for line in path.read_bytes().splitlines()]
        return sorted(map(json.loads, lines), key=lambda record: record["t"])

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The records of a kind."""
        return [record for record in self.records if record["k"] == kind]

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The recorded calls."""
        return [record["record"] for record in self.of("c")]


def interrupted(lab: Lab, command: Sequence[str], number: int = signal.SIGINT) -> Ran:
    """Run a command that prints a line when it is ready, and is sent a signal then."""
    process = subprocess.Popen(
        list(command), cwd=lab.cwd, env=lab.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    return Ran(process.returncode, first + out, err)
