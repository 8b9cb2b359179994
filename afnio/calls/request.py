"""What one LM call is made of: the request, and the reply with its usage and cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Literal, Protocol

from afnio._content_blocks import Block, StopReason
from afnio.calls import _json
from afnio.errors import APIResponseError, APIStatusError

__all__ = ["ApiFormat", "Cost", "ErrorEvent", "Folder", "Reply", "Request", "Source", "Usage"]

Source = Literal["live", "log", "joined", "memo"]


class ErrorEvent(Exception):
    """A stream says that it failed; ``status`` is the HTTP status it would have had."""

    def __init__(self, status: int, body: object) -> None:
        self.status, self.body = status, body
        super().__init__(status, body)


class Folder(Protocol):
    """Folds the events of a streamed answer into the body it would have had otherwise."""

    def add(self, event: str, data: dict[str, Any]) -> str:
        """Take an event; returns the new text, ``""`` when it brings none.

        Raises:
            ErrorEvent: the event is an error.
        """

    def body(self) -> dict[str, Any]:
        """The whole answer.

        Raises:
            APIConnectionError: the stream ended before the answer was complete.
        """


class ApiFormat(Protocol):
    """How an API spells requests, answers and errors; knows no network.

    Above it, messages and answers are made of the blocks of `afnio._content_blocks`, and arguments have the names
    they have in chat completions; what an API does not know under such a name passes through unchanged.

    Attributes:
        name: recorded with each call.
        path: what follows the base URL.
    """

    name: str
    path: str

    def body(self, model: str, messages: list[dict[str, Any]], args: dict[str, Any]) -> dict[str, Any]:
        """The request's JSON object.  It does not say whether the answer is streamed."""

    def streamed(self, body: dict[str, Any], *, usage: bool) -> dict[str, Any]:
        """``body`` asking for a stream, with the usage in it where that must be asked for."""

    def folder(self) -> Folder:
        """What takes the events of one streamed answer."""

    def content(self, body: dict[str, Any]) -> list[Block]:
        """The answer's blocks, ``[]`` when it has none."""

    def stop_reason(self, body: dict[str, Any]) -> StopReason:
        """Why the model stopped."""

    def text(self, body: dict[str, Any]) -> str:
        """The answer's text; ``APIResponseError`` when the body has none."""

    def usage(self, body: dict[str, Any]) -> Usage | None:
        """The tokens the provider reports, or None when it reports none."""

    def error(self, status: int, headers: Mapping[str, str], body: object, request: Request) -> APIStatusError:
        """The typed error of an answer with an error status (not raised)."""


@dataclass(slots=True)
class Usage:
    """Tokens of one call or of many. All but the first two are part of their side's total.

    ``cached_tokens`` were read from the provider's cache, ``cache_write_tokens`` written to it.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0
    cache_write_tokens: int = 0
    estimated: bool = False

    @property
    def total(self) -> int:
        """Input plus output tokens."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        sums = {name: getattr(self, name) + getattr(other, name) for name in _COUNTS}
        return Usage(**sums, estimated=self.estimated or other.estimated)

    def as_dict(self) -> dict[str, Any]:
        """What is not zero, for the call log."""
        return {name: value for name in _FIELDS if (value := getattr(self, name))}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Usage:
        """The inverse of ``as_dict``; unknown names are left out, so that newer logs can be read."""
        return cls(**{name: values[name] for name in _FIELDS if name in values})


_FIELDS = tuple(each.name for each in fields(Usage))
_COUNTS = _FIELDS[:-1]


@dataclass(slots=True)
class Cost:
    """Dollars of one call. ``usd`` is None when the price is unknown: never 0 by ignorance.

    The unit prices (USD per million tokens) and the table they come from are kept with each call.
    """

    usd: Decimal | None = None
    input_usd_per_mtok: Decimal | None = None
    output_usd_per_mtok: Decimal | None = None
    cached_usd_per_mtok: Decimal | None = None
    table: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Decimals as strings, so that nothing is lost."""
        values = {name: getattr(self, name) for name in _MONEY}
        return {name: str(value) for name, value in values.items() if value is not None} | {"table": self.table}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Cost:
        """The inverse of ``as_dict``."""
        money = {name: Decimal(values[name]) for name in _MONEY if values.get(name) is not None}
        return cls(table=values.get("table", ""), **money)


_MONEY = ("usd", "input_usd_per_mtok", "output_usd_per_mtok", "cached_usd_per_mtok")


@dataclass(slots=True, eq=False)
class Request:
    """One LM request, ready to be sent.

    ``endpoint`` is the base URL, ``path`` what follows it, ``body`` the JSON object. ``role`` and ``node`` say on
    whose behalf it is made, ``words`` which of our own instructions it carries (``"critic/1"``),
    if any. ``headers`` and ``query`` are extras of this one call; they are never recorded. ``stream`` says that the
    answer shall travel as a stream, ``on_text`` gets its text piece by piece: neither is part of what is asked.
    """

    provider: str
    endpoint: str
    path: str
    model: str
    body: dict[str, Any]
    format: ApiFormat
    role: str = "forward"
    node: str = ""
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    query: Mapping[str, str] | None = field(default=None, repr=False)
    words: str = ""
    stream: bool = False
    on_text: Callable[[str], object] | None = field(default=None, repr=False)
    _key: str | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """SHA-256 (hex) over the canonical JSON of path and body; the same for every host."""
        if self._key is None:
            import hashlib

            canonical = _json.dumps({"path": self.path, "body": self.body}, sort=True)
            self._key = hashlib.sha256(canonical).hexdigest()
        return self._key


@dataclass(slots=True, eq=False)
class Reply:
    """The answer to a request.

    ``source`` says where it came from; only a ``"live"`` one cost anything. ``started`` is a Unix time,
    ``seconds`` how long it took with all its attempts. ``line`` is its line in the call log, if it has one. ``fault``
    is the error of an answer that was paid for but holds no text; it is raised after it was recorded.
    """

    request: Request
    text: str
    body: dict[str, Any]
    usage: Usage
    cost: Cost
    source: Source = "live"
    attempts: int = 1
    started: float = 0.0
    seconds: float = 0.0
    request_id: str | None = None
    line: int | None = None
    fault: APIResponseError | None = None

    @property
    def content(self) -> list[Block]:
        """The answer's blocks; an assistant message with them continues the conversation."""
        return self.request.format.content(self.body)

    @property
    def stop_reason(self) -> StopReason:
        """Why the model stopped."""
        return self.request.format.stop_reason(self.body)
