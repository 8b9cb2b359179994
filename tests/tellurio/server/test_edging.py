"""Edges are worked out once, whoever asks for them and how often, and for nobody's sake when they are known."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from sqlalchemy import text

from tellurio.server.edging import Edging
from tellurio.server.live import Hub
from tellurio.store.edges import graph, settle
from tests.tellurio.server.lab import House, Visitor, line, new_run
from tests.tellurio.server.test_recordings import ANSWER, call


def told(owner: Visitor, calls: list[dict[str, Any]], kind: str = "run") -> dict[str, Any]:
    owner.json("POST", "/api/v1/namespaces", json={"slug": "ours"})
    owner.json("POST", "/api/v1/namespaces/ours/projects", json={"display_name": "Agents"})
    run = new_run(owner, "ours", "agents", kind=kind)
    lines = [line(n, "c", record=each) for n, each in enumerate(calls, 1)]
    owner.json("POST", f"/api/v1/runs/{run['id']}/journal?client=c&first=1", content=b"".join(lines))
    return run


def chain(length: int) -> list[dict[str, Any]]:
    return [call(f"{n}: {ANSWER} {n}" if n else "Go", f"{ANSWER} {n}", 1000.0 + n) for n in range(length)]


def key_of(home: House, run: dict[str, Any]) -> int:
    return home.store.read(lambda c: int(c.execute(text("SELECT key FROM runs WHERE id = :id"), run).scalar() or 0))


def test_a_run_whose_edges_are_known_needs_no_index(home: House, owner: Visitor) -> None:
    run = told(owner, chain(5))
    known = owner.json("GET", f"/api/v1/runs/{run['id']}/graph")
    assert len(known["edges"]) > 0
    fresh = Edging(home.store, Hub())  # as after a restart
    asyncio.run(fresh.catch_up(run["id"]))
    assert len(fresh._indices) == 0
    assert owner.json("GET", f"/api/v1/runs/{run['id']}/graph") == known


def test_many_who_ask_at_once_get_the_same_edges(home: House, owner: Visitor) -> None:
    run = told(owner, chain(40))
    edging, key = Edging(home.store, Hub()), key_of(home, run)
    ready = threading.Barrier(6)

    def ask() -> None:
        ready.wait()
        edging._index(run["id"])

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = home.store.read(graph, key)
    assert found is not None
    assert found["complete"]
    pairs = [(edge["from"], edge["to"]) for edge in found["edges"]]
    assert len(pairs) == len(set(pairs)) >= 39


def test_a_graph_that_is_not_complete_says_so(home: House, owner: Visitor) -> None:
    run = told(owner, chain(3))
    key = key_of(home, run)
    before = home.store.read(graph, key)
    assert before is not None
    assert (before["complete"], before["edges"], len(before["calls"])) == (False, [], 3)
    assert owner.json("GET", f"/api/v1/runs/{run['id']}/graph")["complete"]


def test_a_second_call_has_its_edge_from_one_that_stood_alone(home: House, owner: Visitor) -> None:
    run = told(owner, chain(1), kind="recording")
    edging = Edging(home.store, Hub())
    home.store.write(settle, [run["id"]])  # unless the server has done it
    more = line(2, "c", record=chain(2)[1])
    owner.json("POST", f"/api/v1/runs/{run['id']}/journal?client=c&first=2", content=more)
    asyncio.run(edging.catch_up(run["id"]))
    found = home.store.read(graph, key_of(home, run))
    assert found is not None
    assert (len(found["calls"]), len(found["edges"]), found["complete"]) == (2, 1, True)
