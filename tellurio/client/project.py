"""Projects: where Runs are kept together, and who may see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from afnio.errors import ServerError
from tellurio.client.http import Client, segment
from tellurio.client.login import connect

__all__ = [
    "VISIBILITIES",
    "Project",
    "Visibility",
    "create_project",
    "delete_project",
    "get_project",
    "list_projects",
    "update_project",
]

Visibility = Literal["RESTRICTED", "TEAM", "PUBLIC", "OPEN"]

VISIBILITIES: tuple[Visibility, ...] = ("RESTRICTED", "TEAM", "PUBLIC", "OPEN")
"""RESTRICTED: its members.  TEAM: all of its namespace may write.  PUBLIC: every user may read.  OPEN: and write."""


@dataclass
class Project:
    """A project on the server, as it was when it was asked for."""

    uuid: str
    display_name: str
    slug: str
    date_created: datetime | None = None
    last_run_date: datetime | None = None
    visibility: str = "RESTRICTED"
    role: str | None = None  # yours: OWNER, EDITOR or VIEWER
    org_uuid: str | None = None
    org_display_name: str | None = None
    org_slug: str | None = None
    description: str | None = field(default=None, kw_only=True)


def get_project(namespace_slug: str, project_slug: str, client: Client | None = None) -> Project | None:
    """The project, or None if there is none of that name that you may see.

    Raises:
        ServerError: any other refusal; and all that ``te.login`` raises.
    """
    client = client or connect()
    try:
        return _made(client.get(_path(namespace_slug, project_slug)))
    except ServerError as error:
        if error.status_code == 404:
            return None
        raise


def create_project(
    namespace_slug: str, display_name: str, visibility: Visibility = "TEAM", client: Client | None = None
) -> Project:
    """Make a project; its slug is made from ``display_name``.

    Raises:
        ValueError: ``visibility`` is none of `VISIBILITIES`.
        ServerError: 409, there is one of that name; 404, there is no such namespace.
    """
    body = {"display_name": display_name, "visibility": _visibility(visibility)}
    return _made((client or connect()).post(_path(namespace_slug), json=body))


def list_projects(namespace_slug: str, client: Client | None = None) -> list[Project]:
    """The projects of a namespace that you may see.

    Raises:
        ServerError: 404, there is no such namespace.
    """
    return [_made(each) for each in (client or connect()).get(_path(namespace_slug))]


def update_project(
    namespace_slug: str,
    project_slug: str,
    *,
    display_name: str | None = None,
    description: str | None = None,
    visibility: Visibility | None = None,
    client: Client | None = None,
) -> Project:
    """Change what is given; the slug stays, so that links to its Runs do.

    Raises:
        ValueError: ``visibility`` is none of `VISIBILITIES`.
        ServerError: 404, there is no such project; 403, it is not yours to change.
    """
    given = {
        "display_name": display_name,
        "description": description,
        "visibility": visibility and _visibility(visibility),
    }
    body = {name: value for name, value in given.items() if value is not None}
    return _made((client or connect()).patch(_path(namespace_slug, project_slug), json=body))


def delete_project(namespace_slug: str, project_slug: str, client: Client | None = None) -> None:
    """Delete the project with all its Runs; nothing brings them back.

    Raises:
        ServerError: 404, there is no such project; 403, it is not yours to delete.
    """
    (client or connect()).delete(_path(namespace_slug, project_slug))


def _visibility(value: str) -> str:
    if value not in VISIBILITIES:
        raise ValueError(f"visibility must be one of {', '.join(VISIBILITIES)}; got {value!r}.")
    return value


def _path(namespace: str, project: str | None = None) -> str:
    path = f"/api/v1/namespaces/{segment(namespace)}/projects"
    return path if project is None else f"{path}/{segment(project)}"


def _made(said: dict[str, Any]) -> Project:
    return Project(
        uuid=said["id"],
        display_name=said["display_name"],
        slug=said["slug"],
        date_created=_date(said.get("created")),
        last_run_date=_date(said.get("last_run")),
        visibility=said["visibility"],
        role=said.get("role"),
        org_uuid=said.get("namespace_id"),
        org_display_name=said.get("namespace_display_name"),
        org_slug=said.get("namespace_slug"),
        description=said.get("description"),
    )


def _date(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
