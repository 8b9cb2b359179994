"""Charts are summaries of the points, and no point is left out of them."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tellurio.store import Store
from tellurio.store.metrics import last_values, metric, metric_names, names_in, texts
from tests.tellurio.store.journal import line, new_run, point, send


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for all tests here: each has a Run of its own."""
    with Store.open(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def run(store: Store) -> dict[str, Any]:
    return new_run(store)


same_store = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

steps = st.none() | st.integers(-5, 5)
values = st.floats(-1e6, 1e6) | st.sampled_from(["nan", "inf", "-inf"])


def logged(store: Store, run: dict[str, Any], points: list[tuple[int | None, Any]]) -> str:
    """Log them under a new name."""
    name = str(uuid.uuid4())
    send(store, run, [point(n, value, name, step) for n, (step, value) in enumerate(points, 1)], client=name)
    return name


@same_store
@given(points=st.lists(st.tuples(steps, values), min_size=1, max_size=60), buckets=st.integers(1, 70))
def test_buckets_hold_all_points_in_order_and_evenly(
    store: Store, run: dict[str, Any], points: list[tuple[int | None, Any]], buckets: int
) -> None:
    name = logged(store, run, points)
    found = store.read(partial(metric, buckets=buckets), run["key"], name)["buckets"]
    assert len(found) == min(buckets, len(points))
    counts = [bucket[-1] for bucket in found]
    assert sum(counts) == len(points)
    assert max(counts) - min(counts) <= 1
    start = 0
    for first, last, time, low, high, mean, count in found:
        inside = points[start : start + count]
        known = [step for step, _ in inside if step is not None]
        finite = [value for _, value in inside if not isinstance(value, str)]
        assert (first, last) == ((min(known), max(known)) if known else (None, None))
        assert time == 1001.0 + start
        assert (low, high) == ((min(finite), max(finite)) if finite else (None, None))
        assert mean is None if not finite else math.isclose(mean, math.fsum(finite) / len(finite), abs_tol=1e-6)
        start += count


@same_store
@given(points=st.lists(st.tuples(steps, values), min_size=1, max_size=40))
def test_points_come_back_and_their_summary_is_theirs(
    store: Store, run: dict[str, Any], points: list[tuple[int | None, Any]]
) -> None:
    name = logged(store, run, points)
    assert store.read(metric, run["key"], name) == {
        "name": name,
        "count": len(points),
        "points": [[step, 1000.0 + n, value] for n, (step, value) in enumerate(points, 1)],
    }
    (row,) = [row for row in store.read(metric_names, run["key"]) if row["name"] == name]
    finite = [value for _, value in points if not isinstance(value, str)]
    assert row == {
        "name": name,
        "count": len(points),
        "last": points[-1][1],
        "last_step": points[-1][0],
        "last_time": 1000.0 + len(points),
        "min": min(finite, default=None),
        "max": max(finite, default=None),
    }


@same_store
@given(points=st.lists(st.tuples(steps, values), max_size=40), after=st.integers(0, 45), buckets=st.integers(1, 50))
def test_what_follows_a_point_is_the_rest_of_all_of_them(
    store: Store, run: dict[str, Any], points: list[tuple[int | None, Any]], after: int, buckets: int
) -> None:
    name = logged(store, run, points)
    whole = store.read(metric, run["key"], name)
    rest = store.read(partial(metric, after=after), run["key"], name)
    assert rest == {"name": name, "count": len(points), "points": whole["points"][after:]}
    # Summaries of the rest are those of a metric that has nothing else.
    alone = store.read(partial(metric, buckets=buckets), run["key"], logged(store, run, points[after:]))["buckets"]
    found = store.read(partial(metric, after=after, buckets=buckets), run["key"], name)
    assert found["count"] == len(points)
    assert [bucket[:2] + bucket[3:] for bucket in found["buckets"]] == [bucket[:2] + bucket[3:] for bucket in alone]


def test_last_values_of_many_runs(store: Store) -> None:
    made = [new_run(store) for _ in range(3)]
    for n, run in enumerate(made[:2]):
        send(store, run, [point(1, 1.0), point(2, n), point(3, "nan", "acc"), point(4, 7, "other")])
    keys = [run["key"] for run in made]
    found = store.read(last_values, keys, ["loss", "acc", "never"])
    assert found == {keys[0]: {"loss": 0.0, "acc": "nan"}, keys[1]: {"loss": 1.0, "acc": "nan"}, keys[2]: {}}
    assert store.read(last_values, keys, []) == {key: {} for key in keys}
    assert store.read(last_values, [], ["loss"]) == {}


def test_names_in_a_project_are_those_of_its_newest_runs(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        old, new, newest = (new_run(store) for _ in range(3))
        for run, name in ((old, "gone"), (new, "loss"), (newest, "loss"), (newest, "acc")):
            send(store, run, [point(1, 1.0, name)], client=f"{run['id']}-{name}")
        found = store.read(partial(names_in, runs=2), old["project_id"])
        assert found == [{"name": "acc", "runs": 1}, {"name": "loss", "runs": 2}]
        assert len(store.read(names_in, old["project_id"])) == 3
        assert store.read(names_in, "no project") == []


def test_a_large_metric_is_shown_by_few_buckets(store: Store, run: dict[str, Any]) -> None:
    for start in range(1, 20_001, 5_000):
        send(store, run, [point(n, math.sin(n), step=n) for n in range(start, start + 5_000)], start)
    found = store.read(partial(metric, buckets=2_000), run["key"], "loss")["buckets"]
    assert [bucket[:2] for bucket in found] == [[n, n + 9] for n in range(1, 20_001, 10)]
    assert all(low <= mean <= high for _, _, _, low, high, mean, _ in found)
    assert found[0][3:5] == [min(map(math.sin, range(1, 11))), max(map(math.sin, range(1, 11)))]


def test_a_sum_beyond_any_float_still_has_a_mean(store: Store, run: dict[str, Any]) -> None:
    send(store, run, [point(1, 1.7e308), point(2, 1.7e308)])
    ((*_, low, high, mean, count),) = store.read(partial(metric, buckets=1), run["key"], "loss")["buckets"]
    assert (low, high, mean, count) == (1.7e308, 1.7e308, 1.7e308, 2)


@pytest.mark.parametrize("buckets", [None, 10])
def test_a_metric_that_is_not_there_has_nothing(store: Store, run: dict[str, Any], buckets: int | None) -> None:
    key = "points" if buckets is None else "buckets"
    assert store.read(partial(metric, buckets=buckets), run["key"], "loss") == {"name": "loss", "count": 0, key: []}
    assert store.read(metric_names, run["key"]) == []


def test_texts_are_read_by_name_and_page_by_page(store: Store, run: dict[str, Any]) -> None:
    send(store, run, [line(n, "v", name=f"note {n % 2}", type="text", v=str(n), step=None) for n in range(1, 11)])
    first = store.read(partial(texts, limit=4), run["key"])
    assert [row["value"] for row in first] == ["1", "2", "3", "4"]
    rest = store.read(partial(texts, after=first[-1]["key"]), run["key"])
    assert [row["value"] for row in rest] == ["5", "6", "7", "8", "9", "10"]
    odd = store.read(texts, run["key"], "note 1")
    assert [row["value"] for row in odd] == ["1", "3", "5", "7", "9"]
