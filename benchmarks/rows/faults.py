"""The job under faults, gate on: a reply is broken, an update ruins the prompt, the server says 429."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.contender import accuracy
from benchmarks.figures import Figure
from benchmarks.rows.job import TRAINER, job_samples, measure

__all__ = ["fault_figures"]

CASES = (
    ("malformed", "one malformed optimizer reply", "malformed_optimizer@{step}"),
    ("destructive", "one destructive update", "destructive@{step}"),
)


def fault_figures(quick: bool) -> Iterator[Figure]:
    """Final accuracy, with the fault in each of the three steps in turn."""
    latency, steps = (0.0, (1,)) if quick else (0.05, (1, 2, 3))
    for name, what, fault in CASES:
        yield _figure(name, what, latency, [[fault.format(step=step)] for step in steps])
    yield _figure("429", "four 429s", latency, [["429@4x4:retry_after=0.1"], ["429@12x4:retry_after=0.1"]])


def _figure(name: str, what: str, latency: float, faults: list[list[str]]) -> Figure:
    runs = [measure(TRAINER, latency, 1, plan, gate=True)[0] for plan in faults]
    reached = [accuracy(each.prompt, job_samples()) for each in runs]
    calls = ", ".join(str(each.calls) for each in runs)
    return Figure(
        f"faults.{name}",
        f"accuracy after {what}, gate on",
        reached,
        reach=1.0,
        at_least=True,
        judge="max",
        compared=f"{calls} calls; {', '.join(f'{each.seconds:.2f}' for each in runs)} s at {latency * 1000:g} ms",
    )
