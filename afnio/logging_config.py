"""Log lines of this library: one handler on the ``afnio`` logger, never on the root logger, none on import."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

__all__ = ["configure_logging", "set_logger_level"]

_LEVELS = ("debug", "info", "warning", "error", "critical")


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]
    """Ours, so that a second `configure_logging` finds it and puts no other beside it.

    Writes to what ``sys.stderr`` is when the line is written, as ``logging.lastResort`` does: notebooks and
    tests replace it.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> object:
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        # Lines still travel on to the root logger; where that one writes to the same place, once is enough.
        if not any(getattr(other, "stream", None) is sys.stderr for other in logging.getLogger().handlers):
            super().emit(record)


def configure_logging(verbosity: str = "info") -> None:
    """Show the log lines of ``afnio`` from level ``verbosity`` on, on standard error.

    Called again it changes the level.  Your own handlers, and the root logger, stay as they are.

    Args:
        verbosity: ``"debug"``, ``"info"``, ``"warning"``, ``"error"`` or ``"critical"``, in any case.

    Raises:
        TypeError: ``verbosity`` is no string.
        ValueError: it is none of the five.
    """
    if not isinstance(verbosity, str):
        raise TypeError(f"verbosity must be a string, one of {', '.join(_LEVELS)}; got {verbosity!r}.")
    level = verbosity.lower()
    if level not in _LEVELS:
        raise ValueError(f"verbosity must be one of {', '.join(_LEVELS)}; got {verbosity!r}.")
    logger = logging.getLogger("afnio")
    handler = next((handler for handler in logger.handlers if isinstance(handler, _Handler)), None)
    if handler is None:
        handler = _Handler()
        logger.addHandler(handler)
    handler.setFormatter(logging.Formatter(_format(level)))
    logger.setLevel(level.upper())


@contextlib.contextmanager
def set_logger_level(name: str, level: int | str) -> Iterator[None]:
    """Give the logger ``name`` another level inside the block."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)


def _format(level: str) -> str:
    if level == "debug":
        return "%(asctime)s %(name)s %(levelname)s : %(message)s"
    return "[afnio] %(levelname)s : %(message)s" if _in_notebook() else "%(levelname)s : %(message)s"


def _in_notebook() -> bool:
    """Whether we run in a Jupyter kernel; asks without importing IPython."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
