"""``ao-server``: the local server, as a person starts, clears and stops it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from ao.cli.server import app
from tellurio.client.http import Client
from tellurio.client.local import LocalServer, local_status, stop_local_server
from tests.ao.lab import PATIENCE, REPO
from tests.tellurio.server.test_feeding import Recorder

CODE = "import sys; sys.argv[0] = 'ao-server'; from ao.cli.server import main; main()"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("home")
    yield home
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELLURIO_HOME", str(home))
        stop_local_server()


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AO_", "TELLURIO_"))}
    return {**kept, "TELLURIO_HOME": str(home), "PYTHONPATH": str(REPO), "COLUMNS": "200"}


def said(home: Path, *arguments: str) -> tuple[int, str, str]:
    env = {name: None for name in os.environ if name.startswith(("AO_", "TELLURIO_"))} | environment(home)
    done = CliRunner().invoke(app, list(arguments), prog_name="ao-server", env=env)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def asked(home: Path, answer: bytes, *arguments: str) -> tuple[int, str]:
    """At a terminal, where somebody types ``answer``."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments],
        env=environment(home),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        os.close(theirs)
        os.write(ours, answer)
        out, _ = process.communicate(timeout=PATIENCE)
        os.close(ours)
        return process.returncode, out.decode()


def running(home: Path) -> LocalServer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELLURIO_HOME", str(home))
        server = local_status()
    assert server is not None
    return server


def runs(server: LocalServer) -> dict[str, str]:
    """Names and kinds of all Runs there are."""
    with httpx2.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}) as client:
        me = client.get("/api/v1/me").json()["user"]["slug"]
        found = client.get(f"/api/v1/namespaces/{me}/projects/agents/runs").json()
        return {run["name"]: run["kind"] for run in found["runs"]}


def until(home: Path, names: set[str]) -> None:
    server = running(home)
    for _ in range(int(PATIENCE * 20)):
        try:
            if runs(server).keys() >= names:
                return
        except KeyError:
            pass  # the project is not there yet
        time.sleep(0.05)
    raise AssertionError(runs(server))


def recorded(home: Path, name: str, *, part: bool = False, ended: bool = True) -> Recorder:
    recorder = Recorder(home, name=name)
    recorder.call("hello")
    if part:
        begin = {"id": str(uuid.uuid4()), "kind": "subrun", "name": f"{name} part", "parent_id": recorder.id}
        recorder.journal.append("b", {"run": begin})
        recorder.call("there", begin["id"])
    if ended:
        recorder.journal.append("s", {"status": "COMPLETED"})
        recorder.journal.close()
    return recorder


def test_from_start_to_stop(home: Path) -> None:
    code, out, err = said(home, "status")
    assert (code, out) == (1, "")
    assert "No local server is running" in err
    assert said(home, "clear")[::2] == (1, "The local server does not run. Start it: ao-server start\n")
    code, out, _ = said(home, "start")
    assert (code, "Tellurio runs at" in out) == (0, True)
    first = running(home)
    assert str(first.pid) in said(home, "status")[1]
    code, out, _ = said(home, "restart")
    assert (code, "is stopped" in out, "runs at" in out) == (0, True, True)
    assert running(home).pid != first.pid
    assert running(home).server_id == first.server_id
    assert str(running(home).pid) in said(home, "logs", "-n", "100")[1]
    assert said(home, "stop")[0] == 0
    assert said(home, "status")[0] == 1


def test_clear_deletes_recordings_with_their_parts_and_nothing_else(home: Path) -> None:
    said(home, "start")
    server = running(home)
    assert "There is no recording to delete" in said(home, "clear")[1]
    recorded(home, "one", part=True)
    recorded(home, "two")
    going = recorded(home, "three", ended=False)
    until(home, {"one", "one part", "two", "three"})
    settled(server, going={"three"})
    client = Client(server.url, server.key)
    me = client.get("/api/v1/me")["user"]["slug"]
    plain = {"id": str(uuid.uuid4()), "name": "training"}
    client.post(f"/api/v1/namespaces/{me}/projects/agents/runs", json=plain)
    client.patch(f"/api/v1/runs/{plain['id']}", json={"status": "COMPLETED"})
    kept = runs(server)

    code, out, err = said(home, "clear")  # nobody can be asked
    assert (code, out) == (1, "")
    assert "This deletes 2 recordings" in err
    assert "ao-server clear --yes" in err
    assert asked(home, b"n\n", "clear")[0] == 1
    assert runs(server) == kept

    code, out = asked(home, b"y\n", "clear")
    assert (code, "Deleted 2 recordings (1 still going: kept)." in out) == (0, True)
    assert runs(server) == {"three": "recording", "training": "run"}

    going.journal.append("s", {"status": "COMPLETED"})
    going.journal.close()
    client.post(f"/api/v1/namespaces/{me}/projects/agents/runs", json={"id": str(uuid.uuid4()), "name": "goes on"})
    settled(server)
    assert "Deleted 2 Runs (1 still going: kept)." in said(home, "clear", "--all", "--yes")[1]
    assert runs(server) == {"goes on": "run"}
    said(home, "stop")


def settled(server: LocalServer, going: Collection[str] = ()) -> None:
    """Wait until what is recorded has ended, but for those that go on."""
    for _ in range(int(PATIENCE * 20)):
        found: list[dict[str, Any]] = Client(server.url, server.key).get("/api/v1/recordings")
        if all(run["status"] != "RUNNING" or run["name"] in going for run in found):
            return
        time.sleep(0.05)
    raise AssertionError(found)


@pytest.mark.parametrize("command", ["start", "stop", "restart", "status", "clear", "logs"])
def test_every_command_has_help(home: Path, command: str) -> None:
    code, out, _ = said(home, command, "--help")
    assert (code, f"Usage: ao-server {command}" in out) == (0, True)
