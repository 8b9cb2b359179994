"""A running server, for whoever needs one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tellurio.running import ServerProcess


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server process for all tests that do no harm to it; one that does leaves it running."""
    running = ServerProcess(tmp_path_factory.mktemp("tellurio") / "home")
    yield running
    running.stop()
