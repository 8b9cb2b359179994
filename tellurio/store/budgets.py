"""How much of a Run's budget is spent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import orjson
from sqlalchemy import Connection

from tellurio.store._sql import execute
from tellurio.store.calls import pico_of, usd_of

__all__ = ["budget"]


def budget(c: Connection, run_key: int, now: float) -> list[dict[str, Any]]:
    """Each limit of a Run's budget: its ``name``, the ``limit``, what is ``spent`` of it, and the ``share`` that is.

    Dollars are exact decimal strings; ``seconds`` count from the first call to the end of the Run, or ``now``.  A limit
    that is none (budgets come as clients say them) is left out.
    """
    query = "SELECT budget, ended, calls, input_tokens + output_tokens, usd_pico FROM runs WHERE key = ?"
    row = execute(c, query, (run_key,)).first()
    limits = orjson.loads(row[0]) if row is not None and row[0] is not None else None
    if row is None or not isinstance(limits, dict):
        return []
    _, ended, calls, tokens, usd = row
    spent = {"usd": usd, "tokens": tokens, "calls": calls}
    if "seconds" in limits:
        spent["seconds"] = _seconds(c, run_key, now if ended is None else ended)
    found = []
    for name, read in _LIMITS.items():
        limit = read(limits.get(name))
        if limit is not None:
            share = spent[name] / limit if limit else 1.0
            shown = {"limit": limit, "spent": spent[name]}
            if name == "usd":
                shown = {each: usd_of(value) for each, value in shown.items()}
            found.append({"name": name, **shown, "share": share})
    return found


def _seconds(c: Connection, run_key: int, until: float) -> float:
    first = execute(c, "SELECT min(started) FROM calls WHERE run_key = ? AND source = 'live'", (run_key,)).scalar()
    return 0.0 if first is None else max(0.0, until - first)


def _dollars(value: Any) -> int | None:
    try:
        return pico_of(str(value)) if isinstance(value, (str, int, float)) else None
    except ValueError:
        return None


def _whole(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _number(value: Any) -> float | None:
    return value if type(value) in (int, float) and math.isfinite(value) and value >= 0 else None


_LIMITS: dict[str, Callable[[Any], Any]] = {"usd": _dollars, "tokens": _whole, "calls": _whole, "seconds": _number}
