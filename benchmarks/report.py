"""``results.json``, what was measured last of each row, and the page made of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, machine

__all__ = ["load_results", "merge", "page", "save"]

FOLDER = Path(__file__).parent

HEAD = """\
# Results

Made by `python -m benchmarks` (`make bench`); do not edit. A run replaces the rows it measures.

The model is simulated: accuracy here says that training works, not how well a real model learns.

How it is measured:

- **The job**: 24 support tickets, batches of 8, 3 steps, one prompt. Every step has something to learn, so no stage
  falls away. The LM server runs in another process on loopback and speaks OpenAI's chat completions API. Its latency
  counts from the arrival of a request. It makes no bad updates of its own; the rows on faults inject them.
- **The Tellurio server**, in the rows that have one, is a third process, with a home folder that nobody has used.
  CPU and memory of processes are as the system counts them (`/proc`), CPU in steps of 10 ms.
- **Bound**: the stages that must follow one another, times the latency: 9 without the gate (3 x forward, critic,
  optimizer), 12 with it. The bound knows no network and no server work; the asyncio reference pays both as well.
- **Warm-up**, the same for us, controls and peers: a fresh process imports, makes its client and sends one call on a
  text that does not come up again, outside the clock. Everything else is inside it, new connections included. Repeats
  of the job are in that one process, each from the start.
- **Calls and tokens** are the LM server's counts, accuracy is asked after the clock has stopped.
- **Measured** is the median of the repeats, or the worst of them where a single miss would be one (calls, tokens,
  accuracy). Lowest, highest and number of repeats stand beside it. Load is the system's, over the minute before
  the row was finished, our own work included.
"""


def load_results(folder: Path = FOLDER) -> dict[str, Any]:
    """The figures measured last, by name, and notes; empty if there are none."""
    path = folder / "results.json"
    if not path.exists():
        return {"figures": {}, "notes": {}}
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return results


def merge(results: dict[str, Any], group: str, figures: Iterable[Figure], notes: Iterable[str] = ()) -> None:
    """Replace the rows of ``group``."""
    kept = {name: row for name, row in results["figures"].items() if row["group"] != group}
    kept |= {figure.name: {"group": group, **figure.as_dict()} for figure in figures}
    results["figures"] = kept
    results["notes"][group] = list(notes)


def save(results: dict[str, Any], groups: dict[str, str], folder: Path = FOLDER) -> None:
    """Write ``results.json`` and ``RESULTS.md``."""
    results["machine"] = machine()
    (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "RESULTS.md").write_text(page(results, groups), encoding="utf-8")


def page(results: dict[str, Any], groups: dict[str, str]) -> str:
    """The whole page; ``groups``: name -> title, in order."""
    rows = {name: dict(row) for name, row in results["figures"].items()}
    by_group: dict[str, list[Figure]] = {}
    for row in rows.values():
        by_group.setdefault(row.pop("group"), []).append(Figure(**row))
    parts = [HEAD, f"Machine: {results.get('machine', machine())}.\n", _summary(by_group)]
    for name, title in groups.items():
        if name in by_group or results["notes"].get(name):
            parts.append(_section(title, by_group.get(name, []), results["notes"].get(name, [])))
    return "\n".join(parts)


def _summary(by_group: dict[str, list[Figure]]) -> str:
    judged = [figure for figures in by_group.values() for figure in figures if figure.met is not None]
    missed = [figure for figure in judged if not figure.met]
    text = f"{len(judged) - len(missed)} of {len(judged)} figures are reached."
    if missed:
        text += " Missed: " + "; ".join(f"{figure.what} ({figure.shown(figure.value)})" for figure in missed) + "."
    return text + "\n"


def _section(title: str, figures: list[Figure], notes: list[str]) -> str:
    lines = [f"## {title}\n"]
    if figures:
        lines += ["| what | to reach | measured | lowest to highest (repeats) | in the same run | date (UTC), load |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [_line(figure) for figure in figures]
    lines += ["", *(f"- {note}" for note in notes)] if notes else []
    return "\n".join(lines) + "\n"


def _line(figure: Figure) -> str:
    reach = (
        ""
        if figure.reach is None
        else f"{'at least' if figure.at_least else 'at most'} {figure.reach:,g} {figure.unit}".strip()
    )
    verdict = {None: "", True: "", False: " **missed**"}[figure.met]
    spread = (
        ""
        if not figure.values
        else f"{figure.shown(min(figure.values))} to {figure.shown(max(figure.values))} ({len(figure.values)})"
    )
    measured = f"{figure.shown(figure.value)}{verdict}"
    cells = (figure.what, reach, measured, spread, figure.compared, f"{figure.date}, {figure.load}")
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
