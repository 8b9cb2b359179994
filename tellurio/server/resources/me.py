"""Who is calling."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tellurio.schemas.version import our_version
from tellurio.server.answers import answer
from tellurio.server.doors import Permission, Resource
from tellurio.server.gate import caller
from tellurio.server.models import Me

__all__ = ["me"]

me = Resource("me")


@me.route("GET", "/me", permission=Permission.USER, answer=Me)
async def get_me(request: Request) -> Response:
    """The user whose key or session it is, and the server."""
    state, user = request.app.state, caller(request).user
    shown = {name: user[name] for name in ("id", "username", "slug", "email", "is_admin")}
    facts = {"version": our_version(), "server_id": state.store.server_id, "local": state.settings.local}
    return answer({"user": shown, "server": facts})
