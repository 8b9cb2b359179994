"""Recorded scripts are stopped and run again by a local server: for its user, as they were recorded, and no others."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tellurio.client.restarting import CannotRun, restart
from tellurio.server.outputs import LIMIT, Outputs, Said
from tellurio.server.processes import Processes
from tellurio.store.edits import not_begun
from tellurio.store.recordings import begin_recording
from tellurio.store.runs import end_run
from tests.tellurio.running import PATIENCE, ServerProcess
from tests.tellurio.server.lab import House, Visitor, house, new_run
from tests.tellurio.server.test_feeding import Recorder, until
from tests.tellurio.server.test_feeding_faults import gone

REPO = str(Path(__file__).parents[3])
SECRET = "sk-very-secret-0123456789"

NOTES = """
import os, sys
from pathlib import Path
Path("seen").write_text(repr((sys.argv, os.getcwd(), os.environ.get("MY_API_KEY"), os.environ.get("OTHER"))))
if Path("wait").exists():
    import time
    print("ready", flush=True)
    time.sleep(600)
"""

DEAF = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("home"))
    yield server
    server.stop()


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx2.Client]:
    with server.client() as client:
        yield client


class Script:
    """A script under ``ao-record``, and its Run."""

    def __init__(self, server: ServerProcess, folder: Path, source: str, *arguments: str, wait: bool = False) -> None:
        self.folder = folder
        (folder / "script.py").write_text(source)
        if wait:
            (folder / "wait").touch()
        env = {name: value for name, value in os.environ.items() if not name.startswith(("AO_", "TELLURIO_"))}
        for name in [name for name in env if name.endswith("_API_KEY")]:
            del env[name]
        env |= {"TELLURIO_HOME": str(server.home), "PYTHONPATH": REPO, "MY_API_KEY": SECRET, "OTHER": "other"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ao.runner.record", "script.py", *arguments],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        if wait:
            assert self.process.stdout.readline() == "ready\n"
        else:
            self.process.communicate(timeout=PATIENCE)
        runs = until(server, "/api/v1/recordings?limit=1000", lambda runs: self._mine(server, runs) is not None)
        self.id: str = self._mine(server, runs)

    def _mine(self, server: ServerProcess, runs: Any) -> Any:
        with server.client() as client:
            for run in runs:
                command = client.get(f"/api/v1/recordings/{run['id']}").json()["command"] or {}
                # A process id may have been another's before; the folder is this test's.
                if (command.get("pid"), command.get("cwd")) == (self.process.pid, str(self.folder)):
                    return run["id"]
        return None

    @property
    def seen(self) -> Any:
        return eval((self.folder / "seen").read_text())

    def end(self) -> int:
        status = self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


Record = Callable[..., Script]


@pytest.fixture
def record(server: ServerProcess, tmp_path: Path) -> Record:
    def made(source: str = NOTES, *arguments: str, wait: bool = False) -> Script:
        return Script(server, tmp_path, source, *arguments, wait=wait)

    return made


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def over(run: Any) -> bool:
    return run["status"] in ("COMPLETED", "CRASHED", "FAILED")


def test_a_rerun_is_the_same_command_in_the_same_place(
    server: ServerProcess, client: httpx2.Client, record: Record
) -> None:
    script = record(NOTES, "a b", "--c")
    until(server, f"/api/v1/runs/{script.id}", over)
    (script.folder / "seen").unlink()
    begun = client.post(f"/api/v1/runs/{script.id}/rerun", json={"env": {"MY_API_KEY": SECRET}})
    assert begun.status_code == 201
    assert (begun.json()["parent_id"], begun.json()["kind"]) == (script.id, "rerun")
    ended = until(server, f"/api/v1/runs/{begun.json()['id']}", over)
    assert ended["status"] == "COMPLETED"
    arguments, where, key, other = script.seen
    assert arguments == ["script.py", "a b", "--c"]
    assert (where, key) == (str(script.folder), SECRET)
    assert other is None  # of the environment only what is on the allow-list was stored


def test_the_key_is_stored_nowhere(server: ServerProcess, client: httpx2.Client, record: Record) -> None:
    script = record()
    begun = client.post(f"/api/v1/runs/{script.id}/rerun", json={"env": {"MY_API_KEY": SECRET}}).json()
    until(server, f"/api/v1/runs/{begun['id']}", over)
    for run_id in (script.id, begun["id"]):
        assert gone(server.home / "journals" / run_id)  # else it goes while it is read
    assert script.seen[2] == SECRET
    files = [path for path in server.home.rglob("*") if path.is_file()]
    assert any(path.name.startswith("tellurio.db") for path in files)
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    assert [path for path in files if path.stat().st_mode & 0o077 and path.name != "log"] == []


def test_what_is_missing_is_named(client: httpx2.Client, record: Record) -> None:
    script = record()
    answer = client.post(f"/api/v1/runs/{script.id}/rerun", json={})
    assert answer.status_code == 409
    assert "It was recorded with MY_API_KEY, which is not set here" in answer.text
    children = client.get(f"/api/v1/runs/{script.id}/children").json()
    assert children["total"] == 0  # no draft was left behind


@pytest.mark.parametrize("name", ["PYTHONPATH", "LD_PRELOAD", "PATH", "PYTHONSTARTUP", "HOME", ""])
def test_a_caller_cannot_make_it_another_program(client: httpx2.Client, record: Record, name: str) -> None:
    script = record()
    answer = client.post(f"/api/v1/runs/{script.id}/rerun", json={"env": {"MY_API_KEY": SECRET, name: "/tmp"}})
    assert answer.status_code == 422
    assert "this recording needs MY_API_KEY" in answer.text
    assert SECRET not in answer.text


def a_project(client: httpx2.Client) -> str:
    """Where its Runs are; another test may have made it."""
    me: str = client.get("/api/v1/me").json()["user"]["slug"]
    client.post("/api/v1/namespaces", json={"slug": me})
    client.post(f"/api/v1/namespaces/{me}/projects", json={"display_name": "Made up"})
    return f"/api/v1/namespaces/{me}/projects/made-up/runs"


def test_a_command_that_came_over_the_network_is_not_started(
    server: ServerProcess, client: httpx2.Client, tmp_path: Path
) -> None:
    """The key of a local server reads and writes Runs; it does not run what somebody made up."""
    where = a_project(client)
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')")
    command = {"argv": [str(trap)], "interpreter": sys.executable, "cwd": str(tmp_path), "host": socket.gethostname()}
    for more in ({}, {"sent": False}):
        run: dict[str, Any] = {"id": str(uuid.uuid4()), "kind": "recording", "command": command | more}
        made = client.post(where, json=run)
        assert made.status_code == 201
        client.patch(f"/api/v1/runs/{run['id']}", json={"status": "COMPLETED"})
        answer = client.post(f"/api/v1/runs/{run['id']}/rerun", json={})
        assert (answer.status_code, "came over the network" in answer.text) == (409, True)
        line = b'{"n": 1, "t": 1, "k": "b", "run": {"id": "%s", "kind": "recording", "command": {"argv": ["x"]}}}\n'
        client.post(f"/api/v1/runs/{run['id']}/journal?client={run['id']}&first=1", content=line % run["id"].encode())
        assert client.post(f"/api/v1/runs/{run['id']}/rerun", json={}).status_code == 409
    assert not (tmp_path / "sprung").exists()


def test_a_draft_of_such_a_run_is_not_started_either(client: httpx2.Client) -> None:
    where = a_project(client)
    run = {"id": str(uuid.uuid4()), "kind": "recording", "command": {"argv": ["x.py"]}}
    client.post(where, json=run)
    line = b'{"n":1,"t":1,"k":"c","record":{"call_id":"c1","request":{},"response":{"a":1},"usage":{}}}\n'
    client.post(f"/api/v1/runs/{run['id']}/journal?client={run['id']}&first=1", content=line)
    client.patch(f"/api/v1/runs/{run['id']}", json={"status": "COMPLETED"})
    edit = {"call": "c1", "field": "output", "path": "/a", "value": 2}
    draft = client.post(f"/api/v1/runs/{run['id']}/edits", json=edit).json()
    assert draft["status"] == "DRAFT"
    assert client.post(f"/api/v1/runs/{draft['id']}/rerun", json={}).status_code == 409


def test_stop_is_ctrl_c(server: ServerProcess, client: httpx2.Client, record: Record) -> None:
    script = record(wait=True)
    answer = client.post(f"/api/v1/runs/{script.id}/stop")
    assert answer.json() == {"pid": script.process.pid}
    assert script.end() in (-signal.SIGINT, 130)
    assert until(server, f"/api/v1/runs/{script.id}", over)["status"] == "CRASHED"
    again = client.post(f"/api/v1/runs/{script.id}/stop")
    assert (again.status_code, "does not run on this machine" in again.text) == (409, True)


def test_a_script_that_is_deaf_to_ctrl_c_is_ended(server: ServerProcess, client: httpx2.Client, record: Record) -> None:
    (script := record(DEAF, wait=True)).folder.joinpath("wait").unlink()
    assert client.post(f"/api/v1/runs/{script.id}/stop").status_code == 200
    assert script.end() in (-signal.SIGTERM, 143)
    assert until(server, f"/api/v1/runs/{script.id}", over)["status"] == "CRASHED"


def test_a_rerun_of_one_that_goes_on_stops_it_and_takes_its_key(
    server: ServerProcess, client: httpx2.Client, record: Record
) -> None:
    script = record(wait=True)
    (script.folder / "wait").unlink()
    begun = client.post(f"/api/v1/runs/{script.id}/rerun", json={})
    assert begun.status_code == 201
    assert script.end() in (-signal.SIGINT, 130)
    assert until(server, f"/api/v1/runs/{begun.json()['id']}", over)["status"] == "COMPLETED"
    assert script.seen[2] == SECRET  # it was in the environment of the process that was stopped


def test_a_process_that_is_no_recorder_of_the_run_is_let_alone(
    server: ServerProcess, client: httpx2.Client, record: Record
) -> None:
    """A process id may have become another's; and a journal may say what it likes."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as bystander:
        command = {"argv": ["a.py"], "pid": bystander.pid, "host": socket.gethostname()}
        recorder = Recorder(server.home, command=command)
        until(server, f"/api/v1/runs/{recorder.id}", lambda run: run["status"] == "RUNNING")
        assert client.post(f"/api/v1/runs/{recorder.id}/stop").status_code == 409
        assert bystander.poll() is None
        bystander.kill()
    recorder.journal.append("s", {"status": "COMPLETED"})
    recorder.journal.close()


