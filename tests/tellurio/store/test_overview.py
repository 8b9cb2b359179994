"""A recording seen as a whole: sums are those of what is in it, and many parts cost no more statements than few."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, event

from tellurio.store import Store
from tellurio.store.edges import behind_in, family, graph, settle
from tellurio.store.overview import overview
from tellurio.store.runs import make_run, with_parts
from tests.tellurio.store.journal import line, new_run, send
from tests.tellurio.store.test_subruns import begin, recorded

Dict = dict[str, Any]


def of_parts(store: Store, count: int) -> Dict:
    """A recording with parts, each in the one before it but every third; each with a call, and a Run of afnio."""
    root = new_run(store, kind="recording", command={"argv": ["agent.py"]})
    ids = [str(uuid.uuid4()) for _ in range(count)]
    lines: list[bytes] = []
    for number, id in enumerate(ids):
        parent = root["id"] if number % 3 == 0 else ids[number - 1]
        lines.append(begin(len(lines) + 1, id, parent))
        lines.append(line(len(lines) + 1, "c", record=recorded(), r=id))
        lines.append(line(len(lines) + 1, "e", kind="log", data={"entry": number, "success": number % 2 == 0}, r=id))
    send(store, root, lines)
    own = store.write(make_run, root["project_id"], root["user"]["id"], id=str(uuid.uuid4()), parent_id=ids[0])
    send(store, own, [line(1, "c", record=recorded())])
    return root


def statements(store: Store, work: Any, run: Dict) -> tuple[int, Any]:
    """How many statements it takes, and what it gives."""
    told = []

    def count(c: Connection, *_: Any) -> None:
        told.append(c)

    def counted(c: Connection) -> Any:
        event.listen(c, "before_cursor_execute", count)
        try:
            return work(c, run["key"])
        finally:
            event.remove(c, "before_cursor_execute", count)

    found = store.read(counted)
    return len(told), found


@pytest.mark.parametrize("work", [graph, family, overview])
def test_a_recording_of_many_parts_takes_as_many_statements_as_one_of_few(store: Store, work: Any) -> None:
    few, many = (statements(store, work, of_parts(store, count))[0] for count in (2, 40))
    assert many == few


def test_each_part_has_the_sums_of_what_is_in_it(store: Store) -> None:
    root = of_parts(store, 7)
    told = store.read(family, root["key"])
    assert told is not None
    assert [(run["kind"], run["calls"]) for run in told["parts"]] == [
        *(("subrun", calls) for calls in (4, 2, 1, 3, 2, 1, 1)),
        ("run", 1),
    ]
    assert told["run"]["calls"] == 8
    _, sums = store.read(with_parts, root["key"])
    assert (sums["calls"], sums["usd"]) == (8, told["run"]["cost"])
    highest = [told["parts"][number]["cost"] for number in (0, 3, 6)]
    assert sum(map(Decimal, highest)) == Decimal(told["run"]["cost"])


def test_an_overview_counts_all_that_is_in_it(store: Store) -> None:
    root = of_parts(store, 5)
    told = store.read(overview, root["key"])
    assert told is not None
    assert [model["calls"] for model in told["models"]] == [6]
    assert (told["noted"], [note["entry"] for note in told["notes"]]) == (5, [0, 1, 2, 3, 4])
    assert sum(marks["passed"] for marks in told["marks"]) == 3
    assert told["command"]["argv"] == ["agent.py"]
    assert store.read(overview, 0) is None


def test_one_call_of_a_part_has_no_edges_to_be_found(store: Store) -> None:
    root = of_parts(store, 3)
    told = store.read(family, root["key"])
    assert told is not None
    parts = [run["id"] for run in told["parts"]]
    assert len(store.read(behind_in, root["id"])) == 4
    assert store.write(settle, [root["id"], *parts]) == set(parts[:3])  # not the Run of afnio: somebody may ask
    assert len(store.read(behind_in, root["id"])) == 1
    send(store, root, [line(n, "c", record=recorded(), r=parts[0]) for n in (10, 11)], first=10)
    assert store.write(settle, parts) == set()  # it has more now
    assert len(store.read(behind_in, root["id"])) == 2
