"""Jobs: one holder at a time, and only the newest writes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellurio.store import Store
from tellurio.store.jobs import (
    end_job,
    forget_jobs,
    job,
    job_records,
    lapsed_jobs,
    put_job,
    renew_jobs,
    take_job,
    wait_job,
)
from tellurio.store.projects import make_namespace, make_project
from tellurio.store.runs import make_run
from tellurio.store.users import make_user


def new_job(store: Store, run: dict[str, Any], *, owner: str = "a", lease_until: float = 10.0) -> str:
    id = str(uuid.uuid4())
    job = {"id": id, "run_key": run["key"], "kind": "backward", "owner": owner}
    assert store.write(put_job, **job, lease_until=lease_until, now=0.0)
    return id


def end(store: Store, id: str, fence: int, state: str = "done") -> bool:
    return store.write(end_job, id, fence, state, result=b"r", error=None, now=9.0)


def test_a_new_job_runs_and_the_same_again_is_the_same(store: Store, run: dict[str, Any]) -> None:
    id = new_job(store, run)
    first = store.read(job, id)
    assert first is not None
    assert (first["state"], first["fence"], first["owner"]) == ("running", 1, "a")
    store.write(take_job, id, "a", 20.0, 1.0)
    other = {"run_key": run["key"], "kind": "step", "owner": "b", "lease_until": 99.0, "now": 5.0}
    assert not store.write(put_job, id=id, **other)
    again = store.read(job, id)
    assert again is not None
    assert (again["kind"], again["owner"], again["fence"]) == ("backward", "a", 2)


def test_what_there_is_not(store: Store) -> None:
    assert store.read(job, "x") is None
    assert store.write(take_job, "x", "a", 1.0, 0.0) is None
    assert store.read(job_records, "x") == []
    assert store.write(renew_jobs, "a", {"x": 1}, 1.0) == ["x"]


def test_a_held_job_cannot_be_taken_by_another(store: Store, run: dict[str, Any]) -> None:
    id = new_job(store, run, lease_until=10.0)
    assert store.write(take_job, id, "b", 30.0, 9.0) is None
    assert store.write(take_job, id, "a", 30.0, 9.0) == 2  # its owner, started again
    assert store.write(take_job, id, "b", 50.0, 31.0) == 3  # its lease is over
    assert store.write(renew_jobs, "a", {id: 2}, 99.0) == [id]
    assert end(store, id, 2) is False
    assert end(store, id, 3) is True
    assert store.write(take_job, id, "b", 99.0, 98.0) is None


def test_a_waiting_job_can_be_taken_at_once_and_does_not_lapse(store: Store, run: dict[str, Any]) -> None:
    id = new_job(store, run, lease_until=10.0)
    assert [each["id"] for each in store.read(lapsed_jobs, 11.0)] == [id]
    assert store.write(wait_job, id, 1, 5.0) is True
    assert store.read(lapsed_jobs, 11.0) == []
    assert store.write(take_job, id, "b", 30.0, 6.0) == 2
    assert store.write(wait_job, id, 1, 7.0) is False
    assert (store.read(job, id) or {})["state"] == "running"


def test_an_end_is_final(store: Store, run: dict[str, Any]) -> None:
    id = new_job(store, run)
    assert end(store, id, 1, "cancelled") is True
    assert end(store, id, 1, "done") is False
    assert store.write(wait_job, id, 1, 5.0) is False
    assert store.write(renew_jobs, "a", {id: 1}, 99.0) == [id]
    found = store.read(job, id) or {}
    assert (found["state"], found["result"], found["ended"]) == ("cancelled", b"r", 9.0)
    with pytest.raises(ValueError, match="done, failed, cancelled, got 'waiting'"):
        end(store, id, 1, "waiting")


def test_the_records_of_a_job_in_order(store: Store, run: dict[str, Any]) -> None:
    texts = ("origin", "job_id", "request_key", "role", "phase", "node", "words", "provider", "host", "model", "source")
    numbers = ("attempts", "started", "seconds", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")

    def put(c: Any, number: int, job_id: str) -> None:
        names = ("run_key", *texts, *numbers, "estimated", "record")
        values = (run["key"], f"o{number}", job_id, *("x" for _ in texts[2:]), *(0 for _ in numbers), False)
        marks = ", ".join("?" for _ in names)
        record = orjson.dumps({"number": number})
        c.exec_driver_sql(f"INSERT INTO calls ({', '.join(names)}) VALUES ({marks})", (*values, record))

    for number in range(6):
        store.write(put, number, "mine" if number % 2 else "other")
    assert store.read(job_records, "mine") == [{"number": 1}, {"number": 3}, {"number": 5}]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, dict[str, Any]]]:
    """One store and Run for all examples."""
    with Store.open(tmp_path_factory.mktemp("jobs") / "store") as store:
        user = store.write(make_user, "alice", "alice@example.org")
        store.write(make_namespace, "alice", "Alice", user["id"])
        place = store.write(make_project, "alice", "Tickets", "RESTRICTED", user["id"])
        yield store, store.write(make_run, place["id"], user["id"], id=str(uuid.uuid4()))


actions = st.tuples(st.sampled_from(["take", "renew", "wait", "end"]), st.sampled_from("abc"), st.integers(1, 20))


@given(st.lists(actions, max_size=25))
def test_only_the_newest_holder_writes(shared: tuple[Store, dict[str, Any]], done: list[tuple[str, str, int]]) -> None:
    """Whatever the holders do, and whenever: at each time one fence is good, and it is the last that was given."""
    store, run = shared
    id = new_job(store, run, lease_until=10.0)
    now, newest, ended = 0.0, 1, False
    fences = {"a": 1}
    for action, owner, wait in done:
        now += wait
        good = fences.get(owner) == newest and not ended
        fence = fences.get(owner, 99)
        if action == "take":
            taken = store.write(take_job, id, owner, now + 10, now)
            if taken is not None:
                assert taken == newest + 1
                assert not ended
                newest, fences[owner] = taken, taken
        elif action == "renew":
            assert (store.write(renew_jobs, owner, {id: fence}, now + 10) == []) == good
        elif action == "wait":
            assert store.write(wait_job, id, fence, now) == good
        else:
            assert end(store, id, fence) == good
            ended = ended or good
    assert (store.read(job, id) or {})["fence"] == newest


def test_jobs_that_are_over_are_forgotten_and_those_that_waited_too_long_have_failed(
    store: Store, run: dict[str, Any]
) -> None:
    over, recent, waits, waited, runs = (new_job(store, run) for _ in range(5))
    end(store, over, 1)
    store.write(end_job, recent, 1, "done", result=b"r", error=None, now=90.0)
    store.write(wait_job, waits, 1, 90.0)
    store.write(wait_job, waited, 1, 5.0)
    store.write(forget_jobs, 50.0, 50.0, '{"error": {}}', 100.0)
    assert store.read(job, over) is None
    states = {id: found["state"] for id in (recent, waits, waited, runs) if (found := store.read(job, id))}
    assert states == {recent: "done", waits: "waiting", waited: "failed", runs: "running"}
    failed = store.read(job, waited)
    assert failed is not None
    assert (failed["error"], failed["ended"]) == ('{"error": {}}', 100.0)
