"""A recorder only writes its journal: the local server makes the Run, and stores what comes while it is written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tellurio.client import folders
from tellurio.client.feeding import Feed, feed, recorders
from tellurio.client.http import Client
from tellurio.client.journal import Journal
from tellurio.store import Store
from tellurio.store.runs import status
from tellurio.store.users import make_user
from tests.tellurio.running import PATIENCE, ServerProcess
from tests.tellurio.server.lab import house
from tests.tellurio.store.journal import call_record

Dict = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("home"))
    with_a_namespace(server)
    yield server
    server.stop()


def with_a_namespace(server: ServerProcess) -> None:
    """Its user has one, as users of a server elsewhere do: a feeder makes none there."""
    with server.client() as client:
        slug = client.get("/api/v1/me").json()["user"]["slug"]
        assert client.post("/api/v1/namespaces", json={"slug": slug}).status_code == 201


class Recorder:
    """What a recorder leaves on the disk."""

    def __init__(self, home: Path, **begin: Any) -> None:
        self.id = str(uuid.uuid4())
        folder = home / "journals" / self.id
        meta = {"v": 1, "run_id": self.id, "name": "agent", "url": "", "server_id": "", "recorder": True}
        self.journal = folders.open_journal(folder, uuid.uuid4().hex, meta)
        run = {"id": self.id, "name": "agent", "kind": "recording", "project": "Agents", "command": {"argv": ["a.py"]}}
        self.journal.append("b", {"run": run | begin})

    def call(self, text: str, run: str | None = None) -> None:
        record = call_record(call_id=str(uuid.uuid4()), response={"choices": [{"message": {"content": text}}]})
        self.journal.append("c", {"record": record} | ({} if run is None else {"r": run}))


def until(server: ServerProcess, path: str, holds: Callable[[Any], bool]) -> Any:
    """What the server answers, once that is as it should be."""
    end = time.monotonic() + PATIENCE
    with server.client() as client:
        while time.monotonic() < end:
            answer = client.get(path)
            if answer.status_code == 200 and holds(answer.json()):
                return answer.json()
            time.sleep(0.05)
    raise AssertionError(f"{path}: {answer.status_code} {answer.text[:500]}")


def test_a_run_is_there_while_its_recorder_lives_and_ends_as_it_says(server: ServerProcess) -> None:
    recorder = Recorder(server.home, name="it lives")
    run = until(server, f"/api/v1/runs/{recorder.id}", lambda run: run["status"] == "RUNNING")
    assert (run["kind"], run["project_slug"], run["name"]) == ("recording", "agents", "it lives")
    part = str(uuid.uuid4())
    recorder.journal.append("b", {"run": {"id": part, "kind": "subrun", "name": "sample-1", "parent_id": recorder.id}})
    recorder.call("first")
    recorder.call("second", part)
    until(server, f"/api/v1/runs/{recorder.id}/calls", lambda calls: len(calls) == 1)  # it lives, and it is there
    counted = lambda page: [child["cost"]["calls"] for child in page["runs"]] == [1]  # noqa: E731 - its call may come later
    (child,) = until(server, f"/api/v1/runs/{recorder.id}/children", counted)["runs"]
    assert (child["name"], child["kind"]) == ("sample-1", "subrun")
    recorder.journal.append("s", {"status": "FAILED", "reason": "exit status 7"})
    recorder.journal.close()
    ended = until(server, f"/api/v1/runs/{recorder.id}", lambda run: run["status"] != "RUNNING")
    assert (ended["status"], ended["reason"]) == ("FAILED", "exit status 7")
    gone = recorder.journal.folder
    end = time.monotonic() + PATIENCE
    while gone.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not gone.exists()


SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.tellurio.server.test_feeding import Recorder
recorder = Recorder(Path(sys.argv[1]))
for number in range(20):
    recorder.call(str(number))
print(recorder.id, flush=True)
time.sleep(600)
"""


