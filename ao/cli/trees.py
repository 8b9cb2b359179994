"""Recordings as text: lists, trees, differences; as wide as the terminal is."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["call_lines", "calls_near", "diff_lines", "output_lines", "run_lines", "runs_lines"]

Record = Mapping[str, Any]

LEAST = 40
"""Columns: on a narrower terminal lines are broken by it, and nothing is left out for that."""


def runs_lines(runs: Sequence[Record]) -> list[str]:
    """The latest recordings, one a line."""
    if not runs:
        return ["Nothing was recorded yet. Type: ao-record script.py"]
    rows = [("ID", "STARTED", "STATUS", "CALLS", "COST", "NAME")]
    rows += [
        (run["id"][:8], _when(run["started"]), run["status"], str(run["calls"]), _cost(run), _plain(run["name"]))
        for run in runs
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return _fitted(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]]).rstrip()
        for row in rows
    )


def run_lines(graph: Record, family: Record) -> list[str]:
    """A Run's calls, each with those whose answers went into it; then its parts with theirs, and its reruns."""
    run = graph["run"]
    reason = f" ({_plain(run['reason'])})" if run["reason"] else ""
    counts = f"{run['calls']} call{'' if run['calls'] == 1 else 's'}  {_cost(run)}"
    lines = [f"{_plain(run['name'])}  {run['id']}", f"  {run['status']}{reason}  {run['project']}  {counts}"]
    if run["parent"]:
        lines.append(f"  {'a part' if run['kind'] == 'subrun' else 'a rerun'} of {run['parent'][:8]}")
    children: dict[str, list[Record]] = defaultdict(list)
    for part in family["parts"]:
        children[part["parent"]].append(part)
    shown = _Calls(graph)
    lines += shown.of(run["id"], "  ")
    stack = [(part, "  ") for part in reversed(children[run["id"]])]
    while stack:
        part, indent = stack.pop()
        lines.append(f"{indent}+ {_plain(part['name'])}  {part['id'][:8]}  {part['status']}")
        lines += shown.of(part["id"], indent + "    ")
        stack += [(each, indent + "    ") for each in reversed(children[part["id"]])]
    for each in family["reruns"]:
        lines.append(f"  > {_plain(each['name'])}  {each['id'][:8]}  {each['status']}  ({each['kind']})")
    if not graph["calls"]:
        lines.append("  No LM call was recorded.")
    return _fitted(lines)


class _Calls:
    """The calls of a graph, by their Runs."""

    def __init__(self, graph: Record) -> None:
        self._of: dict[str, list[Record]] = defaultdict(list)
        for call in graph["calls"]:
            self._of[call["run"]].append(call)
        numbers = {call["id"]: call["index"] for call in graph["calls"]}
        self._into: dict[str, list[str]] = defaultdict(list)
        for edge in graph["edges"]:
            mark = "?" if edge["weak"] else "~" if edge["alternative"] else ""
            self._into[edge["to"]].append(f"{numbers[edge['from']]}{mark}")

    def of(self, run_id: str, indent: str) -> list[str]:
        """The lines of a Run's calls."""
        return [f"{indent}{self._line(call)}" for call in self._of[run_id]]

    def _line(self, call: Record) -> str:
        words = [f"{call['index']:>3}", call["id"][:8], _plain(call["label"] or call["model"] or "call")]
        words.append(f"{call['finished'] - call['started']:.2f} s")
        words += ["edited"] * call["edited"] + ["recorded"] * (call["cached"] and not call["edited"])
        if self._into[call["id"]]:
            words.append(f"<- {', '.join(self._into[call['id']])}")
        if call["location"]:
            words.append(_place(call["location"]))
        if call["error"]:
            words.append(f"ERROR {_plain(call['error'])}")
        return "  ".join(words)


