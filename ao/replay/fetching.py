"""The recording that is to be run again, fetched from the server that has it."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from ao.home import config, server
from ao.replay.book import Book

__all__ = ["Fetched", "NoRecording", "fetched"]


class NoRecording(Exception):
    """It cannot be had; says why, and what to do."""


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
        NoRecording: there is none such, or no server that could know.
    """
    api = _Api()
    found = api.json(f"/recordings/{urllib.parse.quote(run, safe='')}")
    lines = api.get(f"/runs/{found['run']['id']}/recording").split(b"\n")
    return Fetched(found["run"], found["command"] or {}, Book(lines))


class _Api:
    """The server's API, by the standard library: nothing else is imported before the script is."""

    def __init__(self) -> None:
        url = os.environ.get("TELLURIO_BACKEND_HTTP_BASE_URL") or config().get("url") or server().get("url")
        if not url:
            raise NoRecording("no server runs that could have the recording. Start it: ao-server start")
        key = os.environ.get("TELLURIO_API_KEY") or config().get("key") if url != server().get("url") else None
        self._url, self._key = str(url).rstrip("/"), str(key or server().get("key") or "")

    def get(self, path: str) -> bytes:
        headers = {"Authorization": f"Bearer {self._key}"}
        request = urllib.request.Request(f"{self._url}/api/v1{path}", headers=headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60.0) as answer:  # noqa: S310 - the user's own server
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            raise NoRecording(_said(error)) from None
        except OSError as error:
            raise NoRecording(f"the server at {self._url} cannot be reached: {error}. Try: ao-server status") from None

    def json(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get(path))
        return found


def _said(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered {error.code}"
