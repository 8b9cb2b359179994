"""`Bar`: a progress bar in a terminal, drawn by rich."""

from __future__ import annotations

import time
from typing import Any

from afnio.trainer.display.text import pace, position

__all__ = ["Bar"]

WIDTH = 20


class Bar:
    """One bar for each row; finished rows stay on the screen."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(highlight=False)
        self._progress: Any = None
        self._task: Any = None
        self._label, self._total, self._from, self._started = "", None, 0, 0.0  # type: tuple[str, int | None, int, float]

    def header(self, text: str) -> None:
        """The heading, bold."""
        self.close()
        self._console.print(text, style="bold", markup=False)

    def start(self, label: str, total: int | None, done: int) -> None:
        """Draw the bar."""
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.close()
        self._label, self._total, self._from, self._started = label, total, done, time.monotonic()
        self._progress = Progress(
            TextColumn("{task.fields[position]}", markup=False),
            BarColumn(bar_width=WIDTH),
            TimeElapsedColumn(),
            TextColumn("{task.fields[pace]}", markup=False),
            TextColumn("{task.fields[figures]}", markup=False),
            console=self._console,
            redirect_stdout=True,
            redirect_stderr=True,
        )
        fields = {"position": position(label, done, total), "pace": pace(0, 0, total, 0), "figures": ""}
        self._task = self._progress.add_task("", total=total, completed=done, **fields)
        self._progress.start()

    def advance(self, done: int, samples: int, figures: str) -> None:
        """Move the bar."""
        seconds, left = time.monotonic() - self._started, None if self._total is None else self._total - self._from
        self._progress.update(
            self._task,
            completed=done,
            position=position(self._label, done, self._total),
            pace=pace(seconds, done - self._from, left, samples),
            figures=figures,
        )

    def stop(self, figures: str) -> None:
        """Draw it for the last time."""
        if self._progress is not None:
            self._progress.update(self._task, figures=figures)
        self.close()

    def line(self, text: str) -> None:
        """Text above the bar."""
        self._console.print(text, markup=False)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
