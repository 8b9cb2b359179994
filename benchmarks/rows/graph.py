"""What a node of the graph costs when the model answers at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks.contender import REPO
from benchmarks.figures import Figure

__all__ = ["graph_figures"]

FORWARD, BACKWARD = 0.05, 0.10  # ms a node

PLAN = [["fan", 1_000, 9], ["chain", 1_000, 9], ["fan", 10_000, 3], ["chain", 10_000, 5]]
QUICK = [["fan", 50, 1], ["chain", 50, 1]]


def graph_figures(quick: bool) -> Iterator[Figure]:
    """Milliseconds a node: calls side by side and in a chain; a chain ten times as long costs as much a node."""
    smaller: dict[str, list[float]] = {}
    for row in _measured(QUICK if quick else PLAN):
        shape, size = row["shape"], row["size"]
        for index, way, limit in ((0, "forward", FORWARD), (1, "backward", BACKWARD)):
            values = [times[index] for times in row["times"]]
            smallest = f"fastest {min(values):.4f} ms"
            before = smaller.setdefault(f"{shape} {way}", values)
            if before is not values:
                smallest += f"; {median(values) / median(before):.2f} of the smaller {shape}, a node"
            yield Figure(
                f"graph.{shape}.{size}.{way}",
                f"{shape} of {size:,} calls, zero latency: {way}, ms a node",
                values,
                "ms",
                None if quick else limit,
                compared=smallest,
                digits=4,
            )


def _measured(plan: list[list[Any]]) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.clients.graph", json.dumps(plan)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        yield json.loads(line)
