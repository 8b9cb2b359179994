"""256 calls at once."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from afnio.models.lm_server import LMServer
from afnio.models.lm_server.worlds.tickets import JOB_PROMPT
from benchmarks.clients.driver import Task
from benchmarks.contender import Run, run
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
    latency, samples, repeats = (0.05, 8, 1) if quick else (0.5, 256, 5)
    runs = _rounds(latency, samples, repeats)
    controls = [median(each.seconds for each in runs[name]) for name, _, _ in CONTROLS]
    for name, done in runs.items():
        cpu = median(each.cpu for each in done) / samples * 1000
        compared = f"{cpu:.2f} ms CPU a call, fastest {min(each.seconds for each in done) / latency:.3f}"
        if name == "afnio":
            shares = [median(each.seconds for each in done) / control for control in controls]
            compared += f"; {', '.join(f'{share:.2f}' for share in shares)} of the controls"
        yield Figure(
            f"forward.{name}",
            f"forward of {samples} samples at {latency * 1000:g} ms, wall / latency: {name}",
            [each.seconds / latency for each in done],
            reach=1.25 if name == "afnio" and not quick else None,
            compared=compared,
        )


def _rounds(latency: float, samples: int, repeats: int) -> dict[str, list[Run]]:
    """All contenders in turn, ``repeats`` times, so that what else the machine does hits all of them."""
    contenders = (*CONTROLS, ("afnio", OURS, {}))
    runs: dict[str, list[Run]] = {name: [] for name, _, _ in contenders}
    with LMServer("tickets", latency=latency, bad_share=0.0, process=True) as server:
        for _ in range(repeats):
            for name, module, options in contenders:
                runs[name] += run(module, Task(server.base_url, JOB_PROMPT, _samples(samples), options=options))
    return runs


def _samples(count: int) -> list[tuple[str, str]]:
    tickets = job_samples()
    return [(f"{tickets[i % len(tickets)][0]} (case {i})", tickets[i % len(tickets)][1]) for i in range(count)]
