"""LM calls, and what they cost."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

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
from tellurio.store.budgets import budget
from tellurio.store.runs import with_parts

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
    before: Annotated[int | None, Query(ge=0, lt=2**63, description="only those with a smaller key")] = None,
    order: Literal["oldest", "newest"] = "oldest",
) -> Response:
    """A Run's LM calls, the oldest or the newest first, without requests and responses.

    A page's last key leads to the next: as ``after`` from the oldest on, as ``before`` from the newest.
    """
    options: dict[str, Any] = {"after": after, "before": before, "newest": order == "newest"}
    options |= {"limit": limit, "role": role, "model": model}
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
    """What a Run's calls add up to, in all and by role, phase and model; and how much of its budget that is."""
    return answer(await request.app.state.store.aread(_cost, caller(request).run_key))


def _cost(connection: Connection, run_key: int) -> dict[str, Any]:
    parts, whole = with_parts(connection, run_key)
    about = {"parts": parts, "whole": whole, "budget": budget(connection, run_key, time.time())}
    return {**stored.cost(connection, run_key), **about}


def _listed(connection: Connection, run_key: int, options: dict[str, Any]) -> list[dict[str, Any]]:
    return stored.calls(connection, run_key, **options)
