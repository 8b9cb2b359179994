"""`Told`: a tracker that keeps what it is told, and refuses what is no JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class Told:
    """What was told, in order; `of` gives the data of the events of a kind."""

    def __init__(self) -> None:
        self.calls: list[Mapping[str, Any]] = []
        self.metrics: list[tuple[str, Any, int | None]] = []
        self.events: list[tuple[str, dict[str, Any]]] = []

    def call(self, record: Mapping[str, Any]) -> None:
        self.calls.append(record)

    def metric(self, name: str, value: Any, step: int | None) -> None:
        self.metrics.append((name, value, step))

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        self.events.append((kind, json.loads(json.dumps(data, allow_nan=False))))
        assert self.events[-1][1] == data  # nothing that JSON would turn into something else: no tuple, no int key

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The data of the events of ``kind``."""
        return [data for name, data in self.events if name == kind]
