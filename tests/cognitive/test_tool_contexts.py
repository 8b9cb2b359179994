"""Tools see what is set around the loop: grad mode, and context variables of the user's own."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

import afnio
import afnio.cognitive as cog
from afnio.models.scripted import Scripted
from afnio.variable import Variable

TENANT: contextvars.ContextVar[str] = contextvars.ContextVar("TENANT", default="nobody")
MESSAGES = [{"role": "user", "content": [Variable("Who am I?", "question")]}]


def who() -> str:
    """Say who asks."""
    return f"{TENANT.get()}, gradients {'on' if afnio.is_grad_enabled() else 'off'}"


async def who_later() -> str:
    """Say who asks, in time."""
    return who()


def calls(*names: str) -> Any:
    """A model that calls these tools in one turn, and repeats what they said."""
    blocks = [{"type": "tool_use", "id": f"t{n}", "name": name, "input": {}} for n, name in enumerate(names)]

    def answer(body: dict[str, Any]) -> Any:
        told = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        return " / ".join(told) if told else blocks

    return Scripted(answer)


@pytest.mark.parametrize("names", [("who",), ("who", "who"), ("who_later", "who"), ("who_later",) * 3], ids=str)
@pytest.mark.parametrize("drive", ["sync", "async"])
def test_tools_run_in_the_context_of_the_loop(drive: str, names: tuple[str, ...]) -> None:
    loop = cog.ToolLoop([who, who_later])
    token = TENANT.set("alice")
    try:
        with afnio.no_grad():
            if drive == "sync":
                result = loop(calls(*names), MESSAGES, model="m")
            else:
                result = asyncio.run(loop.acall(calls(*names), MESSAGES, model="m"))
    finally:
        TENANT.reset(token)
    assert result.output.data == " / ".join(["alice, gradients off"] * len(names))
