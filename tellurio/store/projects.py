"""Namespaces, projects, and who may do what in them."""

from __future__ import annotations

import time
import uuid
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, and_, bindparam, delete, insert, select, update

from tellurio.schemas.slugs import NAMESPACE
from tellurio.store import tables as t
from tellurio.store.garbage import release_blobs
from tellurio.store.names import slugify
from tellurio.store.prepared import Prepared

__all__ = [
    "NAMESPACE_ROLES",
    "ROLES",
    "VISIBILITIES",
    "delete_project",
    "make_namespace",
    "make_project",
    "namespace",
    "namespaces_of",
    "project",
    "project_by_id",
    "projects",
    "role_in",
    "set_namespace_role",
    "set_project_role",
    "update_project",
]

VISIBILITIES = ("RESTRICTED", "TEAM", "PUBLIC", "OPEN")
"""Whom a project is open to beside its members: nobody, its namespace's members, all users to see, all to change."""

ROLES = ("VIEWER", "EDITOR", "OWNER")
"""In a project, the later the more."""

NAMESPACE_ROLES = ("MEMBER", "OWNER")

_NAMESPACE = (t.namespaces.c.id, t.namespaces.c.slug, t.namespaces.c.display_name, t.namespaces.c.created)
_PROJECT = (
    t.projects.c.id,
    t.namespaces.c.slug.label("namespace_slug"),
    *(t.projects.c[name] for name in ("slug", "display_name", "description", "visibility")),
    *(t.projects.c[name] for name in ("created", "updated", "last_run")),
)
_LONGEST_NAME = 200


def namespace(c: Connection, slug: str) -> dict[str, Any] | None:
    """The namespace called ``slug``."""
    return _first(c, select(*_NAMESPACE).where(t.namespaces.c.slug == slug))


def make_namespace(c: Connection, slug: str, display_name: str, owner_id: str) -> dict[str, Any]:
    """A new namespace, with its owner.

    Raises:
        ValueError: the slug cannot be one, or is taken.
    """
    if not NAMESPACE.fullmatch(slug):
        raise ValueError(
            f"expected a namespace of 1 to 64 characters a-z, 0-9, - and _ that begins with a letter or a digit, "
            f"got {slug[:100]!r}"
        )
    if namespace(c, slug) is not None:
        raise ValueError(f"the namespace {slug!r} is taken: choose another")
    id = str(uuid.uuid4())
    row = {"id": id, "slug": slug, "display_name": display_name, "created": time.time()}
    c.execute(insert(t.namespaces), row)
    set_namespace_role(c, id, owner_id, "OWNER")
    return row


def namespaces_of(c: Connection, user_id: str) -> list[dict[str, Any]]:
    """The namespaces the user is a member of, each with the ``role``, by slug."""
    members = t.namespace_members
    query = (
        select(*_NAMESPACE, members.c.role)
        .join(members, members.c.namespace_id == t.namespaces.c.id)
        .where(members.c.user_id == user_id)
        .order_by(t.namespaces.c.slug)
    )
    return [dict(row) for row in c.execute(query).mappings()]


def set_namespace_role(c: Connection, namespace_id: str, user_id: str, role: str | None) -> None:
    """Make the user an ``"OWNER"`` or a ``"MEMBER"`` of the namespace; None: neither any more."""
    _set_role(c, t.namespace_members, {"namespace_id": namespace_id, "user_id": user_id}, role, NAMESPACE_ROLES)


def set_project_role(c: Connection, project_id: str, user_id: str, role: str | None) -> None:
    """Give the user a role in the project (one of `ROLES`); None: takes it away."""
    _set_role(c, t.project_members, {"project_id": project_id, "user_id": user_id}, role, ROLES)


def _set_role(c: Connection, table: Any, who: dict[str, str], role: str | None, known: tuple[str, ...]) -> None:
    if role is not None and role not in known:
        raise ValueError(f"expected a role of {', '.join(known)}, got {role!r}")
    c.execute(delete(table).where(and_(*(table.c[name] == value for name, value in who.items()))))
    if role is not None:
        c.execute(insert(table), {**who, "role": role})


def project(c: Connection, namespace_slug: str, slug: str) -> dict[str, Any] | None:
    """The project called ``slug`` in that namespace."""
    return _first(c, _projects().where(t.namespaces.c.slug == namespace_slug, t.projects.c.slug == slug))


def project_by_id(c: Connection, project_id: str) -> dict[str, Any] | None:
    """The project with that id."""
    return _first(c, _projects().where(t.projects.c.id == project_id))


