"""A recorded Run over HTTP: its graph, edits and drafts, what a rerun is given, what became of the calls in it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import orjson
import pytest

from tests.tellurio.running import ServerProcess
from tests.tellurio.server.test_feeding import Recorder, until
from tests.tellurio.store.journal import call_record

Dict = dict[str, Any]

ANSWER = "The caretaker found mould behind the northern boiler and ordered seven replacement gaskets from Delft."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("home"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[httpx2.Client]:
    with server.client() as client:
        yield client


def call(prompt: str, text: str, started: float, **more: Any) -> Dict:
    request = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": prompt}]}
    response = {"choices": [{"message": {"role": "assistant", "content": text}}]}
    record = call_record(call_id=str(uuid.uuid4()), request=request, response=response, format="openai.chat")
    return record | {"started": started, "seconds": 0.5, "label": "gpt-5-mini", "location": "agent.py:3"} | more


def recorded(server: ServerProcess, calls: list[Dict], part: list[Dict] = [], **begin: Any) -> str:  # noqa: B006
    recorder = Recorder(server.home, **begin)
    for each in calls:
        recorder.journal.append("c", {"record": each})
    if part:
        id = str(uuid.uuid4())
        recorder.journal.append("b", {"run": {"id": id, "kind": "subrun", "name": "part", "parent_id": recorder.id}})
        for each in part:
            recorder.journal.append("c", {"record": each, "r": id})
    recorder.journal.append("s", {"status": "COMPLETED"})
    recorder.journal.close()
    until(server, f"/api/v1/runs/{recorder.id}", lambda run: run["status"] == "COMPLETED")
    return recorder.id


@pytest.fixture(scope="module")
def flow(server: ServerProcess) -> tuple[str, list[Dict], Dict]:
    """Two calls, the second of which is asked about the first one's answer, and a part with one more."""
    calls = [call("What did you see?", ANSWER, 1000.0), call(f"Shorten this: {ANSWER}", "Mould.", 1001.0)]
    inner = call("Hello there", "Good day", 1002.0)
    return recorded(server, calls, [inner]), calls, inner


def test_the_graph_has_calls_parts_and_edges(client: httpx2.Client, flow: tuple[str, list[Dict], Dict]) -> None:
    run_id, calls, inner = flow
    graph = client.get(f"/api/v1/runs/{run_id}/graph").json()
    assert [(each["id"], each["index"], each["label"]) for each in graph["calls"]] == [
        (calls[0]["call_id"], 0, "gpt-5-mini"),
        (calls[1]["call_id"], 1, "gpt-5-mini"),
        (inner["call_id"], 0, "gpt-5-mini"),
    ]
    (edge,) = graph["edges"]
    assert (edge["from"], edge["to"], edge["kind"]) == (calls[0]["call_id"], calls[1]["call_id"], "content")
    assert 0.5 < edge["confidence"] <= 1
    assert edge["spans"][0]["to"]["path"] == "/messages/0/content"
    assert graph["calls"][2]["run"] in graph["children"]  # another test may have edited a copy
    assert (graph["run"]["calls"], graph["complete"]) == (3, True)  # with its part's
    assert graph["calls"][0]["output"] == calls[0]["response"]


def test_calls_of_a_run_of_afnio_in_a_recording_are_in_its_graph_with_their_edges(
    server: ServerProcess, client: httpx2.Client
) -> None:
    parent = recorded(server, [call("Hello there", "Good day", 999.0)])
    project = client.get(f"/api/v1/runs/{parent}").json()
    where = f"/api/v1/namespaces/{project['namespace_slug']}/projects/{project['project_slug']}/runs"
    own = client.post(where, json={"id": str(uuid.uuid4()), "parent_id": parent}).json()["id"]
    calls = [call("What did you see?", ANSWER, 1000.0), call(f"Shorten this: {ANSWER}", "Mould.", 1001.0)]
    lines = [orjson.dumps({"n": n, "t": 1.0, "k": "c", "record": each}) for n, each in enumerate(calls, 1)]
    told = client.post(f"/api/v1/runs/{own}/journal?client=x&first=1", content=b"\n".join(lines))
    assert told.status_code == 200
    graph = client.get(f"/api/v1/runs/{parent}/graph").json()
    assert [each["run"] for each in graph["calls"]] == [parent, own, own]
    assert [(edge["from"], edge["to"]) for edge in graph["edges"]] == [(calls[0]["call_id"], calls[1]["call_id"])]
    assert graph["complete"]


