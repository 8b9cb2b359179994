from __future__ import annotations

from collections.abc import Iterator

import pytest

from afnio.models.lm_server import LMServer
from tests.autodiff.lab import DRIVES, ENGINES, Lab, Served, open_lab


@pytest.fixture(scope="session")
def served() -> Iterator[tuple[LMServer, Served]]:
    """One server for all tests over HTTP; each test brings its own rules."""
    world = Served()
    with LMServer(world=world) as server:
        yield server, world


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> str:
    """Name of the engine that runs the test."""
    name: str = request.param
    return name


@pytest.fixture(params=DRIVES)
def drive(request: pytest.FixtureRequest) -> str:
    """How it is called: ``"sync"`` or ``"async"``."""
    name: str = request.param
    return name


@pytest.fixture
def lab(engine: str, drive: str, served: tuple[LMServer, Served]) -> Iterator[Lab]:
    """Every engine, called both ways."""
    with open_lab(engine, drive, *served) as lab:
        yield lab


@pytest.fixture
def inline() -> Iterator[Lab]:
    """The engine of this process over a scripted model, called from sync code: for laws that need many runs."""
    with open_lab() as lab:
        yield lab


@pytest.fixture
def http(served: tuple[LMServer, Served]) -> Iterator[Lab]:
    """The engine of this process over a real server, called from sync code."""
    with open_lab("http", "sync", *served) as lab:
        yield lab
