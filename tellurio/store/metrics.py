"""Metrics and other logged values: written by the journal's ingest, read by charts."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection

from tellurio.schemas.records import number_out
from tellurio.store._sql import execute, execute_many

__all__ = ["Point", "add_points", "add_text", "last_values", "metric", "metric_names", "names_in", "texts"]

Point = tuple[int | None, float, float | None]
"""Step, time and value; None for a value is NaN."""

_AT_ONCE = 50
_UPSERT = """
INSERT INTO metrics (run_key, name, count, last, last_step, last_time, min, max) VALUES {}
ON CONFLICT (run_key, name) DO UPDATE SET
    count = metrics.count + excluded.count,
    last = excluded.last, last_step = excluded.last_step, last_time = excluded.last_time,
    min = CASE WHEN metrics.min IS NULL OR excluded.min < metrics.min THEN excluded.min ELSE metrics.min END,
    max = CASE WHEN metrics.max IS NULL OR excluded.max > metrics.max THEN excluded.max ELSE metrics.max END
RETURNING name, key, count
"""


def add_points(c: Connection, run_key: int, series: Mapping[str, Sequence[Point]]) -> None:
    """Append points to metrics, in the order given."""
    rows: list[tuple[int, int, int | None, float, float | None]] = []
    names = list(series)
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        summaries = itertools.chain.from_iterable(_summary(run_key, name, series[name]) for name in some)
        for name, key, count in execute(c, _upsert(len(some)), tuple(summaries)):
            points = series[name]
            rows += [(key, number, *point) for number, point in enumerate(points, count - len(points) + 1)]
    execute_many(c, "INSERT INTO points (metric_key, number, step, time, value) VALUES (?, ?, ?, ?, ?)", rows)


@functools.cache
def _upsert(many: int) -> str:
    return _UPSERT.format(", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * many))


def _summary(run_key: int, name: str, points: Sequence[Point]) -> tuple[Any, ...]:
    step, time, last = points[-1]
    return (run_key, name, len(points), last, step, time, *_range(points))


def _range(points: Sequence[Point]) -> tuple[float | None, float | None]:
    """Least and greatest of the finite values."""
    values = [value for _, _, value in points if value is not None and -math.inf < value < math.inf]
    return (min(values), max(values)) if values else (None, None)


def add_text(c: Connection, run_key: int, name: str, type: str, value: bytes, step: int | None, time: float) -> None:
    """Store one value that is no number; ``value`` is JSON."""
    row = (run_key, name, type, step, time, value.decode())
    execute(c, "INSERT INTO texts (run_key, name, type, step, time, value) VALUES (?, ?, ?, ?, ?, ?)", row)


def metric_names(c: Connection, run_key: int) -> list[dict[str, Any]]:
    """The metrics of a Run by name, each with its count, its last point, and the range of its finite values."""
    found = execute(
        c,
        "SELECT name, count, last, last_step, last_time, min, max FROM metrics WHERE run_key = ? ORDER BY name",
        (run_key,),
    )
    return [
        {
            "name": name,
            "count": count,
            "last": _out(last),
            "last_step": step,
            "last_time": time,
            "min": low,
            "max": high,
        }
        for name, count, last, step, time, low, high in found
    ]


def last_values(c: Connection, run_keys: Sequence[int], names: Sequence[str]) -> dict[int, dict[str, float | str]]:
    """The last values of some metrics of some Runs: ``{run_key: {name: value}}``, without those that are not there."""
    found: dict[int, dict[str, float | str]] = {key: {} for key in run_keys}
    if names and run_keys:
        marks = ", ".join("?" * len(names))
        for start in range(0, len(run_keys), _RUNS_AT_ONCE):
            keys = run_keys[start : start + _RUNS_AT_ONCE]
            query = (
                f"SELECT run_key, name, last FROM metrics WHERE run_key IN ({', '.join('?' * len(keys))}) "  # noqa: S608
                f"AND name IN ({marks})"
            )
            for key, name, last in execute(c, query, (*keys, *names)):
                found[key][name] = _out(last)
    return found


_RUNS_AT_ONCE = 1000
"""The largest page: the parameters of one statement are limited."""


def names_in(c: Connection, project_id: str, *, runs: int = 500) -> list[dict[str, Any]]:
    """The names of metrics in the newest ``runs`` Runs of a project, each with how many of them have it."""
    found = execute(
        c,
        """
        SELECT name, count(*) FROM metrics
        WHERE run_key IN (SELECT key FROM runs WHERE project_id = ? ORDER BY key DESC LIMIT ?)
        GROUP BY name ORDER BY name
        """,
        (project_id, runs),
    )
    return [{"name": name, "runs": count} for name, count in found]


def metric(c: Connection, run_key: int, name: str, *, buckets: int | None = None, after: int = 0) -> dict[str, Any]:
    """One metric: its points, or at most ``buckets`` summaries of equally many points each.

    Points are numbered from 1 as they came: ``count`` is the number of the last one, and only those after number
    ``after`` are given.

    A point is ``[step, time, value]``.  A bucket is ``[first_step, last_step, time, min, max, mean, count]``: ``time``
    is that of its first point, ``count`` counts all its points, the rest is of its finite values (None: it has none).
    A metric that is not there has no points.
    """
    found = execute(c, "SELECT key, count FROM metrics WHERE run_key = ? AND name = ?", (run_key, name)).first()
    key, count = found or (0, 0)
    said = {"name": name, "count": count}
    if buckets is None:
        return {**said, "points": _points(c, key, after) if found else []}
    if after >= count:
        return {**said, "buckets": []}
    return {**said, "buckets": _buckets(c, key, after, count - after, max(1, buckets))}


def _points(c: Connection, key: int, after: int) -> list[list[Any]]:
    query = "SELECT step, time, value FROM points WHERE metric_key = ? AND number > ? ORDER BY number"
    found = execute(c, query, (key, after))
    return [
        [step, time, value if value is not None and -math.inf < value < math.inf else _out(value)]
        for step, time, value in found
    ]


def _buckets(c: Connection, key: int, after: int, count: int, buckets: int) -> list[list[Any]]:
    found = execute(c, _BUCKETS, (1 / _SCALE, _SCALE, after + 1, min(buckets, count), count, key, after))
    return [
        [first, last, time, _finite(low), _finite(high), _finite(mean), n]
        for first, last, time, low, high, mean, n in found
    ]


_SCALE = 2.0**64  # so that the sum of no points leaves the range of floats; a power of two, so that no bit is lost
_BUCKETS = """
SELECT min(step), max(step), min(time), min(v), max(v), avg(v * ?) * ?, count(*) FROM (
    SELECT (number - ?) * CAST(? AS BIGINT) / ? AS bucket, step, time,
        CASE WHEN abs(value) <= 1.7976931348623157e308 THEN value END AS v
    FROM points WHERE metric_key = ? AND number > ?
) AS numbered GROUP BY bucket ORDER BY bucket
"""


def _out(value: float | None) -> float | str:
    return number_out(math.nan if value is None else value)


def _finite(value: float | None) -> float | str | None:
    return None if value is None else number_out(value)


def texts(
    c: Connection, run_key: int, name: str | None = None, *, after: int = 0, limit: int = 1000
) -> list[dict[str, Any]]:
    """Logged values that are no numbers, in the order they came, those with a ``key`` above ``after``."""
    only, parameters = ("", ()) if name is None else (" AND name = ?", (name,))
    # The keys first, from the index alone: what is sorted is then no values.
    page = f"SELECT key FROM texts WHERE run_key = ?{only} AND key > ? ORDER BY key LIMIT ?"  # noqa: S608
    query = f"SELECT key, name, type, step, time, value FROM texts WHERE key IN ({page}) ORDER BY key"  # noqa: S608
    found = execute(c, query, (run_key, *parameters, after, limit))
    return [
        {"key": key, "name": name, "type": kind, "step": step, "time": time, "value": orjson.loads(value)}
        for key, name, kind, step, time, value in found
    ]