@pytest.mark.parametrize("what", ["stop", "rerun"])
def test_a_page_of_another_origin_can_do_nothing(
    server: ServerProcess, client: httpx2.Client, record: Record, what: str
) -> None:
    script = record()
    path = f"{server.url}/api/v1/runs/{script.id}/{what}"
    body: Any = {"json": {"env": {"MY_API_KEY": SECRET}}}
    with httpx2.Client(trust_env=False) as nobody:
        assert nobody.post(path, **body).status_code == 401
        key = {"Authorization": f"Bearer {server.key}"}
        assert nobody.post(path, headers=key | {"Origin": "https://evil.example"}, **body).status_code == 403
        assert nobody.post(path, headers=key | {"Host": "evil.example"}, **body).status_code == 400
        assert nobody.get(path, headers=key).status_code == 405
    assert client.get(f"/api/v1/runs/{script.id}/children").json()["total"] == 0


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ({"host": "elsewhere"}, "recorded on another machine, elsewhere"),
        ({"argv": ["-"], "stdin": True}, "standard input"),
        ({"cwd": "/nowhere/at/all"}, "working directory /nowhere/at/all is gone"),
        ({"interpreter": "/nowhere/python", "cwd": "/tmp"}, "The Python it was recorded with is gone"),
        ({"argv": []}, "nobody knows how its script is started"),
    ],
)
def test_what_cannot_be_started_here_says_why(
    server: ServerProcess, client: httpx2.Client, command: dict[str, Any], says: str
) -> None:
    recorder = Recorder(server.home, command={"argv": ["a.py"], "cwd": "/tmp", "host": socket.gethostname()} | command)
    recorder.journal.append("s", {"status": "COMPLETED"})
    recorder.journal.close()
    until(server, f"/api/v1/runs/{recorder.id}", over)
    answer = client.post(f"/api/v1/runs/{recorder.id}/rerun", json={})
    assert (answer.status_code, says in answer.text) == (409, True), answer.text


