"""Runs: names, the law of their states, and the listing."""

from __future__ import annotations

import math
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import Connection, event, insert, update

from tellurio.store import Store
from tellurio.store import tables as t
from tellurio.store.listing import FIELDS, OPERATORS
from tellurio.store.names import numbered, random_name, slugify
from tellurio.store.projects import make_namespace, make_project
from tellurio.store.runs import (
    ENDS,
    beat,
    delete_run,
    end_run,
    expire_runs,
    make_run,
    run_by_key,
    run_by_slug,
    runs,
    update_run,
)
from tellurio.store.runs import run as run_by_id
from tellurio.store.users import make_user
from tellurio.store.words import ADJECTIVES, FOODS

Dict = dict[str, Any]


def new_run(store: Store, project: Dict, user: Dict, **values: Any) -> Dict:
    return store.write(make_run, project["id"], user["id"], **{"id": str(uuid.uuid4()), **values})


# Names


def test_there_are_words_enough_and_each_is_one() -> None:
    for words in (ADJECTIVES, FOODS):
        assert len(words) >= 150
        assert len(set(words)) == len(words)
        assert all(re.fullmatch("[a-z]+", word) for word in words)


def test_a_name_is_an_adjective_a_food_and_a_number(store: Store, project: Dict, user: Dict) -> None:
    made = [new_run(store, project, user) for _ in range(20)]
    assert all(re.fullmatch(r"[a-z]+_[a-z]+_[1-9][0-9]{0,2}", run["name"]) for run in made)
    assert all(run["slug"] == run["name"].replace("_", "-") for run in made)
    assert len({random_name() for _ in range(1000)}) > 990


def test_a_taken_name_gets_a_number(store: Store, project: Dict, user: Dict) -> None:
    names = ["base line", "base line", "base-line", "Base_Line!", "base line_1", "日本", "実験", "x" * 200, "x" * 200]
    made = [new_run(store, project, user, name=name) for name in names]
    assert [run["name"] for run in made] == [
        *("base line", "base line_1", "base-line_2", "Base_Line!_3", "base line_1_1", "日本", "実験_1"),
        *("x" * 200, "x" * 200 + "_1"),
    ]
    assert [run["slug"] for run in made] == [
        *("base-line", "base-line-1", "base-line-2", "base-line-3", "base-line-1-1", "run", "run-1"),
        *("x" * 100, "x" * 98 + "-1"),
    ]


def test_names_are_the_projects_own(store: Store, project: Dict, user: Dict) -> None:
    other = store.write(make_project, "alice", "Other", "TEAM", user["id"])
    assert [new_run(store, place, user, name="a")["slug"] for place in (project, other)] == ["a", "a"]


@given(st.sets(st.integers(1, 60)))
def test_numbered_finds_a_free_name(numbers: set[int]) -> None:
    taken = {"a", *(f"a_{number}" for number in numbers)}
    asked: list[str] = []

    def is_taken(name: str) -> bool:
        asked.append(name)
        return name in taken

    found = numbered("a", is_taken)
    assert re.fullmatch("a_[0-9]+", found)
    assert found not in taken
    assert len(asked) <= 16
    if numbers == set(range(1, len(numbers) + 1)):
        assert found == f"a_{len(numbers) + 1}"


@given(st.text())
def test_a_slug_is_fit_for_an_address(name: str) -> None:
    slug = slugify(name)
    assert re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*)?", slug)
    assert len(slug) <= 100
    assert slugify(slug) == slug


# A Run as it is made, found, changed and deleted


