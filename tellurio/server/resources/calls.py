"""LM calls, and what they cost."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from tellurio.server.answers import answer
from tellurio.server.doors import Permission, Resource
from tellurio.server.gate import caller
from tellurio.server.models import Call, CallPage, Cost
from tellurio.server.refusals import unknown
from tellurio.server.resources.metrics import After
from tellurio.store import calls as stored

__all__ = ["calls"]

calls = Resource("calls")

ONE = "/runs/{run_id}"
Name = Annotated[str | None, Query(max_length=1000)]


@calls.route("GET", ONE + "/calls", permission=Permission.READ, answer=CallPage)
async def list_calls(
    request: Request,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    role: Name = None,
    model: Name = None,
) -> Response:
    """A Run's LM calls in the order they came, without requests and responses."""
    options = {"after": after, "limit": limit, "role": role, "model": model}
    return answer(await request.app.state.store.aread(_listed, caller(request).run_key, options))


@calls.route("GET", ONE + "/calls/{key}", permission=Permission.READ, answer=Call)
async def get_call(request: Request, key: Annotated[int, Path(ge=0, lt=2**63)]) -> Response:
    """One LM call, whole."""
    who = caller(request)
    found = await request.app.state.store.aread(stored.call, who.run_key, key)
    if found is None:
        raise unknown("call", str(key))
    return answer(found)


@calls.route("GET", ONE + "/cost", permission=Permission.READ, answer=Cost)
async def get_cost(request: Request) -> Response:
    """What a Run's calls add up to, in all and by role, phase and model."""
    return answer(await request.app.state.store.aread(stored.cost, caller(request).run_key))


def _listed(connection: Connection, run_key: int, options: dict[str, Any]) -> list[dict[str, Any]]:
    return stored.calls(connection, run_key, **options)
