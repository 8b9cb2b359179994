"""Ingest stores every record exactly once, in order, or says which one it refuses and why."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afnio.errors import TellurioError
from tellurio.store import Store
from tellurio.store.artifacts import artifacts
from tellurio.store.blobs import note_blob
from tellurio.store.calls import calls
from tellurio.store.events import events
from tellurio.store.ingest import LARGEST_TEXT, IngestGap, IngestRefused
from tellurio.store.metrics import metric, metric_names, texts
from tellurio.store.prompts import prompts
from tellurio.store.runs import delete_run, end_run, expire_runs
from tellurio.store.runs import run as run_of
from tests.tellurio.store.journal import call_record, line, new_run, point, send


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for all tests here: each has a Run of its own."""
    with Store.open(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def run(store: Store) -> dict[str, Any]:
    return new_run(store)


same_store = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def stored(store: Store, run: dict[str, Any]) -> dict[str, Any]:
    """Everything the journal's records became, without the keys."""
    key = run["key"]
    return {
        "metrics": {
            row["name"]: store.read(metric, key, row["name"])["points"] for row in store.read(metric_names, key)
        },
        "texts": [(row["name"], row["step"], row["value"]) for row in store.read(texts, key)],
        "events": [(row["kind"], row["data"]) for row in store.read(events, key)],
        "calls": [row["request_key"] for row in store.read(partial(calls, limit=1000), key)],
        "artifacts": [(row["name"], row["version"]) for row in store.read(artifacts, key)],
    }


NOTHING: dict[str, Any] = {"metrics": {}, "texts": [], "events": [], "calls": [], "artifacts": []}

# law: exactly once, in order

values = st.sampled_from([0, 1.5, -3, "nan", "inf", "-inf", 1e308])
names = st.sampled_from(["loss", "val/accuracy", "a.b.c"])
kinds = st.one_of(
    st.builds(lambda name, v: ("m", {"name": name, "v": v}), names, values),
    st.builds(lambda name, v: ("v", {"name": name, "type": "json", "v": v}), names, values),
    st.builds(lambda v: ("e", {"kind": "checkpoint", "data": {"value": v}}), values),
    st.just(("c", {})),
)


def records(drawn: Sequence[tuple[str, dict[str, Any]]]) -> list[bytes]:
    lines = []
    for n, (kind, fields) in enumerate(drawn, 1):
        own = {"record": call_record(key=f"{n:064}")} if kind == "c" else {"step": n} if kind in "mv" else {}
        lines.append(line(n, kind, **fields, **own))
    return lines


def expected(lines: Sequence[bytes]) -> dict[str, Any]:
    found: dict[str, Any] = {name: type(empty)() for name, empty in NOTHING.items()}
    for each in map(orjson.loads, lines):
        if each["k"] == "m":
            found["metrics"].setdefault(each["name"], []).append([each["step"], each["t"], each["v"]])
        elif each["k"] == "v":
            found["texts"].append((each["name"], each["step"], each["v"]))
        elif each["k"] == "e":
            found["events"].append((each["kind"], each["data"]))
        else:
            found["calls"].append(each["record"]["key"])
    return found


@same_store
@given(drawn=st.lists(kinds, max_size=25), data=st.data())
def test_however_a_journal_is_cut_and_repeated_each_record_is_stored_once(
    store: Store, run: dict[str, Any], drawn: list[tuple[str, dict[str, Any]]], data: st.DataObject
) -> None:
    run, lines, client = new_run(store), records(drawn), str(uuid.uuid4())
    acknowledged = 0
    for _ in range(data.draw(st.integers(0, 6))):
        start = data.draw(st.integers(0, acknowledged))
        stop = data.draw(st.integers(start, len(lines)))
        answer = send(store, run, lines[start:stop], start + 1, client)
        acknowledged = max(acknowledged, stop)
        assert answer == {"acknowledged": acknowledged, "status": "RUNNING"}
    assert send(store, run, lines, 1, client)["acknowledged"] == len(lines)
    assert stored(store, run) == expected(lines)


def test_journals_of_many_processes_are_one_run(store: Store, run: dict[str, Any]) -> None:
    def client(number: int) -> None:
        for n in range(1, 41):
            send(store, run, [point(n, number)], n, f"client-{number}")
            send(store, run, [point(n, number)], n, f"client-{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
    points = stored(store, run)["metrics"]["loss"]
    assert sorted(value for _, _, value in points) == sorted([float(number) for number in range(8)] * 40)
    for number in range(8):
        assert [t for _, t, value in points if value == number] == [1000.0 + n for n in range(1, 41)]


def test_a_batch_may_have_more_names_than_one_statement_takes(store: Store, run: dict[str, Any]) -> None:
    lines = [point(n, n, f"metric {n % 130}") for n in range(1, 1001)]
    send(store, run, lines[:700])
    send(store, run, lines[700:], 701)
    found = stored(store, run)["metrics"]
    assert len(found) == 130
    assert found["metric 7"] == [[None, 1000.0 + n, float(n)] for n in range(7, 1001, 130)]


# gaps


def test_a_gap_is_told_and_nothing_is_stored(store: Store, run: dict[str, Any]) -> None:
    send(store, run, [point(1), point(2)])
    with pytest.raises(IngestGap, match="the last one stored is 2") as told:
        send(store, run, [point(4)], 4)
    assert told.value.acknowledged == 2
    assert len(stored(store, run)["metrics"]["loss"]) == 2


def test_no_lines_ask_how_far_it_is(store: Store, run: dict[str, Any]) -> None:
    assert send(store, run, []) == {"acknowledged": 0, "status": "RUNNING"}
    send(store, run, [point(1), point(2), point(3)])
    assert send(store, run, [], 1)["acknowledged"] == send(store, run, [], 4)["acknowledged"] == 3
    with pytest.raises(IngestGap):
        send(store, run, [], 5)


# what is refused

DEEP = b"[" * 500 + b"]" * 500
BAD = {
    "no JSON": (b"{", "no JSON"),
    "nothing": (b"", "no JSON"),
    "not UTF-8": (b'{"n":3,"t":1,"k":"m","name":"\xff"}', "no JSON"),
    "half a character": (b'{"n":3,"t":1,"k":"m","name":"\\ud800","v":1,"step":null}', "no JSON"),
    "NaN as a word of JSON": (b'{"n":3,"t":1,"k":"m","name":"x","v":NaN,"step":null}', "no JSON"),
    "beyond any float": (b'{"n":3,"t":1,"k":"m","name":"x","v":1e999,"step":null}', "no JSON"),
    "a list": (b"[]", "expected a JSON object, got '[]'"),
    "a text": (b'"m"', "expected a JSON object"),
    "another number": (line(4, "m", name="x", v=1, step=None), "expected its number n to be 3, got '4'"),
    "no number": (b'{"t":1,"k":"m","name":"x","v":1}', "it has no 'n'"),
    "no time": (b'{"n":3,"k":"m","name":"x","v":1}', "it has no 't'"),
    "a time in words": (
        b'{"n":3,"t":"now","k":"m","name":"x","v":1}',
        "expected its time t to be a Unix time, got 'now'",
    ),
    "a time before all": (b'{"n":3,"t":-1,"k":"m","name":"x","v":1}', "a Unix time"),
    "no kind": (b'{"n":3,"t":1}', "it has no 'k'"),
    "an unknown kind": (line(3, "z"), "expected its kind k to be m, v, c, e, a, s, b, got 'z'"),
    "a kind that is none": (b'{"n":3,"t":1,"k":{}}', "expected its kind"),
    "no name": (line(3, "m", v=1, step=None), "it has no 'name'"),
    "an empty name": (point(3, name=""), "1 to 500 characters"),
    "a long name": (point(3, name="x" * 501), "1 to 500 characters"),
    "a name with NUL": (point(3, name="a\0b"), "without NUL"),
    "a name that is none": (line(3, "m", name=7, v=1, step=None), "1 to 500 characters"),
    "a name that is a list": (line(3, "m", name=["x"], v=1, step=None), "expected its name to be a text"),
    "no value": (line(3, "m", name="x", step=None), "it has no 'v'"),
    "a text for a number": (point(3, "high"), "expected a number"),
    "a truth for a number": (point(3, True), "expected a number"),
    "nothing for a number": (point(3, None), "expected a number"),
    "half a step": (line(3, "m", name="x", v=1, step=0.5), "expected its step"),
    "a true step": (line(3, "m", name="x", v=1, step=True), "expected its step"),
    "a huge step": (point(3, step=2**53), "expected its step"),
    "a hugely negative step": (point(3, step=-(2**53)), "expected its step"),
    "a step beyond 64 bits": (b'{"n":3,"t":1,"k":"m","name":"x","v":1,"step":99999999999999999999}', "its step"),
    "a long text": (line(3, "v", name="x", type="text", v="x" * (LARGEST_TEXT + 1), step=None), "run.log_artifact"),
    "a text of many bytes": (line(3, "v", name="x", type="text", v="ü" * (LARGEST_TEXT // 2 + 1)), "run.log_artifact"),
    "a long table": (line(3, "v", name="x", type="table", v=["x" * LARGEST_TEXT] * 2, step=None), "run.log_artifact"),
    "an unknown type": (line(3, "v", name="x", type="video", v="", step=None), "text, table, json, image"),
    "no text": (line(3, "v", name="x", type="text", v=[1], step=None), "of type text"),
    "a text's huge step": (line(3, "v", name="x", type="text", v="", step=2**60), "expected its step"),
    "a deep value": (b'{"n":3,"t":1,"k":"v","name":"x","type":"json","step":null,"v":' + DEEP + b"}", "too deeply"),
    "a deep event": (b'{"n":3,"t":1,"k":"e","kind":"x","data":' + DEEP + b"}", "too deeply"),
    "a deep call": (line(3, "c", record=call_record()).replace(b'"choices"', b'"x":' + DEEP + b',"choices"'), "deeply"),
    "an event without data": (line(3, "e", kind="x"), "it has no 'data'"),
    "no call": (line(3, "c", record=[]), "expected the record of a call"),
    "a call that costs nonsense": (line(3, "c", record=call_record(cost={"usd": "NaN"})), "expected dollars"),
    "an artifact outside": (line(3, "a", name="x", kind="file", files=[{"path": "../x"}]), "relative"),
    "an artifact that is not there": (
        line(3, "a", name="x", kind="file", files=[{"path": "x", "sha256": "cd" * 32, "size": 1}]),
        "send the blob",
    ),
    "an end that is none": (line(3, "s", status="RUNNING"), "COMPLETED, CRASHED, FAILED"),
    "an end that is a list": (line(3, "s", status=[]), "COMPLETED, CRASHED, FAILED"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_record_is_named_and_nothing_of_its_batch_is_stored(store: Store, run: dict[str, Any], case: str) -> None:
    bad, reason = BAD[case]
    send(store, run, [point(1)])
    before = stored(store, run)
    rest = [line(2, "e", kind="x", data=None), bad, point(4)]
    with pytest.raises(IngestRefused) as refused:
        send(store, run, rest, 2)
    assert refused.value.n == 3
    assert reason in refused.value.reason
    assert len(str(refused.value)) < 1000
    assert isinstance(refused.value, TellurioError)
    assert stored(store, run) == before
    rest[1] = point(3)
    assert send(store, run, rest, 2)["acknowledged"] == 4


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
fields = st.fixed_dictionaries(
    {"n": st.just(1) | json_values, "t": st.just(5.0) | json_values, "k": st.sampled_from("mvceas") | json_values},
    optional=dict.fromkeys(("name", "v", "step", "type", "record", "kind", "data", "files"), json_values)
    | {
        "status": st.just("FAILED") | json_values,
        "record": st.dictionaries(st.sampled_from(sorted(call_record())), json_values),
        "data": st.dictionaries(
            st.sampled_from(["prompts", "roles", "parameter", "role", "before", "after", "status", "updates"]),
            json_values,
        ),
        "kind": st.sampled_from(["prompt", "fit_start", "gate"]) | json_values,
    },
)


@settings(same_store, max_examples=300)
@given(record=fields)
def test_whatever_a_line_says_it_is_stored_or_refused(store: Store, run: dict[str, Any], record: Any) -> None:
    run = new_run(store)
    try:
        content = orjson.dumps(record)
    except TypeError:
        return  # an integer beyond 64 bits
    try:
        send(store, run, [content], 1, str(uuid.uuid4()))
    except IngestRefused:
        assert stored(store, run) == NOTHING
    else:
        stored(store, run)
        store.read(prompts, run["key"])


def test_unknown_fields_change_nothing(store: Store, run: dict[str, Any]) -> None:
    other = new_run(store)
    extra = {"run_key": other["key"], "metric_key": 1, "key": 1, "count": 99, "status": "FAILED", "__proto__": {"v": 2}}
    answer = send(store, run, [line(1, "m", name="loss", v=1.0, step=None, **extra)])
    assert answer == {"acknowledged": 1, "status": "RUNNING"}
    assert stored(store, run)["metrics"] == {"loss": [[None, 1001.0, 1.0]]}
    assert stored(store, other) == NOTHING


# what is accepted

NAMES = [
    *(
        "loss",
        "train/loss/total",
        "a.b.c",
        " spaced ",
        "x" * 500,
        "Genauigkeit (größer = besser)",
        "精度",
        "🎯",
        "e\u0301",
    ),
    *(
        "'; DROP TABLE metrics; --",
        '"',
        "?",
        "%s",
        "%(name)s",
        ":name",
        "__proto__",
        "constructor",
        "\\",
        "a\nb",
        "../x",
    ),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_taken_as_it_is(store: Store, run: dict[str, Any], name: str) -> None:
    send(store, run, [point(1, 1.5, name), line(2, "v", name=name, type="text", v=name, step=3)])
    found = stored(store, run)
    assert found["metrics"] == {name: [[None, 1001.0, 1.5]]}
    assert found["texts"] == [(name, 3, name)]


def test_numbers_that_are_none_are_kept(store: Store, run: dict[str, Any]) -> None:
    send(store, run, [point(n, value, step=n) for n, value in enumerate(["nan", 2, "-inf", -7.5, "inf", "nan"], 1)])
    points = stored(store, run)["metrics"]["loss"]
    assert [value for _, _, value in points] == ["nan", 2.0, "-inf", -7.5, "inf", "nan"]
    (row,) = store.read(metric_names, run["key"])
    assert (row["last"], row["last_step"], row["min"], row["max"], row["count"]) == ("nan", 6, -7.5, 2.0, 6)


def test_a_metric_of_nothing_but_nan_has_no_range(store: Store, run: dict[str, Any]) -> None:
    send(store, run, [point(1, "nan")])
    send(store, run, [point(2, "inf")], 2)
    (row,) = store.read(metric_names, run["key"])
    assert (row["last"], row["min"], row["max"]) == ("inf", None, None)
    send(store, run, [point(3, 4)], 3)
    send(store, run, [point(4, "nan")], 4)
    (row,) = store.read(metric_names, run["key"])
    assert (row["last"], row["min"], row["max"]) == ("nan", 4.0, 4.0)


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**64 - 1, 10**30, -(10**300), 1e-320, 1.7976931348623157e308])
def test_large_and_small_numbers_are_floats(store: Store, run: dict[str, Any], value: float) -> None:
    send(store, run, [b'{"n":1,"t":1,"k":"m","name":"loss","v":%b,"step":null}' % str(value).encode()])
    ((_, _, found),) = stored(store, run)["metrics"]["loss"]
    assert found == float(value)


@pytest.mark.parametrize("step", [0, -5, 2**53 - 1, 1 - 2**53, None])
def test_a_step_may_be_any_whole_number(store: Store, run: dict[str, Any], step: int | None) -> None:
    send(store, run, [point(1, 1, step=step), line(2, "m", name="loss", v=1)])
    assert [step for step, _, _ in stored(store, run)["metrics"]["loss"]] == [step, None]


@pytest.mark.parametrize(
    ("type", "value"),
    [
        ("text", ""),
        ("text", "a\0b\nc " + "ü" * 10),
        ("text", "x" * LARGEST_TEXT),
        ("text", "\n" * LARGEST_TEXT),
        ("table", {"columns": ["a"], "rows": [[1], [None]]}),
        ("json", {"__proto__": {"admin": True}, "nested": [1, [2, {"x": None}]], "": ""}),
        ("json", None),
        ("image", {"mime": "image/png", "base64": "iVBORw0KGgo="}),
    ],
)
def test_a_value_comes_back_as_it_was(store: Store, run: dict[str, Any], type: str, value: Any) -> None:
    send(store, run, [line(1, "v", name="x", type=type, v=value, step=None)])
    (row,) = store.read(texts, run["key"])
    assert (row["type"], row["value"], row["time"]) == (type, value, 1001.0)


def test_an_artifact_comes_with_its_blobs(store: Store, run: dict[str, Any]) -> None:
    store.write(note_blob, "ab" * 32, 3, 0.0)
    files = [{"path": "model/best.hf", "sha256": "ab" * 32, "size": 3}]
    send(store, run, [line(n, "a", name="best", kind="checkpoint", files=files) for n in (1, 2)])
    assert stored(store, run)["artifacts"] == [("best", 0)]


# whose journal


def test_a_journal_belongs_to_one_run(store: Store, run: dict[str, Any]) -> None:
    send(store, run, [point(1)], client="mine")
    other = new_run(store)
    with pytest.raises(IngestRefused, match="belongs to another Run"):
        send(store, other, [point(1)], client="mine")
    assert stored(store, other) == NOTHING


@pytest.mark.parametrize(("client", "first"), [("", 1), ("x" * 501, 1), ("a\0", 1), ("c", 0), ("c", -5)])
def test_a_journal_has_a_name_and_begins_at_1(store: Store, run: dict[str, Any], client: str, first: int) -> None:
    with pytest.raises(IngestRefused):
        send(store, run, [point(1)], first, client)


def test_a_run_that_was_deleted_takes_nothing(store: Store, run: dict[str, Any]) -> None:
    send(store, run, [point(1)])
    store.write(delete_run, run["id"])
    with pytest.raises(LookupError):
        send(store, run, [point(2)], 2)


# the end, and signs of life


@pytest.mark.parametrize("status", ["COMPLETED", "CRASHED", "FAILED"])
def test_the_journal_ends_the_run(store: Store, run: dict[str, Any], status: str) -> None:
    lines = [point(1), line(2, "s", status=status), point(3)]
    assert send(store, run, lines) == {"acknowledged": 3, "status": status}
    assert send(store, run, lines) == {"acknowledged": 3, "status": status}
    assert send(store, run, [point(4)], 4) == {"acknowledged": 4, "status": status}
    assert len(stored(store, run)["metrics"]["loss"]) == 3
    after = store.read(run_of, run["id"])
    assert after is not None
    assert (after["status"], after["ended"]) == (status, 1002.0)


@pytest.mark.parametrize(("reason", "kept"), [(None, None), ("KeyError: 'x'", "KeyError: 'x'"), (7, "7")])
def test_the_end_may_have_a_reason(store: Store, run: dict[str, Any], reason: Any, kept: str | None) -> None:
    send(store, run, [line(1, "s", status="CRASHED", reason=reason)])
    after = store.read(run_of, run["id"])
    assert after is not None
    assert after["reason"] == kept


def test_the_end_in_the_journal_wins_over_a_guess(store: Store, run: dict[str, Any]) -> None:
    store.write(expire_runs, time.time() + 100, 0.0)
    assert send(store, run, [line(1, "s", status="COMPLETED")])["status"] == "COMPLETED"


def test_a_batch_is_a_sign_of_life(store: Store, run: dict[str, Any]) -> None:
    quick = new_run(store, lease=1e-6)
    send(store, quick, [point(1)], client="quick")
    after = store.read(run_of, quick["id"])
    assert after is not None
    assert after["heartbeat"] > quick["heartbeat"]


def test_what_was_logged_after_its_lease_brings_a_run_back(store: Store, run: dict[str, Any]) -> None:
    store.write(expire_runs, time.time() + 100, 0.0)
    assert send(store, run, [point(1)])["status"] == "CRASHED"  # logged in 1970: what the dead left behind
    late = orjson.dumps({"n": 2, "t": time.time() + 200, "k": "m", "name": "loss", "v": 1.0, "step": None})
    assert send(store, run, [late], 2)["status"] == "RUNNING"


def test_nothing_brings_back_a_run_that_said_how_it_ended(store: Store, run: dict[str, Any]) -> None:
    store.write(partial(end_run, id=run["id"], status="CRASHED", by_client=True, now=time.time()))
    late = orjson.dumps({"n": 1, "t": time.time() + 200, "k": "m", "name": "loss", "v": 1.0, "step": None})
    assert send(store, run, [late])["status"] == "CRASHED"
