"""The state of a Run says how its process ended, in every way one can end."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.tellurio.client.lab import end_of, eventually, run_of, runs_of, script, start
from tests.tellurio.running import ServerProcess

BLOCK = "with te.init('lab', {project!r}) as run:\n    {body}\n"
OPEN = "run = te.init('lab', {project!r})\n{body}\n"

ENDS = {
    "finish": (OPEN, "run.finish()", 0, "COMPLETED"),
    "finish-failed": (OPEN, "run.finish(status='FAILED')", 0, "FAILED"),
    "finish-twice": (OPEN, "run.finish()\nrun.finish(status='FAILED')", 0, "COMPLETED"),
    "block": (BLOCK, "pass", 0, "COMPLETED"),
    "block-exception": (BLOCK, "1 / 0", 1, "CRASHED"),
    "block-finished-inside": (BLOCK, "run.finish(status='FAILED')", 0, "FAILED"),
    "block-exit-0": (BLOCK, "sys.exit(0)", 0, "COMPLETED"),
    "block-exit-7": (BLOCK, "sys.exit(7)", 7, "CRASHED"),
    "block-interrupt": (BLOCK, "raise KeyboardInterrupt", -signal.SIGINT, "CRASHED"),
    "open-ends-well": (OPEN, "pass", 0, "COMPLETED"),
    "open-exception": (OPEN, "1 / 0", 1, "CRASHED"),
    "open-exit-none": (OPEN, "sys.exit()", 0, "COMPLETED"),
    "open-exit-0": (OPEN, "sys.exit(0)", 0, "COMPLETED"),
    "open-exit-7": (OPEN, "sys.exit(7)", 7, "CRASHED"),
    "open-exit-text": (OPEN, "sys.exit('no disk')", 1, "CRASHED"),
    "open-exit-in-function": (OPEN, "def main():\n    sys.exit(7)\nmain()", 7, "CRASHED"),
    "open-exit-caught": (OPEN, "try:\n    sys.exit(7)\nexcept SystemExit:\n    pass", 0, "COMPLETED"),
    "open-exit-caught-then-exit": (OPEN, "try:\n    sys.exit(7)\nexcept SystemExit:\n    sys.exit(0)", 0, "COMPLETED"),
    "open-exit-in-thread": (
        OPEN,
        "each = threading.Thread(target=lambda: sys.exit(7))\neach.start()\neach.join()",
        0,
        "COMPLETED",
    ),
    "open-exception-in-thread": (
        OPEN,
        "threading.excepthook = print\neach = threading.Thread(target=lambda: 1 / 0)\neach.start()\neach.join()",
        0,
        "COMPLETED",
    ),
    "open-own-excepthook": (OPEN, "sys.excepthook = lambda *_: None\n1 / 0", 1, "CRASHED"),
    "open-interrupt": (OPEN, "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)", -signal.SIGINT, "CRASHED"),
    "open-sigterm": (OPEN, "os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)", -signal.SIGTERM, "CRASHED"),
    "open-fork-child-exits": (
        OPEN,
        "child = os.fork()\nif child == 0:\n    sys.exit(3)\nos.waitpid(child, 0)",
        0,
        "COMPLETED",
    ),
    "block-fork-child-leaves": (
        BLOCK,
        "child = os.fork()\n    if child: os.waitpid(child, 0)\nif child: print('parent')",
        0,
        "COMPLETED",
    ),
}


@pytest.mark.parametrize("project", ENDS)
def test_an_end_of_the_process_is_told_as_it_was(server: ServerProcess, tmp_path: Path, project: str) -> None:
    head, body, code, status = ENDS[project]
    done = script(server.home, head.format(project=project, body=body), tmp_path, code=code)
    run = run_of(server, project)
    assert run["status"] == status
    said = [line for line in done.stderr.splitlines() if re.search(" : .*(marked|ended|could not)", line)]
    assert said == [f"INFO : Run '{run['name']}' marked as {status}."]
    eventually(lambda: not (server.home / "journals" / run["id"]).exists())  # the server looks after it, too


def test_a_script_of_a_module_too(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import sys\nimport afnio.tellurio as te\nte.init('lab', 'module')\nsys.exit(7)\n"
    )
    script(server.home, "import runpy\nrunpy.run_module('mine')", tmp_path, code=7, PYTHONPATH=str(tmp_path))
    assert run_of(server, "module")["status"] == "CRASHED"


def test_a_second_init_ends_the_first_as_failed_and_says_so(server: ServerProcess, tmp_path: Path) -> None:
    text = "first = te.init('lab', 'second')\nte.log('a', 1)\nsecond = te.init('lab', 'second')\nte.log('b', 2)"
    done = script(server.home, text, tmp_path)
    first, second = runs_of(server, "second")
    assert [first["status"], second["status"]] == ["FAILED", "COMPLETED"]
    assert f"WARNING : Run '{first['name']}' is still open, and another one begins" in done.stderr
    assert f"INFO : Run '{first['name']}' marked as FAILED." in done.stderr


def test_sigterm_says_why_and_a_handler_of_the_script_is_left_alone(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
    run = te.init('lab', 'handler')
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
    """
    script(server.home, text, tmp_path, code=9)
    assert run_of(server, "handler")["status"] == "CRASHED"


