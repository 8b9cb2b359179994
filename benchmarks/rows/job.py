"""The job: 24 samples, batches of 8, 3 steps, one prompt, a simulated LM in another process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from afnio.models.lm_server import LMServer
from afnio.models.lm_server.worlds.tickets import JOB_PROMPT, job_tickets
from benchmarks.clients.driver import Task
from benchmarks.contender import Run, accuracy, run
from benchmarks.figures import Figure

__all__ = ["HAND", "REFERENCE", "STAGES", "TRAINER", "counts", "job_figures", "job_samples", "measure", "task"]

HAND, TRAINER = "benchmarks.clients.afnio_hand", "benchmarks.clients.afnio_trainer"
REFERENCE = "benchmarks.clients.asyncio_reference"
STAGES = {False: 9, True: 12}  # gate -> stages that must follow one another: 3 x forward, critic, optimizer (and gate)


def job_samples() -> list[tuple[str, str]]:
    """The 24 tickets; every step has something to learn, so that no stage falls away."""
    return [(text, json.dumps(right)) for text, right in job_tickets(every_step_learns=True)]


def task(server: LMServer, **settings: Any) -> Task:
    """The job on ``server``."""
    return Task(base_url=server.base_url, prompt=JOB_PROMPT, samples=job_samples(), **settings)


def measure(module: str, latency: float, repeats: int, faults: Sequence[str] = (), **settings: Any) -> list[Run]:
    """Let ``module`` do the job at ``latency`` seconds a call."""
    with LMServer("tickets", latency=latency, bad_share=0.0, faults=faults, process=True) as server:
        return run(module, task(server, repeats=repeats, **settings))


def job_figures(quick: bool) -> Iterator[Figure]:
    """Wall time over bound, calls, tokens, accuracy."""
    if quick:
        yield from _at(0.01, 1, {})
        return
    yield from _at(0.5, 3, {"hand": 1.05, "fit": 1.05, "gate": 6.3})
    yield from _at(0.05, 9, {"hand": 1.15, "fit": 1.15, "gate": 0.72})


def _at(latency: float, repeats: int, reach: dict[str, float]) -> Iterator[Figure]:
    label = f"{latency * 1000:g} ms"
    bound = STAGES[False] * latency
    reference = [each.seconds / bound for each in measure(REFERENCE, latency, repeats)]
    yield Figure(f"job.{label}.reference", f"job at {label}: asyncio reference (control), wall / bound", reference)
    for key, module, way in (("hand", HAND, "loop by hand"), ("fit", TRAINER, "Trainer.fit, gate=None")):
        runs = measure(module, latency, repeats)
        ratios = [each.seconds / bound for each in runs]
        yield Figure(
            f"job.{label}.{key}",
            f"job at {label}: {way}, wall / bound",
            ratios,
            reach=reach.get(key),
            compared=f"{median(ratios) * bound:.3f} s, bound {bound:g} s; {median(ratios) / median(reference):.3f} of "
            f"the reference; {median(each.cpu for each in runs) * 1000:.0f} ms CPU",
        )
        yield from counts(f"job.{label}.{key}", f"job at {label}: {way}", runs, calls=33, tokens=10_000)
    yield from _gated(label, latency, repeats, reach.get("gate"))
    runs = measure(TRAINER, latency, repeats, gate=True, options={"files": True})
    yield Figure(
        f"job.{label}.files",
        f"job at {label}: Trainer.fit as it comes, with gate, checkpoints and a call log on disk, wall",
        [each.seconds for each in runs],
        "s",
        reach.get("gate"),
        compared=f"{median(each.cpu for each in runs) * 1000:.0f} ms CPU",
    )


def _gated(label: str, latency: float, repeats: int, reach: float | None) -> Iterator[Figure]:
    runs, bound = measure(TRAINER, latency, repeats, gate=True), STAGES[True] * latency
    seconds = [each.seconds for each in runs]
    yield Figure(
        f"job.{label}.gate",
        f"job at {label}: Trainer.fit with its gate, wall",
        seconds,
        "s",
        reach,
        compared=f"{median(seconds) / bound:.3f} of the bound of {bound:g} s",
    )
    yield from counts(f"job.{label}.gate", f"job at {label}: with the gate", runs, calls=57, tokens=None)


def counts(name: str, what: str, runs: Sequence[Run], calls: int, tokens: int | None) -> Iterator[Figure]:
    """Calls, tokens and final accuracy, each by the worst of the repeats."""
    counted = [float(each.calls) for each in runs]
    yield Figure(
        f"{name}.calls", f"{what}, calls", counted, "", calls, judge="max", compared=runs[-1].by_role, digits=0
    )
    counted = [float(each.tokens) for each in runs]
    yield Figure(f"{name}.tokens", f"{what}, tokens", counted, "", tokens, judge="max", digits=0)
    reached = [accuracy(each.prompt, job_samples()) for each in runs]
    start = accuracy(JOB_PROMPT, job_samples())
    yield Figure(
        f"{name}.accuracy",
        f"{what}, final accuracy",
        reached,
        "",
        1.0,
        at_least=True,
        judge="max",
        compared=f"{start:.3f} with the start prompt",
    )
