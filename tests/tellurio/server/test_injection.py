"""Names and values that mean something to a database, a path, a header or an interpreter mean nothing here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.tellurio.server.lab import House, Visitor, full_run, house, line, metric_line, new_run

NASTY = [
    *(
        "'; DROP TABLE runs; --",
        '" OR 1=1 --',
        "x') UNION SELECT hash FROM api_keys --",
        "__class__.__init__.__globals__",
    ),
    *("$.a[0]", "a.b.c", "a[*]", "{{7*7}}", "${jndi:ldap://x}", "../../etc/passwd", "%s%n", "a\tb\r\nX-Evil: 1"),
    *("\u202eabc", "𝕌", "a" * 500, "metrics.x", "constructor", "__proto__"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One server for all of them."""
    with house(tmp_path_factory.mktemp("injection") / "server") as made:
        yield made


@pytest.fixture(scope="module")
def owner(home: House) -> Visitor:
    return home.user("olga")


@pytest.fixture(scope="module")
def full(owner: Visitor) -> dict[str, Any]:
    return full_run(owner)


@pytest.fixture
def run(owner: Visitor, full: dict[str, Any]) -> dict[str, Any]:
    """A Run of its own for each test; ``digest``: of a blob that is stored."""
    return {**new_run(owner, "ours", "my-project"), "digest": full["digest"]}


@pytest.mark.parametrize("name", NASTY)
def test_attribute_keys_are_data_in_ingest(home: House, owner: Visitor, run: dict[str, Any], name: str) -> None:
    one = f"/api/v1/runs/{run['id']}"
    lines = [
        metric_line(1, name, 4.25),
        line(2, "v", name=name, type="json", v={name: name}, step=None),
        line(3, "e", kind=name, data={name: {name: 1}}),
        line(4, "e", kind="fit_start", data={"prompts": {name: name}}),
    ]
    owner.json("POST", f"{one}/journal?client=nasty-{run['id']}&first=1", content=b"".join(lines))
    assert any(each["name"] == name and each["last"] == 4.25 for each in owner.json("GET", f"{one}/metrics"))
    assert owner.json("GET", f"{one}/texts", params={"name": name})[0]["value"] == {name: name}
    assert owner.json("GET", f"{one}/events", params={"kind": name})[0]["data"] == {name: {name: 1}}
    assert name in {each["parameter"] for each in owner.json("GET", f"{one}/prompts")}
    assert owner.json("GET", f"/api/v1/runs/{run['id']}")["name"] == run["name"]


@pytest.mark.parametrize("name", NASTY)
def test_names_are_data_in_filters_and_searches(owner: Visitor, run: dict[str, Any], name: str) -> None:
    made = new_run(owner, "ours", "my-project", config={name: {name: 1}}, name=name.strip()[:100], tags=[name[:200]])
    base = "/api/v1/namespaces/ours/projects/my-project/runs"
    for query in (
        {"search": name},
        {"filter": f"name:~:{name}"},
        {"filter": f"config.{name}:=:{name}"},
        {"filter": f"metrics.{name}:>:0"},
        {"sort": f"-metrics.{name}"},
        {"sort": f"config.{name}"},
        {"filter": f"{name}:=:1"},
        {"sort": name},
        {"cursor": name},
        {"status": name},
    ):
        assert owner("GET", base, params=query).status_code in (200, 422), query
    tagged = owner.json("GET", base, params={"filter": f"tags:=:{name[:200]}"})
    assert [each["id"] for each in tagged["runs"]] == [made["id"]]


@pytest.mark.parametrize("key", NASTY)
def test_sql_in_a_key_finds_nobody(home: House, run: dict[str, Any], key: str) -> None:
    for scheme in ("Bearer ", "bearer tel_", "Basic ", ""):
        answer = home.nobody("GET", "/api/v1/me", headers={"Authorization": (scheme + key).encode()})
        assert answer.status_code == 401


EVIL_PATHS = ["../evil", "/etc/passwd", "a/../../b", "a\\b", "..", "a//b", "C:/x", "a\0b", "./a", "", "a/"]


@pytest.mark.parametrize("path", EVIL_PATHS)
def test_an_artifact_cannot_name_a_path_outside_itself(owner: Visitor, run: dict[str, Any], path: str) -> None:
    files = [{"path": path, "sha256": run["digest"], "size": 16}]
    record = line(1, "a", name="x", kind="file", files=files)
    refused = owner("POST", f"/api/v1/runs/{run['id']}/journal?client=evil-{run['id']}&first=1", content=record)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "refused")


@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2f..%2fetc", "checkpoint%00", "C:", "%5c..%5c"])
@pytest.mark.parametrize(
    "rest", ["0/files/0", "-1/files/0", "0/files/-1", "0/files/..", "99999999999999999999/files/0"]
)
def test_a_download_names_no_path(owner: Visitor, run: dict[str, Any], name: str, rest: str) -> None:
    answer = owner("GET", f"/api/v1/runs/{run['id']}/artifacts/{name}/{rest}")
    assert answer.status_code in (400, 404, 422)


@pytest.mark.parametrize("digest", ["../../../../etc/passwd", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "%0a"])
def test_a_blob_is_named_by_its_digest_only(owner: Visitor, run: dict[str, Any], digest: str) -> None:
    for method in ("PUT", "HEAD"):
        assert owner(method, f"/api/v1/runs/{run['id']}/blobs/{digest}", content=b"x").status_code in (404, 422)


def test_a_file_name_is_no_header(owner: Visitor, run: dict[str, Any]) -> None:
    content = b"x"
    digest = hashlib.sha256(content).hexdigest()
    owner.json("PUT", f"/api/v1/runs/{run['id']}/blobs/{digest}", content=content)
    names = ['a";filename=evil.exe', "é.html", "a b;c.txt"]
    files = [{"path": f"d/{name}", "sha256": digest, "size": 1} for name in names]
    record = line(1, "a", name="odd name", kind="file", files=files)
    owner.json("POST", f"/api/v1/runs/{run['id']}/journal?client=odd&first=1", content=record)
    for number in range(3):
        got = owner("GET", f"/api/v1/runs/{run['id']}/artifacts/odd name/0/files/{number}")
        assert got.content == content
        value = got.headers["content-disposition"]
        assert value.count('"') == 2
        assert value.count(";") == 2
        assert value.isascii()
