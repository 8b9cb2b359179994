"""The server is killed, away, slow or full; the disk is full: nothing is lost, nothing doubled, and it is said."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.tellurio.client.lab import end_of, eventually, points, run_of, script, start, stored
from tests.tellurio.running import ServerProcess


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server to be ill-treated."""
    running = ServerProcess(tmp_path / "remote")
    with running.client() as client:
        client.post("/api/v1/namespaces", json={"slug": "lab"})
    yield running
    running.stop()


def remote(server: ServerProcess) -> Any:
    """Makes ``server`` one that the script cannot start by itself, and does not wait for long at its end."""
    return {
        "TELLURIO_BACKEND_HTTP_BASE_URL": server.url,
        "TELLURIO_API_KEY": server.key,
        "LAB_PATIENCE": "2",
    }


LOGGING = """
te.configure_logging("warning")
run = te.init("lab", "faults")
print(run.name)
step = 0
while not os.path.exists("enough"):
    run.log("x", step, step=step)
    step += 1
    time.sleep(0.001)
run.flush(60)  # a busy machine may start a server for longer than finish waits for it
run.finish()
print(step)
"""


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_server_that_is_killed_and_started_again_misses_nothing(
    own_server: ServerProcess, tmp_path: Path, how: str
) -> None:
    process = start(tmp_path / "home", LOGGING, tmp_path, **remote(own_server) | {"LAB_PATIENCE": "120"})
    assert process.stdout is not None
    process.stdout.readline()
    for _ in range(2):
        eventually(lambda: stored(own_server, f"runs/{run_of(own_server, 'faults')['id']}/metrics"))
        own_server.kill() if how == "kill" else own_server.stop()
        time.sleep(0.3)
        own_server.start()
    (tmp_path / "enough").touch()
    done = end_of(process)
    assert done.returncode == 0, done.stderr
    run = run_of(own_server, "faults")
    assert points(own_server, run, "x") == list(range(int(done.stdout)))
    assert run["status"] == "COMPLETED"


