"""No input makes the server fail: whatever is sent to whatever route, the answer blames the request or is true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellurio.server.doors import Door, PlainDoor
from tests.tellurio.server.lab import House, Visitor, full_run, house

QUERIES = [
    *("status", "search", "filter", "sort", "limit", "cursor", "buckets", "name", "after", "role", "model", "kind"),
    *("client", "first", "code", "next"),
]
FIELDS = [
    *("slug", "display_name", "visibility", "description", "id", "name", "config", "tags", "parent_id", "budget"),
    *("client", "lease", "status", "reason", "notes", "next", "more"),
]

text = st.text(max_size=30)
scalar = st.none() | st.booleans() | st.integers() | st.floats() | text
anything = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=12
)
likely = st.sampled_from(
    [
        *("RUNNING", "COMPLETED", "PUBLIC", "-created", "metrics.loss:>:0", "config.a.b:~:x", "created:>:2026-01-01"),
        *(0, 1, -1, 2**31, 2**63, 2**64, 10**400, 1e308, "nan", "x" * 300, "0" * 32, [], {}, [[]], "a\0b", "/ok"),
    ]
)
value = likely | anything
bodies = (
    st.dictionaries(st.sampled_from(FIELDS), value, max_size=5).map(lambda each: json.dumps(each).encode())
    | anything.map(lambda each: json.dumps(each).encode())
    | st.binary(max_size=60)
)
records = st.dictionaries(
    st.sampled_from(["n", "t", "k", "name", "v", "step", "type", "record", "kind", "data", "files", "status"]),
    value | st.sampled_from(["m", "v", "c", "e", "a", "s", "fit_start", "prompt", "gate"]),
    max_size=8,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One server for all that is thrown at it."""
    with house(tmp_path_factory.mktemp("fuzz") / "server") as made:
        yield made


@pytest.fixture(scope="module")
def owner(home: House) -> Visitor:
    return home.user("olga")


@pytest.fixture(scope="module")
def run(owner: Visitor) -> dict[str, Any]:
    return full_run(owner)


def sane(visitor: Visitor, method: str, path: str, **options: Any) -> None:
    answer = visitor(method, path, **options)
    assert answer.status_code < 500, (method, path, options, answer.text)
    if answer.status_code >= 400 and method != "HEAD" and path.startswith("/api/"):
        assert set(answer.json()["error"]) >= {"code", "message"}


def doors(home: House) -> list[Door | PlainDoor]:
    # Deletions would take away what the others are thrown at; other tests try them.
    return [r for r in home.app.routes if isinstance(r, (Door, PlainDoor)) and "DELETE" not in (r.methods or ())]


@settings(max_examples=400)
@given(data=st.data())
def test_any_input_to_any_route(home: House, owner: Visitor, run: dict[str, Any], data: st.DataObject) -> None:
    door = data.draw(st.sampled_from(doors(home)))
    known = {"ns": "ours", "project": "my-project", "run_id": run["id"], "run_slug": run["slug"], "run": run["slug"]}
    names = {
        name: data.draw(st.just(known[name]) | text) if name in known else data.draw(text | st.integers().map(str))
        for name in door.param_convertors
    }
    path = door.path_format.format(**{name: quote(each, safe="") for name, each in names.items()})
    query = data.draw(st.dictionaries(st.sampled_from(QUERIES), text | likely.map(str), max_size=3))
    method = data.draw(st.sampled_from(sorted(door.methods or ())))
    headers = {"Content-Type": data.draw(st.sampled_from(["application/json", "application/json", "text/plain", "x"]))}
    body = data.draw(bodies) if method in ("POST", "PUT", "PATCH") else None
    sane(owner, method, path, params=query, content=body, headers=headers)


@settings(max_examples=300)
@given(lines=st.lists(records, min_size=1, max_size=3), number=st.integers(1, 10**9))
def test_any_record_of_a_journal(owner: Visitor, run: dict[str, Any], lines: list[dict[str, Any]], number: int) -> None:
    numbered = [{"n": n, "t": 1.0, **record} for n, record in enumerate(lines, 1)]
    content = b"\n".join(json.dumps(each).encode() for each in numbered)
    path = f"/api/v1/runs/{run['id']}"
    sane(owner, "POST", f"{path}/journal", params={"client": f"c{number}", "first": 1}, content=content)
    for what in ("metrics", "texts", "calls", "cost", "prompts", "events", "artifacts"):
        answer = owner("GET", f"{path}/{what}")
        assert answer.status_code == 200, (what, answer.text)
