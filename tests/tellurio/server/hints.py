"""Live streams, read event by event."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import httpx2
import orjson
from pydantic import TypeAdapter

from tellurio.server.models import Hint
from tests.tellurio.running import PATIENCE

__all__ = ["Said", "Stream"]


class Said(NamedTuple):
    """An event of a stream."""

    kind: str
    id: str
    data: Any


class Stream:
    """A live stream, read event by event."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response, self._lines = response, response.iter_lines()

    def next(self) -> Said | None:
        """The next event; None: the stream has ended."""
        fields: dict[str, str] = {}
        end = time.monotonic() + PATIENCE
        for text in self._lines:  # in silence too: there is a comment from time to time
            assert time.monotonic() < end, "nothing was told"
            name, _, value = text.partition(": ")
            if text:
                fields[name] = value
            elif "event" in fields:
                return Said(fields["event"], fields["id"], orjson.loads(fields["data"]))
            else:
                fields = {}
        return None

    def until(self, what: str) -> Said:
        """The next hint that says so."""
        while (said := self.next()) is not None:
            assert said.kind == "changed", said
            TypeAdapter(Hint).validate_python(said.data)
            if what in said.data["what"]:
                return said
        raise AssertionError(f"the stream ended without {what}")
