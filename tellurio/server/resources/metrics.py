"""What was logged: numbers, and values that are none."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from tellurio.server.answers import answer, finite
from tellurio.server.doors import Permission, Resource
from tellurio.server.gate import caller
from tellurio.server.models import Metric, MetricName, ProjectMetric, StoredText
from tellurio.store import metrics as stored

__all__ = ["After", "Limit", "metrics"]

metrics = Resource("metrics")

ONE = "/runs/{run_id}"
After = Annotated[int, Query(ge=0, lt=2**63, description="only those with a greater key")]
Limit = Annotated[int, Query(ge=1, le=10_000)]


@metrics.route(
    "GET", "/namespaces/{ns}/projects/{project}/metrics", permission=Permission.READ, answer=list[ProjectMetric]
)
async def list_project_metrics(request: Request) -> Response:
    """The names of metrics in the newest Runs of a project: what its Runs can be listed with and sorted by."""
    return answer(await request.app.state.store.aread(stored.names_in, caller(request).project["id"]))


@metrics.route("GET", ONE + "/metrics", permission=Permission.READ, answer=list[MetricName])
async def list_metrics(request: Request) -> Response:
    """The names of a Run's metrics, each with its last value and its range."""
    found = await request.app.state.store.aread(stored.metric_names, caller(request).run_key)
    numbers = ("last", "min", "max")
    return answer(
        [{**row, **{n: row[n] if isinstance(row[n], str) else finite(row[n]) for n in numbers}} for row in found]
    )


@metrics.route("GET", ONE + "/metrics/{name:path}", permission=Permission.READ, answer=Metric)
async def get_metric(
    request: Request,
    name: str,
    buckets: Annotated[int | None, Query(ge=1, le=100_000)] = None,
    after: Annotated[int, Query(ge=0, lt=2**53, description="only the points after that number: see count")] = 0,
) -> Response:
    """A metric's points, or that many summaries of them, for a chart.  A name that was never logged has none."""
    return answer(await request.app.state.store.aread(_metric, caller(request).run_key, name, buckets, after))


@metrics.route("GET", ONE + "/texts", permission=Permission.READ, answer=list[StoredText])
async def list_texts(
    request: Request,
    name: Annotated[str | None, Query(max_length=1000)] = None,
    after: After = 0,
    limit: Limit = 1000,
) -> Response:
    """Logged texts, tables, images and other values."""
    return answer(await request.app.state.store.aread(_texts, caller(request).run_key, name, after, limit))


def _metric(connection: Connection, run_key: int, name: str, buckets: int | None, after: int) -> dict[str, Any]:
    return stored.metric(connection, run_key, name, buckets=buckets, after=after)


def _texts(connection: Connection, run_key: int, name: str | None, after: int, limit: int) -> list[dict[str, Any]]:
    return stored.texts(connection, run_key, name, after=after, limit=limit)
