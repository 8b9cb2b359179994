"""A call as it is stored: the record that ``afnio.calls.record`` writes, with its place in the script."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ao.dialects._json import dumps, strict
from ao.dialects.reading import Reading, read
from ao.intercept.credentials import public_body, public_text

if TYPE_CHECKING:
    from ao.intercept.seam import Exchange, Outcome
    from ao.recording.recording import Recording  # layers: types only

__all__ = ["Note", "record_of", "replay_of", "request_key"]

PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "gemini": "google", "ollama": "ollama", "mcp": "mcp"}
"""First word of a dialect's name -> provider, as the price list and our own clients name it."""


@dataclass(slots=True)
class Note:
    """What the recorder knows of a call from its beginning on.

    Attributes:
        call_id: its name.
        recording: it belongs to.
        run_id: the subrun it belongs to; None: the recording itself.
        key: `request_key`.
        index, occurrence, site, lineage: see `ao.recording.subrun.Subrun`.
        origin: the call it stands for in the recording that is run again.
        edited: ``{"input": original request}`` or ``{"output": original answer}`` where one was changed.
        sent: the request that was sent, if it is not the script's own.
        tracked: a Run of the script's own records the call: here is only what a rerun needs of it.
        outcome: of such a call, as far as it is known, and its source.
    """

    call_id: str
    recording: Recording
    run_id: str | None
    key: str
    index: int
    occurrence: int
    site: str
    lineage: str
    origin: str | None = None
    edited: dict[str, Any] | None = None
    sent: Any = None
    tracked: bool = False
    outcome: tuple[Outcome, str] | None = None

    def failure(self, exchange: Exchange, error: Exception) -> dict[str, Any] | None:
        """What a Run of the script's own is told of a call that failed, for which it has no record of its own."""
        if not self.tracked or self.outcome is None:
            return None
        outcome, source = self.outcome
        record = record_of(self, exchange, outcome, source=source)
        return record | {"error": record["error"] or f"{type(error).__name__}: {public_text(str(error))}"}

    def beside(self, exchange: Exchange, *, replayed: bool) -> dict[str, Any]:
        """What a Run of the script's own is told of a call besides what it knows: by that the two know it as one."""
        if not self.tracked:
            return {}
        names = ("call_id", "index", "occurrence", "site", "lineage")
        told: dict[str, Any] = {name: getattr(self, name) for name in names}
        told |= {"label": exchange.label, "location": self.site or None, "function": exchange.function}
        if self.origin is not None:
            told["replayed_from"] = self.origin
        if self.edited is not None:
            told["edited"] = self.edited
        if self.sent is not None:
            told["request"] = self.sent
        if replayed:
            told |= {"source": "log", "attempts": 0, "cost": {"table": ""}}  # nothing was paid
        return told


def request_key(method: str, path: str, body: bytes, value: Any) -> str:
    """SHA-256 (hex) over method, path and body, the same for every host and however the JSON is spelled."""
    import hashlib

    content = dumps(value, sort=True) if value is not None else body
    return hashlib.sha256(f"{method} {path}\n".encode() + content).hexdigest()


def record_of(note: Note, exchange: Exchange, outcome: Outcome, *, source: str = "live") -> dict[str, Any]:
    """The record of a call that has ended."""
    reading = read(exchange.dialect, outcome.status, outcome.body, streamed=exchange.streaming)
    cut = None if outcome.complete or outcome.error else "the answer was not read to its end"
    error = outcome.error or reading.error or None
    record = {
        "v": 1,
        "key": note.key,
        "job": "",
        "phase": "",
        "node": exchange.label,
        "role": "forward",
        "words": "",
        "provider": PROVIDERS.get(exchange.dialect.partition(".")[0], exchange.dialect.partition(".")[0]),
        "format": exchange.dialect,
        "host": exchange.url.partition("://")[2].partition("/")[0],
        "url": exchange.url,
        "path": exchange.path,
        "method": exchange.method,
        "model": reading.model or exchange.model,
        "request": _shown(exchange.json, exchange.body) if note.sent is None else public_body(note.sent),
        "status": outcome.status,
        "response": reading.body,
        "usage": reading.usage or {},
        "attempts": max(1, len(outcome.attempts)) if source == "live" else 0,
        "started": exchange.started,
        "seconds": outcome.seconds,
        "request_id": _header(outcome, "x-request-id", "request-id"),
        "source": source,
        "call_id": note.call_id,
        "index": note.index,
        "occurrence": note.occurrence,
        "site": note.site,
        "lineage": note.lineage,
        "label": exchange.label,
        "location": note.site or None,
        "function": exchange.function,
        "thread": exchange.thread,
        "task": exchange.task,
        "library": exchange.library,
        "streamed": exchange.streaming,
        "error": error,
        "note": cut,
        "attempt_list": [[a.started, a.seconds, a.status, a.error] for a in outcome.attempts],
        "first_byte": outcome.first_byte,
        "last_byte": outcome.last_byte,
        "omitted": outcome.omitted,
        "complete": outcome.complete,
        "headers": outcome.headers,
    }
    record.update(_bytes_of(outcome, reading))
    if outcome.left:
        record["left"] = True
    if outcome.fault is not None:
        record["fault"] = outcome.fault
    if note.origin is not None:
        record["replayed_from"] = note.origin
    if note.edited is not None:
        record["edited"] = {field: public_body(value) for field, value in note.edited.items()}
    if source != "live":
        record["cost"] = {"table": ""}  # nothing was paid
    elif not record["usage"]:
        record["usage"] = {}
    return record


def replay_of(record: dict[str, Any]) -> dict[str, Any]:
    """What a rerun needs of a call that is recorded elsewhere."""
    return {name: value for name, value in record.items() if name in _REPLAYED}


_REPLAYED = frozenset(
    (
        *("call_id", "key", "lineage", "site", "occurrence", "format", "model", "request", "status", "response"),
        *("raw", "raw_base64", "chunks", "headers", "error", "complete", "left", "fault", "omitted"),
        *("started", "replayed_from", "edited"),
    )
)


def _shown(value: Any, body: bytes) -> Any:
    return public_body(value) if value is not None else body.decode(errors="replace")


def _bytes_of(outcome: Outcome, reading: Reading) -> dict[str, Any]:
    """What gives the same answer again: JSON in one piece is known from ``response``; a stream needs its pieces."""
    body, read = outcome.body, reading.body
    if isinstance(read, dict) and len(outcome.chunks) <= 1 and body[:1] == b"{" and _exact(body, read):
        return {}
    try:
        return {"raw": outcome.body.decode(), "chunks": outcome.chunks}
    except UnicodeDecodeError:
        return {"raw_base64": base64.b64encode(outcome.body).decode(), "chunks": outcome.chunks}


def _exact(body: bytes, read: Any) -> bool:
    """Whether nothing is lost when the JSON is read and written: no byte that is no UTF-8, NaN, or very long number."""
    if dumps(read) == body:
        return True
    try:
        return strict(body) == read and _LONG_NUMBER.search(body) is None
    except ValueError:
        return False


_LONG_NUMBER = re.compile(rb"[0-9]{17}")


def _header(outcome: Outcome, *names: str) -> str | None:
    for name, value in outcome.headers:
        if name.lower() in names:
            return value
    return None
