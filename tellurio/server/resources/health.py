"""``/healthz``: whether the server runs, and which one it is."""

from __future__ import annotations

import os

from starlette.requests import Request
from starlette.responses import Response

from tellurio.schemas.version import our_version
from tellurio.server.answers import answer
from tellurio.server.doors import Permission, Resource
from tellurio.server.models import Health

__all__ = ["health"]

health = Resource("health", prefix="")


@health.route("GET", "/healthz", permission=Permission.PUBLIC, answer=Health)
async def get_health(request: Request) -> Response:
    """Whether the server runs."""
    server_id = request.app.state.store.server_id
    return answer({"status": "ok", "version": our_version(), "server_id": server_id, "pid": os.getpid()})
