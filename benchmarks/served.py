"""A Tellurio server as a process of its own, with a home folder of its own, and what it costs by the system's count."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contender import REPO, clean_environment

__all__ = ["Process", "Served", "Wire", "home_folder", "process_of", "served"]

READY_SECONDS = 120.0


@dataclass(frozen=True)
class Process:
    """A running process, as the system sees it."""

    pid: int

    @property
    def cpu(self) -> float:
        """Seconds of processor time up to now, all threads, user and system; counted in steps of 10 ms."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, what: str) -> float:
        """``VmRSS``, resident now, or ``VmHWM``, the most it was, in MB of 10^6 bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(what)) * 1024 / 1e6


class Wire:
    """One kept-alive connection, spoken to without a client of ours: what is measured is the server.

    Args:
        port: of the server on this machine.
        key: the API key.
    """

    def __init__(self, port: int, key: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of the answer."""
        self._connection.request(method, path, body=body, headers=self._headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path} was answered with {response.status}: {content[:500]!r}")
        return content

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """The answer, decoded."""
        return json.loads(self.ask(method, path, None if body is None else json.dumps(body).encode()))

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


@dataclass(frozen=True)
class Served:
    """A server that runs.

    Attributes:
        home: ``TELLURIO_HOME`` of its clients.
        port: it listens on.
        key: of its user.
        process: the server's.
        wall: seconds from its start until it was ready.
        started_cpu: seconds of processor time until then.
    """

    home: Path
    port: int
    key: str
    process: Process
    wall: float
    started_cpu: float

    def environment(self) -> dict[str, str]:
        """What its clients are started with."""
        return {"TELLURIO_HOME": str(self.home)}

    def wire(self) -> Wire:
        """A connection to it."""
        return Wire(self.port, self.key)

    def new_run(self, wire: Wire) -> str:
        """Make a Run; returns its id."""
        for path, body in (
            ("namespaces", {"slug": "bench"}),
            ("namespaces/bench/projects", {"display_name": "Wire", "visibility": "RESTRICTED"}),
        ):
            with contextlib.suppress(RuntimeError):  # it is there already
                wire.json("POST", f"/api/v1/{path}", body)
        run = str(uuid.uuid4())
        wire.json("POST", "/api/v1/namespaces/bench/projects/wire/runs", {"id": run})
        return run

    def stored(self, query: str, *values: Any) -> Any:
        """The first value of a query, asked of the database's file."""
        database = sqlite3.connect(f"file:{self.home / 'server' / 'tellurio.db'}?mode=ro", uri=True, timeout=30)
        with contextlib.closing(database):
            return database.execute(query, values).fetchone()[0]


@contextlib.contextmanager
def home_folder() -> Iterator[Path]:
    """A home folder that nobody has used."""
    with tempfile.TemporaryDirectory(prefix="tellurio-bench-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def process_of(*command: str) -> Iterator[Process]:
    """Run ``python <command>`` until the block ends."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=REPO,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def served(home: Path | None = None) -> Iterator[Served]:
    """A server over ``home``, or over a folder that goes with it."""
    if home is None:
        with home_folder() as folder, served(folder) as server:
            yield server
        return
    (home / "server").mkdir(exist_ok=True)
    file, started = home / "server" / "server.json", time.perf_counter()
    with process_of("-m", "tellurio.server", "--home", str(home / "server"), "--port", "0") as process:
        while not file.exists():
            if time.perf_counter() - started > READY_SECONDS:
                raise RuntimeError(f"the server was not ready after {READY_SECONDS:g} s")
            time.sleep(0.002)
        wall, cpu = time.perf_counter() - started, process.cpu
        facts = json.loads(file.read_text(encoding="utf-8"))
        yield Served(home, facts["port"], facts["key"], process, wall, cpu)
