"""Projects: make, get, list, change, delete."""

from __future__ import annotations

from tellurio.client.project import (
    VISIBILITIES,
    Project,
    Visibility,
    create_project,
    delete_project,
    get_project,
    list_projects,
    update_project,
)

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
