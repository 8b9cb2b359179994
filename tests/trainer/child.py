"""A process that trains against a server: ``python -m tests.trainer.child ROOT BASE_URL``, or `forked`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import aiohttp  # noqa: F401  # imported once, before processes are forked from this one

from afnio.models.openai import OpenAI
from tests.trainer.job import Agent, engine, loader, quiet


def train(root: Path, url: str) -> dict[str, Any]:
    """Go on from the last checkpoint, if there is one; how it ended."""
    client = OpenAI(api_key="any", base_url=url)
    agent, trainer = Agent(client), quiet(root, max_epochs=2)
    with engine(client):
        trainer.fit(agent, loader(6, shuffle=True, seed=1), loader(10, rows=slice(4, 18)), ckpt_path="last")
    return {
        "prompt": agent.prompt.data,
        "history": trainer.history,
        "interrupted": trainer.interrupted,
        "stop_reason": trainer.stop_reason,
        "checkpoint": trainer.checkpoint,
    }


def main() -> None:
    """Train, and print how it ended."""
    root, url = sys.argv[1:]
    print(json.dumps(train(Path(root), url)))


def forked(root: Path, url: str) -> None:
    """Train, and leave how it ended in ``end.json``."""
    (root / "end.json").write_text(json.dumps(train(root, url)))


if __name__ == "__main__":
    main()