def test_a_new_run(store: Store, project: Dict, user: Dict) -> None:
    id = str(uuid.uuid4())
    values: Dict = {"description": "d", "config": {"lr": 0.1, "deep": {"x": [1, None]}}, "tags": ["b", "a", "b"]}
    values |= {"budget": {"usd": "1.5"}, "client": {"python": "3.12"}, "parent_id": str(uuid.uuid4())}
    made = new_run(store, project, user, id=id, name="First", **values)
    expected = {**values, "id": id, "name": "First", "slug": "first", "status": "RUNNING", "tags": ["b", "a"]}
    expected["kind"] = "run"
    expected |= {"project_id": project["id"], "project_slug": "tickets", "namespace_slug": "alice"}
    expected |= dict.fromkeys(("ended", "reason", "notes"))
    expected["user"] = {"id": user["id"], "username": "alice", "slug": "alice"}
    sums = dict.fromkeys(("calls", "reused", "input_tokens", "output_tokens", "unpriced"), 0)
    expected["cost"] = {"usd": "0", **sums}
    assert {name: made[name] for name in expected} == expected
    assert made["created"] == made["updated"] == made["heartbeat"]
    assert made.keys() == {*expected, "key", "created", "updated", "heartbeat"}
    assert store.read(run_by_id, id) == store.read(run_by_key, made["key"]) == made
    assert store.read(run_by_slug, project["id"], "first") == made
    assert store.read(runs, project["id"]) == {"runs": [made], "cursor": None, "total": 1}
    assert store.read(run_by_id, "x") is store.read(run_by_key, 99) is store.read(run_by_slug, "x", "first") is None


def test_the_same_id_again_is_the_same_run(store: Store, project: Dict, user: Dict, run: Dict) -> None:
    store.write(end_run, run["id"], "FAILED", by_client=True, now=time.time())
    again = new_run(store, project, user, id=run["id"].upper(), name="another name")
    assert again == store.read(run_by_id, run["id"])
    assert (again["name"], again["status"]) == (run["name"], "FAILED")
    other = store.write(make_project, "alice", "Other", "TEAM", user["id"])
    with pytest.raises(ValueError, match="is taken"):
        new_run(store, other, user, id=run["id"])


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"id": "7"}, "expected a UUID, got '7'"),
        ({"id": None}, "expected a UUID"),
        ({"parent_id": "../x"}, "expected a UUID"),
        ({"name": ""}, "a Run name of 1 to 200"),
        ({"name": "x" * 201}, "a Run name of 1 to 200"),
        ({"name": 7}, "a Run name of 1 to 200"),
        ({"description": 7}, "the description in words"),
        ({"config": [1]}, "config as an object"),
        ({"config": {"x": object()}}, "config as JSON has it"),
        ({"tags": "abc"}, "tags as a list of words"),
        ({"tags": [1]}, "tags as a list of words"),
        ({"lease": 0}, "a lease of up to 86400"),
        ({"lease": math.nan}, "a lease of up to 86400"),
    ],
)
def test_what_cannot_be_a_run(values: Dict, says: str, store: Store, project: Dict, user: Dict) -> None:
    with pytest.raises(ValueError, match=says):
        new_run(store, project, user, **values)


def test_a_run_changes_and_its_slug_stays(store: Store, run: Dict) -> None:
    changes: Dict = {"name": "New", "description": "d", "notes": "n", "tags": ["x"]}
    changed = store.write(update_run, run["id"], **changes)
    assert changed == {**run, **changes, "updated": changed["updated"]}
    assert store.write(update_run, run["id"], notes=None)["notes"] is None
    for wrong in ({"status": "FAILED"}, {"name": ""}, {"tags": "x"}, {"notes": 7}, {"slug": "x"}):
        with pytest.raises(ValueError, match="expected"):
            store.write(update_run, run["id"], **wrong)
    with pytest.raises(LookupError, match="no Run 'x'"):
        store.write(update_run, "x", name="y")


def test_deleting_a_run_leaves_its_children(store: Store, project: Dict, user: Dict, run: Dict) -> None:
    child = new_run(store, project, user, parent_id=run["id"])
    assert [each["id"] for each in store.read(runs, project["id"], parent_id=run["id"])["runs"]] == [child["id"]]
    store.write(metric, run["key"], "accuracy", 0.5)
    assert store.write(delete_run, run["id"]) == []
    assert store.read(run_by_id, run["id"]) is None
    assert (store.read(run_by_id, child["id"]) or {})["parent_id"] is None
    assert store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM metrics").scalar()) == 0


# The law of states


def test_silence_before_somebody_listened_does_not_count(store: Store, run: Dict) -> None:
    late = run["heartbeat"] + 1000
    assert store.write(expire_runs, late, since=late - 10) == []
    assert store.write(expire_runs, late + 21, since=late - 10) == [run["id"]]
    found = store.read(run_by_id, run["id"]) or {}
    assert (found["status"], found["reason"]) == ("CRASHED", "no sign of life for 1021 s")
    assert found["ended"] == run["heartbeat"]


