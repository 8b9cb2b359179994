"""256 calls at once."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from afnio.models.lm_server import LMServer
from afnio.models.lm_server.worlds.tickets import JOB_PROMPT
from benchmarks.clients.driver import Task
from benchmarks.contender import run
from benchmarks.figures import Figure
from benchmarks.rows.job import job_samples

__all__ = ["forward_figures"]

CONTROLS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("openai SDK, default transport (control)", "benchmarks.clients.forward_openai", {}),
    ("openai SDK, its aiohttp transport (control)", "benchmarks.clients.forward_openai", {"transport": "aiohttp"}),
    ("aiohttp alone (control)", "benchmarks.clients.forward_aiohttp", {}),
)
OURS = "benchmarks.clients.forward_afnio"


def forward_figures(quick: bool) -> Iterator[Figure]:
    """Wall time of 256 different calls over the latency; each repeat in a fresh process, connections made inside it."""
    latency, samples, repeats = (0.05, 8, 1) if quick else (0.5, 256, 3)
    values = {}
    with LMServer("tickets", latency=latency, bad_share=0.0, process=True) as server:
        for name, module, options in (*CONTROLS, ("afnio", OURS, {})):
            task = Task(server.base_url, JOB_PROMPT, _samples(samples), options=options)
            runs = [run(module, task)[0] for _ in range(repeats if module != OURS else repeats + 2)]
            values[name] = [each.seconds / latency for each in runs]
            cpu = median(each.cpu for each in runs) / samples * 1000
            compared = f"{cpu:.2f} ms CPU a call"
            if module == OURS:
                controls = [median(values[control]) for control, _, _ in CONTROLS]
                compared += (
                    "; " + ", ".join(f"{median(values[name]) / other:.2f}" for other in controls) + " of the controls"
                )
            yield Figure(
                f"forward.{name}",
                f"forward of {samples} samples at {latency * 1000:g} ms, wall / latency: {name}",
                values[name],
                reach=1.25 if module == OURS and not quick else None,
                compared=compared,
            )


def _samples(count: int) -> list[tuple[str, str]]:
    tickets = job_samples()
    return [(f"{tickets[i % len(tickets)][0]} (case {i})", tickets[i % len(tickets)][1]) for i in range(count)]
