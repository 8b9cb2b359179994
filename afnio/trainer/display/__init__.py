"""Showing progress: a bar in a terminal, a cell in a notebook, lines elsewhere."""

from __future__ import annotations

import sys

from afnio.trainer.display.bar import Bar
from afnio.trainer.display.base import Display as Display
from afnio.trainer.display.lines import Lines
from afnio.trainer.display.notebook import Notebook, in_notebook

__all__ = ["Display", "display_here"]


def display_here() -> Display:
    """The display that fits where standard output goes."""
    if in_notebook():
        return Notebook()
    return Bar() if sys.stdout.isatty() else Lines()
