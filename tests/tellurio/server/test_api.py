"""What each resource answers, and that the API's description is true."""

from __future__ import annotations

import re
import uuid
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter

from tellurio.server.doors import Door
from tests.tellurio.server.lab import House, Visitor, full_run, line, metric_line, new_run, record_of_a_call

RUN = "/api/v1/runs/{id}"


def test_every_documented_answer_fits_its_model(home: House, owner: Visitor, run: dict[str, Any]) -> None:
    new_run(owner, "ours", "my-project", parent_id=run["id"])
    key = owner.json("GET", f"/api/v1/runs/{run['id']}/calls")[0]["key"]
    names = {"ns": "ours", "project": "my-project", "run_id": run["id"], "run_slug": run["slug"], "key": key}
    names |= {"name": "checkpoint", "version": 0, "number": 0, "run": run["slug"]}
    names |= {"reference": "first", "other": run["id"]}
    seen = 0
    for route in home.app.routes:
        if isinstance(route, Door) and route.methods == {"GET"} and route.response_model is not None:
            if "{job_id}" in route.path or route.path.endswith("/output"):
                continue  # there is no job yet, and no script was started by this server
            answer = owner("GET", route.path_format.format(**names))
            assert answer.status_code == 200, (route.path, answer.text)
            TypeAdapter(route.response_model).validate_json(answer.content)
            seen += 1
    assert seen >= 15


def test_operations_have_names_of_their_own(home: House) -> None:
    described = home.app.openapi()
    names = [each["operationId"] for path in described["paths"].values() for each in path.values()]
    assert len(names) == len(set(names))
    assert "append_journal" in names
    for path, operations in described["paths"].items():
        for operation in operations.values():
            given = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert given == set(re.findall(r"{(\w+)}", path)), path
    text = orjson.dumps(described).decode()
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in described["components"]["schemas"]


def test_me(home: House, owner: Visitor) -> None:
    said = owner.json("GET", "/api/v1/me")
    assert said["user"]["username"] == "olga"
    assert said["server"] == {"version": said["server"]["version"], "server_id": home.store.server_id, "local": True}


def test_namespaces(owner: Visitor) -> None:
    made = owner.json("POST", "/api/v1/namespaces", json={"slug": "ours"})
    assert made["role"] == "OWNER"
    assert owner.json("GET", "/api/v1/namespaces") == [made]
    assert owner.json("GET", "/api/v1/namespaces/ours") == made
    assert owner("POST", "/api/v1/namespaces", json={"slug": "ours"}).status_code == 409
    refused = owner("POST", "/api/v1/namespaces", json={"slug": "No Spaces"})
    assert refused.status_code == 422
    assert "body.slug" in refused.json()["error"]["message"]


def test_projects(owner: Visitor, run: dict[str, Any]) -> None:
    one = "/api/v1/namespaces/ours/projects/my-project"
    made = owner.json("GET", one)
    assert (made["visibility"], made["role"], made["namespace_display_name"]) == ("RESTRICTED", "OWNER", "ours")
    assert owner.json("GET", "/api/v1/namespaces/ours/projects") == [made]
    again = owner("POST", "/api/v1/namespaces/ours/projects", json={"display_name": "my PROJECT"})
    assert again.status_code == 409
    changed = owner.json("PATCH", one, json={"visibility": "PUBLIC", "description": "what it is for"})
    assert (changed["visibility"], changed["description"]) == ("PUBLIC", "what it is for")
    assert owner("PATCH", one, json={"visibility": None}).status_code == 422
    assert owner("DELETE", one).status_code == 204
    assert owner("GET", one).status_code == 404
    assert owner("GET", f"/api/v1/runs/{run['id']}").status_code == 404


def test_a_deleted_project_takes_its_files_with_it(home: House, owner: Visitor, run: dict[str, Any]) -> None:
    assert home.store.blobs.has(run["digest"])
    owner.json("DELETE", "/api/v1/namespaces/ours/projects/my-project")
    assert not home.store.blobs.has(run["digest"])
    late = owner("POST", f"/api/v1/runs/{run['id']}/journal?client=x&first=1", content=metric_line(1))
    assert late.status_code == 404