def test_an_overview_has_what_there_is_of_the_whole(server: ServerProcess, client: httpx2.Client) -> None:
    recorder = Recorder(server.home, command={"argv": ["agent.py", "a b"], "cwd": "/tmp", "interpreter": "/bin/python"})
    part = str(uuid.uuid4())
    recorder.journal.append("b", {"run": {"id": part, "kind": "subrun", "name": "sample-1", "parent_id": recorder.id}})
    failed: dict[str, Any] = {"response": None, "error": "status 500", "cost": {"usd": None}}
    calls = [
        call("What did you see?", ANSWER, 1000.0, cost={"usd": "0.25"}, seconds=2.0),
        call("And then?", "", 1001.0, model="gpt-5-mini", **failed),
        call("Hello", "Good day", 1002.0, cost={"usd": "0.50"}, seconds=4.0),
    ]
    for each in calls[:2]:
        recorder.journal.append("c", {"record": each})
    recorder.journal.append("c", {"record": calls[2], "r": part})
    for entry, success in (("a note", None), ({"score": 1}, True), ("no good", False)):
        recorder.journal.append("e", {"kind": "log", "data": {"entry": entry, "success": success}, "r": part})
    recorder.journal.append("s", {"status": "COMPLETED"})
    recorder.journal.close()
    until(server, f"/api/v1/runs/{recorder.id}", lambda run: run["status"] == "COMPLETED")
    told = client.get(f"/api/v1/runs/{recorder.id}/overview").json()
    assert told["command"] == {"argv": ["agent.py", "a b"], "cwd": "/tmp", "interpreter": "/bin/python", "host": None}
    assert [(each["model"], each["calls"], each["errors"], each["usd"]) for each in told["models"]] == [
        (calls[0]["model"], 2, 0, "0.75"),
        ("gpt-5-mini", 1, 1, None),
    ]
    assert (told["models"][0]["seconds"], told["models"][0]["slowest"]) == (6.0, 4.0)
    assert [(note["name"], note["entry"], note["success"]) for note in told["notes"]] == [
        ("sample-1", "a note", None),
        ("sample-1", {"score": 1}, True),
        ("sample-1", "no good", False),
    ]
    assert (told["noted"], told["marks"]) == (3, [{"run": part, "passed": 1, "failed": 1}])
    edit = {"call": calls[0]["call_id"], "field": "output", "path": "/choices/0/message/content", "value": "Rats"}
    draft = client.post(f"/api/v1/runs/{recorder.id}/edits", json=edit).json()["id"]
    told = client.get(f"/api/v1/runs/{draft}/overview").json()
    (edit,) = told["edits"]
    assert (edit["before"], edit["value"], edit["call"]) == (ANSWER, "Rats", calls[0]["call_id"])
    assert (told["models"], told["notes"]) == ([], [])


def test_edges_are_stored_as_the_calls_come(server: ServerProcess) -> None:
    recorder = Recorder(server.home)
    first, second = call("What did you see?", ANSWER, 1000.0), call(f"Shorten: {ANSWER}", "Mould.", 1001.0)
    recorder.journal.append("c", {"record": first})
    until(server, f"/api/v1/runs/{recorder.id}/calls", lambda calls: len(calls) == 1)
    recorder.journal.append("c", {"record": second})
    known = lambda graph: len(graph["calls"]) == 2 and graph["complete"]  # noqa: E731
    graph = until(server, f"/api/v1/runs/{recorder.id}/graph", known)
    assert [(edge["from"], edge["to"]) for edge in graph["edges"]] == [(first["call_id"], second["call_id"])]
    recorder.journal.close()