def call_lines(call: Record, graph: Record) -> list[str]:
    """One call, whole."""
    facts = [call["status"], call["model"], call["api_format"], call["location"], _dollars(call["cost"])]
    lines = [f"{_plain(call['label'] or 'call')}  {call['id']}", "  " + "  ".join(each for each in facts if each)]
    if call["error"]:
        lines.append(f"  {_plain(call['error'])}")
    for name, end, other in (("from", "to", "from"), ("to", "from", "to")):
        mine = [edge for edge in graph["edges"] if edge[end] == call["id"]]
        lines += [f"  {name} {edge[other][:8]}  {edge['kind']} {edge['confidence']:.2f}" for edge in mine]
    for name in ("input", "output", "usage"):
        lines += [f"{name}:", _shown(call[name])]
    return lines


NEAR = 5
"""How many calls are named to who named one that is not there."""


def calls_near(calls: Sequence[Record], name: str, run_id: str) -> list[str]:
    """The calls that ``name`` may have been meant for, nearest first: by number, else by id, label or model.

    Args:
        calls: of the Run ``run_id`` and of its parts; those of parts have no number that could be typed.
        name: what was typed.
    """
    from difflib import SequenceMatcher

    def far(call: Record) -> float:
        if name.isascii() and name.isdigit():
            return abs(int(call["index"]) - int(name)) + (0.5 if call["run"] != run_id else 0.0)
        names = (call["id"][: len(name)], call["label"] or "", call["model"] or "")
        return -max(SequenceMatcher(None, name.lower(), each.lower()).ratio() for each in names)

    return [_near(call, run_id) for call in sorted(calls, key=far)[:NEAR]]


def _near(call: Record, run_id: str) -> str:
    number = f"{call['index']} or " if call["run"] == run_id else ""
    place = f", {_place(call['location'])}" if call["location"] else ""
    return f"{number}{call['id'][:8]} ({_plain(call['label'] or 'call')}{place})"


def diff_lines(
    told: Mapping[str, Sequence[str]], before: Record, after: Record, calls: Mapping[str, Record]
) -> list[str]:
    """What became of the calls."""
    lines = [f"{_plain(before['name'])} ({before['id'][:8]}) -> {_plain(after['name'])} ({after['id'][:8]})"]
    for name, ids in told.items():
        lines.append(f"  {len(ids):>4} {name}")
        if name != "replayed":
            lines += [f"         {_named(calls.get(id), id)}" for id in ids]
    return _fitted(lines)


def output_lines(said: Record) -> list[str]:
    """What a script printed; what would steer the terminal is spelled out."""
    left_out = [f"... {said['left_out']} bytes before this are left out"] if said["left_out"] else []
    return left_out + [_spelled(line) for line in said["text"].removesuffix("\n").split("\n")]


def _named(call: Record | None, id: str) -> str:
    if call is None:
        return id[:8]
    place = f"  {_place(call['location'])}" if call["location"] else ""
    return f"{call['index']:>3}  {id[:8]}  {_plain(call['label'] or 'call')}{place}"


def _fitted(lines: Any) -> list[str]:
    """Lines as wide as the terminal; whole ones where they go into a file or to another program."""
    if not (sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()):
        return list(lines)
    width = max(LEAST, shutil.get_terminal_size().columns)
    return [line if len(line) <= width else line[: width - 1] + "\u2026" for line in lines]


def _plain(text: str) -> str:
    """A text in one line, without what a terminal would obey."""
    return "".join(sign if sign.isprintable() else " " for sign in str(text)[:500])


def _shown(body: Any) -> str:
    return "\n".join(map(_spelled, json.dumps(body, indent=2, ensure_ascii=False).split("\n")))


def _spelled(line: str) -> str:
    return "".join(sign if sign.isprintable() or sign == "\t" else json.dumps(sign)[1:-1] for sign in line)


def _place(location: str) -> str:
    """The end of a path is what tells files apart."""
    return _plain(os.sep.join(location.split(os.sep)[-2:]))


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _cost(run: Record) -> str:
    return "-" if not run["calls"] else _dollars(run["cost"]) or "unpriced"


def _dollars(usd: str | None) -> str:
    return "" if usd is None else f"${float(usd):.4f}"
