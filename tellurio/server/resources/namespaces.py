"""Namespaces: what projects are in."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from tellurio.server.answers import answer
from tellurio.server.doors import Permission, Resource
from tellurio.server.gate import caller
from tellurio.server.models import Namespace, NewNamespace
from tellurio.server.refusals import Refused, unknown
from tellurio.store import projects

__all__ = ["namespaces"]

namespaces = Resource("namespaces")


@namespaces.route("GET", "/namespaces", permission=Permission.USER, answer=list[Namespace])
async def list_namespaces(request: Request) -> Response:
    """The namespaces the caller is a member of."""
    found = await request.app.state.store.aread(projects.namespaces_of, caller(request).user["id"])
    return answer([_shown(each) for each in found])


@namespaces.route("POST", "/namespaces", permission=Permission.USER, answer=Namespace, status=201, refusals=[409, 429])
async def make_namespace(request: Request, given: NewNamespace) -> Response:
    """Make a namespace; the caller owns it."""
    state, user = request.app.state, caller(request).user
    made = await state.store.awrite(_make, given.slug, given.display_name or given.slug, user["id"], durable=True)
    state.gate.forget()
    return answer(_shown({**made, "role": "OWNER"}), 201)


@namespaces.route("GET", "/namespaces/{ns}", permission=Permission.MEMBER, answer=Namespace)
async def get_namespace(request: Request, ns: str) -> Response:
    """One namespace."""
    for each in await request.app.state.store.aread(projects.namespaces_of, caller(request).user["id"]):
        if each["slug"] == ns:
            return answer(_shown(each))
    raise unknown("namespace", ns)


def _make(connection: Connection, slug: str, name: str, user_id: str) -> dict[str, Any]:
    try:
        return projects.make_namespace(connection, slug, name, user_id)
    except ValueError as error:
        raise Refused(409, str(error)) from error


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in ("id", "slug", "display_name", "role")}