def test_what_is_no_end_and_no_run(store: Store, run: Dict) -> None:
    for status in ("RUNNING", "running", "", "DONE"):
        with pytest.raises(ValueError, match="an end, COMPLETED, CRASHED, FAILED, got"):
            store.write(end_run, run["id"], status, by_client=True, now=1.0)
    with pytest.raises(LookupError, match="no Run 'x'"):
        store.write(end_run, "x", "FAILED", by_client=True, now=1.0)
    with pytest.raises(LookupError, match="no Run 'x'"):
        store.write(beat, "x", 1.0)


class States(RuleBasedStateMachine):
    """A Run beside a model of it, with everything that can happen to it in any order."""

    store: Store
    project: Dict
    user: Dict

    def __init__(self) -> None:
        super().__init__()
        made = new_run(self.store, self.project, self.user, lease=30.0)
        self.id = made["id"]
        self.now = self.heartbeat = made["heartbeat"]
        self.status, self.told = "RUNNING", False

    @rule(seconds=st.floats(0.1, 40))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def beats(self) -> None:
        self.heartbeat = self.now
        if self.status == "CRASHED" and not self.told:
            self.status = "RUNNING"
        assert self.store.write(beat, self.id, self.now) == self.status

    @rule(since=st.floats(0, 60))
    def the_sweeper_comes(self, since: float) -> None:
        since = self.now - since
        expired = self.status == "RUNNING" and max(self.heartbeat, since) + 30 < self.now
        assert (self.id in self.store.write(expire_runs, self.now, since)) == expired
        if expired:
            self.status = "CRASHED"

    @rule(status=st.sampled_from(ENDS))
    def the_client_ends_it(self, status: str) -> None:
        if not self.told:
            self.status, self.told = status, True
        assert self.store.write(end_run, self.id, status, by_client=True, now=self.now)["status"] == self.status

    @rule(status=st.sampled_from(ENDS))
    def the_server_guesses(self, status: str) -> None:
        if self.status == "RUNNING":
            self.status = status
        assert self.store.write(end_run, self.id, status, by_client=False, now=self.now)["status"] == self.status

    @precondition(lambda self: self.told)
    @rule(minutes=st.integers(1, 100))
    def an_end_that_was_told_is_final(self, minutes: int) -> None:
        before = self.store.read(run_by_id, self.id) or {}
        self.store.write(expire_runs, self.now + 60 * minutes, 0.0)
        self.store.write(beat, self.id, self.now)
        self.store.write(end_run, self.id, "FAILED", reason="late", by_client=True, now=self.now)
        self.heartbeat = self.now
        assert self.store.read(run_by_id, self.id) == {**before, "heartbeat": self.now}

    @invariant()
    def it_is_as_the_model(self) -> None:
        found = self.store.read(run_by_id, self.id) or {}
        assert (found["status"], found["heartbeat"]) == (self.status, self.heartbeat)
        assert (found["ended"] is None) == (self.status == "RUNNING")


def test_the_law_of_states(store: Store, project: Dict, user: Dict) -> None:
    class Here(States):
        pass

    Here.store, Here.project, Here.user = store, project, user
    run_state_machine_as_test(Here)


# The listing


def metric(c: Connection, run_key: int, name: str, last: float | None) -> None:
    row = {"run_key": run_key, "name": name, "count": 1, "last": last, "last_time": 0.0}
    c.execute(insert(t.metrics), row)


ACCURACIES = [0.5, None, 0.9, "none", 0.5, -math.inf, math.inf, 0.1, "none", 0.9]
"""Of the listed Runs, in the order they were made.  None is NaN; ``"none"``: no such metric."""


