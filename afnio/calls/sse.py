"""Server-sent events, taken apart as their bytes come."""

from __future__ import annotations

from typing import Any

from afnio.calls import _json

__all__ = ["DONE", "Event", "EventParser", "event_of"]

DONE = "[DONE]"
"""What chat completions end with: an event of this name without data."""

Event = tuple[str, str]
"""Name (``""``: none was given) and data."""


class EventParser:
    """Bytes in, events out; ``feed`` may be given them in any pieces."""

    def __init__(self) -> None:
        self._rest, self._began = b"", False
        self._name, self._data = "", list[str]()

    def feed(self, content: bytes) -> list[Event]:
        """The events that ``content`` completes."""
        content = self._rest + content
        if not self._began and len(content) >= 3:
            content, self._began = content.removeprefix(b"\xef\xbb\xbf"), True
        if content.endswith(b"\r"):  # a line feed may follow
            content, held = content[:-1], b"\r"
        else:
            held = b""
        *lines, rest = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = rest + held
        return [event for line in lines if (event := self._line(line)) is not None]

    def end(self) -> list[Event]:
        """The last event of an endpoint that leaves out the empty line after it."""
        return self.feed(b"\n\n") if self._rest or self._data else []

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.decode(errors="replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._name = value
        return None  # a comment, an id, a time to wait: nothing for us

    def _dispatch(self) -> Event | None:
        event = (self._name, "\n".join(self._data)) if self._data else None
        self._name, self._data = "", []
        return event


def event_of(name: str, data: str) -> tuple[str, dict[str, Any]]:
    """The event with its data decoded.

    Raises:
        ValueError: the data is no JSON object.
    """
    if data.strip() == DONE:
        return DONE, {}
    decoded = _json.loads(data.encode())
    if not isinstance(decoded, dict):
        raise ValueError("an event's data is no JSON object")
    return name, decoded
