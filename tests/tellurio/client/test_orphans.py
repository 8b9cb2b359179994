"""What a killed process had logged is stored: by the local server without anybody doing anything, else by the next."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tellurio.client.orphans import orphans
from tests.tellurio.client.lab import end_of, eventually, points, run_of, script, start, stored
from tests.tellurio.running import ServerProcess

KILLED = """
te.configure_logging("warning")
run = te.init("lab", PROJECT)
open("data.bin", "wb").write(b"content")
run.log_artifact("data.bin")
for step in range(500):
    run.log("x", step, step=step)
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(project: str) -> str:
    return KILLED.replace("PROJECT", repr(project))


def remote(server: ServerProcess) -> Any:
    return {"TELLURIO_BACKEND_HTTP_BASE_URL": server.url, "TELLURIO_API_KEY": server.key}


def has_all(server: ServerProcess, project: str) -> bool:
    found = stored(server, f"runs/{run_of(server, project)['id']}/metrics")
    return bool(found) and found[0]["count"] == 500


def test_500_of_500_are_stored_by_the_local_server_and_the_run_is_crashed(
    server: ServerProcess, tmp_path: Path
) -> None:
    script(server.home, killed("orphan"), tmp_path, code=-signal.SIGKILL, TELLURIO_LEASE="1")
    eventually(lambda: has_all(server, "orphan"))
    run = run_of(server, "orphan")
    assert points(server, run, "x") == list(range(500))
    eventually(lambda: not (server.home / "journals" / run["id"]).exists())
    (artifact,) = stored(server, f"runs/{run['id']}/artifacts")
    assert artifact["name"] == "data.bin"
    eventually(lambda: run_of(server, "orphan")["status"] == "CRASHED")


@pytest.mark.parametrize("how", ["sync", "init"])
def test_for_another_server_sync_or_the_next_init_sends_it(server: ServerProcess, tmp_path: Path, how: str) -> None:
    script(server.home, "te.init('lab', 'any').finish()", tmp_path)  # the namespace is there
    project, home = f"remote-{how}", tmp_path / "home"
    script(home, killed(project), tmp_path, code=-signal.SIGKILL, **remote(server))
    text = {
        "sync": "from tellurio.client import orphans\nprint(len(orphans.sync().sent))",
        "init": """
        with te.init("lab", "any"):
            while len(os.listdir(os.path.join(os.environ["TELLURIO_HOME"], "journals"))) > 1:
                time.sleep(0.05)
        print(1)
        """,
    }[how]
    assert script(home, text, tmp_path, **remote(server)).stdout == "1\n"
    assert points(server, run_of(server, project), "x") == list(range(500))
    assert list((home / "journals").iterdir()) == []


def test_a_journal_for_another_server_stays_and_the_command_is_said(server: ServerProcess, tmp_path: Path) -> None:
    script(server.home, "te.init('lab', 'any').finish()", tmp_path)
    home = tmp_path / "home"
    script(home, killed("stays"), tmp_path, code=-signal.SIGKILL, **remote(server))
    other = ServerProcess(tmp_path / "other")
    try:
        text = """
        from tellurio.client import orphans
        done = orphans.sync()
        ((orphan, reason),) = done.waiting
        print(reason, len(done.sent), orphan.size > 500)
        """
        done = script(home, text, tmp_path, **remote(other))
    finally:
        other.stop()
    assert done.stdout == f"it is for another server: afnio login --server {server.url} 0 True\n"
    assert len(list((home / "journals").iterdir())) == 1


def test_a_living_run_is_nobodys_orphan(server: ServerProcess, tmp_path: Path) -> None:
    text = "run = te.init('lab', 'living')\nprint(run.folder)\nwhile True:\n    run.log('x', 1.0)\n    time.sleep(0.01)"
    process = start(server.home, text, tmp_path)
    assert process.stdout is not None
    folder = process.stdout.readline().strip()
    process.send_signal(signal.SIGSTOP)  # neither when it stands still
    try:
        look = (
            f"from tellurio.client import orphans\nprint([str(o.folder) for o in orphans.orphans()].count({folder!r}))"
        )
        assert script(server.home, look, tmp_path).stdout == "0\n"
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        end_of(process)


def test_a_folder_that_says_too_little_holds_nobody_up(tmp_path: Path) -> None:
    for name, meta in (("a", "{}"), ("b", '{"run_id": "b"}'), ("c", "[]"), ("d", "half a wo")):
        (tmp_path / "journals" / name).mkdir(parents=True)
        (tmp_path / "journals" / name / "meta.json").write_text(meta)
    assert orphans(tmp_path) == []


def test_two_who_collect_at_once_do_no_harm(server: ServerProcess, tmp_path: Path) -> None:
    script(server.home, "te.init('lab', 'any').finish()", tmp_path)
    home = tmp_path / "home"
    script(home, killed("twice"), tmp_path, code=-signal.SIGKILL, **remote(server))
    text = "from tellurio.client import orphans\nprint(len(orphans.sync().sent))"
    processes: list[subprocess.Popen[str]] = [start(home, text, tmp_path / str(n), **remote(server)) for n in range(3)]
    assert sum(int(end_of(process).stdout) for process in processes) == 1
    assert points(server, run_of(server, "twice"), "x") == list(range(500))


def test_the_journals_of_a_deleted_run_are_moved_aside(server: ServerProcess, tmp_path: Path) -> None:
    script(server.home, "te.init('lab', 'any').finish()", tmp_path)
    home = tmp_path / "home"
    script(home, killed("aside"), tmp_path, code=-signal.SIGKILL, **remote(server))
    run = run_of(server, "aside")
    with server.client() as client:
        assert client.delete(f"/api/v1/runs/{run['id']}").status_code == 204
    text = "from tellurio.client import orphans\nprint(len(orphans.sync().sent), len(orphans.orphans()))"
    assert script(home, text, tmp_path, **remote(server)).stdout == "0 0\n"
    assert (home / "journals" / "refused" / run["id"] / "meta.json").exists()
