"""The server's own start and memory, and how long a script waits until its Run has begun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from afnio.models.lm_server import LMServer
from benchmarks.contender import REPO, clean_environment, run
from benchmarks.figures import Figure
from benchmarks.rows.ingest import bare
from benchmarks.rows.job import HAND, REFERENCE, TRAINER, measure, task
from benchmarks.served import Served, home_folder, process_of, served

__all__ = ["NOTES", "server_figures"]

NOTES = (
    (
        "Ready means: `server.json` is there, which the server writes once it listens. A first start makes the "
        "database, the user and its key; a later one finds them. CPU is the process's, all threads, by /proc; both are "
        "less those of `python -c pass`, and so are those of the control, a bare Starlette app on uvicorn."
    ),
    (
        "Memory is resident memory of the process, interpreter and libraries included, in MB of 10^6 bytes: VmRSS one "
        "second after the start, when what LM calls need is loaded as well; VmHWM after the job."
    ),
    (
        "`te.init` is clocked in the script, imports that it causes included: the first of a process that has "
        "imported `afnio.tellurio`, with the server running, and with no server, so that it is started; then a second "
        "one in the same process. CPU is the script's own."
    ),
)

START, SERVER_MB, CLIENT_MB, IMPORT_CPU = 2.0, 120.0, 70.0, 0.3


def server_figures(quick: bool) -> Iterator[Figure]:
    """Start, memory, and ``te.init``."""
    repeats = 1 if quick else 7
    yield from _starts(repeats, quick)
    yield from _memory(1 if quick else 3, 0.0 if quick else 0.05, quick)
    yield from _beginnings(repeats, quick)


def _starts(repeats: int, quick: bool) -> Iterator[Figure]:
    interpreter = [_interpreter() for _ in range(max(3, repeats))]
    bare_wall, bare_cpu = (median(each[index] for each in interpreter) for index in (0, 1))
    control = [_bare_start() for _ in range(repeats)]
    starts: dict[str, list[Served]] = {"first": [], "later": []}
    for _ in range(repeats):
        with home_folder() as home:
            for servers in starts.values():
                with served(home) as server:
                    servers.append(server)
    for which, servers in starts.items():
        for kind, values, beside in (
            ("wall", [each.wall - bare_wall for each in servers], median(each[0] for each in control) - bare_wall),
            ("CPU", [each.started_cpu - bare_cpu for each in servers], median(each[1] for each in control) - bare_cpu),
        ):
            yield Figure(
                f"server.start.{which}.{kind}",
                f"start of the server, {which}, {kind} beyond the bare interpreter",
                values,
                "s",
                None if quick else START,
                compared=f"bare Starlette (control) {beside:.2f} s, bare interpreter {bare_wall * 1000:.0f} ms",
                digits=2,
            )


def _interpreter() -> tuple[float, float]:
    """Wall and CPU of an interpreter that does nothing."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", "pass"], cwd=REPO)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - started, used.ru_utime + used.ru_stime


def _bare_start() -> tuple[float, float]:
    """Wall and CPU until the bare server listens."""
    with home_folder() as folder:
        file, started = folder / "port", time.perf_counter()
        with process_of(*bare(file)) as process:
            while not file.exists():
                time.sleep(0.002)
            return time.perf_counter() - started, process.cpu


def _memory(repeats: int, latency: float, quick: bool) -> Iterator[Figure]:
    started, after = [], []
    client: dict[str, list[float]] = {"hand": [], "gate": []}
    control = [measure(REFERENCE, latency, 1, count=False)[0].peak_mb for _ in range(repeats)]
    for _ in range(repeats):
        with served() as server, LMServer("tickets", latency=latency, bad_share=0.0, process=True) as lm:
            time.sleep(1.0)
            started.append(server.process.memory("VmRSS"))
            for key, module in (("hand", HAND), ("gate", TRAINER)):
                job = task(lm, gate=key == "gate", count=False, options={"lm_calls": "server"})
                client[key].append(run(module, job, environment=server.environment())[0].peak_mb)
            after.append(server.process.memory("VmHWM"))
    with home_folder() as folder:
        file = folder / "port"
        with process_of(*bare(file)) as process:
            while not file.exists():
                time.sleep(0.01)
            beside = f"bare Starlette (control) {process.memory('VmRSS'):.0f} MB"
    limit = None if quick else SERVER_MB
    yield Figure(
        "server.memory.start", "memory of the server after its start", started, "MB", limit, compared=beside, digits=1
    )
    yield Figure(
        "server.memory.job",
        "memory of the server after two jobs, at most",
        after,
        "MB",
        limit,
        compared=beside,
        digits=1,
    )
    for key, what in (("hand", "the loop by hand"), ("gate", "Trainer.fit with its gate")):
        yield Figure(
            f"server.memory.client.{key}",
            f"memory of the client process in the job through the server, {what}",
            client[key],
            "MB",
            None if quick else CLIENT_MB,
            compared=f"asyncio reference (control) {median(control):.0f} MB",
            digits=1,
        )


def _beginnings(repeats: int, quick: bool) -> Iterator[Figure]:
    with served() as server:
        _init(server.home, "running")
        running = [_init(server.home, "running") for _ in range(repeats)]
    cold = []
    for _ in range(repeats):
        with home_folder() as home:
            cold.append(_init(home, "cold"))
    for key, what, runs in (("running", "with the server running", running), ("cold", "with no server yet", cold)):
        second = median(each[1]["wall"] for each in runs)
        yield Figure(
            f"server.init.{key}",
            f"te.init, {what}, wall",
            [each[0]["wall"] for each in runs],
            "s",
            compared=f"a second one in the process {second * 1000:.0f} ms",
        )
    yield Figure(
        "server.init.cpu",
        "te.init, with the server running, CPU of the script",
        [each[0]["cpu"] for each in running],
        "s",
        None if quick else IMPORT_CPU,
        compared=f"a second one in the process {median(each[1]['cpu'] for each in running) * 1000:.0f} ms",
    )


def _init(home: Path, how: str) -> list[dict[str, float]]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.clients.te_init", how],
        cwd=REPO,
        env=clean_environment(TELLURIO_HOME=str(home)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"te.init failed: {done.stderr[-2000:]}")
    taken: list[dict[str, Any]] = json.loads(done.stdout)
    return taken
