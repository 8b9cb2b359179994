"""The active Run."""

from __future__ import annotations

from tellurio.client.context import get_active_run, set_active_run

__all__ = ["get_active_run", "set_active_run"]
