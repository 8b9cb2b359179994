"""Which recording a person means: among those they may see, and by ``last`` only their own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tellurio.store import Store
from tellurio.store.projects import make_namespace, make_project
from tellurio.store.recordings import Ambiguous, find, recordings
from tellurio.store.runs import make_run
from tellurio.store.users import make_user

Dict = dict[str, Any]


class Shared:
    """A server of two: an open project of Ada's, where both record, and one that only she sees."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ada, self.bob = (store.write(make_user, name, f"{name}@example.org")["id"] for name in ("ada", "bob"))
        store.write(make_namespace, "lab", "Lab", self.ada)
        self.open = store.write(make_project, "lab", "Open", "OPEN", self.ada)["id"]
        self.hers = store.write(make_project, "lab", "Hers", "RESTRICTED", self.ada)["id"]

    def record(self, user: str, project: str, name: str = "agent", id: str | None = None) -> str:
        id = id or str(uuid.uuid4())
        self.store.write(make_run, project, user, id=id, name=name, kind="recording", command={"argv": ["a.py"]})
        return id

    def find(self, user: str, reference: str) -> str | None:
        found = self.store.read(find, user, reference)
        return None if found is None else str(found["id"])


@pytest.fixture
def shared(tmp_path: Any) -> Iterator[Shared]:
    with Store.open(tmp_path) as store:
        yield Shared(store)


def test_last_is_ones_own(shared: Shared) -> None:
    adas = shared.record(shared.ada, shared.open)
    assert shared.find(shared.bob, "last") is None
    bobs = shared.record(shared.bob, shared.open)
    assert (shared.find(shared.ada, "last"), shared.find(shared.bob, "last")) == (adas, bobs)


def test_what_one_may_not_see_is_not_found_by_any_name(shared: Shared) -> None:
    secret = shared.record(shared.ada, shared.hers, "secret")
    for reference in (secret, secret[:8], "secret"):
        assert shared.find(shared.bob, reference) is None
        assert shared.find(shared.ada, reference) == secret


def test_a_page_of_recordings_is_full_whatever_is_hidden_between_them(shared: Shared) -> None:
    seen = [shared.record(shared.bob, shared.open, f"bob {n}") for n in range(3)]
    for _ in range(30):
        shared.record(shared.ada, shared.hers)
    pages = [shared.store.read(recordings, shared.bob, 2, offset) for offset in (0, 2, 3)]
    assert [[run["id"] for run in page] for page in pages] == [seen[:0:-1], seen[:1], []]


def test_the_beginning_of_an_id_has_to_be_one_ones_only(shared: Shared) -> None:
    first = shared.record(shared.ada, shared.open, id="abcd1111-0000-4000-8000-000000000000")
    second = shared.record(shared.ada, shared.open, id="abcd2222-0000-4000-8000-000000000000")
    shared.record(shared.ada, shared.hers, id="abcd1133-0000-4000-8000-000000000000")
    assert shared.find(shared.bob, "abcd11") == first  # the other one is none of his business
    assert shared.find(shared.ada, "abcd2") == second
    with pytest.raises(Ambiguous, match="several Runs begin with 'abcd11'.*Give more of the id"):
        shared.find(shared.ada, "abcd11")
    assert shared.find(shared.ada, "abc") is None  # too short to be one
    assert shared.find(shared.ada, first) == first


def test_of_one_name_the_latest_is_meant(shared: Shared) -> None:
    shared.record(shared.ada, shared.open, "agent")
    again = shared.record(shared.ada, shared.open, "agent")
    assert shared.find(shared.ada, "agent_1") == again
    hers = shared.record(shared.ada, shared.hers, "agent")
    assert shared.find(shared.ada, "agent") == hers
    assert shared.find(shared.bob, "agent") != hers