def test_a_run_is_made_once(owner: Visitor, run: dict[str, Any]) -> None:
    body = {"id": run["id"]}
    again = owner.json("POST", "/api/v1/namespaces/ours/projects/my-project/runs", json=body)
    assert (again["id"], again["name"], again["config"]) == (run["id"], "first", {"lr": 0.1})
    owner.json("POST", "/api/v1/namespaces/ours/projects", json={"display_name": "other"})
    other = owner("POST", "/api/v1/namespaces/ours/projects/other/runs", json=body)
    assert other.status_code == 409
    upper = owner.json("POST", "/api/v1/namespaces/ours/projects/other/runs", json={"id": str(uuid.uuid4()).upper()})
    assert upper["id"] == upper["id"].lower()


def test_runs_are_listed_filtered_and_paged(owner: Visitor, run: dict[str, Any]) -> None:
    base = "/api/v1/namespaces/ours/projects/my-project/runs"
    for number in range(3):
        made = new_run(owner, "ours", "my-project", name=f"r{number}", config={"a": {"b": number}})
        owner.json(
            "POST", f"/api/v1/runs/{made['id']}/journal?client=k{number}&first=1", content=metric_line(1, "acc", number)
        )
    page = owner.json("GET", base, params={"filter": ["metrics.acc:>=:1", "config.a.b:<:5"], "sort": "-metrics.acc"})
    assert [each["name"] for each in page["runs"]] == ["r2", "r1"]
    assert page["total"] == 2
    first = owner.json("GET", base, params={"limit": 3})
    rest = owner.json("GET", base, params={"limit": 3, "cursor": first["cursor"]})
    assert (len(first["runs"]), len(rest["runs"]), rest["cursor"], rest["total"]) == (3, 1, None, 4)
    assert owner("GET", base, params={"filter": "nonsense"}).status_code == 422
    assert owner("GET", base, params={"sort": "nonsense"}).status_code == 422
    assert owner("GET", base, params={"cursor": "nonsense"}).status_code == 422
    assert "key" not in first["runs"][0]


def test_children_are_those_of_the_same_project(owner: Visitor, run: dict[str, Any]) -> None:
    child = new_run(owner, "ours", "my-project", parent_id=run["id"])
    found = owner.json("GET", f"/api/v1/runs/{run['id']}/children")
    assert [each["id"] for each in found["runs"]] == [child["id"]]


def test_a_run_is_changed_and_ends_once(owner: Visitor, run: dict[str, Any]) -> None:
    one = f"/api/v1/runs/{run['id']}"
    changed = owner.json("PATCH", one, json={"notes": "seen", "tags": ["x"], "name": "better"})
    assert (changed["notes"], changed["tags"], changed["name"], changed["slug"]) == ("seen", ["x"], "better", "first")
    assert owner.json("POST", f"{one}/beat") == {"status": "RUNNING"}
    ended = owner.json("PATCH", one, json={"status": "FAILED", "reason": "superseded", "notes": "done"})
    assert (ended["status"], ended["reason"], ended["notes"]) == ("FAILED", "superseded", "done")
    assert owner.json("PATCH", one, json={"status": "COMPLETED"})["status"] == "FAILED"
    assert owner.json("POST", f"{one}/beat") == {"status": "FAILED"}
    assert owner("PATCH", one, json={"status": "RUNNING"}).status_code == 422
    assert owner("PATCH", one, json={"reason": "x"}).status_code == 422
    assert owner("PATCH", one, json={"tags": None}).status_code == 422


def test_what_was_logged_is_read_back(owner: Visitor, run: dict[str, Any]) -> None:
    one = f"/api/v1/runs/{run['id']}"
    loss, top = owner.json("GET", f"{one}/metrics")
    assert (loss["count"], loss["last"], loss["min"], loss["max"]) == (2, "nan", 1.5, 1.5)
    assert (top["last"], top["min"], top["max"]) == ("inf", None, None)
    assert [point[2] for point in owner.json("GET", f"{one}/metrics/loss")["points"]] == [1.5, "nan"]
    buckets = owner.json("GET", f"{one}/metrics/loss", params={"buckets": 1})["buckets"]
    assert buckets[0][3:] == [1.5, 1.5, 1.5, 2]
    assert owner.json("GET", f"{one}/metrics/never/was")["points"] == []
    assert owner.json("GET", f"{one}/texts")[0]["value"] == "said <b>so</b>"
    assert owner.json("GET", f"{one}/texts", params={"name": "other"}) == []
    assert [each["kind"] for each in owner.json("GET", f"{one}/events", params={"kind": "prompt"})] == ["prompt"]
    assert [(each["version"], each["value"]) for each in owner.json("GET", f"{one}/prompts")] == [
        (0, "one"),
        (1, "two"),
    ]


