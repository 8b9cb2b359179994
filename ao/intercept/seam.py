"""The seam between the interceptor and whoever records: what is told, and what may be answered.

For each logical call the interceptor asks ``Recorder.begin`` once, acts on the ``Decision``, and tells
``Recorder.end`` when an attempt has ended.  It stores nothing and decides nothing itself.

Times: ``started`` is a Unix time; everything else is seconds after it.  Headers and URLs are told without
credentials; bodies are told as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from ao.intercept.faults import LEFT, Fault

__all__ = ["Attempt", "Decision", "Exchange", "Live", "Outcome", "Recorder", "Replay", "split"]

Headers: TypeAlias = tuple[tuple[str, str], ...]
Chunks: TypeAlias = tuple[tuple[float, int], ...]
"""When each piece of a body came, and how many bytes it has."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Exchange:
    """One LM call (or tool call) of the script, recognised by a dialect; equal to itself only.

    Attributes:
        method, url: of the request; ``url`` has no user, password or key in it.
        path: the URL's path alone, the same for every host.
        dialect: name of the dialect that recognised it (``"openai.chat"``).
        label: what a person calls it (``"gpt-5"``, a tool's name).
        model: the model asked for, ``""`` when the request names none.
        body: the request's body, as the script made it.
        json: the body, parsed.
        streaming: whether a stream was asked for.
        location: file and line of the script's statement; None when none of its frames is on the stack.
        function: name of the function there.
        library: which patched library carried it.
        thread, task: their names; ``task`` is ``""`` outside asyncio.
        started: Unix time.
        note: the recorder's own.  Where it has a method ``beside``, afnio's tracker is told what that returns, too.
        tracked: made by afnio, which tells its own tracker of it.
    """

    method: str
    url: str
    path: str
    dialect: str
    label: str
    model: str
    body: bytes
    json: Any
    streaming: bool
    location: tuple[str, int] | None
    function: str
    library: str
    thread: str
    task: str
    started: float
    note: Any = None
    tracked: bool = False


@dataclass(frozen=True, slots=True)
class Live:
    """Send it; ``body``: send this instead of what the script made (an edited input)."""

    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """Answer it without the network.

    The pieces of ``body`` reach the script one by one, as ``chunks`` says (without: in one piece), each after a turn
    of the event loop.  ``pace`` stretches the recorded times: 1 waits as long as it took then, 0 not at all.
    Who reads on after the last piece is raised ``fault``, if there is one; without a ``status`` it is raised at once.
    """

    status: int | None = 200
    headers: Headers = ()
    body: bytes = b""
    chunks: Chunks = ()
    pace: float = 0.0
    fault: Fault | None = None

    def framed(self) -> Headers:
        """The headers with the length that ``body`` has, where they tell one and it is all there is."""
        if self.fault is not None:
            return self.headers
        length = str(len(self.body))
        return tuple((name, length if name.lower() == "content-length" else value) for name, value in self.headers)


Decision: TypeAlias = Live | Replay


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request on the wire.  ``status`` is None when no answer came, ``error`` says what went wrong."""

    started: float
    seconds: float
    status: int | None
    error: str | None = None


@dataclass(slots=True, eq=False)
class Outcome:
    """How a call went, as far as its last attempt.

    Attributes:
        status, headers: of the answer; None and ``()`` when there was none.
        body: what the script was given, decompressed; the first ``limit`` bytes of it (see ``install``).
        chunks: the pieces ``body`` came in.
        omitted: bytes that the script was given beyond ``body``.
        complete: the body came to its end, or to the event that says that it has; False when the script left it early,
            never read it, or it broke.
        left: the script left it early, and would again: it was not interrupted by a cancellation or by Ctrl-C.
        error: the exception, ``"ReadTimeout: ..."``; None when all went well, or when the status tells.
        fault: the same, to be raised again; None when it is none of a transport.
        attempts: all of them, the last one included.
        first_byte, last_byte: seconds after ``Exchange.started``; None when no byte of a body came.
        seconds: from ``started`` to the end.
    """

    status: int | None
    headers: Headers
    body: bytes
    chunks: Chunks
    omitted: int
    complete: bool
    error: str | None
    attempts: tuple[Attempt, ...]
    first_byte: float | None
    last_byte: float | None
    seconds: float
    left: bool = False
    fault: Fault | None = None

    def replay(self, *, pace: float = 0.0) -> Replay | None:
        """The decision that gives the script what it was given, the error too; None when that was not kept.

        Of an answer that the script left early there is no more than it read; who reads on is raised an error.
        """
        fault = LEFT if self.left else self.fault
        if self.omitted or (fault is None and (self.status is None or not self.complete)):
            return None
        return Replay(self.status, self.headers, self.body, self.chunks, pace, fault)


class Recorder(Protocol):
    """Who decides and keeps.  Both methods must be quick: they run in the script's threads and event loops."""

    def begin(self, exchange: Exchange) -> Decision:
        """Called once for each call, before anything is sent; retries of an SDK repeat the decision."""

    def end(self, exchange: Exchange, outcome: Outcome) -> None:
        """Called when an attempt of a live call has ended, so once for most calls; never for a replayed one.

        A retry calls it again with the same ``exchange`` and all attempts so far: the last one holds.  It may be
        called from a finalizer, in any thread at any moment: take no lock that ``begin`` or ``end`` hold; a
        ``SimpleQueue`` is fine.
        """


def split(body: bytes, chunks: Sequence[tuple[float, int]]) -> Iterator[tuple[float, bytes]]:
    """The pieces of ``body`` with their times; what ``chunks`` leaves over comes as the last piece."""
    at, when = 0, 0.0
    for when, size in chunks:
        if size and at < len(body):
            yield when, body[at : at + size]
        at += size
    if at < len(body):
        yield when, body[at:]
