"""A store in a folder of its own, with a user, a project and a Run in it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tellurio.store import Store
from tellurio.store.projects import make_namespace, make_project
from tellurio.store.runs import make_run
from tellurio.store.users import make_user


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as store:
        yield store


@pytest.fixture
def user(store: Store) -> dict[str, Any]:
    return store.write(make_user, "alice", "alice@example.org", is_admin=True)


@pytest.fixture
def project(store: Store, user: dict[str, Any]) -> dict[str, Any]:
    store.write(make_namespace, "alice", "Alice", user["id"])
    return store.write(make_project, "alice", "Tickets", "RESTRICTED", user["id"])


@pytest.fixture
def run(store: Store, user: dict[str, Any], project: dict[str, Any]) -> dict[str, Any]:
    return store.write(make_run, project["id"], user["id"], id=str(uuid.uuid4()))
