"""One handler on the `afnio` logger, never on the root."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from afnio.logging_config import configure_logging, set_logger_level

logger = logging.getLogger("afnio")
deeper = logging.getLogger("afnio.calls.retry")


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = logger.level, list(logger.handlers)
    yield
    logger.setLevel(before[0])
    logger.handlers[:] = before[1]


def test_lines_from_the_level_on_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    deeper.info("one")
    deeper.debug("two")
    assert capsys.readouterr().err == "INFO : one\n"


def test_debug_adds_time_and_name(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("DEBUG")
    deeper.debug("one")
    assert capsys.readouterr().err.endswith("afnio.calls.retry DEBUG : one\n")


def test_called_again_it_changes_the_level_and_adds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    configure_logging("error")
    assert sum(type(handler).__module__ == "afnio.logging_config" for handler in logger.handlers) == 1
    deeper.warning("one")
    deeper.error("two")
    assert capsys.readouterr().err == "ERROR : two\n"


def test_the_root_logger_and_your_own_handlers_stay() -> None:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    mine = logging.NullHandler()
    logger.addHandler(mine)
    configure_logging("info")
    assert (list(root.handlers), root.level) == before
    assert mine in logger.handlers


def test_a_line_is_shown_once_and_still_reaches_the_root(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    configure_logging("info")
    root = logging.getLogger()
    theirs = logging.StreamHandler()
    root.addHandler(theirs)
    try:
        deeper.info("one")
    finally:
        root.removeHandler(theirs)
    assert capsys.readouterr().err == "one\n"
    assert caplog.messages == ["one"]


def test_bad_levels_are_refused() -> None:
    with pytest.raises(TypeError, match="10"):
        configure_logging(10)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="loud"):
        configure_logging("loud")


def test_a_level_for_a_while() -> None:
    logger.setLevel("INFO")
    with pytest.raises(KeyError), set_logger_level("afnio", "ERROR"):
        assert logger.level == logging.ERROR
        raise KeyError
    assert logger.level == logging.INFO
