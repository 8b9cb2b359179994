"""What becomes of recordings when something goes wrong: servers die, Runs are deleted, feeders are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tellurio.client import folders
from tellurio.client.config import update_config
from tellurio.client.feeding import feed, recorders
from tellurio.client.http import Client
from tellurio.client.orphans import sync
from tellurio.dataflow import ContentIndex
from tests.tellurio.client.odd import Answer, serving
from tests.tellurio.running import PATIENCE, ServerProcess
from tests.tellurio.server.test_feeding import Recorder, until, with_a_namespace
from tests.tellurio.server.test_recordings import call


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("home"))
    with_a_namespace(server)
    yield server
    server.stop()


def gone(path: Path) -> bool:
    end = time.monotonic() + PATIENCE
    while path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    return not path.exists()


def end(recorder: Recorder) -> None:
    recorder.journal.append("s", {"status": "COMPLETED"})
    recorder.journal.close()


def over(run: Any) -> bool:
    return bool(run["status"] == "COMPLETED")


# --- the server is killed


def test_edges_after_a_kill_are_those_of_an_index_that_was_never_interrupted(server: ServerProcess) -> None:
    words = [f"word{n}" for n in range(200)]
    texts = [" ".join(words[(n * 7 + k) % 200] for k in range(14)) + f" in report {n}." for n in range(30)]
    told = [call(texts[max(0, n - 1)] + f" Question {n}.", texts[n], 1000.0 + n) for n in range(30)]
    recorder = Recorder(server.home)
    for number, each in enumerate(told):
        recorder.journal.append("c", {"record": each})
        if number in (9, 19):  # with some of them stored, some with their edges, some not
            until(server, f"/api/v1/runs/{recorder.id}/calls", lambda calls: len(calls) > 0)
            server.kill()
            server.start()
    end(recorder)
    until(server, f"/api/v1/runs/{recorder.id}", over)
    graph = until(server, f"/api/v1/runs/{recorder.id}/graph?weak=1&alternatives=1", lambda graph: graph["complete"])
    index = ContentIndex()
    expected = [
        (edge.source, edge.target, edge.kind, edge.weak, edge.alternative, edge.as_dict()["spans"])
        for each in told
        for edge in index.call(
            each["call_id"], each["request"], each["response"], "openai.chat", started=each["started"],
            finished=each["started"] + each["seconds"],
        )
    ]  # fmt: skip
    names = ("from", "to", "kind", "weak", "alternative")
    found = [(*(edge[name] for name in names), edge["spans"]) for edge in graph["edges"]]
    assert len(expected) > 20
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert [each["id"] for each in graph["calls"]] == [each["call_id"] for each in told]


# --- a recording is deleted


def test_a_recording_that_is_deleted_stays_deleted_while_its_script_runs(server: ServerProcess) -> None:
    recorder, other = Recorder(server.home), Recorder(server.home)
    recorder.call("before")
    until(server, f"/api/v1/runs/{recorder.id}/calls", lambda calls: len(calls) == 1)
    with server.client() as client:
        assert client.delete(f"/api/v1/runs/{recorder.id}").status_code == 204
        recorder.call("after")
        mark = recorder.journal.folder / "deleted"
        deadline = time.monotonic() + PATIENCE
        while not mark.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert mark.exists()
        server.restart()  # a new one does not take it for a new one
    with server.client() as client:
        until(server, f"/api/v1/runs/{other.id}", lambda run: True)
        end(other)
        until(server, f"/api/v1/runs/{other.id}", over)
        assert client.get(f"/api/v1/runs/{recorder.id}").status_code == 404
        assert recorder.journal.folder.exists()  # its script writes in it
        recorder.journal.close()
        late = Recorder(server.home)  # makes the server look again
        end(late)
        until(server, f"/api/v1/runs/{late.id}", over)
        assert gone(recorder.journal.folder)
        assert client.get(f"/api/v1/runs/{recorder.id}").status_code == 404


# --- servers elsewhere


@pytest.fixture
def machine(server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a server of its own: it is set to the one elsewhere."""
    for name in [name for name in os.environ if name.startswith(("TELLURIO_", "AO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TELLURIO_HOME", str(tmp_path))
    update_config(url=server.url, key=server.key)
    return tmp_path


def feeding(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tellurio.client.feeding", str(folder)])


def test_what_a_killed_feeder_left_is_sent_by_the_next_one(server: ServerProcess, machine: Path) -> None:
    first = Recorder(machine)
    first.call("one")
    feeder = feeding(first.journal.folder)
    until(server, f"/api/v1/runs/{first.id}/calls", lambda calls: len(calls) == 1)
    feeder.send_signal(signal.SIGKILL)
    feeder.wait(PATIENCE)
    first.call("two")
    end(first)
    second = Recorder(machine)
    end(second)
    assert feeding(second.journal.folder).wait(PATIENCE) == 0
    run = until(server, f"/api/v1/runs/{first.id}", over)
    assert run["cost"]["calls"] == 2
    until(server, f"/api/v1/runs/{second.id}", over)
    assert list(recorders(machine)) == []


def test_sync_sends_what_waits_and_does_not_wait_for_scripts(server: ServerProcess, machine: Path) -> None:
    ended, going = Recorder(machine), Recorder(machine)
    ended.call("one")
    end(ended)
    going.call("one")
    done = sync()
    assert [orphan.run_id for orphan in done.sent] == [ended.id]
    ((waiting, reason),) = done.waiting
    assert (waiting.run_id, "its script still runs" in reason) == (going.id, True)
    until(server, f"/api/v1/runs/{going.id}/calls", lambda calls: len(calls) == 1)
    end(going)
    assert [orphan.run_id for orphan in sync().sent] == [going.id]
    until(server, f"/api/v1/runs/{going.id}", over)


def test_a_recording_deleted_elsewhere_is_not_made_again(server: ServerProcess, machine: Path) -> None:
    recorder = Recorder(machine)
    recorder.call("one")
    sync()
    with server.client() as client:
        assert client.delete(f"/api/v1/runs/{recorder.id}").status_code == 204
        recorder.call("two")
        (machine / "journals" / recorder.id / "deleted").touch()  # as the feeder that had begun it notes
        end(recorder)
        assert (sync().sent, sync().waiting) == ([], [])
        assert not recorder.journal.folder.exists()
        assert client.get(f"/api/v1/runs/{recorder.id}").status_code == 404


def test_a_feeder_that_finds_its_run_deleted_notes_that(server: ServerProcess, machine: Path) -> None:
    recorder = Recorder(machine)
    recorder.call("one")
    feeder = feeding(recorder.journal.folder)
    until(server, f"/api/v1/runs/{recorder.id}/calls", lambda calls: len(calls) == 1)
    with server.client() as client:
        client.delete(f"/api/v1/runs/{recorder.id}")
        recorder.call("two")
        assert feeder.wait(PATIENCE) == 1
        assert client.get(f"/api/v1/runs/{recorder.id}").status_code == 404
    assert (recorder.journal.folder / "deleted").exists()
    recorder.journal.close()


def test_a_recording_meant_for_another_server_is_let_alone(server: ServerProcess, machine: Path) -> None:
    recorder = Recorder(machine)
    folder = recorder.journal.folder
    end(recorder)
    meta = folders.read_meta(folder)
    assert meta is not None
    (folder / "meta.json").unlink()
    folders.write_meta(folder, {**meta, "url": "http://elsewhere.example:1"})
    ((orphan, reason),) = sync().waiting
    assert (orphan.run_id, "afnio login --server http://elsewhere.example:1" in reason) == (recorder.id, True)
    here = Recorder(server.home)  # the same beside a local server: it takes its own alone
    theirs = server.home / "journals" / recorder.id
    folder.rename(theirs)
    end(here)
    until(server, f"/api/v1/runs/{here.id}", over)
    with server.client() as client:
        assert client.get(f"/api/v1/runs/{recorder.id}").status_code == 404
    assert theirs.exists()


def test_journals_of_a_later_recorder_wait_for_a_later_server(server: ServerProcess) -> None:
    folder = server.home / "journals" / str(uuid.uuid4())
    recorder = Recorder(server.home)
    meta = {"v": 2, "run_id": folder.name, "name": "x", "url": "", "server_id": "", "recorder": True}
    folders.open_journal(folder, uuid.uuid4().hex, meta).close()
    end(recorder)
    until(server, f"/api/v1/runs/{recorder.id}", over)
    assert folder.exists()
    assert folder not in [each for each, _ in recorders(server.home)]


def test_a_server_of_another_version_takes_nothing_and_nothing_is_lost(server: ServerProcess, machine: Path) -> None:
    recorder = Recorder(machine)
    recorder.call("one")
    end(recorder)
    with serving(
        lambda asked: Answer(426, {"error": {"code": "version", "message": "too old"}}, version="99.0")
    ) as odd:
        update_config(url=odd.url, key="tel_x")
        with pytest.raises(Exception, match=r"99\.0|too old"):
            feed(recorder.journal.folder, Client(odd.url, "tel_x"), follow=False)
    assert recorder.journal.folder.exists()
    update_config(url=server.url, key=server.key)
    assert [orphan.run_id for orphan in sync().sent] == [recorder.id]
    until(server, f"/api/v1/runs/{recorder.id}", over)


# --- many calls


def test_the_graph_of_a_long_run_is_there_with_and_without_bodies(server: ServerProcess) -> None:
    recorder = Recorder(server.home)
    for number in range(2_000):
        recorder.journal.append("c", {"record": call(f"Question {number}?", f"Answer {number * 7919}.", 1.0 + number)})
    end(recorder)
    until(server, f"/api/v1/runs/{recorder.id}", over)
    graph = until(server, f"/api/v1/runs/{recorder.id}/graph?bodies=false", lambda graph: graph["complete"])
    assert [each["index"] for each in graph["calls"]] == list(range(2_000))
    assert graph["calls"][0]["input"] is None
    with server.client() as client:
        whole = client.get(f"/api/v1/runs/{recorder.id}/graph").json()
    assert whole["calls"][7]["input"]["messages"][0]["content"] == "Question 7?"
