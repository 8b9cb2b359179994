"""What the library tells of itself goes into the journal of the active Run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from afnio.errors import RunError

if TYPE_CHECKING:
    from tellurio.client.run import Run  # layers: types only

__all__ = ["RunTracker"]

_log = logging.getLogger("afnio.tellurio")


class RunTracker:
    """The `afnio._dispatch.Tracker` of a Run.  What it cannot record it says once; it never stops a training."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._said: set[str] = set()

    def call(self, record: Mapping[str, Any]) -> None:
        """An LM call ended."""
        self._tell("c", {"record": record})

    def metric(self, name: str, value: Any, step: int | None) -> None:
        """A metric was computed."""
        try:
            self._run.log(name, value, step)
        except (RunError, TypeError, ValueError, OSError) as error:
            self._warn(name, error)

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Anything else happened; a checkpoint becomes an artifact too."""
        self._tell("e", {"kind": kind, "data": data})
        if kind == "checkpoint" and data.get("path"):
            try:
                self._run.log_artifact(data["path"], name="checkpoint", kind="checkpoint")
            except (RunError, TypeError, ValueError, OSError) as error:
                self._warn(kind, error)

    def _tell(self, kind: str, fields: Mapping[str, Any]) -> None:
        try:
            self._run.record(kind, fields)
        except (RunError, TypeError, ValueError, OSError) as error:
            self._warn(kind, error)

    def _warn(self, what: str, error: Exception) -> None:
        if what not in self._said:
            self._said.add(what)
            _log.warning("Run '%s': %s was not recorded: %s", self._run.name, what, error)