def test_calls_and_cost(owner: Visitor, run: dict[str, Any]) -> None:
    one = f"/api/v1/runs/{run['id']}"
    (listed,) = owner.json("GET", f"{one}/calls", params={"model": "gpt-5"})
    assert (listed["usd"], "request" in listed) == ("0.0012", False)
    assert owner.json("GET", f"{one}/calls/{listed['key']}")["request"]["messages"][0]["content"] == "hello"
    assert owner("GET", f"{one}/calls/{listed['key'] + 1}").status_code == 404
    assert owner.json("GET", f"{one}/cost")["total"]["usd"] == "0.0012"
    assert owner.json("GET", one)["cost"]["usd"] == "0.0012"


def test_runs_are_listed_with_metrics(owner: Visitor, run: dict[str, Any]) -> None:
    new_run(owner, "ours", "my-project")
    path = "/api/v1/namespaces/ours/projects/my-project/runs"
    asked = {"columns": ["metrics.loss", "metrics.top", "metrics.never"]}
    bare, full = owner.json("GET", path, params=asked)["runs"]
    assert (bare["metrics"], full["metrics"]) == ({}, {"loss": "nan", "top": "inf"})
    assert [each["metrics"] for each in owner.json("GET", path)["runs"]] == [{}, {}]
    for wrong in ("loss", "metrics.", "config.lr", ""):
        refused = owner("GET", path, params={"columns": wrong})
        assert refused.status_code == 422
        assert "metrics.<name>" in refused.json()["error"]["message"]
    assert owner("GET", path, params={"columns": ["metrics.x"] * 51}).status_code == 422
    names = owner.json("GET", "/api/v1/namespaces/ours/projects/my-project/metrics")
    assert names == [{"name": "loss", "runs": 1}, {"name": "top", "runs": 1}]


def test_a_chart_asks_for_what_it_has_not_got(owner: Visitor, run: dict[str, Any]) -> None:
    one = f"/api/v1/runs/{run['id']}"
    known = owner.json("GET", f"{one}/metrics/loss")
    assert (known["count"], len(known["points"])) == (2, 2)
    owner.json("POST", f"{one}/journal?client=more&first=1", content=metric_line(1, value=0.25, step=3))
    more = owner.json("GET", f"{one}/metrics/loss", params={"after": known["count"]})
    assert (more["count"], [point[2] for point in more["points"]]) == (3, [0.25])
    assert owner.json("GET", f"{one}/metrics/loss", params={"after": 3})["points"] == []
    assert owner("GET", f"{one}/metrics/loss", params={"after": -1}).status_code == 422


def test_the_newest_calls_first(owner: Visitor, run: dict[str, Any]) -> None:
    one = f"/api/v1/runs/{run['id']}"
    lines = [line(n, "c", record=record_of_a_call(model=f"m{n}")) for n in range(1, 4)]
    owner.json("POST", f"{one}/journal?client=more&first=1", content=b"".join(lines))
    page = owner.json("GET", f"{one}/calls", params={"order": "newest", "limit": 2})
    assert [each["model"] for each in page] == ["m3", "m2"]
    rest = owner.json("GET", f"{one}/calls", params={"order": "newest", "before": page[-1]["key"]})
    assert [each["model"] for each in rest] == ["m1", "gpt-5"]
    assert owner("GET", f"{one}/calls", params={"order": "x"}).status_code == 422


def test_a_budget_says_what_is_spent(owner: Visitor, run: dict[str, Any]) -> None:
    assert owner.json("GET", f"/api/v1/runs/{run['id']}/cost")["budget"] == []
    made = new_run(owner, "ours", "my-project", budget={"usd": "0.0024", "calls": 10})
    path = f"/api/v1/runs/{made['id']}"
    owner.json("POST", f"{path}/journal?client=b&first=1", content=line(1, "c", record=record_of_a_call()))
    assert owner.json("GET", f"{path}/cost")["budget"] == [
        {"name": "usd", "limit": "0.0024", "spent": "0.0012", "share": 0.5},
        {"name": "calls", "limit": 10, "spent": 1, "share": 0.1},
    ]


def test_names_with_slashes_and_other_letters(owner: Visitor, run: dict[str, Any]) -> None:
    path = f"/api/v1/runs/{run['id']}/journal?client=other&first=1"
    owner.json("POST", path, content=metric_line(1, "val/acc é", 3))
    found = owner.json("GET", f"/api/v1/runs/{run['id']}/metrics/val%2Facc%20%C3%A9")
    assert found["points"][0][2] == 3


