"""What happened in a Run."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from tellurio.server.answers import answer
from tellurio.server.doors import Permission, Resource
from tellurio.server.gate import caller
from tellurio.server.models import Event
from tellurio.server.resources.metrics import After, Limit
from tellurio.store import events as stored

__all__ = ["events"]

events = Resource("events")


@events.route("GET", "/runs/{run_id}/events", permission=Permission.READ, answer=list[Event])
async def list_events(
    request: Request,
    kind: Annotated[str | None, Query(max_length=1000)] = None,
    after: After = 0,
    limit: Limit = 1000,
) -> Response:
    """A Run's events in the order they came."""
    return answer(await request.app.state.store.aread(_listed, caller(request).run_key, kind, after, limit))


def _listed(connection: Connection, run_key: int, kind: str | None, after: int, limit: int) -> list[dict[str, Any]]:
    return stored.events(connection, run_key, kind, after=after, limit=limit)
