"""Every call is stored once, and every picodollar is counted."""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afnio.calls import Ledger
from afnio.calls.record import record_of
from afnio.calls.request import Cost, Reply, Request, Usage
from afnio.models.formats.openai_chat import OPENAI_CHAT
from tellurio.store import Store
from tellurio.store.calls import MOST_USD, call, calls, cost, insert_calls, pico_of, usd_of
from tellurio.store.runs import run as run_of
from tests.tellurio.store.journal import call_record, line, new_run, send


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for all tests here: each has a Run of its own."""
    with Store.open(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def run(store: Store) -> dict[str, Any]:
    return new_run(store)


same_store = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def insert(store: Store, run: dict[str, Any], *records: dict[str, Any], origin: str = "job:{}") -> list[int | None]:
    entries = [(origin.format(number), None, record) for number, record in enumerate(records)]
    return store.write(insert_calls, run["key"], entries)


# money

money = st.integers(0, 10**15).map(lambda pico: Decimal(pico) / 10**12)
PLACES = decimal.Context(prec=60)


@given(pico=st.integers(0, MOST_USD * 10**12))
def test_picodollars_and_dollars_are_the_same(pico: int) -> None:
    usd = usd_of(pico)
    assert usd is not None
    assert pico_of(usd) == pico
    assert Decimal(usd) == PLACES.divide(Decimal(pico), Decimal(10**12))
    assert "E" not in usd
    assert not ("." in usd and usd.endswith(("0", ".")))


@pytest.mark.parametrize(
    ("usd", "pico"),
    [
        ("0", 0),
        ("0.000000000001", 1),
        ("1E-12", 1),
        ("0.0000000000005", 0),  # halves to even
        ("0.0000000000015", 2),
        ("0.00000000000050000000000000000000000000000000000000001", 1),
        ("1e-999999", 0),
        ("1e-99999999999999", 0),
        ("1000000", 10**18),
        (None, None),
    ],
)
def test_what_is_less_than_a_picodollar_is_rounded(usd: str | None, pico: int | None) -> None:
    with decimal.localcontext(decimal.Context(prec=3, rounding=decimal.ROUND_UP)):  # the thread's is not used
        assert pico_of(usd) == pico


@pytest.mark.parametrize(
    "usd",
    [
        "",
        "free",
        "NaN",
        "sNaN",
        "Infinity",
        "-0.01",
        "1000000.1",
        "1e999999",
        "1e99999999999",
        "1" * 101,
        0.5,
        True,
        [],
    ],
)
def test_what_is_no_price_is_refused(store: Store, run: dict[str, Any], usd: object) -> None:
    with pytest.raises(ValueError, match="expected dollars"):
        insert(store, run, call_record(cost={"usd": usd}))


# sums

TOKENS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
sources = st.sampled_from(["live", "live", "live", "log", "joined", "memo"])
replies = st.builds(
    lambda role, model, source, usd, tokens, estimated: {
        "role": role,
        "model": model,
        "source": source,
        "usd": usd,
        "usage": Usage(**dict(zip(TOKENS, tokens, strict=True)), estimated=estimated),
    },
    st.sampled_from(["forward", "critic", "optimizer"]),
    st.sampled_from(["gpt-4.1-nano", "claude"]),
    sources,
    st.none() | money,
    st.tuples(*[st.integers(0, 10**6)] * 4),
    st.booleans(),
)


@same_store
@given(drawn=st.lists(replies, max_size=20), data=st.data())
def test_sums_are_those_of_a_ledger_to_the_last_decimal(
    store: Store, run: dict[str, Any], drawn: list[dict[str, Any]], data: st.DataObject
) -> None:
    run, ledger, records = new_run(store), Ledger(), []
    for each in drawn:
        request = Request("openai", "https://api.openai.com/v1", "/x", each["model"], {}, OPENAI_CHAT, each["role"])
        reply = Reply(request, "", {}, each["usage"], Cost(each["usd"], table="t"), each["source"], seconds=0.25)
        ledger.add("train", each["role"], each["model"], "", reply)
        records.append(record_of(reply, "train", ""))
    entries = [(str(number), None, record) for number, record in enumerate(records)]
    for _ in range(data.draw(st.integers(0, 3))):
        some = data.draw(st.lists(st.sampled_from(entries), max_size=5)) if entries else []
        store.write(insert_calls, run["key"], some)
    store.write(insert_calls, run["key"], entries)

    told = store.read(cost, run["key"])
    assert_same(told["total"], ledger.total())
    assert {(row["role"], row["model"]) for row in told["by"]} == set(ledger.by("role", "model"))
    for row in told["by"]:
        assert_same(row, ledger.by("role", "model")[row["role"], row["model"]])
    listed = store.read(partial(calls, limit=1000), run["key"])
    live = [row for row in listed if row["source"] == "live"]
    assert sum(Decimal(row["usd"]) for row in live if row["usd"] is not None) == ledger.total().usd
    kept = store.read(run_of, run["id"])
    assert kept is not None
    assert kept["cost"] == {name: told["total"][name] for name in kept["cost"]}


def assert_same(told: dict[str, Any], row: Any) -> None:
    usd = None if row.unpriced and row.unpriced == row.calls else row.usd
    assert usd == (None if told["usd"] is None else Decimal(told["usd"]))
    for name in ("calls", "reused", *TOKENS, "unpriced"):
        assert told[name] == getattr(row, name)
    assert (told["estimated"], told["seconds"]) == (row.estimated, row.seconds)


def test_a_call_without_a_price_is_never_free(store: Store, run: dict[str, Any]) -> None:
    insert(store, run, call_record(cost={"table": "t"}), call_record(cost={"table": "t"}))
    told = store.read(cost, run["key"])
    assert (told["total"]["usd"], told["total"]["unpriced"]) == (None, 2)
    assert [row["usd"] for row in told["by"]] == [None]
    assert [row["usd"] for row in store.read(calls, run["key"])] == [None, None]
    kept = store.read(run_of, run["id"])
    assert kept is not None
    assert kept["cost"]["usd"] is None
    insert(store, run, call_record(), origin="priced:{}")
    assert store.read(cost, run["key"])["total"]["usd"] == "0.0000017"


def test_an_answer_that_was_reused_cost_nothing_though_its_first_was_unpriced(
    store: Store, run: dict[str, Any]
) -> None:
    insert(store, run, call_record(source="log"), call_record(source="memo", cost={"table": "t"}))
    total = store.read(cost, run["key"])["total"]
    assert (total["usd"], total["calls"], total["reused"], total["unpriced"]) == ("0", 0, 2, 0)
    assert total["input_tokens"] == 0


def test_a_run_without_calls_cost_nothing(store: Store, run: dict[str, Any]) -> None:
    told = store.read(cost, run["key"])
    assert told["by"] == []
    assert told["total"]["usd"] == "0"


def test_sums_never_leave_their_range(store: Store, run: dict[str, Any]) -> None:
    dear = [call_record(cost={"usd": str(MOST_USD)})] * 9
    insert(store, run, *dear)
    with pytest.raises(ValueError, match="would cost more"):
        insert(store, run, call_record(cost={"usd": str(MOST_USD)}), origin="more:{}")
    told = store.read(cost, run["key"])
    assert (told["total"]["usd"], told["total"]["calls"]) == ("9000000", 9)


# once


def test_a_call_is_stored_once_for_each_origin(store: Store, run: dict[str, Any]) -> None:
    first = insert(store, run, call_record(), call_record())
    assert None not in first
    assert insert(store, run, call_record(), call_record(), call_record())[:2] == [None, None]
    assert insert(store, new_run(store), call_record()) != [None]  # another Run's
    assert store.read(cost, run["key"])["total"]["calls"] == 3


def test_an_origin_twice_in_one_batch_is_one(store: Store, run: dict[str, Any]) -> None:
    keys = insert(store, run, call_record(), call_record(), origin="same")
    assert keys[1] is None
    assert store.read(cost, run["key"])["total"]["calls"] == 1


# what is stored


def test_a_call_is_listed_without_and_read_with_what_was_said(store: Store, run: dict[str, Any]) -> None:
    (key,) = store.write(insert_calls, run["key"], [("job-1:0", "job-1", call_record(role="critic"))])
    assert key is not None
    (listed,) = store.read(calls, run["key"])
    assert listed == {
        "key": key,
        "job_id": "job-1",
        "request_key": "ab" * 32,
        "role": "critic",
        "phase": "train",
        "node": "ChatCompletion",
        "words": "",
        "provider": "openai",
        "host": "api.openai.com",
        "model": "gpt-4.1-nano",
        "source": "live",
        "edited": False,
        "attempts": 1,
        "started": 1000.0,
        "seconds": 0.5,
        "input_tokens": 9,
        "output_tokens": 2,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "estimated": False,
        "usd": "0.0000017",
        **dict.fromkeys(("call_id", "label", "location", "error")),
    }
    whole = store.read(call, run["key"], key)
    assert whole is not None
    assert whole["record"] == call_record(role="critic")
    assert whole["request"] == call_record()["request"]
    assert whole["response"] == call_record()["response"]
    assert {name: whole[name] for name in listed} == listed
    assert store.read(call, new_run(store)["key"], key) is None
    assert store.read(call, run["key"], key + 1) is None


def test_calls_are_read_by_role_and_model_and_page_by_page(store: Store, run: dict[str, Any]) -> None:
    insert(store, run, *[call_record(node=str(n), role="critic" if n % 3 else "forward") for n in range(9)])
    first = store.read(partial(calls, limit=2, role="critic"), run["key"])
    rest = store.read(partial(calls, after=first[-1]["key"], role="critic"), run["key"])
    assert [row["node"] for row in first + rest] == ["1", "2", "4", "5", "7", "8"]
    assert store.read(partial(calls, model="other"), run["key"]) == []
    assert len(store.read(partial(calls, model="gpt-4.1-nano", role="forward"), run["key"])) == 3


SECRET = "sk-" + "a1B2" * 8


def test_a_credential_is_not_stored(store: Store, run: dict[str, Any]) -> None:
    said = {"messages": [{"role": "user", "content": f"my key is {SECRET}, ok?"}]}
    (key,) = insert(store, run, call_record(request=said, node=f"node {SECRET}"))
    whole = store.read(call, run["key"], key or 0)
    assert whole is not None
    assert whole["request"]["messages"][0]["content"] == "my key is [redacted], ok?"
    assert SECRET not in str(whole)
    for file in store.folder.rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes()


def test_what_only_python_knows_is_spelled_as_in_the_call_log(store: Store, run: dict[str, Any]) -> None:
    (key,) = insert(store, run, call_record(request={"logit_bias": {50256: -100}}))
    whole = store.read(call, run["key"], key or 0)
    assert whole is not None
    assert whole["request"] == {"logit_bias": {"50256": -100}}


@pytest.mark.parametrize(
    "changes",
    [
        {"role": 7},
        {"model": ["x"]},
        {"usage": {"input_tokens": -1}},
        {"usage": {"input_tokens": 2**31}},
        {"usage": {"output_tokens": 1.5}},
        {"usage": [1]},
        {"cost": "0.1"},
        {"attempts": "1"},
        {"seconds": "1"},
        {"started": [1]},
    ],
)
def test_a_record_that_is_none_is_refused_whole(store: Store, run: dict[str, Any], changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        insert(store, run, call_record(), call_record(**changes))
    assert store.read(cost, run["key"])["total"]["calls"] == 0


def test_a_record_may_lack_what_nobody_knows(store: Store, run: dict[str, Any]) -> None:
    insert(store, run, {"role": "a\0b", "usage": None, "cost": None})
    (row,) = store.read(calls, run["key"])
    assert (row["role"], row["source"], row["usd"], row["input_tokens"]) == ("a\ufffdb", "live", None, 0)


def test_a_journals_calls_are_counted_once(store: Store, run: dict[str, Any]) -> None:
    lines = [line(n, "c", record=call_record()) for n in (1, 2)]
    for _ in range(3):
        send(store, run, lines)
    assert store.read(cost, run["key"])["total"]["usd"] == "0.0000034"


def test_pages_of_the_newest_calls_are_those_of_the_oldest_backwards(store: Store, run: dict[str, Any]) -> None:
    insert(store, run, *(call_record(role="critic" if n % 2 else "forward") for n in range(7)))
    other = new_run(store)
    insert(store, other, call_record())
    oldest = [each["key"] for each in store.read(calls, run["key"])]
    assert len(oldest) == 7
    found: list[int] = []
    before = None
    while page := store.read(partial(calls, newest=True, before=before, limit=3), run["key"]):
        found += [each["key"] for each in page]
        before = found[-1]
    assert found == oldest[::-1]
    critics = store.read(partial(calls, newest=True, role="critic", before=oldest[-1]), run["key"])
    assert [each["key"] for each in critics] == oldest[-2:0:-2]
    middle = store.read(partial(calls, after=oldest[1], before=oldest[4]), run["key"])
    assert [each["key"] for each in middle] == oldest[2:4]