SAYS = f"""
import os, sys, time
from pathlib import Path
print("to stdout", flush=True)
print("to stderr: sk-abcdefghijklmnop0123", file=sys.stderr, flush=True)
if Path("much").exists():
    for number in range(19_999):
        print(f"line {{number:06}} " + "x" * 500)
    sys.stdout.flush()
    while not 0 < os.fstat(1).st_size <= {LIMIT}:
        time.sleep(0.01)  # what is printed while the server cuts the beginning off may be lost
    print("line 019999 " + "x" * 500)
"""


def test_what_a_rerun_prints_is_kept_for_its_user_and_goes_with_the_run(
    server: ServerProcess, client: httpx2.Client, record: Record
) -> None:
    script = record(SAYS)
    until(server, f"/api/v1/runs/{script.id}", over)
    own = client.get(f"/api/v1/runs/{script.id}/output")
    assert (own.status_code, "did not start" in own.text) == (404, True)
    begun = client.post(f"/api/v1/runs/{script.id}/rerun", json={"env": {"MY_API_KEY": SECRET}}).json()
    until(server, f"/api/v1/runs/{begun['id']}", over)
    path = f"/api/v1/runs/{begun['id']}/output"
    # It prints after its end was recorded, too, and the file is cleaned when the process has ended: its size changes.
    cleaned = lambda said: "recorded 0 calls" in said["text"] and len(said["text"]) == said["size"]  # noqa: E731
    said = until(server, path, cleaned)
    assert said["text"].startswith("to stdout\nto stderr: [redacted]\n")
    assert said["left_out"] == 0
    (file,) = (path for path in (server.folder / "outputs").iterdir() if path.name == begun["id"])
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    end = client.get(path, params={"last": 5}).json()
    assert (len(end["text"]), end["left_out"], end["size"]) == (5, said["size"] - 5, said["size"])
    assert client.get(path, params={"last": 0}).status_code == 422
    with httpx2.Client(trust_env=False) as nobody:
        assert nobody.get(f"{server.url}{path}").status_code == 401
    assert client.delete(f"/api/v1/runs/{begun['id']}").status_code == 204
    eventually(lambda: not file.exists())


