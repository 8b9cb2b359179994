"""The log's lines: one an event, whatever is in it."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from tellurio.server.log import log, set_up


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    names = ("tellurio", "uvicorn", "asyncio")
    before = [(logging.getLogger(name), list(logging.getLogger(name).handlers)) for name in names]
    states = [(logger.level, logger.propagate) for logger, _ in before]
    stream = io.StringIO()
    set_up(stream)
    yield stream
    for (logger, handlers), (level, propagate) in zip(before, states, strict=True):
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_a_line_has_time_level_event_and_fields(out: io.StringIO) -> None:
    log("started", url="http://127.0.0.1:7117", pid=12, seconds=0.123456)
    time, rest = out.getvalue().split(" ", 1)
    assert time.endswith("Z")
    assert rest == "info started url=http://127.0.0.1:7117 pid=12 seconds=0.1235\n"


def test_nothing_from_outside_begins_a_line(out: io.StringIO) -> None:
    log("refused", logging.WARNING, path='/a\n2026 info started "x" y=1', name="\ud800", empty="")
    assert out.getvalue().count("\n") == 1
    assert r'path="/a\n2026 info started \"x\" y=1" name="?" empty=""' in out.getvalue()


def test_an_error_says_where_and_keeps_secrets(out: io.StringIO) -> None:
    try:
        raise ValueError("the key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD is wrong")
    except ValueError as error:
        log("failed", logging.ERROR, error, request="r-1")
    line = out.getvalue()
    assert "error failed request=r-1 error=ValueError" in line
    assert "server/test_log.py:" in line
    assert "sk-proj" not in line
    assert line.count("\n") == 1


def test_other_libraries_lines_have_the_same_shape(out: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("odd %s", "request")
    logging.getLogger("uvicorn.error").info("not shown")
    assert out.getvalue().endswith('warning uvicorn.error message="odd request"\n')