class Listed:
    """A project of ten Runs that differ in everything."""

    def __init__(self, store: Store) -> None:
        self.store = store
        user = store.write(make_user, "alice", "alice@example.org")
        other = store.write(make_user, "bob", "bob@example.org")
        store.write(make_namespace, "alice", "Alice", user["id"])
        self.project = store.write(make_project, "alice", "Tickets", "TEAM", user["id"])
        elsewhere = store.write(make_project, "alice", "Elsewhere", "TEAM", user["id"])
        self.made: list[Dict] = []
        for i, accuracy in enumerate(ACCURACIES):
            config = {"lr": i / 10, "model": {"name": "ab"[i % 2]}, "a.b": i, "flag": i % 2 == 0, "n": str(i)}
            tags = [["red"], ["green", "Red_x"], []][i % 3]
            values: Dict = {"name": f"run {i:02}", "config": config if i else {}, "tags": tags}
            run = new_run(store, self.project, user if i % 2 else other, **values)
            self.made.append(run)
            new_run(store, elsewhere, user)
            if accuracy != "none":
                store.write(metric, run["key"], "accuracy", accuracy)
            store.write(metric, run["key"], 'it\'s "odd" ; --', float(i))
            sums = {
                "usd_pico": i * 10**9,
                "calls": i,
                "created": 1000.0 + i,
                "ended": 1000.0 + 3 * i if i > 4 else None,
            }
            store.write(
                lambda c, key, sums: c.execute(update(t.runs).where(t.runs.c.key == key).values(sums)) and None,
                run["key"],
                sums,
            )

    def page(self, **asked: Any) -> Dict:
        return self.store.read(runs, self.project["id"], **asked)

    def numbers(self, **asked: Any) -> list[int]:
        return [int(run["name"][-2:]) for run in self.page(**asked)["runs"]]


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listed]:
    with Store.open(tmp_path_factory.mktemp("listed") / "store") as store:
        yield Listed(store)


@pytest.mark.parametrize(
    ("what", "operator", "value", "found"),
    [
        ("metrics.accuracy", ">", 0.5, [2, 6, 9]),
        ("metrics.accuracy", ">=", "0.5", [0, 2, 4, 6, 9]),
        ("metrics.accuracy", "=", 0.5, [0, 4]),
        ("metrics.accuracy", "!=", 0.5, [1, 2, 3, 5, 6, 7, 8, 9]),
        ("metrics.accuracy", "<", "inf", [0, 2, 4, 5, 7, 9]),
        ('metrics.it\'s "odd" ; --', "<=", 1, [0, 1]),
        ("metrics.nothing", ">", 0, []),
        ("config.lr", ">", "0.7", [8, 9]),
        ("config.lr", "=", 0.5, [5]),
        ("config.lr", "!=", 0.5, [0, 1, 2, 3, 4, 6, 7, 8, 9]),
        ("config.model.name", "=", "a", [2, 4, 6, 8]),
        ("config.model.name", "~", "B", [1, 3, 5, 7, 9]),
        ("config.a.b", "<", 3, [1, 2]),
        ("config.flag", "=", "true", [2, 4, 6, 8]),
        ("config.flag", "=", False, [1, 3, 5, 7, 9]),
        ("config.n", "=", "7", [7]),
        ("config.n", "=", 7, []),
        ("config.n", ">", 5, []),
        ("config.lr", "<", "x", []),
        ("config.nothing", "!=", "x", list(range(10))),
        ("tags", "=", "red", [0, 3, 6, 9]),
        ("tags", "!=", "red", [1, 2, 4, 5, 7, 8]),
        ("tags", "~", "RED", [0, 1, 3, 4, 6, 7, 9]),
        ("tags", "~", "_", [1, 4, 7]),
        ("cost", ">", "0.0079", [8, 9]),
        ("cost", "=", 0.003, [3]),
        ("calls", "<", 2, [0, 1]),
        ("name", "=", "run 03", [3]),
        ("name", "~", "N 0", list(range(10))),
        ("name", "~", "%", []),
        ("user", "=", "bob", [0, 2, 4, 6, 8]),
        ("status", "=", "RUNNING", list(range(10))),
        ("status", "!=", "RUNNING", []),
        ("created", "<", 1002, [0, 1]),
        ("created", "<", "1970-01-01T00:16:42", [0, 1]),
        ("created", "<", "1970-01-01T01:16:42+01:00", [0, 1]),
        ("created", ">", "1970-01-02", []),
        ("ended", ">", 0, [5, 6, 7, 8, 9]),
        ("ended", "!=", 1015, [0, 1, 2, 3, 4, 6, 7, 8, 9]),
        ("duration", "=", 14, [7]),
        ("notes", "!=", "x", list(range(10))),
    ],
)
def test_a_filter(what: str, operator: str, value: Any, found: list[int], listed: Listed) -> None:
    assert listed.numbers(filters=[(what, operator, value)], sort="created") == found
    assert listed.page(filters=[(what, operator, value)], limit=1)["total"] == len(found)


