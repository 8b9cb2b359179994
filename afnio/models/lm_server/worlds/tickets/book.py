"""The laws of the world ``tickets``, as critic, reducer and optimizer need them."""

from __future__ import annotations

from afnio.models.lm_server.worlds.tickets.laws import LAWS
from afnio.models.lm_server.worlds.tickets.wording import stated_laws
from afnio.models.lm_server.worlds.training.lawbook import Lawbook

__all__ = ["BOOK", "WRONG_RULES"]

WRONG_RULES = (
    "Treat every ticket as high urgency.",
    "Send every ticket to the technical queue.",
    "Every message has neutral sentiment.",
)


def _stated(text: str) -> list[str]:
    return [law.name for law in stated_laws(text)]


BOOK = Lawbook(
    {law.name: law.text for law in LAWS}, _stated, WRONG_RULES, "Read the whole message before deciding the {}."
)
