"""Recordings as text: lists, trees, differences."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["call_lines", "diff_lines", "run_lines", "runs_lines"]

Record = Mapping[str, Any]


def runs_lines(runs: Sequence[Record]) -> list[str]:
    """The latest recordings, one a line."""
    if not runs:
        return ["Nothing was recorded yet. Type: ao-record script.py"]
    rows = [("ID", "STARTED", "STATUS", "CALLS", "COST", "NAME")]
    rows += [
        (run["id"][:8], _when(run["started"]), run["status"], str(run["calls"]), _cost(run["cost"]), str(run["name"]))
        for run in runs
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]]).rstrip()
        for row in rows
    ]


def run_lines(graph: Record, parts: Sequence[Record]) -> list[str]:
    """A Run's calls, each with those whose answers went into it; then its parts."""
    run = graph["run"]
    reason = f" ({run['reason']})" if run["reason"] else ""
    lines = [f"{run['name']}  {run['id']}", f"  {run['status']}{reason}  {run['project']}  {_cost(run['cost'])}"]
    into: dict[str, list[str]] = defaultdict(list)
    numbers = {call["id"]: call["index"] for call in graph["calls"]}
    for edge in graph["edges"]:
        mark = "?" if edge["weak"] else "~" if edge["alternative"] else ""
        into[edge["to"]].append(f"{numbers[edge['from']]}{mark}")
    lines += _calls(graph, run["id"], into, "  ")
    for child in parts:
        if child["kind"] == "subrun":
            lines.append(f"  + {child['name']}  {child['id'][:8]}  {child['status']}")
            lines += _calls(graph, child["id"], into, "      ")
    others = [child for child in parts if child["kind"] != "subrun"]
    lines += [f"  > {child['name']}  {child['id'][:8]}  {child['status']}  ({child['kind']})" for child in others]
    return lines


def _calls(graph: Record, run_id: str, into: Mapping[str, list[str]], indent: str) -> list[str]:
    lines = []
    for call in graph["calls"]:
        if call["run"] == run_id:
            origins = f"  <- {', '.join(into[call['id']])}" if into.get(call["id"]) else ""
            marks = "".join([" edited" if call["edited"] else "", " recorded" if call["cached"] else ""])
            failed = f"  ERROR {call['error'][:80]}" if call["error"] else ""
            where = f"  {call['location']}" if call["location"] else ""
            took = f"{call['finished'] - call['started']:.2f} s"
            lines.append(f"{indent}{call['index']:>3}  {call['label']}  {took}{marks}{where}{origins}{failed}")
    return lines


def call_lines(call: Record, graph: Record) -> list[str]:
    """One call, whole."""
    lines = [
        f"{call['label']}  {call['id']}",
        f"  {call['status']}  {call['api_format']}  {call['location'] or ''}".rstrip(),
    ]
    for name, end, other in (("from", "to", "from"), ("to", "from", "to")):
        mine = [edge for edge in graph["edges"] if edge[end] == call["id"]]
        lines += [f"  {name} {edge[other]}  {edge['kind']} {edge['confidence']:.2f}" for edge in mine]
    for name in ("input", "output", "usage"):
        lines += [f"{name}:", json.dumps(call[name], indent=2, ensure_ascii=False)]
    return lines


def diff_lines(
    told: Mapping[str, Sequence[str]], before: Record, after: Record, calls: Mapping[str, Record]
) -> list[str]:
    """What became of the calls."""
    lines = [f"{before['name']} ({before['id'][:8]}) -> {after['name']} ({after['id'][:8]})"]
    for name, ids in told.items():
        lines.append(f"  {name}: {len(ids)}")
        if name != "replayed":
            lines += [f"    {_named(calls.get(id), id)}" for id in ids]
    return lines


def _named(call: Record | None, id: str) -> str:
    if call is None:
        return id[:8]
    return f"{call['index']:>3}  {call['label']}  {call['location'] or ''}  {id[:8]}"


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _cost(usd: str | None) -> str:
    return "unpriced" if usd is None else f"${float(usd):.4f}"
