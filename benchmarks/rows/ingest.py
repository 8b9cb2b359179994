"""What it costs the server to store what is logged."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.figures import Figure
from benchmarks.served import Served, Wire, home_folder, process_of, served

__all__ = ["NOTES", "bare", "ingest_figures"]

NOTES = (
    (
        "Processor time is the server process's own, all threads, user and system, by /proc; the client, in another "
        "process, sends finished bytes over one kept-alive connection, one request at a time. An answer means "
        "that the points are in the database and synced to disk (SQLite, WAL, synchronous=FULL)."
    ),
    (
        "Controls: the same request to a bare Starlette handler on uvicorn that reads the body and answers; and SQLite "
        "alone, the same rows into the same table in one transaction a request, synced as ours, without HTTP or JSON."
    ),
)

TABLE = (
    "CREATE TABLE points (metric_key INTEGER NOT NULL, number INTEGER NOT NULL, step BIGINT, time DOUBLE NOT NULL, "
    "value DOUBLE, PRIMARY KEY (metric_key, number)) WITHOUT ROWID"
)
WARM = 50


class _Spent(NamedTuple):
    cpu: float
    wall: float


def ingest_figures(quick: bool) -> Iterator[Figure]:
    """Processor time of a request with one point, and points a second in batches of 1,000."""
    repeats, requests, batches, size = (1, 20, 2, 100) if quick else (5, 1_000, 100, 1_000)
    with served() as server, home_folder() as folder:
        ours = [_journal(server, requests, 1) for _ in range(repeats)]
        plain = _bare(folder, requests, repeats)
        rows = [_sqlite(folder / f"one-{number}.db", requests, 1) for number in range(repeats)]
        yield Figure(
            "ingest.durable",
            "an acknowledged durable log of one point, server CPU",
            [each.cpu / requests * 1000 for each in ours],
            "ms",
            None if quick else 1.2,
            compared=f"bare Starlette handler (control) {_ms(plain, requests):.2f} ms; SQLite alone (control) "
            f"{_ms(rows, requests):.2f} ms; wall {median(each.wall for each in ours) / requests * 1000:.2f} ms",
        )
        many = [_journal(server, batches, size) for _ in range(repeats)]
        rows = [_sqlite(folder / f"many-{number}.db", batches, size) for number in range(repeats)]
        points = batches * size
        yield Figure(
            "ingest.points",
            f"points a second of one core, in batches of {size:,}",
            [points / max(each.cpu, 0.01) for each in many],
            "",
            None if quick else 40_000,
            at_least=True,
            compared=f"SQLite's executemany alone (control) {points / median(each.cpu for each in rows):,.0f}; "
            f"{median(each.cpu for each in many) / points * 1e6:.1f} us CPU a point; "
            f"by wall clock {points / median(each.wall for each in many):,.0f} a second",
            digits=0,
        )


def _ms(spent: list[_Spent], requests: int) -> float:
    return median(each.cpu for each in spent) / requests * 1000


def _journal(server: Served, requests: int, size: int) -> _Spent:
    """``requests`` batches of ``size`` points into a new Run."""
    with closing(server.wire()) as wire:
        run = server.new_run(wire)

        def send(number: int, body: bytes) -> None:
            wire.ask("POST", f"/api/v1/runs/{run}/journal?client={run}&first={number * size + 1}", body)

        bodies = [_batch(number * size + 1, size) for number in range(WARM + requests)]
        spent = _clocked(send, bodies, lambda: server.process.cpu)
    query = "SELECT count FROM metrics JOIN runs ON runs.key = run_key WHERE runs.id = ?"
    stored = server.stored(query, run)
    if stored != len(bodies) * size:
        raise RuntimeError(f"{stored} points are stored of {len(bodies) * size} that were acknowledged")
    return spent


def _batch(first: int, size: int) -> bytes:
    """Lines of a journal, as a client writes them."""
    now = time.time()
    lines = (
        {"n": number, "k": "m", "t": now, "name": "train_loss", "v": number / 7, "step": number}
        for number in range(first, first + size)
    )
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)


def _clocked(send: Callable[[int, bytes], object], bodies: list[bytes], cpu: Callable[[], float]) -> _Spent:
    """What all but the first `WARM` cost."""
    for number, body in enumerate(bodies[:WARM]):
        send(number, body)
    before, started = cpu(), time.perf_counter()
    for number, body in enumerate(bodies[WARM:], WARM):
        send(number, body)
    return _Spent(cpu() - before, time.perf_counter() - started)


def bare(file: Path) -> tuple[str, ...]:
    """What starts the bare server; it writes its port to ``file``."""
    return ("-m", "benchmarks.clients.bare_server", str(file))


def _bare(folder: Path, requests: int, repeats: int) -> list[_Spent]:
    file = folder / "port"
    with process_of(*bare(file)) as process:
        while not file.exists():
            time.sleep(0.01)
        with closing(Wire(int(file.read_text(encoding="ascii")))) as wire:
            path, bodies = "/api/v1/runs/any/journal?client=any&first=1", [_batch(1, 1)] * (WARM + requests)
            return [
                _clocked(lambda number, body: wire.ask("POST", path, body), bodies, lambda: process.cpu)
                for _ in range(repeats)
            ]


def _sqlite(path: Path, transactions: int, size: int) -> _Spent:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", TABLE):
            database.execute(statement)
        now = time.time()
        before, started = time.process_time(), time.perf_counter()
        for number in range(transactions):
            first = number * size
            database.execute("BEGIN IMMEDIATE")
            database.executemany(
                "INSERT INTO points VALUES (1, ?, ?, ?, ?)", [(n, n, now, n / 7) for n in range(first, first + size)]
            )
            database.execute("COMMIT")
        return _Spent(time.process_time() - before, time.perf_counter() - started)
