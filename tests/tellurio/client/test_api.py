"""Reading back: what was stored comes back, in pages, and files go nowhere but where they were meant to."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import types
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from afnio.errors import ServerError
from tellurio.client.api import Api, StoredArtifact, StoredRun, _conditions
from tellurio.client.downloads import safe_parts
from tellurio.client.http import Client
from tests.tellurio.client.odd import Answer, Asked, serving
from tests.tellurio.running import ServerProcess


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Project:
    """A project on the server, and what is put into it."""

    def __init__(self, client: Client) -> None:
        self.client, self.namespace = client, f"n{uuid.uuid4().hex[:12]}"
        client.post("/api/v1/namespaces", json={"slug": self.namespace})
        client.post(f"/api/v1/namespaces/{self.namespace}/projects", json={"display_name": "Some Project"})
        self.name = f"{self.namespace}/some-project"

    def run(self, **given: Any) -> str:
        path = f"/api/v1/namespaces/{self.namespace}/projects/some-project/runs"
        made: str = self.client.post(path, json={"id": str(uuid.uuid4()), **given})["id"]
        return made

    def log(self, run: str, *records: dict[str, Any]) -> None:
        lines = [json.dumps({"n": n, "t": 1000.0 + n, **record}) for n, record in enumerate(records, 1)]
        query = {"client": uuid.uuid4().hex, "first": 1}
        self.client.post(f"/api/v1/runs/{run}/journal", params=query, content="\n".join(lines).encode() + b"\n")

    def artifact(self, run: str, name: str, files: dict[str, bytes]) -> None:
        for content in files.values():
            self.client.put(f"/api/v1/runs/{run}/blobs/{sha(content)}", content=content)
        listed = [{"path": path, "sha256": sha(content), "size": len(content)} for path, content in files.items()]
        self.log(run, {"k": "a", "name": name, "kind": "file", "files": listed})


@pytest.fixture
def client(server: ServerProcess) -> Client:
    return Client(server.url, server.key)


@pytest.fixture
def project(client: Client) -> Project:
    return Project(client)


@pytest.fixture
def api(client: Client) -> Api:
    return Api(client)


def metric(name: str, value: float | str, step: int | None = None) -> dict[str, Any]:
    return {"k": "m", "name": name, "v": value, "step": step}


def call(role: str, usd: str | None, **more: Any) -> dict[str, Any]:
    cost = {"usd": usd, "table": "t", "input": "1", "output": "1"}
    record = {
        "key": uuid.uuid4().hex,
        "role": role,
        "phase": "",
        "node": "",
        "words": "",
        "provider": "openai",
        "host": "api.openai.com",
        "model": "gpt-4o",
        "source": "live",
        "attempts": 1,
        "started": 5.0,
        "seconds": 0.5,
        "usage": {
            "input_tokens": 10,
            "output_tokens": 5,
            "cached_tokens": 0,
            "reasoning_tokens": 0,
            "estimated": False,
        },
        "cost": cost if usd is not None else None,
        "request": {"messages": [{"role": "user", "content": "hello"}]},
        "response": {"choices": []},
    }
    return {"k": "c", "record": {**record, **more}}


# Runs and projects


def test_a_run_has_the_facts_it_was_begun_with(api: Api, project: Project) -> None:
    id = project.run(name="first_one", description="d", config={"lr": 0.1, "net": {"depth": 2}}, tags=["a", "b"])
    run = api.run(f"{project.name}/first-one")
    assert (run.id, run.name, run.slug, run.status, run.reason) == (id, "first_one", "first-one", "RUNNING", None)
    assert (run.namespace, run.project, run.config) == (*project.name.split("/"), {"lr": 0.1, "net": {"depth": 2}})
    assert (run.tags, run.description, run.ended, run.budget) == (["a", "b"], "d", None, None)
    assert run.user["username"] == api._client.get("/api/v1/me")["user"]["username"]
    assert repr(run) == f"StoredRun({project.name}/first-one, RUNNING)"
    project.client.patch(f"/api/v1/runs/{id}", json={"status": "COMPLETED"})
    assert run.status == "RUNNING"
    assert run.refresh().status == "COMPLETED"
    assert run.ended is not None
    assert run.ended >= run.created


def test_a_run_is_found_by_name_slug_id_and_address(api: Api, project: Project) -> None:
    id = project.run(name="hungry_brownie_557")
    wanted = [f"{project.name}/hungry-brownie-557", f"{project.namespace}/Some Project/hungry_brownie_557", id]
    run = api.run(wanted[0])
    assert {api.run(each).id for each in [*wanted, run.url, run.url.removesuffix("/")]} == {id}
    assert run.url == f"{project.client.url}/{project.namespace}/projects/some-project/runs/hungry-brownie-557/"


def test_a_run_that_is_not_there(api: Api, project: Project) -> None:
    for missing in (f"{project.name}/none", "a/b/c", str(uuid.uuid4()), "../x/y", ".."):
        with pytest.raises(ServerError) as refused:
            api.run(missing)
        assert refused.value.status_code == 404, missing
    for wrong in ("a/b", "", "a/b/c/d"):
        with pytest.raises(ValueError, match="expected a Run as 'namespace/project/run'"):
            api.run(wrong)
    with pytest.raises(ValueError, match=r"is not on http://127.0.0.1"):
        api.run("https://elsewhere.example.com/a/projects/b/runs/c/")


def test_projects_of_one_namespace_and_of_all(api: Api, project: Project) -> None:
    assert [each.slug for each in api.projects(project.namespace)] == ["some-project"]
    assert project.name in {f"{each.org_slug}/{each.slug}" for each in api.projects()}


def test_runs_come_filtered_sorted_and_page_by_page(
    api: Api, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        id = project.run(name=f"r{number}", config={"lr": number / 10}, tags=["even"] if number % 2 == 0 else [])
        project.log(id, metric("acc", number / 10, 1))
        if number > 3:
            project.client.patch(f"/api/v1/runs/{id}", json={"status": "COMPLETED"})
    monkeypatch.setattr("tellurio.client.api._PAGE", 2)

    def names(*arguments: Any, **options: Any) -> list[str]:
        return [run.name for run in api.runs(project.name, *arguments, **options)]

    assert names() == ["r6", "r5", "r4", "r3", "r2", "r1", "r0"]
    assert names(sort="metrics.acc", limit=3) == ["r0", "r1", "r2"]
    assert names({"status": "COMPLETED", "metrics.acc": (">", 0.45)}, "-metrics.acc") == ["r6", "r5"]
    assert names("metrics.acc <= 0.1") == ["r1", "r0"]
    assert names(["metrics.acc>0.1", ("metrics.acc", "<", 0.4)], sort="name") == ["r2", "r3"]
    assert names(("config.lr", "=", 0.3)) == ["r3"]
    assert names("tags = 'even'", sort="name") == ["r0", "r2", "r4", "r6"]
    assert names({"name": ("~", "R5")}) == ["r5"]
    assert names(limit=0) == []
    found = api.runs(project.name, "status == RUNNING")
    assert (len(found), len(list(found)), len(list(found))) == (4, 4, 4)
    assert found
    assert not api.runs(project.name, "status = FAILED")
    assert len(api.runs(project.name, limit=3)) == 3
    assert next(iter(api.runs(api.projects(project.namespace)[0]))).name == "r6"


def test_pages_are_fetched_when_they_are_needed(api: Api, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        project.run()
    asked: list[str] = []
    get = project.client.get

    def counted(path: str, **options: Any) -> Any:
        asked.append(path)
        return get(path, **options)

    monkeypatch.setattr(project.client, "get", counted)
    monkeypatch.setattr("tellurio.client.api._PAGE", 2)
    runs = iter(Api(project.client).runs(project.name))
    assert asked == []
    next(runs)
    next(runs)
    assert len(asked) == 1
    next(runs)
    assert len(asked) == 2


def test_what_cannot_be_asked_for_is_refused(api: Api, project: Project) -> None:
    for wrong in ("acc", "> 3", ("acc", "is", 3), [("a", "=")]):
        with pytest.raises(ValueError, match="expected a filter"):
            api.runs(project.name, wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"limit must be at least 0"):
        api.runs(project.name, limit=-1)
    for name in ("one", "a/b/c", ""):
        with pytest.raises(ValueError, match=r"expected a project as 'namespace/project', got"):
            api.runs(name)
    with pytest.raises(ServerError) as refused:
        list(api.runs(project.name, "colour = red"))
    assert refused.value.status_code == 422
    with pytest.raises(ServerError) as refused:
        list(api.runs("nowhere/nothing"))
    assert refused.value.status_code == 404


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("metrics.acc > 0.5", ["metrics.acc:>:0.5"]),
        ("metrics.a b>=-1e3", ["metrics.a b:>=:-1e3"]),
        ("name != 'a = b'", ["name:!=:a = b"]),
        ("name ~ ", ["name:~:"]),
        ({"a": 1, "b": ("<", 2), "c": True, "d": ["~", "x"]}, ["a:=:1", "b:<:2", "c:=:true", "d:~:x"]),
        (("a", ">", 1), ["a:>:1"]),
        ([], []),
        (None, []),
    ],
)
def test_how_filters_are_spelled(given: Any, said: list[str]) -> None:
    assert list(_conditions(given)) == said


# What is in a Run


def test_metrics_come_back_as_they_were_logged(api: Api, project: Project) -> None:
    id = project.run()
    project.log(id, metric("acc", 0.5, 1), metric("loss/train", "nan", 1), metric("acc", "inf", 2), metric("acc", 2))
    run = api.run(id)
    points = run.metrics("acc")
    assert [(each["step"], each["value"]) for each in points] == [(1, 0.5), (2, math.inf), (None, 2.0)]
    assert points[0]["time"] == 1001.0
    assert math.isnan(run.metrics("loss/train")[0]["value"])
    assert run.metrics("none") == []
    names = {each["name"]: each for each in run.metrics()}
    assert set(names) == {"acc", "loss/train"}
    assert (names["acc"]["count"], names["acc"]["last"], names["acc"]["min"]) == (3, 2.0, 0.5)
    assert names["loss/train"]["min"] is None


@pytest.mark.parametrize("name", ["a b", "a?b=c", "a#b", "ä/ö", "100%", "a:b", ".", "a/../b", "a//b"])
def test_a_metric_may_have_any_name(name: str, api: Api, project: Project) -> None:
    id = project.run()
    project.log(id, metric(name, 0.25))
    assert [each["value"] for each in api.run(id).metrics(name)] == [0.25]
    assert [run.id for run in api.runs(project.name, {f"metrics.{name}": 0.25})] == [id]


def test_calls_costs_and_texts_come_in_pages(api: Api, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tellurio.client.api._PAGE", 2)
    id = project.run()
    calls = [call("forward", "0.000000000001") for _ in range(4)] + [call("backward", None)]
    texts = [{"k": "v", "name": "note", "type": "text", "v": f"t{number}", "step": None} for number in range(3)]
    events = [{"k": "e", "kind": "other", "data": {"a": 1}}]
    project.log(id, *calls, *texts, *events)
    run = api.run(id)
    assert run.cost["usd"] == Decimal("0.000000000004")
    assert (run.cost["calls"], run.cost["unpriced"], run.cost["input_tokens"]) == (5, 1, 50)
    listed = list(run.calls())
    assert [each["role"] for each in listed] == ["forward"] * 4 + ["backward"]
    assert [each["usd"] for each in listed] == [Decimal("0.000000000001")] * 4 + [None]
    assert [each["role"] for each in run.calls(role="backward")] == ["backward"]
    assert list(run.calls(model="none")) == []
    assert run.call(listed[0]["key"])["request"]["messages"][0]["content"] == "hello"
    assert {each["role"]: each["usd"] for each in run.costs()}["forward"] == Decimal("0.000000000004")
    assert [each["value"] for each in run.texts()] == ["t0", "t1", "t2"]
    assert list(run.texts("none")) == []
    assert [(each["kind"], each["data"]) for each in run.events("other")] == [("other", {"a": 1})]


def test_prompts_and_children(api: Api, project: Project) -> None:
    id = project.run(name="parent")
    for number in range(3):
        project.run(name=f"child_{number}", parent_id=id)
    project.log(id, {"k": "e", "kind": "fit_start", "data": {"prompts": {"system": "Be kind."}}})
    run = api.run(id)
    assert [(each["parameter"], each["version"], each["value"]) for each in run.prompts()] == [
        ("system", 0, "Be kind.")
    ]
    assert [each.name for each in run.children] == ["child_0", "child_1", "child_2"]
    assert run.children[0].parent_id == id


def test_without_pandas_a_frame_says_what_to_install(
    api: Api, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)  # as if it were not installed
    run = api.run(project.run())
    for what in (run.metrics_frame, api.runs(project.name).frame):
        with pytest.raises(ImportError, match=r"needs pandas, which is not installed. Type: pip install pandas"):
            what()


def test_frames_have_a_row_for_each_point_and_each_run(
    api: Api, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=lambda rows, columns: (rows, columns)))
    id = project.run(config={"lr": 0.5, "net": {"depth": 2}})
    project.log(id, metric("acc", 0.5, 1), metric("acc", "nan", 2), metric("loss", 1, 1))
    run = api.run(id)
    rows, columns = run.metrics_frame("acc")
    assert (columns, [each["step"] for each in rows]) == (["name", "step", "time", "value"], [1, 2])
    assert {each["name"] for each in run.metrics_frame()[0]} == {"acc", "loss"}
    assert api.run(project.run()).metrics_frame() == ([], columns)
    (row,), _ = api.runs(project.name, {"config.lr": 0.5}).frame()
    assert (row["config.net.depth"], row["config.lr"], row["cost.calls"], row["id"]) == (2, 0.5, 0, id)


# Artifacts


def test_an_artifact_comes_back_byte_by_byte(api: Api, project: Project, tmp_path: Path) -> None:
    id = project.run()
    files = {"a.txt": b"hello", "deep/er/b.bin": bytes(range(256)) * 5000, "empty": b"", "ä ö.txt": b"umlauts"}
    project.artifact(id, "data", {"a.txt": b"old"})
    project.artifact(id, "data", files)
    run = api.run(id)
    assert [(each.name, each.version) for each in run.artifacts()] == [("data", 0), ("data", 1)]
    artifact = run.artifact("data")
    assert (artifact.version, artifact.kind, artifact.size) == (1, "file", sum(map(len, files.values())))
    folder = artifact.download(tmp_path / "made" / "here")
    assert folder == tmp_path / "made" / "here"
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == files
    run.artifact("data", 0).download(folder)
    assert (folder / "a.txt").read_bytes() == b"old"
    with pytest.raises(LookupError, match=r"has no artifact 'none'; it has: data \(version 0\), data \(version 1\)"):
        run.artifact("none")
    with pytest.raises(LookupError, match=r"no artifact 'data' of version 3"):
        run.artifact("data", 3)


def test_a_file_that_is_there_and_the_same_is_not_fetched_again(api: Api, project: Project, tmp_path: Path) -> None:
    id = project.run()
    project.artifact(id, "data", {"a": b"same", "b": b"changed"})
    artifact = api.run(id).artifact("data")
    artifact.download(tmp_path)
    before = (tmp_path / "a").stat()
    (tmp_path / "b").write_bytes(b"changes")
    artifact.download(tmp_path)
    assert (tmp_path / "a").stat().st_ino == before.st_ino
    assert (tmp_path / "b").read_bytes() == b"changed"


BAD_PATHS = ["../up", "/etc/passwd", "a/../../up", "a//b", "", ".", "a/./b", "c:\\x", "a\\..\\b", "a\0b", "C:/x", "a/"]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_no_path_leads_out_of_the_folder(path: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="would not stay in the folder"):
        safe_parts(path)
    with evil(b"harm", path) as artifact, pytest.raises(ValueError, match="nothing was written"):
        artifact.download(tmp_path / "in" / "side")
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_folder_leads_nowhere_either(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "precious").write_bytes(b"mine")
    (inside / "linked").symlink_to(outside)
    with evil(b"harm", "linked/new") as artifact, pytest.raises(ValueError, match="is a link, and the file"):
        artifact.download(inside)
    (inside / "file").symlink_to(outside / "precious")
    with evil(b"harm", "file") as artifact:
        artifact.download(inside)
    assert (inside / "file").read_bytes() == b"harm"
    assert not (inside / "file").is_symlink()
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"precious": b"mine"}


@pytest.mark.parametrize("sent", [b"other", b"har", b"harm and more", b"", b"x" * 1_000_000])
def test_other_bytes_than_were_stored_are_not_written(sent: bytes, tmp_path: Path) -> None:
    with evil(sent, "file", stored=b"harm") as artifact, pytest.raises(ServerError, match="sent other bytes than were"):
        artifact.download(tmp_path)
    assert list(tmp_path.iterdir()) == []


def evil(sent: bytes, path: str, *, stored: bytes | None = None) -> Any:
    """An artifact of a server that sends what it likes under the paths it likes."""
    content = sent if stored is None else stored
    return _Evil(sent, {"path": path, "sha256": sha(content), "size": len(content)})


class _Evil:
    def __init__(self, sent: bytes, file: dict[str, Any]) -> None:
        self._sent, self._file = sent, file
        self._entered: Iterator[StoredArtifact] | None = None

    def __enter__(self) -> StoredArtifact:
        self._entered = self._serve()
        return next(self._entered)

    def __exit__(self, *_: object) -> None:
        assert self._entered is not None
        next(self._entered, None)

    def _serve(self) -> Iterator[StoredArtifact]:
        def script(asked: Asked) -> Answer:
            return Answer(body=self._sent, headers={"Content-Type": "application/octet-stream"})

        facts: dict[str, Any] = {
            **dict.fromkeys(("reason", "description", "notes", "budget", "parent_id", "ended", "config")),
            **dict.fromkeys(("id", "name", "slug", "namespace_slug", "project_slug", "status"), "x"),
            "tags": [],
            "user": {},
            "cost": {},
            "created": 0.0,
            "updated": 0.0,
        }
        with serving(script) as server:
            run = StoredRun(Client(server.url, None), facts)
            yield StoredArtifact("a", 1, "file", 4, "d", [self._file], run.created, run)