def test_a_rerun_that_prints_without_end_fills_no_disk(
    server: ServerProcess, client: httpx2.Client, record: Record
) -> None:
    script = record(SAYS)
    (script.folder / "much").touch()
    begun = client.post(f"/api/v1/runs/{script.id}/rerun", json={"env": {"MY_API_KEY": SECRET}}).json()
    until(server, f"/api/v1/runs/{begun['id']}", over)
    file = server.folder / "outputs" / begun["id"]
    path = f"/api/v1/runs/{begun['id']}/output?last={LIMIT}"
    said = until(server, path, lambda said: said["left_out"] > 0 and "recorded 0 calls" in said["text"])
    assert file.stat().st_size < LIMIT
    first, *_, last, _ = said["text"].splitlines()
    assert (first[:5], last[:13]) == ("line ", "line 019999 x")
    assert said["size"] == said["left_out"] + len(said["text"])


def test_nobody_reads_half_of_what_is_being_cleaned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, said = Outputs(tmp_path), list[Said | None]()
    os.close(outputs.begin("r"))
    (tmp_path / "outputs" / "r").write_text("the key is sk-abcdefghijklmnop0123\n")
    reader = threading.Thread(target=lambda: said.append(outputs.read("r", 100)))
    write = Path.write_bytes

    def slowly(path: Path, content: bytes) -> int:
        os.truncate(path, 0)
        reader.start()
        reader.join(0.3)
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", slowly)
    outputs.end("r")
    reader.join()
    assert said == [Said("the key is [redacted]\n", 22, 0)]


