"""A tape that is installed, and the simulated model that the SDKs talk to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from afnio.models.lm_server import LMServer
from ao.intercept import install
from tests.ao.intercept.tape import Tape


@pytest.fixture
def tape() -> Iterator[Tape]:
    tape = Tape()
    undo = install(tape, notice=tape.notices.append)
    yield tape
    undo()


@pytest.fixture(scope="session")
def lm() -> Iterator[LMServer]:
    with LMServer("echo") as server:
        yield server


@pytest.fixture
def server(lm: LMServer) -> Iterator[LMServer]:
    """The simulated model, with no faults in force and nothing counted."""
    lm.faults = []
    lm.reset()
    yield lm
    lm.faults = []
