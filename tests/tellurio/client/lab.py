"""Scripts in processes of their own, and what a server has of their Runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.tellurio.running import PATIENCE, ServerProcess

__all__ = ["end_of", "environment", "eventually", "points", "run_of", "runs_of", "script", "start", "stored"]

HEAD = """import os, signal, sys, threading, time
import afnio.tellurio as te
from tellurio.client import ending, run as _runs
ending.AT_EXIT = ending.AT_SIGNAL = float(os.environ.get("LAB_PATIENCE", 120.0))
_runs.PATIENCE = max(_runs.PATIENCE, ending.AT_EXIT)
"""
"""A process that ends waits for a busy server as long as a test does."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a user whose home folder of Runs is ``home``."""
    ours = ("TELLURIO_", "AFNIO_", "ALLOW_API_KEY")
    given = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    # The tests' own folder is importable in child processes that were spawned.
    return given | {"TELLURIO_HOME": str(home), "PYTHONUNBUFFERED": "1"} | more


def start(home: Path, text: str, folder: Path, *options: str, **env: str) -> subprocess.Popen[str]:
    """Start a script; it is a file, as child processes that are spawned need it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"script{len(list(folder.glob('script*')))}.py"
    path.write_text(HEAD + dedent(text))
    return subprocess.Popen(
        [sys.executable, *options, str(path)],
        env=environment(home, **env),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_of(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a process."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it did not end; it said:\n{out}\n{err}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def script(home: Path, text: str, folder: Path, *options: str, code: int = 0, **env: str) -> Any:
    """Run a script to its end, which is to be with exit code ``code``."""
    done = end_of(start(home, text, folder, *options, **env))
    assert done.returncode == code, f"it ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done


def stored(server: ServerProcess, path: str, **params: Any) -> Any:
    """What the server answers to ``GET /api/v1/<path>``."""
    with server.client() as client:
        answer = client.get(f"/api/v1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def runs_of(server: ServerProcess, project: str) -> list[dict[str, Any]]:
    """The Runs of the project ``lab/<project>``, the first one first."""
    runs: list[dict[str, Any]] = stored(server, f"namespaces/lab/projects/{project}/runs", sort="created")["runs"]
    return runs


def run_of(server: ServerProcess, project: str) -> dict[str, Any]:
    """The only Run of a project."""
    (run,) = runs_of(server, project)
    return run


def points(server: ServerProcess, run: dict[str, Any], name: str) -> list[Any]:
    """The values of a metric, in order."""
    return [value for _, _, value in stored(server, f"runs/{run['id']}/metrics/{name}")["points"]]


def eventually(what: Callable[[], Any]) -> Any:
    """``what()`` once it is true; a test gives up when its `PATIENCE` is over."""
    end = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)
    return found
