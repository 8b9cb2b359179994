"""The simulated model in process: the worlds of ``lm_server`` without a server.  A simulation, not an AI."""

from __future__ import annotations

from typing import Any

from afnio.models.formats.openai_chat import PATH
from afnio.models.lm_server.roles import role_of
from afnio.models.lm_server.simulation import Settings, Simulation, key_of
from afnio.models.lm_server.spellings import openai_chat
from afnio.models.scripted import Scripted

__all__ = ["simulated"]


def simulated(world: str = "tickets", *, seed: int = 0, bad_share: float | None = None) -> Scripted:
    """A scripted model that answers as ``afnio lm-server`` does, at once and in this process.

    Args:
        world: ``"tickets"``, ``"shop"`` or ``"echo"``.
        seed: of the draws that make some optimizer updates bad.
        bad_share: share of bad updates; None: the world's default.
    """
    simulation = Simulation(Settings(world, seed=seed, bad_share=bad_share))

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        ask = openai_chat.parse(body)
        return openai_chat.render(ask, simulation.answer(ask, role_of(ask), None), key_of(PATH, body)[:24])

    return Scripted(answer, model="simulated")
