"""``run.log``: what a call costs the script, and that nothing of it is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks.contender import REPO, clean_environment
from benchmarks.figures import Figure
from benchmarks.served import Served, served

__all__ = ["NOTES", "logging_figures"]

NOTES = (
    (
        "A call is clocked in the script, on its own: from before `run.log(name, value, step)` to after it, its INFO "
        "line off. The journal is written within it; the sender runs in the same process at the same time, the server "
        "in another. The control writes a line of the same length to a file with `os.write`, in the same process. "
        "After a pause every call begins with cold caches, the control too: that row is there to be read beside it."
    ),
    "Stored is counted in the database's file, by points and by steps: a point that is there twice counts against it.",
    "Killed: by SIGKILL right after the last call. Nobody does anything then; the local server finds the journal.",
)

LIMIT = 0.05  # ms
PATIENCE = 150.0


def logging_figures(quick: bool) -> Iterator[Figure]:
    """The 99th percentile of a call; points stored after `finish`, and after a kill."""
    times, paced, killed, repeats = (200, 50, 50, 1) if quick else (20_000, 2_000, 500, 3)
    with served() as server:
        fast = [_logged(server, times, 0.0) for _ in range(repeats)]
        limit = None if quick else LIMIT
        yield _percentile("logging.p99", f"{times:,} calls one after the other", fast, limit)
        slow = [_logged(server, paced, 0.001) for _ in range(repeats)]
        yield _percentile("logging.p99-paced", f"{paced:,} calls with a pause of a millisecond", slow, None)
        yield _stored("logging.stored", f"points stored of {times:,} logged, after run.finish()", server, fast, times)
        yield Figure(
            "logging.seconds",
            f"{times:,} points: from the first run.log to the end of run.finish()",
            [each["stored"] for each in fast],
            "s",
            compared=f"the script's own calls took {median(each['logged'] for each in fast):.3f} s of it",
        )
        dead = [_killed(server, killed) for _ in range(repeats)]
        yield _stored(
            "logging.killed", f"points stored of {killed:,} logged by a process killed then", server, dead, killed
        )
        yield Figure(
            "logging.killed-seconds",
            "seconds from the kill until all of them are stored",
            [each["collected"] for each in dead],
            "s",
            compared=f"stored at the kill: {', '.join(str(each['before']) for each in dead)}; the server looks for "
            "journals of dead processes every 5 s",
        )


def _percentile(name: str, what: str, runs: list[dict[str, Any]], limit: float | None) -> Figure:
    control = median(_p99(each["control"]) for each in runs)
    half = median(median(each["times"]) for each in runs) / 1e6
    longest = max(each["times"][-1] for each in runs) / 1e6
    return Figure(
        name,
        f"run.log in user code, 99th percentile of {what}",
        [_p99(each["times"]) for each in runs],
        "ms",
        limit,
        compared=f"bare os.write (control) {control:.4f} ms; median {half:.4f} ms, longest {longest:.1f} ms",
        digits=4,
    )


def _p99(times: list[int]) -> float:
    return times[int(len(times) * 0.99)] / 1e6


def _stored(name: str, what: str, server: Served, runs: list[dict[str, Any]], wanted: int) -> Figure:
    """As many as there are different ones; less where some are there twice."""
    counts = []
    for each in runs:
        points, steps = _points(server, each["run"], "count(*)"), _points(server, each["run"], "count(DISTINCT step)")
        counts.append(float(steps - (points - steps)))
    return Figure(name, what, counts, "", wanted, at_least=True, judge="max", digits=0)


def _points(server: Served, run: str, what: str) -> int:
    query = (
        f"SELECT {what} FROM points JOIN metrics ON metrics.key = metric_key "
        "JOIN runs ON runs.key = run_key WHERE runs.id = ?"
    )
    return int(server.stored(query, run))


def _logged(server: Served, times: int, pause: float) -> dict[str, Any]:
    return _script(server, times, pause, "finish")


def _killed(server: Served, times: int) -> dict[str, Any]:
    told, killed = _script(server, times, 0.0, "kill"), time.perf_counter()
    before = _points(server, told["run"], "count(*)")
    while _points(server, told["run"], "count(*)") < times and time.perf_counter() < killed + PATIENCE:
        time.sleep(0.02)
    return told | {"collected": time.perf_counter() - killed, "before": before}


def _script(server: Served, times: int, pause: float, end: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.clients.logging_calls", str(times), str(pause), end],
        cwd=REPO,
        env=clean_environment(**server.environment()),
        stdout=subprocess.PIPE,
        check=end != "kill",
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told
