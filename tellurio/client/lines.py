"""The INFO lines that a script sees: on, unless its author decided otherwise."""

from __future__ import annotations

import logging

from afnio.logging_config import configure_logging

__all__ = ["show_lines"]


def show_lines() -> None:
    """Show the lines of ``afnio`` from INFO on; does nothing where the logger ``afnio`` was configured already."""
    logger = logging.getLogger("afnio")
    if logger.level == logging.NOTSET and not logger.handlers:
        configure_logging("info")
