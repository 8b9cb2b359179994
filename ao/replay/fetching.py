"""The recording that is to be run again, fetched from the server that has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ao.api import Api, ApiError, quoted
from ao.drafts import draft_of, named
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
        note: what the person should know who asked for it; ``""``: nothing.
    """

    run: dict[str, Any]
    command: dict[str, Any]
    book: Book
    note: str = ""

    @property
    def seed(self) -> int | None:
        """What its randomness began at."""
        return self.command.get("seed")

    @property
    def hashes(self) -> str:
        """Its ``PYTHONHASHSEED``; ``""``: it had none of which is known."""
        return str((self.command.get("env") or {}).get("PYTHONHASHSEED") or "")

    def begin(self, name: str | None) -> dict[str, Any]:
        """What the new Run is told to be: the draft itself, or another run of the recording."""
        where = {"namespace": self.run["namespace_slug"], "project": self.run["project_slug"]}
        if self.run["status"] == "DRAFT":
            return {"id": self.run["id"], "kind": "rerun", "parent_id": self.run["parent_id"], **where}
        return {"kind": "rerun", "parent_id": self.run["id"], "name": name or self.run["name"], **where}


def fetched(run: str, *, unedited: bool = False) -> Fetched:
    """The recording that ``run`` names: an id, the beginning of one, a name, or ``last``.

    If it was edited since, and that was not run yet, it is the draft with the edits: that is said.

    Args:
        run: which.
        unedited: take it as it was recorded.

    Raises:
        ApiError: there is none such, or no server that could know, and none can be started.
    """
    fault = start_and_wait()
    if fault:
        raise ApiError(f"The local server cannot be started: {fault}")
    api = Api()
    note, found = "", api.json(f"/recordings/{quoted(run)}")
    if not unedited and (draft := draft_of(api, found["run"])):
        note = f"running the draft {named(draft)}, in which it was edited. Without: --unedited"
        found = api.json(f"/recordings/{draft['id']}")
    lines = api.get(f"/runs/{found['run']['id']}/recording").split(b"\n")
    return Fetched(found["run"], found["command"] or {}, Book(lines), note)
