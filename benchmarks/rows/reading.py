"""Pages that a browser asks for: Runs of a large project, and the chart of a long metric."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection

from benchmarks.figures import Figure
from benchmarks.served import Served, Wire, home_folder, served
from tellurio.store import projects, runs, users
from tellurio.store.ingest import ingest
from tellurio.store.store import Store

__all__ = ["NOTES", "reading_figures"]

NOTES = (
    (
        "In the clock: the request over a kept-alive connection, the query, and the whole answer read; it is not "
        "decoded. Each Run has five metrics, a config and tags; about half of the Runs pass the filter."
    ),
    "Another filter or another bucket count each time, so that no answer is one given before.",
)

METRICS = ("accuracy", "loss", "cost", "seconds", "tokens")
ALL = "/api/v1/namespaces/bench/projects/large/runs"


def reading_figures(quick: bool) -> Iterator[Figure]:
    """Seconds until the answer is there."""
    many, points, repeats = (50, 500, 2) if quick else (10_000, 100_000, 21)
    with home_folder() as home:
        long_run = _filled(home, many, points)
        with served(home) as server, closing(server.wire()) as wire:
            yield _runs(server, wire, many, repeats, quick)
            yield _chart(server, wire, long_run, points, repeats, quick)


def _runs(server: Served, wire: Wire, many: int, repeats: int, quick: bool) -> Figure:
    paths = [
        f"{ALL}?filter={quote(f'metrics.accuracy:>:{0.5 + number / 1000}')}&sort=-metrics.accuracy&limit=100"
        for number in range(repeats)
    ]
    answer = json.loads(wire.ask("GET", paths[0]))
    wanted = sum(_accuracy(number) > 0.5 for number in range(many))
    if answer["total"] != wanted or len(answer["runs"]) != min(100, wanted):
        raise RuntimeError(f"{answer['total']} Runs were found, and {wanted} are there")
    plain = _clocked(wire, [f"{ALL}?limit=100&search={number}" for number in range(repeats)])
    spent, values = _spent(server, wire, paths)
    return Figure(
        "reading.runs",
        f"100 of {many:,} runs, filtered and sorted by a metric, over HTTP",
        values,
        "s",
        None if quick else 0.1,
        compared=f"server CPU {spent * 1000:.0f} ms each; by a word in the name, newest first "
        f"{median(plain) * 1000:.0f} ms",
    )


def _chart(server: Served, wire: Wire, run: str, points: int, repeats: int, quick: bool) -> Figure:
    paths = [f"/api/v1/runs/{run}/metrics/train_loss?buckets={2000 - number}" for number in range(repeats)]
    buckets = json.loads(wire.ask("GET", paths[0]))["buckets"]
    if sum(each[-1] for each in buckets) != points:
        raise RuntimeError(f"the buckets have {sum(each[-1] for each in buckets)} points of {points}")
    spent, values = _spent(server, wire, paths)
    return Figure(
        "reading.chart",
        f"chart of a metric of {points:,} points in 2,000 buckets (min, max, mean), over HTTP",
        values,
        "s",
        None if quick else 0.15,
        compared=f"server CPU {spent * 1000:.0f} ms each",
    )


def _spent(server: Served, wire: Wire, paths: list[str]) -> tuple[float, list[float]]:
    """CPU seconds of the server for each, and wall seconds."""
    before = server.process.cpu
    values = _clocked(wire, paths)
    return (server.process.cpu - before) / len(paths), values


def _clocked(wire: Wire, paths: list[str]) -> list[float]:
    taken = []
    for path in paths:
        started = time.perf_counter()
        wire.ask("GET", path)
        taken.append(time.perf_counter() - started)
    return taken


def _filled(home: Path, many: int, points: int) -> str:
    """Fill the store before the server starts; returns the id of the Run with the long metric."""
    with Store.open(home / "server") as store:
        project_id, user_id = store.write(_project)
        for first in range(0, many - 1, 500):
            store.write(_some_runs, project_id, user_id, range(first, min(first + 500, many - 1)))
        run = store.write(_one_run, project_id, user_id, many - 1)
        for first in range(1, points + 1, 5_000):
            lines = [_line(n, "train_loss", 1 / n) for n in range(first, min(first + 5_000, points + 1))]
            store.write(ingest, run["key"], "long", first, lines)
        return str(run["id"])


def _project(c: Connection) -> tuple[str, str]:
    user = users.make_user(c, "bench", "bench@localhost", is_admin=True)
    projects.make_namespace(c, "bench", "bench", user["id"])
    return projects.make_project(c, "bench", "Large", "RESTRICTED", user["id"])["id"], user["id"]


def _some_runs(c: Connection, project_id: str, user_id: str, numbers: range) -> None:
    for number in numbers:
        _one_run(c, project_id, user_id, number)


def _one_run(c: Connection, project_id: str, user_id: str, number: int) -> dict[str, Any]:
    config = {"model": f"model-{number % 7}", "batch_size": 2 ** (number % 6), "optimizer": {"momentum": number % 3}}
    made = runs.make_run(
        c, project_id, user_id, id=str(uuid.uuid4()), name=f"run_{number}", config=config, tags=[f"t{number % 11}"]
    )
    values = (_accuracy(number), 1.0 / (number + 1), 0.01 * number, 3.5, float(number * 100))
    lines = [_line(n, name, value) for n, (name, value) in enumerate(zip(METRICS, values, strict=True), 1)]
    ingest(c, made["key"], f"client-{number}", 1, lines)
    return made


def _accuracy(number: int) -> float:
    """From 0 to 1, in no order."""
    return number * 7919 % 10_007 / 10_007


def _line(n: int, name: str, value: float) -> bytes:
    return json.dumps({"n": n, "k": "m", "t": time.time(), "name": name, "v": value, "step": n}).encode()