def test_finish_takes_the_safeguard_back(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    import gc
    def hold():
        gc.collect()
        return [each for each in gc.get_objects() if type(each).__name__ == 'Safeguard']
    before = sys.exit, sys.excepthook, signal.getsignal(signal.SIGTERM)
    run = te.init('lab', 'safeguard')
    assert len(hold()) == 1
    assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL == before[2]
    run.finish()
    assert (sys.exit, sys.excepthook, signal.getsignal(signal.SIGTERM)) == before
    assert hold() == []  # atexit would
    assert 'TELLURIO_RUN' not in os.environ
    """
    script(server.home, text, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_logs_loses_nothing(server: ServerProcess, tmp_path: Path, number: int) -> None:
    project = f"signal-{number}"
    text = f"""
    run = te.init('lab', {project!r})
    te.configure_logging('warning')
    for i in range(10**9):
        run.log('i', i, step=i)
        if i % 1000 == 0:
            print(i)
    """
    process = start(server.home, text, tmp_path)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 20_000:
        pass
    process.send_signal(number)
    done = end_of(process)
    assert done.returncode == -number
    run = run_of(server, project)
    assert run["status"] == "CRASHED"
    with server.client() as client:
        (metric,) = client.get(f"/api/v1/runs/{run['id']}/metrics").json()
    said = [int(line) for line in done.stdout.split()] or [20_000]
    assert metric["count"] == metric["last"] + 1 > max(said)


def test_a_killed_process_is_crashed_and_one_that_returns_is_running(server: ServerProcess, tmp_path: Path) -> None:
    text = "run = te.init('lab', 'lease')\nprint(run.name)\ntime.sleep(600)"
    process = start(server.home, text, tmp_path, TELLURIO_LEASE="3")
    assert process.stdout is not None
    process.stdout.readline()

    def is_now(status: str) -> bool:
        return bool(run_of(server, "lease")["status"] == status)

    process.send_signal(signal.SIGSTOP)
    eventually(lambda: is_now("CRASHED"))
    assert "no sign of life" in run_of(server, "lease")["reason"]
    process.send_signal(signal.SIGCONT)
    eventually(lambda: is_now("RUNNING"))
    process.kill()
    end_of(process)
    eventually(lambda: is_now("CRASHED"))


def test_an_explicit_end_wins_over_a_guessed_one(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    run = te.init('lab', 'wins')
    print(run.name)
    while not os.path.exists('enough'):
        time.sleep(0.01)
    run.finish()
    """
    process = start(server.home, text, tmp_path, TELLURIO_LEASE="1")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    eventually(lambda: run_of(server, "wins")["status"] == "CRASHED")
    (tmp_path / "enough").touch()
    process.send_signal(signal.SIGCONT)
    end_of(process)
    run = run_of(server, "wins")
    assert (run["status"], run["reason"]) == ("COMPLETED", None)


def test_the_default_lease_turns_a_killed_process_into_crashed_within_a_minute() -> None:
    from tellurio.client import arguments

    assert arguments.LEASE == 30.0
    assert "TELLURIO_LEASE" not in os.environ
    assert arguments.lease_of_runs() + 5.0 <= 60  # and a sweep of the server