def test_a_local_server_that_is_killed_is_started_again_by_the_client(tmp_path: Path) -> None:
    local = ServerProcess(tmp_path / "home")
    process = start(local.home, LOGGING, tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    eventually(lambda: stored(local, f"runs/{run_of(local, 'faults')['id']}/metrics"))
    local.kill()
    (tmp_path / "enough").touch()
    done = end_of(process)
    assert done.returncode == 0, done.stderr
    read = """
    from tellurio.client.local import stop_local_server
    (run,) = te.Api().runs("lab/faults")
    print(run.status, [point["value"] for point in run.metrics("x")] == list(range(COUNT)))
    stop_local_server()
    """
    assert script(local.home, read.replace("COUNT", done.stdout.strip()), tmp_path).stdout == "COMPLETED True\n"


def test_with_the_server_away_for_good_finish_says_what_waits_and_where(
    own_server: ServerProcess, tmp_path: Path
) -> None:
    text = """
    run = te.init("lab", "faults")
    for step in range(100):
        run.log("x", step)
    run.flush()
    print(run.name)
    while not os.path.exists("enough"):
        time.sleep(0.01)
    for step in range(100, 200):
        run.log("x", step)
    run.finish()
    """
    home = tmp_path / "home"
    process = start(home, text, tmp_path, **remote(own_server))
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    run = run_of(own_server, "faults")
    own_server.stop()
    (tmp_path / "enough").touch()
    done = end_of(process)
    assert done.returncode == 0
    folder = home / "journals" / run["id"]
    (warning,) = [line for line in done.stderr.splitlines() if "ended as COMPLETED" in line]
    assert warning == (
        f"WARNING : Run '{name}' ended as COMPLETED, but the server at {own_server.url} could not be told. What it "
        f"logged waits in {folder}. The next te.init sends it, and so does: tellurio sync"
    )
    assert "marked as" not in done.stderr
    assert done.stderr.count("Logged metric 'x'=") == 200
    own_server.start()
    text = """
    from tellurio.client import orphans
    done = orphans.sync()
    print(len(done.sent), len(done.waiting), len(orphans.orphans()))
    """
    assert script(home, text, tmp_path, **remote(own_server)).stdout == "1 0 0\n"
    assert points(own_server, run, "x") == list(range(200))
    assert run_of(own_server, "faults")["status"] == "COMPLETED"
    assert not folder.exists()


def test_a_server_that_is_back_after_finish_gets_the_rest_while_the_process_lives(
    own_server: ServerProcess, tmp_path: Path
) -> None:
    text = """
    from tellurio.client import run as runs
    runs.PATIENCE = 1.0
    run = te.init("lab", "faults")
    print(run.name)
    while not os.path.exists("enough"):
        time.sleep(0.01)
    run.log("x", 1.0)
    run.finish()
    print("left", flush=True)
    while run.folder.exists():
        time.sleep(0.05)
    """
    process = start(tmp_path / "home", text, tmp_path, **remote(own_server))
    assert process.stdout is not None
    process.stdout.readline()
    own_server.kill()
    (tmp_path / "enough").touch()
    assert process.stdout.readline() == "left\n"
    own_server.start()
    assert "could not be told" in end_of(process).stderr
    run = run_of(own_server, "faults")
    assert (run["status"], points(own_server, run, "x")) == ("COMPLETED", [1.0])


@contextmanager
def hanging(port: int) -> Iterator[None]:
    """Something that takes connections on ``port`` and never answers."""
    with socket.create_server(("127.0.0.1", port), reuse_port=False) as listening:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(listening.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield
        listening.shutdown(socket.SHUT_RDWR)
        for each in taken:
            each.close()


@pytest.mark.parametrize(
    ("how", "code"), [("pass", 0), ("1 / 0", 1), ("os.kill(os.getpid(), signal.SIGTERM)", -15), ("sys.exit(3)", 3)]
)
def test_a_process_ends_though_the_server_hangs(own_server: ServerProcess, tmp_path: Path, how: str, code: int) -> None:
    text = f"""
    run = te.init("lab", "faults")
    print(run.name)
    while not os.path.exists("enough"):
        time.sleep(0.01)
    run.log("x", 1.0)
    {how}
    """
    process = start(tmp_path / "home", text, tmp_path, **remote(own_server))
    assert process.stdout is not None
    process.stdout.readline()
    own_server.stop()
    with hanging(own_server.port):
        (tmp_path / "enough").touch()
        done = end_of(process)
    assert done.returncode == code, done.stderr
    assert "could not be told" in done.stderr
    assert len(list((tmp_path / "home" / "journals").glob("*/*.jsonl"))) == 1


def test_a_full_disk_stops_no_training_and_what_was_logged_arrives(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    import resource
    run = te.init("lab", "full-disk")
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    for step in range(1000):
        run.log("x", step, step=step)
    with open("other", "wb") as file:
        file.write(b"x" * 4000)
    run.log("file", __import__("pathlib").Path("big"))
    """
    (tmp_path / "big").write_bytes(b"x" * 10_000)
    done = script(server.home, text, tmp_path, "-B")
    run = run_of(server, "full-disk")
    assert points(server, run, "x") == list(range(1000))
    assert run["status"] == "COMPLETED"
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == 2
    assert "Training goes on; what is logged is kept in memory" in warnings[0]
    assert "'file' could not be kept: File too large. Training goes on." in warnings[1]


def test_a_full_disk_without_a_server_says_how_much_is_lost(own_server: ServerProcess, tmp_path: Path) -> None:
    text = """
    import resource
    run = te.init("lab", "faults")
    print(run.name)
    while not os.path.exists("enough"):
        time.sleep(0.01)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    for step in range(10_500):
        run.log("x", step, step=step)
    """
    process = start(tmp_path / "home", text, tmp_path, "-B", **remote(own_server))
    assert process.stdout is not None
    process.stdout.readline()
    own_server.stop()
    (tmp_path / "enough").touch()
    done = end_of(process)
    assert done.returncode == 0, done.stderr
    lost = re.search(r"the disk was full, and (\d+) records are lost", done.stderr)
    waiting = re.search(r"but for (\d+) records that the full disk did not take", done.stderr)
    assert lost is not None
    assert waiting is not None
    (journal,) = (tmp_path / "home" / "journals").glob("*/*.jsonl")
    there = len(journal.read_bytes().splitlines())
    assert there + int(waiting[1]) + int(lost[1]) == 10_501  # and the end


def test_nothing_writable_is_told_before_a_run_is_made(own_server: ServerProcess, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "journals").write_text("in the way")
    done = script(home, "te.init('lab', 'faults')", tmp_path, code=1, **remote(own_server))
    assert "journals" in done.stderr.splitlines()[-1]
    with own_server.client() as client:
        assert client.get("/api/v1/namespaces/lab/projects/faults/runs").json()["runs"] == []


def test_a_run_that_is_deleted_meanwhile_ends_quietly(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    run = te.init("lab", "deleted")
    run.client.delete(f"/api/v1/runs/{run.uuid}")
    run.log("x", 1.0)
    run.finish()
    """
    done = script(server.home, text, tmp_path)
    assert "The Run was deleted" in done.stderr
