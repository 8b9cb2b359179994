"""A figure: what was measured, how often, and what it should be."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import isnan, nan
from statistics import median
from typing import Any

__all__ = ["Figure", "load", "machine"]


def load() -> str:
    """The machine's load over the last minute, as the system tells it."""
    try:
        return f"{os.getloadavg()[0]:.1f}"
    except OSError:
        return "unknown"


def machine() -> str:
    """Cores, system and Python."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M")


@dataclass(slots=True)
class Figure:
    """One row of the results.

    Attributes:
        name: of the row, unique.
        what: what was measured, in words.
        values: one for each repeat; none where it could not be run, ``compared`` then says why.
        unit: of the values; "" for ratios and counts.
        reach: the figure to reach; None: a control or a peer, nothing to reach.
        at_least: whether the figure is to be reached from above.
        judge: what is held against ``reach``: ``"median"``, or ``"max"`` of the repeats where one miss is a miss.
        compared: how it stands to its bound, control or peer in the same run, in words.
        digits: after the point.
        date: when, in UTC.
        load: of the machine before and after.
    """

    name: str
    what: str
    values: list[float]
    unit: str = ""
    reach: float | None = None
    at_least: bool = False
    judge: str = "median"
    compared: str = ""
    digits: int = 3
    date: str = field(default_factory=_today)
    load: str = field(default_factory=load)

    @property
    def value(self) -> float:
        """The figure: the median of the repeats, or the worst."""
        if not self.values:
            return nan
        if self.judge == "median":
            return median(self.values)
        return min(self.values) if self.at_least else max(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the figure is reached; None where there is nothing to reach."""
        if self.reach is None:
            return None
        value = round(self.value, self.digits)
        return value >= self.reach if self.at_least else value <= self.reach

    def shown(self, value: float) -> str:
        """``value`` with its unit."""
        return "not run" if isnan(value) else f"{value:,.{self.digits}f}{' ' + self.unit if self.unit else ''}"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)
