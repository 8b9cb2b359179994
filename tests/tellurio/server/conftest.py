"""A server in the test's own process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tellurio.server.lab import House, Visitor, full_run, house


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    """A server with a new store."""
    with house(tmp_path / "server") as made:
        yield made


@pytest.fixture
def owner(home: House) -> Visitor:
    """A user."""
    return home.user("olga")


@pytest.fixture
def run(owner: Visitor) -> dict[str, object]:
    """A Run of theirs with something of everything in it."""
    return full_run(owner)
