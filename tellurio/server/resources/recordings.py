"""Recordings: scripts that a recorder of this machine, or another one, tells of."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tellurio.server.answers import answer
from tellurio.server.doors import Permission, Resource
from tellurio.server.models import Poked

__all__ = ["recordings"]

recordings = Resource("recordings")


@recordings.route("POST", "/recordings/poke", permission=Permission.USER, answer=Poked)
async def poke(request: Request) -> Response:
    """Look for recorders of this machine that have begun.  Without it they are found within some seconds."""
    request.app.state.feeding.poke()
    return answer({"looking": request.app.state.settings.journals_home is not None})
