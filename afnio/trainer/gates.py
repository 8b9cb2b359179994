"""When an update is kept: one Protocol and its implementations, each saying when to choose it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["BatchGate", "Gate", "StrictGate", "Verdict"]


class Gate(Protocol):
    """Decides, from the score of a batch before an update and after it, whether the update is kept."""

    @property
    def proposals(self) -> int:
        """How many updates are tried for a batch before it is left as it was."""

    def keeps(self, before: float, after: float, mode: str) -> bool:
        """Whether the update is kept; ``mode`` says whether higher (``"max"``) or lower scores are better."""


@dataclass(frozen=True, slots=True)
class BatchGate:
    """An update is undone if it made its own batch worse by more than ``tolerance``; a tie is kept.

    The default.  A raised ``tolerance`` is for scores that vary from call to call.
    """

    tolerance: float = 0.0
    proposals: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.tolerance, (int, float)) or not self.tolerance >= 0:
            raise ValueError(f"BatchGate(tolerance={self.tolerance!r}): a number of at least 0 is wanted.")
        _check_proposals(self)

    def keeps(self, before: float, after: float, mode: str) -> bool:
        """Whether the batch scores at least as well as before."""
        loss = before - after if mode == "max" else after - before
        return loss <= self.tolerance


@dataclass(frozen=True, slots=True)
class StrictGate:
    """An update is kept only if it made its own batch better.  For long prompts that should not change without gain."""

    proposals: int = 2

    def __post_init__(self) -> None:
        _check_proposals(self)

    def keeps(self, before: float, after: float, mode: str) -> bool:
        """Whether the batch scores better than before."""
        return after > before if mode == "max" else after < before


def _check_proposals(gate: Gate) -> None:
    """ValueError for a gate that would try no update, after its feedback was paid for."""
    number = gate.proposals
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(
            f"{type(gate).__name__}(proposals={number!r}): an int of at least 1 is wanted. No gate at all is gate=None."
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate found.

    Attributes:
        before: score of the batch before the update.
        after: score after it.
        kept: whether the update was kept.
        proposal: 1 for the first update tried for the batch, 2 for the second.
    """

    before: float
    after: float
    kept: bool
    proposal: int