def make_project(
    c: Connection, namespace_slug: str, display_name: str, visibility: str, user_id: str
) -> dict[str, Any]:
    """A new project; ``user_id`` owns it.  Its slug is made from its name.

    Raises:
        LookupError: there is no such namespace.
        ValueError: the name cannot be one or is taken, or the visibility is none of `VISIBILITIES`.
    """
    inside = namespace(c, namespace_slug)
    if inside is None:
        raise LookupError(f"there is no namespace {namespace_slug!r}")
    slug = slugify(_display_name(display_name))
    if not slug:
        raise ValueError(f"expected a project name with a letter a-z or a digit, got {display_name!r}")
    if project(c, namespace_slug, slug) is not None:
        raise ValueError(f"the project {slug!r} exists in namespace {namespace_slug!r}: choose another name")
    now, id = time.time(), str(uuid.uuid4())
    row = {
        "id": id,
        "slug": slug,
        "display_name": display_name,
        "description": None,
        "visibility": _visibility(visibility),
        "created": now,
        "updated": now,
        "last_run": None,
    }
    c.execute(insert(t.projects), {**row, "namespace_id": inside["id"]})
    set_project_role(c, id, user_id, "OWNER")
    return {**row, "namespace_slug": namespace_slug}


def projects(c: Connection, namespace_slug: str, user_id: str) -> list[dict[str, Any]]:
    """The namespace's projects that the user may see, each with the ``role``, by name."""
    query = _projects().where(t.namespaces.c.slug == namespace_slug).order_by(t.projects.c.display_name)
    query = _with_memberships(query, user_id)
    found = []
    for row in c.execute(query).mappings():
        each = dict(row)
        role = _role(each.pop("member"), each.pop("namespace_member"), each["visibility"])
        if role is not None:
            found.append({**each, "role": role})
    return found


def update_project(c: Connection, project_id: str, **changes: Any) -> dict[str, Any]:
    """Change ``display_name``, ``description`` or ``visibility``; the slug stays, and links to it with it.

    Raises:
        LookupError: there is no such project.
        ValueError: something else was to be changed, or to a value it cannot have.
    """
    known = ("display_name", "description", "visibility")
    if unknown := sorted(set(changes) - set(known)):
        raise ValueError(f"expected changes of {', '.join(known)}, got {', '.join(unknown)}")
    if "display_name" in changes:
        _display_name(changes["display_name"])
    if "visibility" in changes:
        _visibility(changes["visibility"])
    if not isinstance(changes.get("description"), (str, type(None))):
        raise ValueError(f"expected a description in words, got {changes['description']!r}")
    c.execute(update(t.projects).where(t.projects.c.id == project_id).values(**changes, updated=time.time()))
    changed = project_by_id(c, project_id)
    if changed is None:
        raise LookupError(f"there is no project {project_id!r}")
    return changed


def delete_project(c: Connection, project_id: str) -> list[str]:
    """Delete the project with all its Runs; returns the SHA-256 of blobs that nobody needs any more."""
    orphans = release_blobs(c, select(t.runs.c.key).where(t.runs.c.project_id == project_id))
    c.execute(delete(t.projects).where(t.projects.c.id == project_id))
    return orphans


def role_in(c: Connection, user_id: str, project: dict[str, Any]) -> str | None:
    """What the user is in the project: ``"OWNER"``, ``"EDITOR"``, ``"VIEWER"``, or None: it is none of theirs."""
    row = _MEMBERSHIPS.first(c, user_id, user_id, project["id"])
    return None if row is None else _role(row["member"], row["namespace_member"], row["visibility"])


def _role(member: str | None, namespace_member: str | None, visibility: str) -> str | None:
    """The best of the roles that the user has by the project, by its namespace, and as anybody."""
    roles = [
        member,
        "OWNER" if namespace_member == "OWNER" else None,
        "EDITOR" if namespace_member and visibility != "RESTRICTED" else None,
        {"PUBLIC": "VIEWER", "OPEN": "EDITOR"}.get(visibility),
    ]
    return max((role for role in roles if role is not None), key=ROLES.index, default=None)


def _projects() -> Select[Any]:
    return select(*_PROJECT).join(t.namespaces, t.namespaces.c.id == t.projects.c.namespace_id)


def _with_memberships(query: Select[Any], user_id: str | None = None) -> Select[Any]:
    ours, theirs = t.project_members, t.namespace_members
    user: BindParameter[str] = bindparam("user", user_id)
    again: BindParameter[str] = bindparam("again", user_id)
    return (
        query.add_columns(ours.c.role.label("member"), theirs.c.role.label("namespace_member"))
        .outerjoin(ours, (ours.c.project_id == t.projects.c.id) & (ours.c.user_id == user))
        .outerjoin(theirs, (theirs.c.namespace_id == t.projects.c.namespace_id) & (theirs.c.user_id == again))
    )


def _display_name(name: Any) -> str:
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= _LONGEST_NAME:
        raise ValueError(f"expected a project name of 1 to {_LONGEST_NAME} characters, got {str(name)[:100]!r}")
    return name


def _visibility(visibility: Any) -> str:
    if visibility not in VISIBILITIES:
        raise ValueError(f"expected a visibility of {', '.join(VISIBILITIES)}, got {visibility!r}")
    return str(visibility)


def _first(c: Connection, query: Any) -> dict[str, Any] | None:
    row = c.execute(query).mappings().first()
    return None if row is None else dict(row)


_MEMBERSHIPS = Prepared(
    _with_memberships(select(t.projects.c.visibility)).where(t.projects.c.id == bindparam("project")),
    *("user", "again", "project"),
)
