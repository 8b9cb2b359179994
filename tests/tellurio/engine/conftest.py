from __future__ import annotations

from collections.abc import Iterator

import pytest

from afnio.models.lm_server import LMServer
from tests.autodiff.lab import Served
from tests.tellurio.engine.place import Place
from tests.tellurio.running import ServerProcess


@pytest.fixture(scope="session")
def world() -> Iterator[tuple[LMServer, Served]]:
    """One model for all tests; each brings its own brain."""
    served = Served()
    with LMServer(world=served, latency=0.01) as lm:
        yield lm, served


@pytest.fixture
def place(server: ServerProcess, world: tuple[LMServer, Served], monkeypatch: pytest.MonkeyPatch) -> Place:
    """The shared server, with a new Run."""
    monkeypatch.setenv("ALLOW_API_KEY_SHARING", "true")
    return Place(server, *world)


@pytest.fixture
def own(
    tmp_path_factory: pytest.TempPathFactory, world: tuple[LMServer, Served], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """A server of the test's own, to which it may do harm."""
    monkeypatch.setenv("ALLOW_API_KEY_SHARING", "true")
    running = ServerProcess(tmp_path_factory.mktemp("own") / "home")
    yield Place(running, *world)
    running.stop()
