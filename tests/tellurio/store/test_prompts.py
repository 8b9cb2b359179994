"""From what a training tells, each parameter's versions: what was tried, why, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tellurio.store import Store
from tellurio.store.events import events
from tellurio.store.prompts import prompts
from tests.tellurio.store.journal import line, new_run, send


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for all tests here: each has a Run of its own."""
    with Store.open(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def run(store: Store) -> dict[str, Any]:
    return new_run(store)


class Teller:
    """Sends events as a client's journal does, each in a batch of its own and twice."""

    def __init__(self, store: Store, run: dict[str, Any]) -> None:
        self.store, self.run, self.n = store, run, 0

    def tell(self, kind: str, **data: Any) -> None:
        self.n += 1
        for _ in range(2):
            send(self.store, self.run, [line(self.n, "e", kind=kind, data=data)], self.n)

    def start(self, **values: Any) -> None:
        self.tell("fit_start", prompts=values, roles={name: f"role of {name}" for name in values}, step=0)

    def propose(self, parameter: str, before: Any, after: Any, **more: Any) -> None:
        self.tell("prompt", parameter=parameter, role=f"role of {parameter}", before=before, after=after, **more)

    def judge(self, status: str, before: Any, after: Any, *updates: tuple[str, Any, Any]) -> None:
        told = [{"parameter": name, "role": "", "before": old, "after": new} for name, old, new in updates]
        self.tell("gate", status=status, before=before, after=after, updates=told, step=1)

    def versions(self, parameter: str = "p") -> list[tuple[int, Any, str]]:
        found = self.store.read(prompts, self.run["key"])
        return [(row["version"], row["value"], row["status"]) for row in found if row["parameter"] == parameter]

    def scores(self) -> list[tuple[Any, Any]]:
        return [(row["score_before"], row["score_after"]) for row in self.store.read(prompts, self.run["key"])]


@pytest.fixture
def told(store: Store, run: dict[str, Any]) -> Teller:
    return Teller(store, run)


def test_a_fit_begins_with_version_0(told: Teller) -> None:
    told.start(p="A", q="X")
    (p, q) = told.store.read(prompts, told.run["key"])
    assert p == {
        "key": p["key"],
        "parameter": "p",
        "role": "role of p",
        "version": 0,
        "value": "A",
        "status": "initial",
        "reasoning": "",
        "gradients": [],
        "score_before": None,
        "score_after": None,
        "step": 0,
        "time": 1001.0,
    }
    assert (q["parameter"], q["version"], q["value"]) == ("q", 0, "X")


def test_a_proposal_comes_with_its_reasons_and_gets_its_verdict(told: Teller) -> None:
    told.start(p="A")
    gradients = [{"text": "Name the urgency.", "samples": [3, 5]}]
    told.propose("p", "A", "B", reasoning="It was vague.", gradients=gradients, step=7)
    assert told.versions() == [(0, "A", "initial"), (1, "B", "proposed")]
    told.judge("kept", 0.25, 0.75, ("p", "A", "B"))
    row = told.store.read(prompts, told.run["key"])[1]
    assert (row["status"], row["score_before"], row["score_after"]) == ("kept", 0.25, 0.75)
    assert (row["reasoning"], row["gradients"], row["step"]) == ("It was vague.", gradients, 7)


def test_what_was_undone_and_proposed_again_is_another_version(told: Teller) -> None:
    told.start(p="A")
    told.propose("p", "A", "B")
    told.judge("undone", 0.5, 0.1, ("p", "A", "B"))
    told.propose("p", "A", "B")
    assert told.versions() == [(0, "A", "initial"), (1, "B", "undone"), (2, "B", "proposed")]
    told.judge("kept", 0.5, 0.6, ("p", "A", "B"))
    assert told.versions() == [(0, "A", "initial"), (1, "B", "undone"), (2, "B", "kept")]
    assert told.scores() == [(None, None), (0.5, 0.1), (0.5, 0.6)]


def test_two_proposals_for_one_batch_are_judged_each(told: Teller) -> None:
    told.start(p="A")
    for value, status in (("B", "undone"), ("C", "kept")):
        told.propose("p", "A", value)
        told.judge(status, 0.5, 0.5, ("p", "A", value))
    assert told.versions() == [(0, "A", "initial"), (1, "B", "undone"), (2, "C", "kept")]


def test_a_way_back_to_an_earlier_value_is_a_version_too(told: Teller) -> None:
    told.start(p="A")
    told.propose("p", "A", "B")
    told.judge("kept", 0, 1, ("p", "A", "B"))
    told.propose("p", "B", "A")
    told.judge("kept", 1, 2, ("p", "B", "A"))
    assert told.versions() == [(0, "A", "initial"), (1, "B", "kept"), (2, "A", "kept")]


def test_one_verdict_judges_several_parameters_and_no_other(told: Teller) -> None:
    told.start(p="A", q="A", r="A")
    for name in "pqr":
        told.propose(name, "A", "B")
    told.judge("undone", 1, 0, ("p", "A", "B"), ("q", "A", "B"))
    assert [told.versions(name)[1][2] for name in "pqr"] == ["undone", "undone", "proposed"]


def test_a_second_fit_goes_on_where_the_first_ended(told: Teller) -> None:
    told.start(p="A")
    told.propose("p", "A", "B")
    told.judge("kept", 0, 1, ("p", "A", "B"))
    told.start(p="B")  # the same agent, trained on
    told.start(p="A")  # a fresh one
    assert told.versions() == [(0, "A", "initial"), (1, "B", "kept")]
    told.start(p="by hand")
    told.propose("p", "by hand", "C")
    assert told.versions()[2:] == [(2, "by hand", "initial"), (3, "C", "proposed")]


def test_without_a_fit_the_value_before_is_version_0(told: Teller) -> None:
    told.propose("p", "A", "B")
    told.propose("p", "B", "C")
    assert told.versions() == [(0, "A", "initial"), (1, "B", "proposed"), (2, "C", "proposed")]


def test_a_parameter_without_a_name_is_called_by_its_role(told: Teller) -> None:
    told.tell("prompt", role="instruction", before="A", after="B")
    told.tell("gate", status="kept", before=0, after=1, updates=[{"role": "instruction", "before": "A", "after": "B"}])
    assert told.versions("instruction") == [(0, "A", "initial"), (1, "B", "kept")]


def test_an_update_that_changes_nothing_is_no_version(told: Teller) -> None:
    told.start(p="A")
    told.propose("p", "A", "A")
    assert told.versions() == [(0, "A", "initial")]


def test_what_nobody_proposed_cannot_be_judged(told: Teller) -> None:
    told.start(p="A")
    told.judge("kept", 0, 1, ("p", "A", "B"), ("unknown", "A", "B"))
    told.propose("p", "A", "B")
    told.judge("kept", 0, 1, ("p", "A", "B"))
    told.judge("undone", 1, 0, ("p", "A", "B"))  # judged already
    assert told.versions() == [(0, "A", "initial"), (1, "B", "kept")]


def test_what_was_taken_back_unjudged_has_no_scores(told: Teller) -> None:
    told.start(p="A")
    told.propose("p", "A", "B")
    told.judge("undone", None, None, ("p", "A", "B"))
    assert told.versions()[1] == (1, "B", "undone")
    assert told.scores()[1] == (None, None)


def test_scores_may_be_no_numbers(told: Teller) -> None:
    told.start(p="A")
    told.propose("p", "A", "B")
    told.judge("undone", "-inf", "nan", ("p", "A", "B"))
    assert told.scores()[1] == ("-inf", None)


@pytest.mark.parametrize("value", ["", "a\0b 精度 🎯", ["system", "user"], {"b": 1, "a": [2]}, None, 7])
def test_a_value_may_be_any_json(told: Teller, value: Any) -> None:
    told.start(p=value)
    told.propose("p", value, [value])
    told.judge("kept", 0, 1, ("p", value, [value]))
    assert told.versions() == [(0, value, "initial"), (1, [value], "kept")]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("fit_start", {}),
        ("fit_start", {"prompts": ["A"]}),
        ("prompt", {}),
        ("prompt", {"parameter": "p"}),
        ("prompt", {"parameter": 7, "after": "B"}),
        ("gate", {"status": "maybe", "updates": []}),
        ("gate", {"status": "kept"}),
        ("gate", {"status": "kept", "updates": ["p", {}, {"parameter": "p"}]}),
        ("prompts", {"prompts": {"p": "A"}}),
    ],
)
def test_an_event_of_another_shape_is_kept_and_is_no_prompt(told: Teller, kind: str, data: dict[str, Any]) -> None:
    told.tell(kind, **data)
    assert told.store.read(prompts, told.run["key"]) == []
    (event,) = told.store.read(events, told.run["key"])
    assert (event["kind"], event["data"], event["time"]) == (kind, data, 1001.0)


def test_events_are_read_by_kind_and_page_by_page(told: Teller) -> None:
    for n in range(6):
        told.tell("even" if n % 2 == 0 else "odd", n=n)
    key = told.run["key"]
    found = told.store.read(events, key, "odd")
    assert [row["data"]["n"] for row in found] == [1, 3, 5]

    def page(c: Any) -> list[dict[str, Any]]:
        return events(c, key, after=found[0]["key"], limit=2)

    assert [row["data"]["n"] for row in told.store.read(page)] == [2, 3]
