"""A fresh machine for every module of tests; its local server is stopped at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tellurio.scripts.machine import Home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A fresh ``TELLURIO_HOME``."""
    home = Home(tmp_path_factory.mktemp("machine") / "tellurio")
    yield home
    down = home.tellurio("down")
    assert down.returncode == 0, down.stderr
