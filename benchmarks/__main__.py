"""``python -m benchmarks [--quick] [--only NAME] [--peers]``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

from benchmarks.figures import Figure
from benchmarks.report import load_results, merge, save
from benchmarks.rows.faults import fault_figures
from benchmarks.rows.forward import forward_figures
from benchmarks.rows.graph import graph_figures
from benchmarks.rows.imports import import_figures
from benchmarks.rows.job import job_figures
from benchmarks.rows.memory import memory_figures
from benchmarks.rows.peers import NOTES as PEER_NOTES
from benchmarks.rows.peers import peer_figures
from benchmarks.rows.size import size_figures

__all__ = ["BENCHMARKS", "TITLES", "main"]

BENCHMARKS: dict[str, Callable[[bool], Iterator[Figure]]] = {
    "job": job_figures,
    "faults": fault_figures,
    "forward": forward_figures,
    "graph": graph_figures,
    "import": import_figures,
    "memory": memory_figures,
    "size": size_figures,
}

TITLES = {
    "job": "The job",
    "faults": "The job under faults",
    "forward": "256 calls at once",
    "graph": "The graph at zero latency",
    "import": "Imports",
    "memory": "Memory",
    "size": "Installed size",
    "peers": "Peers, on the same job and server",
}

FORWARD_NOTE = (
    "Most of what is above 1 is the work of opening 256 connections, client and server each on one of two cores; "
    "whatever else runs on the machine shows here first. Read it beside aiohttp alone, which does only that."
)
NOTES = {"forward": (FORWARD_NOTE,), "peers": PEER_NOTES}


def main(argv: list[str] | None = None) -> None:
    """Measure, print, and (unless quick) write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the figures of RESULTS.md.")
    parser.add_argument("--quick", action="store_true", help="whether everything runs: tiny sizes, nothing is written")
    parser.add_argument("--only", action="append", choices=[*BENCHMARKS, "peers"], help="only these rows")
    parser.add_argument("--peers", action="store_true", help="other libraries too; installs each into .venvs/")
    args = parser.parse_args(argv)
    chosen = args.only or [*BENCHMARKS, *(["peers"] if args.peers else [])]
    results, started = load_results(), time.perf_counter()
    for name in chosen:
        figures = peer_figures(args.quick) if name == "peers" else BENCHMARKS[name](args.quick)
        merge(results, name, _show(figures), NOTES.get(name, ()))
        if not args.quick:
            save(results, TITLES)
    print(f"{time.perf_counter() - started:.0f} s" + ("" if args.quick else ", written to benchmarks/RESULTS.md"))


def _show(figures: Iterator[Figure]) -> list[Figure]:
    shown = []
    for figure in figures:
        verdict = {None: "       ", True: "reached", False: "MISSED "}[figure.met]
        reach = "" if figure.reach is None else f" (to reach: {figure.reach:g})"
        print(f"{verdict}  {figure.what}: {figure.shown(figure.value)}{reach}  {figure.compared}", flush=True)
        shown.append(figure)
    return shown


if __name__ == "__main__":
    main()
