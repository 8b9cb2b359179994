"""The server's log: one line an event, ``time level event key=value ...``.

A value that is not one plain word is written as JSON, so that no text from outside can begin a line of its own.  Lines
never hold keys, codes, query strings or bodies.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
from typing import Any, TextIO

import orjson

from afnio.calls.redact import redacted

__all__ = ["log", "set_up"]

_PLAIN = re.compile(r"[\w./:@+,\[\]-]+\Z", re.ASCII)
_LOGGER = logging.getLogger("tellurio.server")


def log(event: str, level: int = logging.INFO, error: BaseException | None = None, **fields: Any) -> None:
    """Write that ``event`` happened.  ``error``: with where it was raised."""
    if _LOGGER.isEnabledFor(level):
        _LOGGER.log(level, event, extra={"fields": fields, "error": error})


def set_up(stream: TextIO | None = None) -> None:
    """Send our lines, and the warnings of the libraries below us, to ``stream`` (standard output)."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(_Lines())
    for name, level in (("tellurio", logging.INFO), ("uvicorn", logging.WARNING), ("asyncio", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = [handler], False
        logger.setLevel(level)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        start = f"{now}.{int(record.msecs):03d}Z {record.levelname.lower()}"
        fields: dict[str, Any] | None = getattr(record, "fields", None)
        if fields is None:
            event, fields = record.name, {"message": record.getMessage()}
        else:
            event = record.getMessage()
        error = getattr(record, "error", None) or (record.exc_info[1] if record.exc_info else None)
        if error is not None:
            fields = {**fields, **_words(error)}
        return " ".join([start, event, *(f"{name}={_value(value)}" for name, value in fields.items())])


def _words(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    where = [f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno}" for frame in frames]
    return {
        "error": type(error).__name__,
        "message": redacted(str(error)[:500].encode("utf-8", "replace")).decode("utf-8", "replace"),
        "where": ",".join(where),
    }


def _value(value: Any) -> str:
    if isinstance(value, float):
        value = round(value, 4)
    text = str(value)
    return text if _PLAIN.match(text) else orjson.dumps(text.encode("utf-8", "replace").decode()).decode()