def test_filters_hold_together_with_status_and_search(listed: Listed) -> None:
    filters = [("metrics.accuracy", ">", 0.2), ('metrics.it\'s "odd" ; --', "<", 5), ("config.flag", "=", True)]
    assert listed.numbers(filters=filters, sort="name") == [2, 4]
    assert listed.numbers(filters=filters, search="RUN 04") == [4]
    assert listed.numbers(filters=filters, status="FAILED") == []
    assert listed.numbers(search="green 01") == [1]
    assert listed.numbers(search="100%") == []


def test_sorting(listed: Listed) -> None:
    assert listed.numbers() == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert listed.numbers(sort="metrics.accuracy") == [5, 7, 0, 4, 2, 9, 6, 1, 3, 8]
    assert listed.numbers(sort="-metrics.accuracy") == [6, 9, 2, 4, 0, 7, 5, 8, 3, 1]
    assert listed.numbers(sort="config.lr") == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert listed.numbers(sort="-config.model.name")[:6] == [9, 7, 5, 3, 1, 8]
    assert listed.numbers(sort="-cost")[:2] == [9, 8]


SORTS = [
    *("name", "status", "created", "updated", "ended", "cost", "duration", "user", "notes", "config.lr", "config.n"),
    *("config.model.name", "config.flag", "metrics.accuracy", "metrics.nothing"),
]


@given(st.sampled_from(SORTS), st.booleans(), st.integers(1, 4), st.booleans())
def test_pages_add_up_to_the_whole(listed: Listed, sort: str, down: bool, limit: int, filtered: bool) -> None:
    asked: Dict = {"sort": f"-{sort}" if down else sort, "filters": [("calls", ">", 2)] if filtered else []}
    whole = listed.numbers(**asked)
    pages, cursor = [], None
    while True:
        page = listed.page(limit=limit, cursor=cursor, **asked)
        assert page["total"] == len(whole)
        pages += [int(run["name"][-2:]) for run in page["runs"]]
        cursor = page["cursor"]
        if cursor is None:
            break
        assert len(page["runs"]) == limit
    assert pages == whole
    assert Counter(pages) == Counter(range(3 if filtered else 0, 10))


@given(
    st.sampled_from([*(field for field in FIELDS if "<" not in field), "metrics.accuracy", "config.lr", "config.n"]),
    st.sampled_from(["=", "~", "<", ">", "<=", ">="]),
    st.one_of(st.integers(-5, 12).map(str), st.floats(0, 1).map(str), st.sampled_from(["RUNNING", "red", "a", "true"])),
)
def test_not_equal_is_the_rest_of_equal_and_no_filter_finds_more(
    listed: Listed, what: str, operator: str, value: str
) -> None:
    try:
        found = set(listed.numbers(filters=[(what, operator, value)]))
    except ValueError:
        return
    assert found <= set(range(10))
    if operator == "=":
        assert set(listed.numbers(filters=[(what, "!=", value)])) == set(range(10)) - found


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"filters": [("speed", ">", 1)]}, r"the filter on 'speed': .*expected status, name, .*metrics\.<name>"),
        ({"filters": [("metrics.", ">", 1)]}, r"the filter on 'metrics\.': .*expected status"),
        ({"filters": [("name; DROP TABLE runs", "=", "x")]}, "expected status, name"),
        ({"filters": [("usd_pico", "=", 1)]}, "expected status, name"),
        ({"filters": [("name", "LIKE", "x")]}, "expected an operator, = != <= >= < > ~, got 'LIKE'"),
        ({"filters": [("metrics.x", ">", "much")]}, r"the filter on 'metrics\.x': expected a number, got 'much'"),
        ({"filters": [("metrics.x", ">", "nan")]}, "expected a number, got 'nan'"),
        ({"filters": [("metrics.x", "~", "1")]}, "a metric is a number"),
        ({"filters": [("calls", "~", "1")]}, "this is a number"),
        ({"filters": [("cost", ">", "much")]}, "the filter on 'cost': expected dollars"),
        ({"filters": [("created", ">", "soon")]}, "a date like 2026-01-31"),
        ({"filters": [("status", "=", "DEAD")]}, "RUNNING, COMPLETED, CRASHED, FAILED, DRAFT, got 'DEAD'"),
        ({"filters": [("tags", ">", "x")]}, "tags know =, != and ~"),
        ({"filters": [("name", "=", 7)]}, "expected text, got 7"),
        ({"filters": [('config.a"b', "=", 7)]}, "without quotes"),
        ({"filters": [("name", "~", "x" * 1001)]}, "at most 1000 characters"),
        ({"filters": [("name", "=", "x")] * 51}, "at most 50 filters, got 51"),
        ({"status": "DEAD"}, "RUNNING, COMPLETED"),
        ({"search": "x " * 51}, "at most 50 words"),
        ({"sort": "speed"}, "the sort: 'speed' is nothing that Runs have; expected status, name"),
        ({"sort": "tags"}, "the sort: 'tags'"),
        ({"sort": "created DESC"}, "the sort: 'created DESC'"),
        ({"sort": ""}, "the sort: ''"),
        ({"sort": "--created"}, "the sort: '-created'"),
        ({"limit": 0}, "a limit of 1 to 1000, got 0"),
        ({"limit": 1001}, "a limit of 1 to 1000, got 1001"),
        ({"cursor": "x"}, "the cursor is not one of this listing"),
        ({"cursor": "é"}, "the cursor is not one of this listing"),
        ({"cursor": "W10="}, "the cursor is not one of this listing"),
        ({"cursor": "WyItY3JlYXRlZCIsIHt9LCAxXQ=="}, "the cursor is not one of this listing"),
    ],
)
def test_what_cannot_be_asked_says_what_can(asked: Dict, says: str, listed: Listed) -> None:
    with pytest.raises(ValueError, match=says):
        listed.page(**asked)


