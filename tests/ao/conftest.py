"""What tests of the recorder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from afnio.models.lm_server import LMServer
from tests.ao.lab import Lab
from tests.tellurio.running import ServerProcess


@pytest.fixture(scope="session")
def echo() -> Iterator[LMServer]:
    """A simulated model that says the last message back."""
    with LMServer("echo") as running:
        yield running


@pytest.fixture
def lm(echo: LMServer) -> LMServer:
    """The same, with nothing counted yet."""
    echo.faults = []
    echo.reset()
    return echo


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server process for all tests of the recorder that do no harm to it."""
    running = ServerProcess(tmp_path_factory.mktemp("recorder") / "home")
    yield running
    running.stop()


@pytest.fixture
def lab(tmp_path: Path, lm: LMServer) -> Lab:
    """A place for scripts; a server only seems to run, so what is recorded stays in the journals."""
    lab = Lab(tmp_path)
    lab.use(lm)
    return lab


@pytest.fixture
def real(tmp_path: Path, real_server: ServerProcess, lm: LMServer) -> Lab:
    """The same beside a real server."""
    lab = Lab(tmp_path, real=real_server)
    lab.use(lm)
    return lab
