"""The laws that one kind of text of a world can state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Lawbook"]


@dataclass(frozen=True, slots=True)
class Lawbook:
    """What critic, reducer and optimizer need to know of a world's laws.

    Args:
        laws: name -> the sentence that states it, in the order in which they are written.
        stated: the names of the laws that a text states, in any words.
        wrong_rules: sentences that make a text worse: what a bad update adds.
        hint: advice where no law explains a failure; ``{}`` is the field that was wrong.
        openings: words to put before a law, where stating it as it is was tried and undone: of several texts that are
            changed in one step, each is undone for what another one did.  With them, no update is without effect if
            there is something to be said.
    """

    laws: Mapping[str, str]
    stated: Callable[[str], Iterable[str]]
    wrong_rules: tuple[str, ...]
    hint: str
    openings: tuple[str, ...] = ()
