"""Recorded scripts: begun, shown as a graph, edited, compared with another run of the same script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from tellurio.store.names import slugify
from tellurio.store.projects import make_namespace, make_project, namespace, project
from tellurio.store.runs import make_run
from tellurio.store.users import local_user

__all__ = ["PROJECT", "begin_recording"]

PROJECT = "Recordings"
"""Where recordings go that name no project."""


def begin_recording(c: Connection, told: Mapping[str, Any]) -> dict[str, Any]:
    """The Run that a recorder of this machine began; the same again is the same Run.

    Args:
        told: see `tellurio.schemas.records.Begin`.

    Raises:
        ValueError: it cannot be what it says; says why.
        LookupError: this server has no user of its own.
    """
    user = local_user(c)
    if user is None:
        raise LookupError("there is no local user")
    space = str(told.get("namespace") or user["slug"])
    if namespace(c, space) is None:
        make_namespace(c, space, space, user["id"])
    name = str(told.get("project") or PROJECT)
    where = project(c, space, slugify(name)) or make_project(c, space, name, "RESTRICTED", user["id"])
    known = ("name", "parent_id", "client", "command", "lease", "kind")
    options = {each: told[each] for each in known if told.get(each) is not None}
    return make_run(c, where["id"], user["id"], id=str(told.get("id")), **options)
