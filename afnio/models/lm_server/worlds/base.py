"""What a world is: rules that answer requests.  A new world is one module and one line in ``worlds/__init__``."""

from __future__ import annotations

from typing import Protocol

from afnio.models.lm_server.ask import Ask, ToolCall

__all__ = ["World"]


class World(Protocol):
    """Answers by rules.  Everything it says comes from the request and its laws, never from hidden state."""

    name: str

    def calls(self, ask: Ask, role: str) -> list[ToolCall]:
        """The tools to call instead of answering ``ask``, which has some; ``tooling.called_tools`` is a simple rule."""
        ...

    def reply(self, ask: Ask, role: str) -> str:
        """The text that answers ``ask``; ``role`` is who asks (``roles.role_of``)."""
        ...

    def destroy(self, ask: Ask) -> str:
        """The reply of an optimizer that ruins the prompt (the fault ``destructive``)."""
        ...