def test_a_cursor_is_of_one_sort(listed: Listed) -> None:
    cursor = listed.page(limit=2, sort="name")["cursor"]
    with pytest.raises(ValueError, match="ask for the first page again"):
        listed.page(limit=2, sort="-name", cursor=cursor)


hostile = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["' OR 1=1 --", "x'; DROP TABLE runs; --", '"', "%", "_", "\\", "$.a", "a]b", "\0", "/", "config."]
    ),
)


@given(
    st.tuples(st.sampled_from(["", "metrics.", "config.", "tags", "name"]), hostile).map("".join),
    st.sampled_from(OPERATORS),
    st.one_of(hostile, st.floats(), st.integers(), st.none(), st.booleans()),
    hostile,
    st.tuples(st.sampled_from(["metrics.", "config.", "-config.", ""]), hostile).map("".join),
)
def test_nothing_that_is_asked_becomes_a_part_of_a_statement(
    listed: Listed, what: str, operator: str, value: Any, search: str, sort: str
) -> None:
    """Whatever comes: an answer or a ValueError, the same statements, and nothing changes."""
    for asked in ({"filters": [(what, operator, value)]}, {"search": search}, {"sort": sort}, {"cursor": search}):
        try:
            page = listed.page(**asked)
        except ValueError:
            continue
        assert page["total"] <= 10
    assert len(listed.numbers()) == 10


def explained(c: Connection, statement: str, parameters: Any) -> list[Any]:
    return list(c.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all())


def test_metrics_are_found_by_index(listed: Listed) -> None:
    """No scan of all metrics, and of no other project's Runs, to filter and sort by them."""
    statements: list[tuple[str, Any]] = []
    engine = listed.store._read_engine

    def note(c: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        filters = [("metrics.accuracy", ">", 0.5), ("metrics.loss", "<", 1)]
        for sort in ("-metrics.accuracy", "metrics.loss"):
            runs(connection, listed.project["id"], filters=filters, sort=sort, status="RUNNING")
    event.remove(engine, "before_cursor_execute", note)
    asked = [each for each in statements if "metrics" in each[0]]
    assert len(asked) == 4  # the count and the page, for two sorts
    for statement, parameters in asked:
        plan = listed.store.read(explained, statement, parameters)
        steps = [row[3] for row in plan]
        assert not [step for step in steps if step.startswith("SCAN")], steps
        used = [step for step in steps if "metrics" in step]
        assert used
        assert all("uq_metrics_run_key_name" in step or "sqlite_autoindex_metrics" in step for step in used), steps
        assert any(re.search(r"SEARCH runs USING .*INDEX .*\(project_id=\?", step) for step in steps), steps
