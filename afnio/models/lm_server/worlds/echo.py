"""The world ``echo``: says the last user message back.  For tests of protocols, where the answer must be known."""

from __future__ import annotations

import json

from afnio.models.lm_server.ask import Ask
from afnio.models.lm_server.filling import fill

__all__ = ["Echo"]


class Echo:
    """Answers with the last user message; with a schema, every text leaf is that message."""

    name = "echo"

    def __init__(self, *, seed: int = 0, bad_share: float = 0.0) -> None:
        self.seed, self.bad_share = seed, bad_share

    def reply(self, ask: Ask, role: str) -> str:
        """The last user message, or a value of the schema made of it."""
        if ask.schema is None:
            return ask.user
        return json.dumps(fill(ask.schema, lambda name, allowed: ask.user), ensure_ascii=False)

    def destroy(self, ask: Ask) -> str:
        """There is no prompt to ruin here."""
        return self.reply(ask, "optimizer")
