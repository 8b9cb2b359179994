"""A fit with a call log of its own: ``fitted.py [last]``, or ``fitted.py "" LOG``: its prompt and price."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

import afnio
import afnio.tellurio as te
from afnio.calls import CallLog, Session
from afnio.models.openai import AsyncOpenAI
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader
from afnio.utils.datasets import SupportTickets
from tellurio.client import ending
from tests.tellurio.scripts.trained import Desk

ending.AT_EXIT = ending.AT_SIGNAL = 120.0  # a busy server is waited for


def main(ckpt_path: Any = None, replayed: str | None = None) -> None:
    """Fit, under a Run of its own; from a checkpoint, or over a call log alone."""
    client = AsyncOpenAI()
    afnio.set_backward_model_client(client, completion_args={"model": "tickets"})
    data = SupportTickets("train", target="json")
    agent = Desk(client)
    options: dict[str, Any] = {"max_epochs": 2, "enable_progress_bar": False, "enable_agent_summary": False}
    with te.init("jobs", "Resume") as run, contextlib.ExitStack() as stack:
        if replayed is None:
            options["default_root_dir"] = "."
        else:
            options["enable_checkpointing"] = False
            stack.enter_context(Session(log=CallLog(replayed, "replay")).activate())
        loader = DataLoader([data[i] for i in range(12)], batch_size=6)
        Trainer(**options).fit(agent, loader, ckpt_path=ckpt_path or None)
        sys.stdout.write(json.dumps({"prompt": agent.clerk.prompt.data, "calls": run.cost["calls"]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
