"""`Display`: where progress is shown."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Display"]


class Display(Protocol):
    """Shows headers, one running row, and lines of text."""

    def header(self, text: str) -> None:
        """A heading: ``Epoch 1/3``."""

    def start(self, label: str, total: int | None, done: int) -> None:
        """A row begins."""

    def advance(self, done: int, samples: int, figures: str) -> None:
        """The row moves on; ``samples`` were seen in it so far."""

    def stop(self, figures: str) -> None:
        """The row is complete."""

    def line(self, text: str) -> None:
        """Something to know."""

    def close(self) -> None:
        """Nothing more will be shown."""
