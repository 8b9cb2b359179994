"""The versions of a Run's prompts."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tellurio.server.answers import answer, finite
from tellurio.server.doors import Permission, Resource
from tellurio.server.gate import caller
from tellurio.server.models import Prompt
from tellurio.store import prompts as stored

__all__ = ["prompts"]

prompts = Resource("prompts")


@prompts.route("GET", "/runs/{run_id}/prompts", permission=Permission.READ, answer=list[Prompt])
async def list_prompts(request: Request) -> Response:
    """Every version of every parameter, by parameter, with the feedback that led to it and the gate's verdict."""
    found = await request.app.state.store.aread(stored.prompts, caller(request).run_key)
    scores = ("score_before", "score_after")
    return answer([{**version, **{name: finite(version[name]) for name in scores}} for version in found])
