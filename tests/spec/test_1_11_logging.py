"""`afnio.logging_config`: names and signatures."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import pytest

import afnio.tellurio as te
from afnio import logging_config
from tests.spec.signatures import takes


def test_their_signatures() -> None:
    takes(logging_config.configure_logging, "verbosity='info'")
    assert list(inspect.signature(logging_config.set_logger_level).parameters) == ["name", "level"]
    assert te.configure_logging is logging_config.configure_logging
    wrong: Any = 5
    with pytest.raises(TypeError):
        logging_config.configure_logging(wrong)


def test_the_root_logger_is_left_alone_and_levels_may_be_in_capitals(capsys: pytest.CaptureFixture[str]) -> None:
    logger, root = logging.getLogger("afnio"), logging.getLogger()
    before = list(logger.handlers), logger.level, list(root.handlers), root.level
    try:
        logging_config.configure_logging("INFO")
        logger.info("a line")
        assert (list(root.handlers), root.level) == before[2:]
        assert "INFO : a line" in capsys.readouterr().err
    finally:
        logger.handlers[:], logger.level = before[0], before[1]
        logger.setLevel(before[1])
