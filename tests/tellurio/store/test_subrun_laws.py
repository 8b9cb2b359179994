"""Laws of a recording's journals: however they are cut into batches, mixed and sent again, the same comes out."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tellurio.store import Store
from tellurio.store.calls import calls, cost
from tellurio.store.runs import run as run_of
from tellurio.store.runs import subruns, with_parts
from tests.tellurio.store.journal import call_record, line, new_run, send

Dict = dict[str, Any]
Record = tuple[str, Any]

PARTS = 3
"""Parts of a recording: the second is a part of the first."""

records = st.one_of(
    st.tuples(st.just("b"), st.integers(0, PARTS - 1)),
    st.tuples(
        st.just("c"),
        st.fixed_dictionaries(
            {
                "call": st.integers(0, 5),  # each is of one Run, and may be told of several times
                "attempts": st.integers(1, 3),
                "source": st.sampled_from(["live", "live", "log"]),
                "usd": st.sampled_from([None, "0.001", "0.25"]),
                "tokens": st.integers(0, 100),
            }
        ),
    ),
    st.tuples(st.just("s"), st.tuples(st.integers(0, PARTS - 1), st.sampled_from(["COMPLETED", "CRASHED"]))),
)
journals = st.lists(st.lists(records, max_size=12), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("store")) as store:
        yield store


class Told:
    """A recording, and its journals as lines."""

    def __init__(self, store: Store, journals: list[list[Record]]) -> None:
        self.run = new_run(store, kind="recording", command={"argv": ["a.py"]})
        self.parts = [str(uuid.uuid4()) for _ in range(PARTS)]
        self.ids = [str(uuid.uuid4()) for _ in range(6)]
        self.best: dict[int, Dict] = {}
        self.lines = [[self._line(n, *record) for n, record in enumerate(each, 1)] for each in journals]
        self.clients = [str(uuid.uuid4()) for _ in journals]

    def _line(self, n: int, kind: str, about: Any) -> bytes:
        if kind == "b":
            parent = self.parts[0] if about == 1 else self.run["id"]
            run = {"id": self.parts[about], "kind": "subrun", "name": f"part {about}", "parent_id": parent}
            return line(n, "b", run=run)
        if kind == "s":
            return line(n, "s", status=about[1], r=self.parts[about[0]])
        record = call_record(
            call_id=self.ids[about["call"]],
            attempts=about["attempts"],
            source=about["source"],
            usage={"input_tokens": about["tokens"], "output_tokens": 1},
            cost={"usd": about["usd"]},
        )
        where = about["call"] % (PARTS + 1)
        return line(n, "c", record=record, **({} if where == PARTS else {"r": self.parts[where]}))


def deliver(store: Store, told: Told, data: st.DataObject) -> list[tuple[int, int, int]]:
    """Send the journals in batches, in any order among them, some of them twice; returns what was sent."""
    at = [0] * len(told.lines)
    sent = []
    while any(place < len(lines) for place, lines in zip(at, told.lines, strict=True)):
        which = data.draw(st.sampled_from([n for n, place in enumerate(at) if place < len(told.lines[n])]))
        size = data.draw(st.integers(1, 5))
        back = data.draw(st.integers(0, min(2, at[which])))  # sent again from there
        first, end = at[which] - back, min(at[which] + size, len(told.lines[which]))
        send(store, told.run, told.lines[which][first:end], first + 1, client=told.clients[which])
        sent.append((which, first, end))
        at[which] = end
    return sent


def state(store: Store, told: Told) -> Dict:
    """What is stored of all its Runs, without keys and times."""
    found: Dict = {}
    for name, id in [("root", told.run["id"]), *((str(n), id) for n, id in enumerate(told.parts))]:
        run = store.read(run_of, id)
        if run is not None:
            rows = store.read(calls, run["key"])
            told_of = sorted((told.ids.index(row["call_id"]), row["attempts"]) for row in rows)
            found[name] = {"calls": told_of, "status": run["status"], "kind": run["kind"]}
    return found


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(journals, st.data())
def test_sums_are_those_of_the_calls_and_each_call_is_there_once(
    store: Store, journals: list[list[Record]], data: st.DataObject
) -> None:
    told = Told(store, journals)
    deliver(store, told, data)
    most: dict[int, int] = {}
    for kind, about in (record for each in journals for record in each):
        if kind == "c":
            most[about["call"]] = max(about["attempts"], most.get(about["call"], 0))
    there = [pair for run in state(store, told).values() for pair in run["calls"]]
    assert sorted(there) == sorted(most.items())
    whole = {"calls": 0, "reused": 0}
    for id in (told.run["id"], *told.parts):
        run = store.read(run_of, id)
        if run is None:
            continue
        sums, counted = run["cost"], store.read(cost, run["key"])["total"]
        assert {name: sums[name] for name in sums} == {name: counted[name] for name in sums}
        whole = {name: whole[name] + sums[name] for name in whole}
    parts, together = store.read(with_parts, told.run["key"])
    assert parts == len(store.read(subruns, told.run["id"]))
    assert {name: together[name] for name in whole} == whole


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(records, max_size=20), st.data())
def test_how_a_journal_is_cut_into_batches_changes_nothing(
    store: Store, journal: list[Record], data: st.DataObject
) -> None:
    whole, cut = Told(store, [journal]), Told(store, [journal])
    if journal:
        send(store, whole.run, whole.lines[0], 1, client=whole.clients[0])
    deliver(store, cut, data)
    assert state(store, whole) == state(store, cut)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(journals, st.sampled_from(["COMPLETED", "CRASHED", "FAILED"]), st.data())
def test_nothing_goes_on_when_the_recording_has_ended(
    store: Store, journals: list[list[Record]], status: str, data: st.DataObject
) -> None:
    told = Told(store, journals)
    late = data.draw(st.integers(0, len(journals) - 1))  # a journal that comes after the end
    early = Told.__new__(Told)
    early.__dict__.update(told.__dict__)
    early.lines = [[] if n == late else lines for n, lines in enumerate(told.lines)]
    deliver(store, early, data)
    send(store, told.run, [line(1, "s", status=status)], 1, client=str(uuid.uuid4()))
    told.lines = [lines if n == late else [] for n, lines in enumerate(told.lines)]
    deliver(store, told, data)
    found = state(store, told)
    assert found["root"]["status"] == status
    assert {name: run for name, run in found.items() if run["status"] == "RUNNING"} == {}


def test_money_is_exact(store: Store) -> None:
    told = Told(store, [[("c", {"call": 3, "attempts": 1, "source": "live", "usd": "0.001", "tokens": 1})]])
    send(store, told.run, told.lines[0], 1, client=told.clients[0])
    assert Decimal(store.read(with_parts, told.run["key"])[1]["usd"]) == Decimal("0.001")
