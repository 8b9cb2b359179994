"""Judge without a target: one right field in the prediction is enough."""

from __future__ import annotations

from afnio.models.lm_server.ask import Ask
from afnio.models.lm_server.worlds.tickets.locating import prompt_and_ticket
from afnio.models.lm_server.worlds.tickets.reading import truth

__all__ = ["is_right"]


def is_right(ask: Ask, prediction: str) -> bool:
    """Whether ``prediction`` holds a right value of the ticket that ``ask`` shows."""
    fields = truth(prompt_and_ticket(ask.system, ask.user)[1])
    return any(value in prediction.lower() for value in fields.values())
