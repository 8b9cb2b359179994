"""Records of a recorder: subruns begin, are filled, end and are open again; what they cost is worked out here."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tellurio.store import Store
from tellurio.store.calls import calls
from tellurio.store.events import events
from tellurio.store.ingest import IngestRefused, Subrun, ingest
from tellurio.store.projects import make_project
from tellurio.store.runs import beat, delete_run, end_run, expire_runs, make_run, subruns
from tellurio.store.runs import run as run_of
from tests.tellurio.store.journal import call_record, line, new_run, send

Dict = dict[str, Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def run(store: Store) -> Dict:
    return new_run(store, kind="recording", command={"argv": ["agent.py"]})


def begin(n: int, id: str, parent: str | None = None, name: str | None = "sample") -> bytes:
    return line(n, "b", run={"id": id, "kind": "subrun", "name": name, "parent_id": parent})


def recorded(**changes: Any) -> Dict:
    """A call as a recorder writes it: without a cost, with its place."""
    record = call_record(call_id=str(uuid.uuid4()), label="chat", location="agent.py:7", **changes)
    del record["cost"]
    return record


def found(store: Store, id: str) -> Dict:
    run = store.read(run_of, id)
    assert run is not None
    return run


def test_a_subrun_has_its_own_calls_events_sums_and_end(store: Store, run: Dict) -> None:
    inner, outer = str(uuid.uuid4()), str(uuid.uuid4())
    told: dict[str, Subrun] = {}
    lines = [
        line(1, "b", run={"id": run["id"], "kind": "recording"}),
        begin(2, outer, None),
        begin(3, inner, outer),
        line(4, "c", record=recorded(), r=inner),
        line(5, "c", record=recorded(), r=outer),
        line(6, "c", record=recorded()),
        line(7, "e", kind="log", data={"entry": "right", "success": True}, r=inner),
        line(8, "s", status="COMPLETED", r=inner),
    ]
    assert store.write(ingest, run["key"], "recorder", 1, lines, subruns=told)["acknowledged"] == 8
    first, second = found(store, outer), found(store, inner)
    assert [first["parent_id"], second["parent_id"]] == [run["id"], outer]
    assert [first["status"], second["status"]] == ["RUNNING", "COMPLETED"]
    assert (first["kind"], second["name"].startswith("sample")) == ("subrun", True)
    assert [found(store, each)["cost"]["calls"] for each in (run["id"], outer, inner)] == [1, 1, 1]
    assert len(store.read(events, second["key"])) == 1
    assert store.read(events, run["key"]) == []
    assert store.read(subruns, run["id"]) == [first["key"], second["key"]]
    assert told == {outer: (["calls", "status"], "RUNNING"), inner: (["calls", "events", "status"], "COMPLETED")}


def test_the_same_names_get_numbers(store: Store, run: Dict) -> None:
    ids = [str(uuid.uuid4()) for _ in range(3)]
    send(store, run, [begin(n, id, name="eval") for n, id in enumerate(ids, 1)])
    assert len({found(store, id)["slug"] for id in ids}) == 3


def test_a_call_of_a_subrun_that_has_ended_opens_it_again(store: Store, run: Dict) -> None:
    id = str(uuid.uuid4())
    send(store, run, [begin(1, id), line(2, "s", status="COMPLETED", r=id)])
    assert found(store, id)["status"] == "COMPLETED"
    send(store, run, [line(3, "c", record=recorded(), r=id)], 3)
    assert (found(store, id)["status"], found(store, id)["ended"]) == ("RUNNING", None)
    send(store, run, [line(4, "s", status="CRASHED", reason="ValueError", r=id)], 4)
    assert (found(store, id)["status"], found(store, id)["reason"]) == ("CRASHED", "ValueError")


@pytest.mark.parametrize("status", ["COMPLETED", "CRASHED"])
def test_what_is_open_of_a_run_ends_with_it(store: Store, run: Dict, status: str) -> None:
    outer, inner, ended = (str(uuid.uuid4()) for _ in range(3))
    send(store, run, [begin(1, outer), begin(2, inner, outer), begin(3, ended), line(4, "s", status="FAILED", r=ended)])
    send(store, run, [line(5, "s", status=status)], 5)
    assert [found(store, id)["status"] for id in (outer, inner, ended)] == [status, status, "FAILED"]
    send(store, run, [line(6, "c", record=recorded(), r=outer)], 6)
    assert found(store, outer)["status"] == status  # too late to be open again, not to be stored
    assert found(store, outer)["cost"]["calls"] == 1


def test_silence_crashes_a_run_with_its_parts_and_no_part_alone(store: Store, run: Dict) -> None:
    id = str(uuid.uuid4())
    send(store, run, [begin(1, id)])
    now = found(store, run["id"])["heartbeat"] + 31.0
    assert id not in (expired := store.write(expire_runs, now, 0.0))
    assert run["id"] in expired
    assert found(store, id)["status"] == "CRASHED"


def test_a_recorded_call_is_priced_here_and_an_unknown_model_has_no_price(store: Store, run: Dict) -> None:
    known = recorded(url="https://api.openai.com/v1", usage={"input_tokens": 1_000_000, "output_tokens": 0})
    other = recorded(url="http://127.0.0.1:8000/v1")
    send(store, run, [line(1, "c", record=known), line(2, "c", record=other)])
    priced, unpriced = store.read(calls, run["key"])
    assert float(priced["usd"]) > 0
    assert unpriced["usd"] is None
    assert found(store, run["id"])["cost"]["unpriced"] == 1
    assert (priced["call_id"], priced["label"], priced["location"]) == (known["call_id"], "chat", "agent.py:7")


OWN = str(uuid.uuid4())


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"k": "c", "record": call_record(), "r": "x"}, "expected the id of a Run, a UUID, got 'x'"),
        ({"k": "b", "run": {"kind": "subrun"}}, "it has no 'id'"),
        ({"k": "b", "run": []}, "expected its run to be a JSON object"),
        ({"k": "b", "run": {"kind": "subrun", "id": OWN, "parent_id": OWN}}, "cannot be a part of itself"),
        ({"k": "b", "run": {"kind": "subrun", "id": OWN, "parent_id": 7}}, "expected a UUID"),
        ({"k": "b", "run": {"kind": "subrun", "id": str(uuid.uuid4()), "name": 7}}, "expected a Run name"),
    ],
)
def test_a_record_about_no_subrun_is_refused_with_its_batch(store: Store, run: Dict, record: Dict, says: str) -> None:
    with pytest.raises(IngestRefused, match=says):
        send(store, run, [line(1, "c", record=call_record()), line(2, **record)])
    assert store.read(calls, run["key"]) == []


def test_of_a_call_that_was_tried_again_the_last_attempt_is_kept_and_counted_once(store: Store, run: Dict) -> None:
    failed = recorded(attempts=1, usage={}, error="status 429", url="https://api.openai.com/v1")
    done = {**failed, "attempts": 2, "usage": {"input_tokens": 10, "output_tokens": 5}, "error": None}
    send(store, run, [line(1, "c", record=failed), line(2, "c", record=done)])
    send(store, run, [line(1, "c", record=failed)], client=str(uuid.uuid4()))  # told again by somebody who is late
    (kept,) = store.read(calls, run["key"])
    assert (kept["attempts"], kept["error"], kept["input_tokens"]) == (2, None, 10)
    cost = found(store, run["id"])["cost"]
    assert (cost["calls"], cost["input_tokens"], cost["unpriced"]) == (1, 10, 0)
    assert float(cost["usd"]) == float(kept["usd"]) > 0


def test_another_process_may_write_of_a_subrun_before_its_beginning_is_read(store: Store, run: Dict) -> None:
    outer, id = str(uuid.uuid4()), str(uuid.uuid4())
    send(store, run, [line(1, "c", record=recorded(), r=id)], client=str(uuid.uuid4()))
    assert (found(store, id)["parent_id"], found(store, id)["cost"]["calls"]) == (run["id"], 1)
    send(store, run, [begin(1, outer), begin(2, id, outer, "late")])
    assert (found(store, id)["parent_id"], found(store, id)["name"]) == (outer, "late")
    assert found(store, id)["cost"]["calls"] == 1


def test_a_subrun_of_another_project_cannot_be_written_to(store: Store, run: Dict) -> None:
    other = store.write(make_project, "alice", f"Other {uuid.uuid4()}", "RESTRICTED", run["user"]["id"])
    theirs = store.write(make_run, other["id"], run["user"]["id"], id=str(uuid.uuid4()), kind="subrun")
    with pytest.raises(IngestRefused, match="there is no subrun"):
        send(store, run, [line(1, "c", record=call_record(), r=theirs["id"])])
    mine = str(uuid.uuid4())
    with pytest.raises(IngestRefused, match="in this project"):
        send(store, run, [begin(1, mine, theirs["id"])])
    assert store.read(subruns, theirs["id"]) == []
    store.write(end_run, theirs["id"], "COMPLETED", by_client=True, now=0.0)


def test_parts_that_ended_because_their_run_was_thought_dead_go_on_with_it(store: Store, run: Dict) -> None:
    open_still, over = str(uuid.uuid4()), str(uuid.uuid4())
    send(store, run, [begin(1, open_still), begin(2, over), line(3, "s", status="CRASHED", r=over)])
    now = found(store, run["id"])["heartbeat"] + 31.0
    store.write(expire_runs, now, 0.0)
    assert found(store, open_still)["status"] == "CRASHED"
    assert store.write(beat, run["id"], now + 1.0) == "RUNNING"
    assert [found(store, id)["status"] for id in (open_still, over)] == ["RUNNING", "CRASHED"]


def test_the_end_of_a_part_is_not_that_of_a_part_in_it(store: Store, run: Dict) -> None:
    outer, inner = str(uuid.uuid4()), str(uuid.uuid4())
    send(store, run, [begin(1, outer), begin(2, inner, outer), line(3, "s", status="COMPLETED", r=outer)])
    assert [found(store, id)["status"] for id in (outer, inner)] == ["COMPLETED", "RUNNING"]
    send(store, run, [line(4, "s", status="COMPLETED")], 4)
    assert found(store, inner)["status"] == "COMPLETED"


def test_a_run_takes_its_parts_with_it_and_leaves_its_reruns(store: Store, run: Dict) -> None:
    outer, inner = str(uuid.uuid4()), str(uuid.uuid4())
    send(store, run, [begin(1, outer), begin(2, inner, outer), line(3, "c", record=recorded(), r=inner)])
    again = new_run(store, kind="rerun", parent_id=run["id"])
    store.write(delete_run, run["id"])
    assert [store.read(run_of, id) for id in (run["id"], outer, inner)] == [None] * 3
    assert found(store, again["id"])["parent_id"] is None
