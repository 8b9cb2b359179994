"""What a dialect is: how one API spells LM calls, as far as a recorder must know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from ao.dialects import _json

__all__ = ["Asked", "Dialect", "at", "count", "fields", "listed"]


class Asked:
    """A request, looked at no further than somebody asks.

    Attributes:
        method, url, headers: as sent; ``headers`` finds names in any case.
        body: all of it, None when it is a stream that can't be read twice.
    """

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> None:
        self.method = method.upper()
        self.url = url
        self.headers = headers
        self.body = body

    @cached_property
    def path(self) -> str:
        """The URL's path, ``"/"`` at least, without the query."""
        rest = self.url.partition("://")[2] or self.url
        rest = rest.partition("#")[0].partition("?")[0]
        slash = rest.find("/")
        return rest[slash:] if slash >= 0 else "/"

    @cached_property
    def json(self) -> Any:
        """The body, parsed; None when it is no JSON."""
        if not self.body:
            return None
        try:
            return _json.loads(self.body)
        except ValueError:
            return None

    def has(self, name: str, kind: type | tuple[type, ...] = object) -> bool:
        """Whether the body is an object with such a field."""
        return isinstance(self.json, dict) and name in self.json and isinstance(self.json[name], kind)


class Dialect:
    """One API format.  Subclass it, say what differs, and ``ao.dialects.register`` an object of it.

    ``matches`` sees every request that is sent, so it looks at the path before the body.  Everything else gets
    bodies that ``matches`` accepted, and answers that may be anything: what is not there reads as empty.
    """

    name: str = ""

    def matches(self, asked: Asked) -> bool:
        """Whether the request is a call in this dialect."""
        raise NotImplementedError

    def model(self, asked: Asked) -> str:
        """The model that is asked for, ``""`` when the request does not say."""
        return str(at(asked.json, "model") or "")

    def label(self, asked: Asked) -> str:
        """What a person calls this call."""
        return self.model(asked) or self.name

    def streaming(self, asked: Asked) -> bool:
        """Whether the answer is to come as a stream."""
        return at(asked.json, "stream") is True

    def text(self, body: Any) -> str:
        """The text of an answer; ``""`` when it has none."""
        return ""

    def usage(self, body: Any) -> dict[str, int] | None:
        """Tokens, by the names of ``afnio.calls.Usage``; None when the answer reports none.

        ``input_tokens``, ``output_tokens`` and, as parts of these, ``cached_tokens``, ``reasoning_tokens`` and others.
        """
        return None

    def answering(self, body: Any) -> str:
        """The model that says it answered."""
        return str(at(body, "model") or "")

    def ended(self, body: bytes) -> bool:
        """Whether a stream has said that it is over, although nobody has read on to see its end."""
        return False

    def fold(self, events: Iterable[Any]) -> Any:
        """The events of a stream, as the body that would have come without streaming."""
        return list(events)

    def spell(self, body: Any, asked: Asked) -> list[bytes] | None:
        """The inverse of ``fold``: pieces of a stream that say ``body``; None when this dialect can't."""
        return None

    def error(self, body: Any) -> str:
        """What an answer with an error says; ``""`` when it is none."""
        fault = at(body, "error")
        said = at(fault, "message") if isinstance(fault, dict) else fault
        return str(said or "")


def at(value: Any, *path: str | int) -> Any:
    """``value[path[0]][path[1]]...``, None where there is no such thing."""
    for step in path:
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def fields(value: Any, *path: str | int) -> dict[str, Any]:
    """The object there; empty when there is none."""
    found = at(value, *path)
    return found if isinstance(found, dict) else {}


def listed(value: Any, *path: str | int) -> list[Any]:
    """The list there; empty when there is none."""
    found = at(value, *path)
    return found if isinstance(found, list) else []


def count(value: Any, *path: str | int) -> int:
    """The number there, 0 when there is none."""
    found = at(value, *path)
    return max(int(found), 0) if isinstance(found, (int, float)) and found == found and abs(found) < 1e15 else 0
