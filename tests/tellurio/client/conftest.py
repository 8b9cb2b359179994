"""A home folder for each test, and no local server left behind by one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tellurio.client.local import stop_local_server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """``TELLURIO_HOME`` of this test, not made yet; a local server that was started in it ends with the test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("TELLURIO_HOME", str(folder))
    monkeypatch.delenv("ALLOW_API_KEY_SHARING", raising=False)
    yield folder
    monkeypatch.setenv("TELLURIO_HOME", str(folder))
    stop_local_server()


@pytest.fixture(autouse=True)
def _logger_as_it_was() -> Iterator[None]:
    """Logging in shows the lines of ``afnio``; the next test begins without."""
    logger = logging.getLogger("afnio")
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers, logger.level = handlers, level
    logger.setLevel(level)