def test_edits_make_a_draft_and_leave_the_run_alone(client: httpx2.Client, flow: tuple[str, list[Dict], Dict]) -> None:
    run_id, calls, inner = flow
    before = client.get(f"/api/v1/runs/{run_id}/graph").json()
    change = {"call": calls[0]["call_id"], "field": "output", "path": "/choices/0/message/content", "value": "Nothing."}
    draft = client.post(f"/api/v1/runs/{run_id}/edits", json=change).json()
    assert (draft["status"], draft["parent_id"], draft["kind"]) == ("DRAFT", run_id, "rerun")
    more = {"call": inner["call_id"], "field": "input", "path": "messages.0.content", "value": "Good evening"}
    assert client.post(f"/api/v1/runs/{draft['id']}/edits", json=more).json()["id"] == draft["id"]
    tools = {"call": inner["call_id"], "field": "input", "path": "/tools", "value": [{"name": "search"}]}
    client.post(f"/api/v1/runs/{draft['id']}/edits", json=tools)
    gone = {"call": inner["call_id"], "field": "input", "path": "/tools/0", "remove": True}
    assert client.post(f"/api/v1/runs/{draft['id']}/edits", json=gone).status_code == 201
    assert client.get(f"/api/v1/runs/{run_id}/graph").json() == {
        **before,
        "children": [*before["children"], draft["id"]],
    }
    lines = client.get(f"/api/v1/runs/{draft['id']}/recording").text.splitlines()
    told = {each["call_id"]: each for each in map(orjson.loads, lines)}
    assert told.keys() == {each["call_id"] for each in (*calls, inner)}
    assert told[calls[0]["call_id"]]["edits"] == [
        {"field": "output", "path": "/choices/0/message/content", "value": "Nothing.", "removed": False}
    ]
    assert [edit["path"] for edit in told[inner["call_id"]]["edits"]] == ["/messages/0/content", "/tools", "/tools/0"]
    assert "edits" not in told[calls[1]["call_id"]]


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"path": "/messages/9/content"}, 422, "/messages is a list of 1 (0 to 0), not '9'"),
        ({"path": "/nothing", "remove": True}, 422, "leads nowhere"),
        ({"field": "middle"}, 422, "input"),
        ({"call": "x"}, 404, "x"),
        ({"surprise": 1}, 422, "surprise"),
    ],
)
def test_an_edit_that_cannot_be_is_refused_with_the_place(
    client: httpx2.Client, flow: tuple[str, list[Dict], Dict], change: Dict, status: int, says: str
) -> None:
    run_id, calls, _ = flow
    runs = len(client.get(f"/api/v1/runs/{run_id}/children").json()["runs"])
    given = {"call": calls[0]["call_id"], "field": "input", "path": "/model", "value": "gpt-5", **change}
    answer = client.post(f"/api/v1/runs/{run_id}/edits", json=given)
    assert answer.status_code == status
    assert says in answer.text
    assert len(client.get(f"/api/v1/runs/{run_id}/children").json()["runs"]) == runs


def test_a_run_that_goes_on_cannot_be_edited(server: ServerProcess, client: httpx2.Client) -> None:
    recorder = Recorder(server.home)
    recorder.call("hello")
    (one,) = until(server, f"/api/v1/runs/{recorder.id}/calls", lambda calls: len(calls) == 1)
    change = {"call": one["call_id"], "field": "output", "path": "", "value": {}}
    answer = client.post(f"/api/v1/runs/{recorder.id}/edits", json=change)
    assert (answer.status_code, "stop it first" in answer.text) == (422, True)
    recorder.journal.close()


def test_the_difference_of_two_runs_says_what_became_of_each_call(server: ServerProcess, client: httpx2.Client) -> None:
    old = [call(f"question {n}", f"answer {n}", 1000.0 + n) for n in range(5)]
    before = recorded(server, old)
    new = [
        call("question 0", "answer 0", 2000.0, replayed_from=old[0]["call_id"], source="log"),
        call("question 3", "answer 3", 2001.0, replayed_from=old[3]["call_id"], source="log"),
        call("question 2", "edited", 2002.0, replayed_from=old[2]["call_id"], edited=True),
        call("another", "live", 2003.0),
    ]
    after = recorded(server, new, kind="rerun", parent_id=before)
    told = client.get(f"/api/v1/runs/{before}/diff/{after}").json()
    assert told == {
        "replayed": [new[0]["call_id"], new[1]["call_id"]],
        "edited": [new[2]["call_id"]],
        "new": [new[3]["call_id"]],
        "missing": [old[1]["call_id"], old[4]["call_id"]],
        "reordered": [new[1]["call_id"]],
    }
    assert client.get(f"/api/v1/runs/{before}/diff/{uuid.uuid4()}").status_code == 404
    listed = client.get(f"/api/v1/runs/{after}/calls").json()
    assert [each["edited"] for each in listed] == [False, False, True, False]
    assert client.get(f"/api/v1/runs/{after}/calls/{listed[2]['key']}").json()["edited"] is True
