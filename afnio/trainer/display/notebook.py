"""`Notebook`: the output of a cell, printed again at each step."""

from __future__ import annotations

import sys
import time

from afnio.trainer.display.text import clock, pace, position

__all__ = ["Notebook", "in_notebook"]

WIDTH = 20


class Notebook:
    """Keeps what was shown and prints all of it again with the running row at its end."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._row = ""
        self._label, self._total, self._from, self._started = "", None, 0, 0.0  # type: tuple[str, int | None, int, float]

    def header(self, text: str) -> None:
        """The heading, on a line."""
        self.line(text)

    def start(self, label: str, total: int | None, done: int) -> None:
        """A row at its beginning."""
        self._label, self._total, self._from, self._started = label, total, done, time.monotonic()
        self.advance(done, 0, "")

    def advance(self, done: int, samples: int, figures: str) -> None:
        """Print all again."""
        seconds, left = time.monotonic() - self._started, None if self._total is None else self._total - self._from
        full = WIDTH if not self._total else WIDTH * done // self._total
        bar = "━" * full + " " * (WIDTH - full)
        speed = pace(seconds, done - self._from, left, samples)
        self._row = f"{position(self._label, done, self._total)} {bar} {clock(seconds)} {speed} {figures}"
        self._show()

    def stop(self, figures: str) -> None:
        """Keep the row."""
        if self._row:
            self.line(self._row)

    def line(self, text: str) -> None:
        """Keep a line."""
        self._lines.append(text)
        self._row = ""
        self._show()

    def close(self) -> None:
        """Nothing to close."""

    def _show(self) -> None:
        from IPython.display import clear_output  # type: ignore[import-not-found,unused-ignore]

        clear_output(wait=True)
        sys.stdout.write("\n".join([*self._lines, *([self._row] if self._row else [])]) + "\n")


def in_notebook() -> bool:
    """Whether we run in a Jupyter kernel; asks without importing IPython."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return any(cls.__name__ == "ZMQInteractiveShell" for cls in type(shell).__mro__)  # Colab's is a subclass
