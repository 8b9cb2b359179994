"""The recording that is to be run again, fetched from the server that has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ao.api import Api, ApiError, quoted
from ao.local import start_and_wait
from ao.replay.book import Book

__all__ = ["Fetched", "fetched"]


@dataclass
class Fetched:
    """A recording.

    Attributes:
        run: its Run, as ``GET /runs/{id}`` gives it.
        command: how it was started.
        book: its calls.
    """

    run: dict[str, Any]
    command: dict[str, Any]
    book: Book

    @property
    def seed(self) -> int | None:
        """What its randomness began at."""
        return self.command.get("seed")

    def begin(self, name: str | None) -> dict[str, Any]:
        """What the new Run is told to be: the draft itself, or another run of the recording."""
        where = {"namespace": self.run["namespace_slug"], "project": self.run["project_slug"]}
        if self.run["status"] == "DRAFT":
            return {"id": self.run["id"], "kind": "rerun", "parent_id": self.run["parent_id"], **where}
        return {"kind": "rerun", "parent_id": self.run["id"], "name": name or self.run["name"], **where}


def fetched(run: str) -> Fetched:
    """The recording that ``run`` names: an id, the beginning of one, a name, or ``last``.

    Raises:
        ApiError: there is none such, or no server that could know, and none can be started.
    """
    fault = start_and_wait()
    if fault:
        raise ApiError(f"The local server cannot be started: {fault}")
    api = Api()
    found = api.json(f"/recordings/{quoted(run)}")
    lines = api.get(f"/runs/{found['run']['id']}/recording").split(b"\n")
    return Fetched(found["run"], found["command"] or {}, Book(lines))
