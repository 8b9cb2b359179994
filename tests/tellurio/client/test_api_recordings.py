"""``te.Api()`` on recordings: the same facts that ``ao-tool`` prints, as objects."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from afnio.errors import ServerError
from tellurio.client.api import Api
from tellurio.client.graphs import CallEdge, Difference
from tellurio.client.http import Client
from tests.tellurio.running import ServerProcess
from tests.tellurio.server.test_recordings import ANSWER, call, recorded


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("home"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def api(server: ServerProcess) -> Api:
    return Api(Client(server.url, server.key))


@pytest.fixture(scope="module")
def calls() -> list[dict[str, Any]]:
    cost = {"usd": "0.25"}
    return [
        call("What did you see?", ANSWER, 1000.0, cost=cost),
        call(f"Shorten this: {ANSWER}", "Mould.", 1001.0, cost=cost),
        call("Hello there", "Good day", 1002.0, cost=cost),
    ]


@pytest.fixture(scope="module")
def run_id(server: ServerProcess, calls: list[dict[str, Any]]) -> str:
    return recorded(server, calls[:2], calls[2:], name="watcher")


def test_a_recording_is_found_by_any_of_its_names(api: Api, run_id: str) -> None:
    for name in (run_id, run_id[:8], "watcher", "last"):
        assert api.recording(name).id == run_id
    assert [run.id for run in api.recordings(limit=1)] == [run_id]
    with pytest.raises(ServerError, match="nothing like that"):
        api.recording("nothing like that")


def test_kind_parent_and_children(api: Api, run_id: str) -> None:
    run = api.run(run_id)
    assert (run.kind, run.parent, run.status) == ("recording", None, "COMPLETED")
    (part,) = run.children
    assert (part.kind, part.name, part.parent_id) == ("subrun", "part", run_id)
    assert part.parent is not None
    assert part.parent.id == run_id
    assert (run.cost["usd"], run.whole_cost()["usd"], run.whole_cost()["calls"]) == (Decimal("0.5"), Decimal("0.75"), 3)


def test_the_graph_has_calls_and_edges(api: Api, run_id: str, calls: list[dict[str, Any]]) -> None:
    run = api.run(run_id)
    graph = run.graph()
    assert [node.id for node in graph.calls] == [each["call_id"] for each in calls]
    first = graph.calls[0]
    assert (first.index, first.run, first.status, first.cached, first.cost) == (0, run_id, "ok", False, Decimal("0.25"))
    assert first.input == calls[0]["request"]
    assert first.output == calls[0]["response"]
    assert (first.finished - first.started).total_seconds() == 0.5
    (edge,) = graph.edges
    assert isinstance(edge, CallEdge)
    assert (edge.source, edge.target, edge.kind, edge.weak) == (
        calls[0]["call_id"],
        calls[1]["call_id"],
        "content",
        False,
    )
    assert edge.spans[0]["to"]["path"] == "/messages/0/content"
    assert run.edges() == graph.edges
    assert graph.complete
    assert graph.children == [part.id for part in run.children]
    assert run.graph(bodies=False).calls[0].input is None


def test_edits_make_a_draft(api: Api, run_id: str, calls: list[dict[str, Any]]) -> None:
    run = api.run(run_id)
    draft = run.edit(calls[0]["call_id"], "output", "choices.0.message.content", "Nothing.")
    assert (draft.status, draft.kind, draft.parent_id) == ("DRAFT", "rerun", run_id)
    assert draft.edit(calls[1]["call_id"], "input", "/messages/0", remove=True).id == draft.id
    first, second = draft.edits()
    assert (first.call, first.field, first.path) == (calls[0]["call_id"], "output", "/choices/0/message/content")
    assert (first.value, first.removed, second.removed) == ("Nothing.", False, True)
    assert run.edits() == []
    with pytest.raises(ServerError, match="leads nowhere"):
        run.edit(calls[0]["call_id"], "output", "/choices/7/message", 1)
    with pytest.raises(ServerError, match="has no|no call|There is no"):
        run.edit("nothing", "output", "", 1)


def test_the_difference_of_two_runs(api: Api, server: ServerProcess, run_id: str, calls: list[dict[str, Any]]) -> None:
    again = [
        call("What did you see?", ANSWER, 2000.0, replayed_from=calls[0]["call_id"], source="log"),
        call("Something else", "Well.", 2001.0),
    ]
    other = api.run(recorded(server, again, kind="rerun", parent_id=run_id))
    assert api.run(run_id).diff(other) == Difference(
        replayed=[again[0]["call_id"]],
        edited=[],
        new=[again[1]["call_id"]],
        missing=[each["call_id"] for each in calls[1:]],
        reordered=[],
    )


def test_what_cannot_be_stopped_or_run_again_says_why(api: Api, run_id: str) -> None:
    run = api.run(run_id)
    with pytest.raises(ServerError, match="does not run on this machine"):
        run.stop()
    with pytest.raises(ServerError, match="env: 'PATH' may not be set"):
        run.rerun({"PATH": "/tmp"})
    with pytest.raises(ServerError):
        api.run(str(uuid.uuid4()))
