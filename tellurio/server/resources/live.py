"""What changes, as it changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from tellurio.server.doors import Permission, Resource
from tellurio.server.gate import caller
from tellurio.server.live import Hub
from tellurio.server.refusals import Refused
from tellurio.server.streams import event_stream

__all__ = ["live"]

live = Resource("live")

LOOK = 15.0
"""Seconds after which it is looked again whether the caller may see it still."""

MOST = 1000
"""Streams of a project at once."""

_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": (
            "Server-sent events. `hello` comes first: from then on nothing is missed, and what was read before it may "
            "be old unless `resumed` is true. `changed`: read again what it says has changed (a Hint). `reset`: hints "
            "were lost; read all again. Whoever comes back says the id of the last event, as browsers do by themselves."
        ),
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
_HEADER = {
    "parameters": [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": "id of the last event that was got",
        }
    ]
}
Last = Annotated[str, Query(max_length=100, description="as the header Last-Event-ID, for who cannot send one")]


@live.route(
    "GET",
    "/namespaces/{ns}/projects/{project}/live",
    permission=Permission.READ,
    answers=_EVENTS,
    extra=_HEADER,
    refusals=[429],
)
async def watch_project(request: Request, last: Last = "") -> Response:
    """Hints of what changes in the Runs of a project, begun and deleted ones too."""
    return _stream(request, None, last)


@live.route("GET", "/runs/{run_id}/live", permission=Permission.READ, answers=_EVENTS, extra=_HEADER, refusals=[429])
async def watch_run(request: Request, last: Last = "") -> Response:
    """Hints of what changes in a Run."""
    return _stream(request, caller(request).run_id, last)


def _stream(request: Request, run_id: str | None, last: str) -> Response:
    hub: Hub = request.app.state.hub
    project_id = caller(request).project["id"]
    if hub.watches(project_id) >= MOST:
        raise Refused(429, f"{MOST} pages watch this project already. Close some.", headers={"Retry-After": "30"})
    hints = hub.watch(project_id, run_id, request.headers.get("last-event-id", last), LOOK)
    return event_stream(request, _while_seen(request, hints))


async def _while_seen(request: Request, hints: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    """Until the caller may not see it any more, or it has lasted long enough."""
    state, now = request.app.state, asyncio.get_running_loop().time
    end, look = now() + state.settings.live_seconds, now() + LOOK
    async with contextlib.aclosing(hints):
        async for item in hints:
            if item:
                yield item
            if now() >= end:
                return
            if now() >= look:
                if not await _seen(request):
                    return
                look = now() + LOOK


async def _seen(request: Request) -> bool:
    try:
        await request.app.state.gate.admit(Permission.READ, request.scope)
    except Refused:
        return False
    return True
