"""The worlds the simulated LM can live in, by name."""

from __future__ import annotations

from collections.abc import Callable

from afnio.models.lm_server.worlds.base import World as World
from afnio.models.lm_server.worlds.echo import Echo
from afnio.models.lm_server.worlds.shop import Shop
from afnio.models.lm_server.worlds.tickets import Tickets

__all__ = ["WORLDS", "World", "make_world"]

WORLDS: dict[str, Callable[..., World]] = {"tickets": Tickets, "shop": Shop, "echo": Echo}


def make_world(world: str | World, *, seed: int = 0, bad_share: float | None = None) -> World:
    """A world by name, or the one given; ``bad_share=None`` means the world's own default."""
    if not isinstance(world, str):
        return world
    if world not in WORLDS:
        raise ValueError(f"There is no world {world!r}. Worlds: {', '.join(WORLDS)}.")
    return WORLDS[world](seed=seed) if bad_share is None else WORLDS[world](seed=seed, bad_share=bad_share)