def broken(server: ServerProcess, folder: Path, says: str) -> str:
    """A recording whose interpreter is there, but has lost what it needs."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\necho some words; echo '{says}' >&2; exit 3\n")
    python.chmod(0o700)
    (folder / "a.py").touch()
    command = {"argv": ["a.py"], "cwd": str(folder), "host": socket.gethostname(), "interpreter": str(python)}
    recorder = Recorder(server.home, command=command)
    recorder.call("hello")
    recorder.journal.append("s", {"status": "COMPLETED"})
    recorder.journal.close()
    until(server, f"/api/v1/runs/{recorder.id}", over)
    return recorder.id


def test_a_rerun_that_does_not_begin_has_crashed_and_says_why(
    server: ServerProcess, client: httpx2.Client, tmp_path: Path
) -> None:
    id = broken(server, tmp_path, "No module named ao")
    answer = client.post(f"/api/v1/runs/{id}/rerun", json={})
    assert answer.status_code == 409
    assert (
        "The rerun did not begin (exit status 3): No module named ao\nsome words\nSee all of it:"
        in answer.json()["error"]["message"]
    )
    (copy,) = client.get(f"/api/v1/runs/{id}/children").json()["runs"]
    assert (copy["status"], copy["reason"]) == (
        "CRASHED",
        "The rerun did not begin (exit status 3): No module named ao",
    )
    assert client.get(f"/api/v1/runs/{copy['id']}/output").json()["text"] == "some words\nNo module named ao\n"


def test_a_draft_that_does_not_begin_stays_one_and_can_be_tried_again(
    server: ServerProcess, client: httpx2.Client, tmp_path: Path
) -> None:
    id = broken(server, tmp_path, "No module named ao")
    (call,) = client.get(f"/api/v1/runs/{id}/graph").json()["calls"]
    edit = {"call": call["id"], "field": "input", "path": "", "value": {}}
    draft = client.post(f"/api/v1/runs/{id}/edits", json=edit).json()["id"]
    assert client.post(f"/api/v1/runs/{draft}/rerun", json={}).status_code == 409
    run = client.get(f"/api/v1/runs/{draft}").json()
    assert (run["status"], run["ended"]) == ("DRAFT", None)
    assert run["reason"] == "The rerun did not begin (exit status 3): No module named ao"
    (tmp_path / "python").write_text(f'#!/bin/sh\nPYTHONPATH={REPO} exec {sys.executable} "$@"\n')  # it is mended
    assert client.post(f"/api/v1/runs/{draft}/rerun", json={}).status_code == 201
    run = until(server, f"/api/v1/runs/{draft}", over)
    assert (run["status"], run["reason"]) == ("COMPLETED", None)
    until(server, f"/api/v1/runs/{draft}/output", lambda said: said["text"].startswith("ao: recorded 0 calls"))


def test_an_interpreter_that_is_no_program_is_told(
    server: ServerProcess, client: httpx2.Client, tmp_path: Path
) -> None:
    id = broken(server, tmp_path, "")
    (tmp_path / "python").write_bytes(b"\x00no program")
    answer = client.post(f"/api/v1/runs/{id}/rerun", json={})
    assert (answer.status_code, f"{tmp_path / 'python'} could not be started" in answer.text) == (409, True)
    (tmp_path / "a.py").unlink()
    answer = client.post(f"/api/v1/runs/{id}/rerun", json={})
    assert (answer.status_code, f"Its script is gone: {tmp_path / 'a.py'}" in answer.text) == (409, True)


def test_the_keys_of_another_program_with_the_recorders_process_id_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    command = {"argv": ["a.py", "x"], "cwd": str(tmp_path), "needs": ["MY_API_KEY"], "interpreter": sys.executable}
    waits = [sys.executable, "-c", "print(flush=True); input()"]
    for arguments, is_recorder in ((["a.py", "x"], True), (["b.py", "x"], False), ([], False)):
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": {"MY_API_KEY": SECRET}}
        with subprocess.Popen([*waits, *arguments], **pipes) as process:
            assert process.stdout is not None
            process.stdout.readline()
            living = {**command, "pid": process.pid}
            if is_recorder:
                assert restart(living, "1", environ={})[2]["MY_API_KEY"] == SECRET
            else:
                with pytest.raises(CannotRun, match="It was recorded with MY_API_KEY, which is not set here"):
                    restart(living, "1", environ={})


def test_a_script_that_ends_just_when_it_is_to_be_stopped_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house(tmp_path / "server", journals_home=tmp_path) as home:
        me, run = _that_cannot_be_started(home, tmp_path)

        def gone(self: Processes, pid: int, run_id: str) -> bool:
            home.store.submit(end_run, run_id, "COMPLETED", by_client=True, now=time.time())
            return False

        monkeypatch.setattr(Processes, "_records", gone)
        answer = me("POST", f"/api/v1/runs/{run['id']}/rerun", json={})
        assert "could not be started" in answer.text  # so far it came


def test_a_failure_that_is_just_being_stored_is_no_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with house(tmp_path / "server", journals_home=tmp_path) as home:
        me, run = _that_cannot_be_started(home, tmp_path)
        home.store.write(end_run, run["id"], "COMPLETED", by_client=True, now=time.time())
        write = home.store.write

        def slow(work: Any, *args: Any, **options: Any) -> Any:
            stored = write(work, *args, **options)
            if work is not_begun:
                time.sleep(0.5)  # whoever waits for the beginning looks every 0.1 s, and sees the Run crashed
            return stored

        monkeypatch.setattr(home.store, "write", slow)
        answer = me("POST", f"/api/v1/runs/{run['id']}/rerun", json={})
        assert (answer.status_code, "could not be started" in answer.text) == (409, True)


@pytest.mark.parametrize("what", ["stop", "rerun"])
def test_another_user_of_a_local_server_starts_and_stops_nothing(tmp_path: Path, what: str) -> None:
    with house(tmp_path / "server", journals_home=tmp_path) as home:
        me, guest = home.user("me"), home.user("guest")
        run = _recording(home, me)
        home.role(guest, run["project_id"], "EDITOR")
        assert guest("POST", f"/api/v1/runs/{run['id']}/{what}", json={}).status_code == 403


@pytest.mark.parametrize("what", ["stop", "rerun"])
@pytest.mark.parametrize("settings", [{"host": "0.0.0.0"}, {"journals_home": None}])
def test_a_server_for_many_starts_and_stops_nothing(tmp_path: Path, settings: dict[str, Any], what: str) -> None:
    with house(tmp_path / "server", **{"journals_home": tmp_path, **settings}) as home:
        me = home.user("me")
        run = _recording(home, me)
        answer = me("POST", f"/api/v1/runs/{run['id']}/{what}", json={})
        assert (answer.status_code, "Only a local server" in answer.text) == (409, True)


def test_nobody_pokes_the_server(tmp_path: Path) -> None:
    with house(tmp_path / "server") as home:
        me = home.user("me")
        assert me("POST", "/api/v1/recordings/poke").status_code == 405
        assert me("POST", "/api/v1/collect").status_code == 404


def _that_cannot_be_started(home: House, folder: Path) -> tuple[Visitor, dict[str, Any]]:
    """This machine's user, and a recording of theirs whose interpreter is no program."""
    me = home.user("me")
    home.store.write(lambda c: c.exec_driver_sql("UPDATE users SET is_admin = 1"))
    python = folder / "python"
    python.write_bytes(b"\x00no program")
    python.chmod(0o700)
    (folder / "a.py").touch()
    command = {"argv": ["a.py"], "cwd": str(folder), "interpreter": str(python)}
    return me, home.store.write(begin_recording, {"id": str(uuid.uuid4()), "kind": "recording", "command": command})


def _recording(home: House, visitor: Any) -> dict[str, Any]:
    visitor.json("POST", "/api/v1/namespaces", json={"slug": "ours"})
    visitor.json("POST", "/api/v1/namespaces/ours/projects", json={"display_name": "Agents"})
    command = {"argv": ["a.py"], "host": socket.gethostname(), "pid": os.getpid()}
    return new_run(visitor, "ours", "agents", kind="recording", command=command)
