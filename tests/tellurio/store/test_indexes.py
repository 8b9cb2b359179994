"""No statement of the store's hot paths and pages reads a table from end to end."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, event

from tellurio.store import Store
from tellurio.store.artifacts import artifact, artifacts
from tellurio.store.blobs import note_blob
from tellurio.store.budgets import budget
from tellurio.store.calls import call, calls, cost
from tellurio.store.edges import Stored, add_edges, family, graph, uncounted
from tellurio.store.edits import edits
from tellurio.store.events import events
from tellurio.store.ingest import ingest
from tellurio.store.metrics import last_values, metric, metric_names, texts
from tellurio.store.prompts import prompts
from tellurio.store.recordings import diff, recorded_calls
from tellurio.store.runs import run_by_key, with_parts
from tests.tellurio.store.journal import call_record, line, new_run, point, send


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for all tests here: each has a Run of its own."""
    with Store.open(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def run(store: Store) -> dict[str, Any]:
    return new_run(store)


EDGE = Stored(1, 1, "content", 1.0, False, False, [])
PROMPT = {"parameter": "p", "role": "r", "before": "A", "after": "B"}
FILE = {"path": "x", "sha256": "ab" * 32, "size": 1}
LINES = [
    point(1),
    line(2, "v", name="x", type="text", v="x"),
    line(3, "c", record=call_record()),
    line(4, "e", kind="fit_start", data={"prompts": {"p": "A"}}),
    line(5, "e", kind="prompt", data=PROMPT),
    line(6, "e", kind="gate", data={"status": "kept", "before": 0, "after": 1, "updates": [PROMPT]}),
    line(7, "a", name="x", kind="file", files=[FILE]),
    line(8, "s", status="COMPLETED"),
]
WORK: dict[str, Any] = {
    "a journal": lambda c, run_key: ingest(c, run_key, str(uuid.uuid4()), 1, LINES),
    "metrics": metric_names,
    "points": partial(metric, name="loss"),
    "buckets": partial(metric, name="loss", buckets=5),
    "buckets of the rest": partial(metric, name="loss", buckets=5, after=0),
    "last values": lambda c, run_key: last_values(c, [run_key, run_key + 1], ["loss", "acc"]),
    "texts": texts,
    "texts of a name": partial(texts, name="x", after=1),
    "calls": calls,
    "calls of a role": partial(calls, role="critic", model="m", after=1),
    "the newest calls": partial(calls, newest=True, before=9),
    "the budget": lambda c, run_key: budget(c, run_key, 0.0),
    "a call": partial(call, key=1),
    "the cost": cost,
    "the sums with those of its parts": with_parts,
    "the graph": graph,
    "the parts": family,
    "calls whose edges are not known": partial(uncounted, after=0, limit=9),
    "an edge": partial(add_edges, edges=[EDGE], upto=9),
    "edits": edits,
    "what another run needs": lambda c, run_key: list(recorded_calls(c, run_of(c, run_key))),
    "a difference": lambda c, run_key: diff(c, run_by_key(c, run_key) or {}, run_by_key(c, run_key) or {}),
    "prompts": prompts,
    "events": events,
    "events of a kind": partial(events, kind="gate", after=1),
    "artifacts": artifacts,
    "an artifact": partial(artifact, name="x"),
    "a version": partial(artifact, name="x", version=0),
}


def run_of(c: Connection, run_key: int) -> str:
    run = run_by_key(c, run_key)
    assert run is not None
    return str(run["id"])


@pytest.mark.parametrize("name", WORK)
def test_every_search_has_an_index(store: Store, run: dict[str, Any], name: str) -> None:
    store.write(note_blob, FILE["sha256"], FILE["size"], 0.0)
    send(store, run, LINES[:1])
    plans: dict[str, list[str]] = {}

    def explained(c: Connection) -> None:
        statements: list[tuple[str, Any]] = []

        def note(_c: object, _cursor: object, statement: str, parameters: Any, _context: object, many: bool) -> None:
            statements.append((statement, parameters[0] if many else parameters))

        event.listen(c, "before_cursor_execute", note)
        WORK[name](c, run["key"])
        event.remove(c, "before_cursor_execute", note)
        for statement, parameters in statements:
            plans[statement] = [row[3] for row in c.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]

    store.write(explained)
    assert plans
    scans = {
        sql: [step for step in plan if step.startswith("SCAN") and step not in ("SCAN tree", "SCAN whole")]
        for sql, plan in plans.items()
    }
    # The tree of parts, and the whole it is with its root, are what the statement itself has found.
    assert {sql: plan for sql, plan in scans.items() if plan} == {}
