"""How the engine spends calls and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from afnio.words import Words
from afnio.words.critic import CRITIC
from afnio.words.reducer import REDUCER
from afnio.words.turns import TURNS

__all__ = ["EngineSettings", "current_settings", "settings_slot"]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How the engine spends calls and tokens.

    Attributes:
        samples_per_critic: failing samples of one node that share a critic call; None: as many as fit into
            ``critic_tokens``.
        critic_tokens: size of a critic's request at which a further call is opened, in estimated tokens.  One
            sample is never cut, however long.
        feedback_tokens: feedback on one value that is shown as it is; more is reduced by the model first, in
            groups of this size, side by side.
        share_critics: calls made one by one from the same prompts, for different samples (``async def`` steps), share
            critic calls too, where they are all ready when the pass begins.
        words: instructions to use in place of ours, by name (``"critic"``, ``"reducer"``; ``"turns"``: what the critic
            is told besides of calls with tools, images or learnable settings).

    Raises:
        TypeError: a number or words that are none.
        ValueError: a number is below 1, or a name of words is none.
    """

    samples_per_critic: int | None = None
    critic_tokens: int = 8_000
    feedback_tokens: int = 6_000
    share_critics: bool = True
    words: Mapping[str, Words] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("samples_per_critic", "critic_tokens", "feedback_tokens"):
            value = getattr(self, name)
            if value is None and name == "samples_per_critic":
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an int, got {value!r:.100}.")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        if not isinstance(self.words, Mapping) or not all(isinstance(each, Words) for each in self.words.values()):
            raise TypeError(f"words must be a dict of name -> Words, got {self.words!r:.100}.")
        if unknown := [name for name in self.words if name not in _OURS]:
            raise ValueError(f"words has {unknown!r:.100}; the names are {', '.join(map(repr, _OURS))}.")

    def words_of(self, name: str) -> Words:
        """The instructions of ``"critic"``, ``"reducer"`` or ``"turns"``."""
        return self.words.get(name) or _OURS[name]


_OURS = {"critic": CRITIC, "reducer": REDUCER, "turns": TURNS}


DEFAULT = EngineSettings()

settings_slot: ContextVar[EngineSettings] = ContextVar("afnio_engine_settings", default=DEFAULT)


def current_settings() -> EngineSettings:
    """The settings of the engine that runs in this context."""
    return settings_slot.get()
