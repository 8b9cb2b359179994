"""A process that trains against a server: ``python -m tests.trainer.child ROOT BASE_URL [EPOCHS]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from afnio.models.openai import OpenAI
from tests.trainer.job import Agent, engine, loader, quiet


def main() -> None:
    """Go on from the last checkpoint, if there is one; say how it ended."""
    root, url, *rest = sys.argv[1:]
    client = OpenAI(api_key="any", base_url=url)
    agent, trainer = Agent(client), quiet(Path(root), max_epochs=int(rest[0]) if rest else 2)
    with engine(client):
        trainer.fit(agent, loader(6, shuffle=True, seed=1), loader(10, rows=slice(4, 18)), ckpt_path="last")
    end = {
        "prompt": agent.prompt.data,
        "history": trainer.history,
        "interrupted": trainer.interrupted,
        "stop_reason": trainer.stop_reason,
        "checkpoint": trainer.checkpoint,
    }
    print(json.dumps(end))


if __name__ == "__main__":
    main()
