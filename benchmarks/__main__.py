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
from benchmarks.rows.ingest import NOTES as INGEST_NOTES
from benchmarks.rows.ingest import ingest_figures
from benchmarks.rows.job import job_figures
from benchmarks.rows.logging import NOTES as LOGGING_NOTES
from benchmarks.rows.logging import logging_figures
from benchmarks.rows.matching import NOTES as MATCHING_NOTES
from benchmarks.rows.matching import matching_figures
from benchmarks.rows.memory import memory_figures
from benchmarks.rows.peers import NOTES as PEER_NOTES
from benchmarks.rows.peers import peer_figures
from benchmarks.rows.reading import NOTES as READING_NOTES
from benchmarks.rows.reading import reading_figures
from benchmarks.rows.recorder import NOTES as RECORDER_NOTES
from benchmarks.rows.recorder import recorder_figures
from benchmarks.rows.server import NOTES as SERVER_NOTES
from benchmarks.rows.server import server_figures
from benchmarks.rows.server_job import NOTES as SERVER_JOB_NOTES
from benchmarks.rows.server_job import server_job_figures
from benchmarks.rows.size import size_figures

__all__ = ["BENCHMARKS", "TITLES", "main"]

BENCHMARKS: dict[str, Callable[[bool], Iterator[Figure]]] = {
    "job": job_figures,
    "server-job": server_job_figures,
    "logging": logging_figures,
    "ingest": ingest_figures,
    "reading": reading_figures,
    "server": server_figures,
    "faults": fault_figures,
    "forward": forward_figures,
    "graph": graph_figures,
    "import": import_figures,
    "recorder": recorder_figures,
    "matching": matching_figures,
    "memory": memory_figures,
    "size": size_figures,
}

TITLES = {
    "job": "The job",
    "server-job": "The job through the server",
    "logging": "run.log",
    "ingest": "What storing costs the server",
    "reading": "Pages",
    "server": "The server: start and memory",
    "faults": "The job under faults",
    "forward": "256 calls at once",
    "graph": "The graph at zero latency",
    "import": "Imports",
    "recorder": "ao-record",
    "matching": "Matching texts",
    "memory": "Memory",
    "size": "Installed size",
    "peers": "Peers, on the same job and server",
}

FORWARD_NOTE = (
    "Most of what is above 1 is the work of opening 256 connections, client and server each on one of two cores; "
    "whatever else runs on the machine shows here first. Read it beside aiohttp alone, which does only that."
)
NOTES = {
    "server-job": SERVER_JOB_NOTES,
    "logging": LOGGING_NOTES,
    "ingest": INGEST_NOTES,
    "reading": READING_NOTES,
    "server": SERVER_NOTES,
    "forward": (FORWARD_NOTE,),
    "recorder": RECORDER_NOTES,
    "matching": MATCHING_NOTES,
    "peers": PEER_NOTES,
}


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
