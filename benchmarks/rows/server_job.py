"""The job through a Tellurio server: the same as in the client alone, with the trip to the server in the clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from statistics import median
from typing import NamedTuple

from afnio.models.lm_server import LMServer
from benchmarks.clients.runs import DOLLARS
from benchmarks.contender import Run, run
from benchmarks.figures import Figure
from benchmarks.rows.job import HAND, REFERENCE, STAGES, TRAINER, counts, measure, task
from benchmarks.served import served

__all__ = ["NOTES", "server_job_figures"]

NOTES = (
    (
        "In the clock: packing the graph, the trip to the server and back, the server's engine, and each call recorded "
        "in its database (fsync) before its answer is used. Three processes share the cores: client, server, LM. "
        "`te.init` and `run.finish()` are outside of it; `finish` stands beside."
    ),
    (
        "The server was just started and the client is its first: `first` is the first job, with every cold path of "
        "the server in it; the median of the repeats is that of a server that has worked before. `server` is its CPU."
    ),
    (
        "Reconciled: calls and tokens that the Run has stored against the LM's own counts, dollars against its tokens "
        "at 2 and 10 dollars a million. It is the sum of the differences."
    ),
)


class _Way(NamedTuple):
    key: str
    what: str
    module: str
    lm_calls: str
    gate: bool = False


TOKENS = ("input_tokens", "output_tokens")
WAYS = (
    _Way("hand", "loop by hand", HAND, "server"),
    _Way("fit", "Trainer.fit, gate=None", TRAINER, "server"),
    _Way("gate", "Trainer.fit with its gate", TRAINER, "server", gate=True),
    _Way("hand-client", 'loop by hand, lm_calls="client"', HAND, "client"),
    _Way("fit-client", 'Trainer.fit, gate=None, lm_calls="client"', TRAINER, "client"),
)


def server_job_figures(quick: bool) -> Iterator[Figure]:
    """Wall time over bound, calls, tokens, accuracy, and what the Run has stored of it."""
    if quick:
        yield from _at(0.01, 1, None, None, (WAYS[0], WAYS[3]))
        return
    yield from _at(0.5, 3, 1.05, 6.3)
    yield from _at(0.05, 9, 1.20, 0.72)


def _at(
    latency: float, repeats: int, reach: float | None, reach_gated: float | None, ways: Sequence[_Way] = WAYS
) -> Iterator[Figure]:
    label = f"{latency * 1000:g} ms"
    bound = STAGES[False] * latency
    reference = [each.seconds / bound for each in measure(REFERENCE, latency, repeats)]
    what = f"job through the server at {label}"
    yield Figure(f"server-job.{label}.reference", f"{what}: asyncio reference, no server (control)", reference)
    alone = {
        (way.module, way.gate): measure(way.module, latency, repeats, gate=way.gate)
        for way in ways
        if way.lm_calls == "server"
    }
    for way in ways:
        runs, server_cpu = _through_server(way, latency, repeats)
        bound = STAGES[way.gate] * latency
        seconds = [each.seconds for each in runs]
        without = median(each.seconds for each in alone[way.module, way.gate])
        compared = (
            f"bound {bound:g} s; {median(seconds) / without:.3f} of the same without a server; first {seconds[0]:.3f} "
            f"s; CPU {median(each.cpu for each in runs) * 1000:.0f} ms, server {server_cpu / repeats * 1000:.0f} ms; "
            f"finish {median(each.told['finish'] for each in runs) * 1000:.0f} ms"
        )
        if way.gate:
            figure = Figure(f"server-job.{label}.{way.key}", f"{what}: {way.what}, wall", seconds, "s", reach_gated)
        else:
            ratios = [each / bound for each in seconds]
            figure = Figure(f"server-job.{label}.{way.key}", f"{what}: {way.what}, wall / bound", ratios, "", reach)
        figure.compared = compared if way.gate else f"{median(seconds):.3f} s, {compared}"
        yield figure
        name, calls = f"server-job.{label}.{way.key}", 57 if way.gate else 30
        yield from counts(name, f"{what}: {way.what}", runs, calls, None if way.gate else 8_335)
        yield _reconciled(name, f"{what}: {way.what}", runs)


def _through_server(way: _Way, latency: float, repeats: int) -> tuple[list[Run], float]:
    with served() as server, LMServer("tickets", latency=latency, bad_share=0.0, process=True) as lm:
        before = server.process.cpu
        job = task(lm, repeats=repeats, gate=way.gate, options={"lm_calls": way.lm_calls})
        runs = run(way.module, job, environment=server.environment())
        return runs, server.process.cpu - before


def _reconciled(name: str, what: str, runs: Sequence[Run]) -> Figure:
    """How far the Run's sums are from the LM's counts."""
    differences = []
    for each in runs:
        stored, counted = each.told["cost"], each.stats["total"]
        micro = sum(counted[name] * price for name, price in zip(TOKENS, DOLLARS, strict=True))
        wanted = {"calls": each.calls, "unpriced": 0, **{name: counted[name] for name in TOKENS}}
        off = sum(abs(int(stored[name]) - number) for name, number in wanted.items())
        differences.append(off + float(abs(Decimal(stored["usd"]) - Decimal(micro) / 10**6)))
    stored = runs[-1].told["cost"]
    return Figure(
        f"{name}.reconciled",
        f"{what}, what the Run has stored less what the LM counted",
        differences,
        reach=0.0,
        judge="max",
        compared=f"stored: {stored['calls']} calls, {stored['input_tokens']} + {stored['output_tokens']} tokens, "
        f"{stored['usd']} dollars",
        digits=6,
    )