def test_a_recorder_that_is_killed_leaves_all_its_calls_and_a_crashed_run(server: ServerProcess) -> None:
    root = str(Path(__file__).parents[3])
    child = subprocess.Popen([sys.executable, "-c", SCRIPT, server.home, root], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    run_id = child.stdout.readline().strip()
    until(server, f"/api/v1/runs/{run_id}", lambda run: run["status"] == "RUNNING")
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    run = until(server, f"/api/v1/runs/{run_id}", lambda run: run["status"] != "RUNNING")
    assert (run["status"], run["cost"]["calls"]) == ("CRASHED", 20)


def test_a_server_that_is_killed_meanwhile_loses_nothing(server: ServerProcess) -> None:
    recorder = Recorder(server.home)
    recorder.call("before")
    until(server, f"/api/v1/runs/{recorder.id}/calls", lambda calls: len(calls) == 1)
    server.kill()
    recorder.call("while it was away")
    server.start()
    recorder.call("after")
    calls = until(server, f"/api/v1/runs/{recorder.id}/calls", lambda calls: len(calls) == 3)
    assert len({call["call_id"] for call in calls}) == 3
    recorder.journal.append("s", {"status": "COMPLETED"})
    recorder.journal.close()
    until(server, f"/api/v1/runs/{recorder.id}", lambda run: run["status"] == "COMPLETED")


def test_a_recording_that_cannot_be_begun_holds_up_nobody(server: ServerProcess) -> None:
    bad = Recorder(server.home, kind="nothing known")
    good = Recorder(server.home)
    good.journal.append("s", {"status": "COMPLETED"})
    for recorder in (bad, good):
        recorder.journal.close()
    until(server, f"/api/v1/runs/{good.id}", lambda run: run["status"] == "COMPLETED")
    end = time.monotonic() + PATIENCE
    while "recording_not_stored" not in server.log:  # its turn may come after the good one's
        assert time.monotonic() < end
        time.sleep(0.05)
    assert bad.journal.folder.exists()
    for path in bad.journal.folder.iterdir():
        path.unlink(missing_ok=True)  # the server looks at it again, and removes a folder without journals


def test_a_server_that_ends_looks_once_more_and_not_twice_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, another = threading.Event(), threading.Event()
    at_once: list[bool] = []
    step = Feed.step

    def slow(feed: Feed) -> bool:
        if begun.is_set():
            another.set()
            return step(feed)
        begun.set()
        at_once.append(another.wait(0.5))  # the server ends meanwhile
        return step(feed)

    monkeypatch.setattr(Feed, "step", slow)
    recorder = Recorder(tmp_path)
    with house(tmp_path / "server", journals_home=tmp_path) as home:
        home.store.write(lambda c: make_user(c, "me", "me@localhost", is_admin=True))
        assert begun.wait(PATIENCE)
    assert (at_once, another.is_set()) == ([False], True)
    recorder.journal.close()
    with Store.open(tmp_path / "server") as store:
        assert store.read(status, recorder.id) == "RUNNING"


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_nothing_is_lost_for_a_name(server: ServerProcess, tmp_path: Path, where: str) -> None:
    """Of what cannot be a name there is left what can; the rest is as if it was not given."""
    home = server.home if where == "here" else tmp_path
    long = Recorder(home, name="n" * 300, project="///", namespace="No Such!")
    blank = Recorder(home, name="  ", project="p" * 300)
    for recorder in (long, blank):
        recorder.call("one")
        recorder.journal.append("s", {"status": "COMPLETED"})
        recorder.journal.close()
    if where == "elsewhere":
        for folder, _ in list(recorders(tmp_path)):
            assert feed(folder, Client(server.url, server.key)) is True
    run = until(server, f"/api/v1/runs/{long.id}", lambda run: run["status"] == "COMPLETED")
    assert (run["name"].rstrip("_1"), run["project_slug"], run["cost"]["calls"]) == ("n" * 200, "recordings", 1)
    run = until(server, f"/api/v1/runs/{blank.id}", lambda run: run["status"] == "COMPLETED")
    assert (run["name"] != "", run["project_slug"]) == (True, "p" * 100)


def test_for_a_server_elsewhere_a_process_feeds_it(server: ServerProcess, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)  # not below the server's home
    recorder.call("one")
    recorder.journal.append("s", {"status": "COMPLETED"})
    recorder.journal.close()
    ((folder, _),) = recorders(tmp_path)
    assert feed(folder, Client(server.url, server.key)) is True
    run = until(server, f"/api/v1/runs/{recorder.id}", lambda run: run["status"] == "COMPLETED")
    assert (run["cost"]["calls"], run["project_slug"], run["kind"]) == (1, "agents", "recording")
    assert list(recorders(tmp_path)) == []


def test_the_journal_of_a_process_that_died_at_once_is_tidied_away(server: ServerProcess, tmp_path: Path) -> None:
    folder = tmp_path / "journals" / str(uuid.uuid4())
    Journal(folder, "x").close()
    meta = {"run_id": folder.name, "name": "agent", "url": "", "server_id": "", "recorder": True}
    folders.write_meta(folder, meta)
    assert feed(folder, Client(server.url, server.key)) is True
    assert not folder.exists()
