"""The world ``echo``: says the last user message back.  For tests of protocols, where the answer must be known."""

from __future__ import annotations

import json

from afnio.models.lm_server.ask import Ask, ToolCall
from afnio.models.lm_server.filling import fill
from afnio.models.lm_server.tooling import called_tools

__all__ = ["Echo"]


class Echo:
    """Answers with the last user message, or with what its tools brought; a schema's texts are that, too."""

    name = "echo"

    def __init__(self, *, seed: int = 0, bad_share: float = 0.0) -> None:
        self.seed, self.bad_share = seed, bad_share

    def calls(self, ask: Ask, role: str) -> list[ToolCall]:
        """The tools that the last message names."""
        return called_tools(ask)

    def reply(self, ask: Ask, role: str) -> str:
        """The last user message or the tools' results, or a value of the schema made of it."""
        text = "\n".join(ask.tool_results) or ask.user
        if ask.schema is None:
            return text
        return json.dumps(fill(ask.schema, lambda name, allowed: text), ensure_ascii=False)

    def destroy(self, ask: Ask) -> str:
        """There is no prompt to ruin here."""
        return self.reply(ask, "optimizer")
