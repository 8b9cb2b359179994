"""Drafts: copies of a Run that were edited and not run yet."""

from __future__ import annotations

from typing import Any

from ao.api import Api

__all__ = ["draft_of", "named"]


def draft_of(api: Api, run: dict[str, Any]) -> dict[str, Any] | None:
    """The draft that holds the edits made of a Run, the latest if there are several; None: nothing was edited since."""
    if run["status"] == "DRAFT":
        return None
    reruns = api.json(f"/runs/{run['id']}/family")["reruns"]
    for each in reversed(reruns):
        if each["status"] == "DRAFT" and api.json(f"/runs/{each['id']}/edits"):
            return dict(each)
    return None


def named(run: dict[str, Any]) -> str:
    """A Run, for a person."""
    return f"{run['name']!r} ({run['id'][:8]})"
