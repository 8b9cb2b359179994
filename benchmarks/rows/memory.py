"""Memory of a client process that does the job."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.figures import Figure
from benchmarks.rows.job import HAND, REFERENCE, TRAINER, measure

__all__ = ["memory_figures"]

LIMIT = 70.0


def memory_figures(quick: bool) -> Iterator[Figure]:
    """Largest resident size (VmHWM) of the process, interpreter and libraries included, in MB of 10^6 bytes."""
    latency, repeats = (0.0, 1) if quick else (0.05, 3)
    peaks = {
        module: [measure(module, latency, 1, gate=gate, count=False)[0].peak_mb for _ in range(repeats)]
        for module, gate in ((REFERENCE, False), (HAND, False), (TRAINER, True))
    }
    control = f"asyncio reference (control) {median(peaks[REFERENCE]):.0f} MB"
    for name, what, module in (
        ("hand", "the loop by hand", HAND),
        ("fit", "Trainer.fit with its gate", TRAINER),
    ):
        yield Figure(
            f"memory.{name}",
            f"memory of the client process in the job, {what}",
            peaks[module],
            "MB",
            LIMIT,
            compared=control,
            digits=1,
        )
