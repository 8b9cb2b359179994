"""Projects: what Runs are in, and whom they are open to."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from tellurio.server.answers import answer
from tellurio.server.doors import Permission, Resource
from tellurio.server.faults import of_input
from tellurio.server.gate import caller
from tellurio.server.log import log
from tellurio.server.models import NewProject, Project, ProjectChange
from tellurio.server.refusals import Refused, unknown
from tellurio.store import projects as stored
from tellurio.store.names import slugify
from tellurio.store.store import Store

__all__ = ["delete_blobs", "projects"]

projects = Resource("projects")

ALL, ONE = "/namespaces/{ns}/projects", "/namespaces/{ns}/projects/{project}"


@projects.route("GET", ALL, permission=Permission.USER, answer=list[Project], refusals=[404])
async def list_projects(request: Request, ns: str) -> Response:
    """The projects of a namespace that the caller may see."""
    return answer(await request.app.state.store.aread(_listed, ns, caller(request).user["id"]))


@projects.route("POST", ALL, permission=Permission.MEMBER, answer=Project, status=201, refusals=[409, 429])
async def make_project(request: Request, ns: str, given: NewProject) -> Response:
    """Make a project; the caller owns it."""
    state, user = request.app.state, caller(request).user
    with of_input():
        made = await state.store.awrite(_make, ns, given, user["id"], durable=True)
    state.gate.forget()
    return answer(made, 201)


@projects.route("GET", ONE, permission=Permission.READ, answer=Project)
async def get_project(request: Request, ns: str, project: str) -> Response:
    """One project."""
    found = await request.app.state.store.aread(_one, ns, project, caller(request).user["id"])
    if found is None:
        raise unknown("project", f"{ns}/{project}")
    return answer(found)


@projects.route("PATCH", ONE, permission=Permission.OWN, answer=Project, refusals=[429])
async def change_project(request: Request, ns: str, project: str, given: ProjectChange) -> Response:
    """Change a project; its slug stays."""
    state, who = request.app.state, caller(request)
    changes = given.model_dump(exclude_unset=True)
    if any(changes.get(name, "") is None for name in ("display_name", "visibility")):
        raise Refused(422, "display_name and visibility cannot be null: leave out what is to stay.")
    with of_input():
        await state.store.awrite(_change, who.project["id"], changes, durable=True)
    state.gate.forget()
    state.hub.end(who.project["id"])  # who may not watch any more, will not; the others are back at once
    return answer(await state.store.aread(_one, ns, project, who.user["id"]))


@projects.route("DELETE", ONE, permission=Permission.OWN, status=204, refusals=[429])
async def delete_project(request: Request, ns: str, project: str) -> Response:
    """Delete a project with all its Runs and their files, for good."""
    state, who = request.app.state, caller(request)
    orphans = await state.store.awrite(stored.delete_project, who.project["id"], durable=True)
    state.gate.forget()
    state.hub.end(who.project["id"])
    log("project_deleted", project=f"{ns}/{project}", user=who.user["username"])
    await delete_blobs(state.store, orphans)
    return Response(status_code=204)


async def delete_blobs(store: Store, digests: list[str]) -> None:
    """Delete the files of blobs that nobody needs any more."""

    def delete() -> None:
        for digest in digests:
            store.blobs.delete(digest)

    if digests:
        await asyncio.to_thread(delete)


def _listed(connection: Connection, ns: str, user_id: str) -> list[dict[str, Any]]:
    inside = stored.namespace(connection, ns)
    found = stored.projects(connection, ns, user_id)
    mine = {each["slug"] for each in stored.namespaces_of(connection, user_id)}
    if inside is None or (not found and ns not in mine):
        raise unknown("namespace", ns)
    return [_shown(each, inside) for each in found]


def _one(connection: Connection, ns: str, slug: str, user_id: str) -> dict[str, Any] | None:
    inside, found = stored.namespace(connection, ns), stored.project(connection, ns, slug)
    if inside is None or found is None:
        return None
    role = stored.role_in(connection, user_id, found)
    return _shown({**found, "role": role}, inside) if role else None


def _make(connection: Connection, ns: str, given: NewProject, user_id: str) -> dict[str, Any]:
    taken = stored.project(connection, ns, slugify(given.display_name))
    if taken is not None:
        raise Refused(409, f"The project {ns}/{taken['slug']} is there already. Use it, or choose another name.")
    made = stored.make_project(connection, ns, given.display_name, given.visibility, user_id)
    if given.description is not None:
        made = stored.update_project(connection, made["id"], description=given.description)
    inside = stored.namespace(connection, ns)
    assert inside is not None
    return _shown({**made, "role": "OWNER"}, inside)


def _change(connection: Connection, project_id: str, changes: dict[str, Any]) -> None:
    stored.update_project(connection, project_id, **changes)


def _shown(row: dict[str, Any], inside: dict[str, Any]) -> dict[str, Any]:
    return {**row, "namespace_id": inside["id"], "namespace_display_name": inside["display_name"]}
