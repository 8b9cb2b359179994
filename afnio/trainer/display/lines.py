"""`Lines`: plain lines, for log files and pipes."""

from __future__ import annotations

import sys
import time

from afnio.trainer.display.text import clock, pace, position

__all__ = ["Lines"]

PER_ROW = 10


class Lines:
    """At most ten lines for a row, at even distances, the last one when it is complete."""

    def __init__(self) -> None:
        self._label, self._done, self._samples, self._started = "", 0, 0, 0.0
        self._from, self._total, self._shown = 0, None, False  # type: tuple[int, int | None, bool]

    def header(self, text: str) -> None:
        """The heading on a line."""
        _write(text)

    def start(self, label: str, total: int | None, done: int) -> None:
        """Nothing to show yet."""
        self._label, self._total, self._done, self._from = label, total, done, done
        self._samples, self._shown, self._started = 0, True, time.monotonic()

    def advance(self, done: int, samples: int, figures: str) -> None:
        """A line, at every tenth of the way."""
        self._done, self._samples = done, samples
        every = 1 if self._total is None else -(-self._total // PER_ROW)
        self._shown = done % every == 0 or done == self._total
        if self._shown:
            self._row(figures)

    def stop(self, figures: str) -> None:
        """A line, if the last step was not shown."""
        if not self._shown:
            self._row(figures)
        self._shown = True

    def line(self, text: str) -> None:
        """A line."""
        _write(text)

    def close(self) -> None:
        """Nothing to close."""

    def _row(self, figures: str) -> None:
        seconds, done = time.monotonic() - self._started, self._done - self._from
        left = None if self._total is None else self._total - self._from
        speed = pace(seconds, done, left, self._samples)
        _write(f"{position(self._label, self._done, self._total)} {clock(seconds)} {speed} {figures}")


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