def test_a_journal_is_stored_once_and_in_order(owner: Visitor, run: dict[str, Any]) -> None:
    path = f"/api/v1/runs/{run['id']}/journal?client=k&first="
    batch = [metric_line(n, "m", n) for n in range(1, 6)]
    assert owner.json("POST", path + "1", content=b"".join(batch))["acknowledged"] == 5
    assert owner.json("POST", path + "1", content=b"".join(batch))["acknowledged"] == 5
    assert owner.json("POST", path + "6", content=b"")["acknowledged"] == 5
    gap = owner("POST", path + "9", content=metric_line(9))
    assert (gap.status_code, gap.json()["error"]["code"], gap.json()["error"]["acknowledged"]) == (409, "gap", 5)
    bad = owner("POST", path + "6", content=metric_line(6) + b"rubbish\n" + metric_line(8))
    assert (bad.status_code, bad.json()["error"]["code"], bad.json()["error"]["n"]) == (422, "refused", 7)
    assert len(owner.json("GET", f"/api/v1/runs/{run['id']}/metrics/m")["points"]) == 5
    ended = owner.json("POST", path + "6", content=line(6, "s", status="COMPLETED"))
    assert ended == {"acknowledged": 6, "status": "COMPLETED"}


@pytest.mark.parametrize(
    "query", ["", "?client=a", "?first=1", "?client=&first=1", "?client=a&first=0", "?client=a&first=x"]
)
def test_a_journal_says_whose_it_is_and_where_it_begins(owner: Visitor, run: dict[str, Any], query: str) -> None:
    assert owner("POST", f"/api/v1/runs/{run['id']}/journal{query}", content=b"").status_code == 422


def test_artifacts_are_listed_and_downloaded(owner: Visitor, run: dict[str, Any]) -> None:
    (made,) = owner.json("GET", f"/api/v1/runs/{run['id']}/artifacts")
    assert (made["name"], made["version"], made["files"][0]["path"]) == ("checkpoint", 0, "a/b.txt")
    path = f"/api/v1/runs/{run['id']}/artifacts/checkpoint/0/files/"
    got = owner("GET", path + "0")
    assert got.content == b"the file's bytes"
    assert owner("GET", path + "1").status_code == 404
    assert owner("HEAD", f"/api/v1/runs/{run['id']}/blobs/{run['digest']}").status_code == 200
    assert owner("HEAD", f"/api/v1/runs/{run['id']}/blobs/{'0' * 64}").status_code == 404


def test_a_blob_that_is_not_what_it_says_is_refused(owner: Visitor, run: dict[str, Any]) -> None:
    refused = owner("PUT", f"/api/v1/runs/{run['id']}/blobs/{'0' * 64}", content=b"something else")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid")
    assert owner("PUT", f"/api/v1/runs/{run['id']}/blobs/..%2F..%2Fetc", content=b"x").status_code in (404, 422)


def test_values_nested_deeper_than_the_encoder_likes_come_back(owner: Visitor, run: dict[str, Any]) -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    path = f"/api/v1/runs/{run['id']}/journal?client=deep&first=1"
    assert owner("POST", path, content=line(1, "e", kind="deep", data=deep)).status_code == 200
    depth = 600
    text = b'{"n":2,"t":1.0,"k":"e","kind":"deeper","data":' + b"[" * depth + b"]" * depth + b"}"
    answer = owner("POST", path.replace("first=1", "first=2"), content=text)
    assert answer.status_code in (200, 422)
    assert owner("GET", f"/api/v1/runs/{run['id']}/events").status_code == 200
    record = record_of_a_call(response=deep)
    again = owner("POST", path.replace("deep", "calls"), content=line(1, "c", record=record))
    assert again.status_code == 200


def test_two_namespaces_do_not_meet(home: House, owner: Visitor, run: dict[str, Any]) -> None:
    other = home.user("peter")
    full_run(other, "theirs")
    assert [each["slug"] for each in other.json("GET", "/api/v1/namespaces")] == ["theirs"]
    assert other("GET", "/api/v1/namespaces/ours/projects").status_code == 404
    owner.json("PATCH", "/api/v1/namespaces/ours/projects/my-project", json={"visibility": "PUBLIC"})
    (seen,) = other.json("GET", "/api/v1/namespaces/ours/projects")
    assert seen["role"] == "VIEWER"
    assert other("GET", "/api/v1/namespaces/ours").status_code == 404
