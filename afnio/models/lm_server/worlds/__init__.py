"""The worlds the simulated LM can live in, by name.

- ``tickets`` classifies support tickets: sentiment, urgency, queue.  Ten laws that its prompt can state.
- ``shop`` answers questions on prices with a search and a calculator, in three to six turns, with pictures and typed
  answers.  Thirteen laws that its prompt and the descriptions of its tools can state.
- ``echo`` says the last message back.
"""

from __future__ import annotations

from collections.abc import Callable

from afnio.models.lm_server.worlds.base import World as World
from afnio.models.lm_server.worlds.echo import Echo
from afnio.models.lm_server.worlds.shop import Shop
from afnio.models.lm_server.worlds.tickets import Tickets

__all__ = ["ABOUT", "WORLDS", "World", "make_world"]

WORLDS: dict[str, Callable[..., World]] = {"tickets": Tickets, "shop": Shop, "echo": Echo}
"""Name of each world -> its class."""
ABOUT: dict[str, str] = {
    "tickets": "classifies support tickets",
    "shop": "answers questions on prices with two tools, a search and a calculator",
    "echo": "says the last message back",
}
"""What each of them does, in a few words."""


def make_world(world: str | World, *, seed: int = 0, bad_share: float | None = None) -> World:
    """A world by name, or the one given; ``bad_share=None`` means the world's own default."""
    if not isinstance(world, str):
        return world
    if world not in WORLDS:
        raise ValueError(f"There is no world {world!r}. Worlds: {', '.join(WORLDS)}.")
    return WORLDS[world](seed=seed) if bad_share is None else WORLDS[world](seed=seed, bad_share=bad_share)
