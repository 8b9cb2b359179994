"""One logical call: asked about once, sent perhaps several times, told about after each attempt."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Container, Iterator, Mapping
from contextvars import ContextVar
from time import perf_counter
from typing import Any, Protocol

from ao import dialects
from ao.dialects import _json
from ao.dialects.base import Asked
from ao.intercept.credentials import public_headers, public_text, public_url
from ao.intercept.faults import fault_of, raised
from ao.intercept.hosts import Hosts, host_of
from ao.intercept.quiet import is_quiet
from ao.intercept.seam import Attempt, Decision, Exchange, Outcome, Recorder, Replay, split
from ao.intercept.tee import Tee
from ao.intercept.where import Place, place, task_name, thread_name

__all__ = ["Call", "Desk", "Given", "Sent"]

_RETRY_COUNT = "x-stainless-retry-count"
_REMEMBERED = 32
"""Calls that a frame of a library remembers, to know a retry."""


class Sent(Protocol):
    """A request of some library, as the flow sees it."""

    library: str
    method: str
    url: str
    headers: Any
    """A mapping with lower-case look-up, case of names aside."""

    def body(self) -> bytes | None:
        """The whole body; None when it is a stream that can't be read without using it up."""

    def teed(self, response: Any, call: Call) -> Any:
        """The response, with ``call.tee(...)`` on its body."""

    def seen(self, error: BaseException) -> BaseException:
        """The error that the script gets where this one is raised: a library may use a cancellation as a timeout."""

    def parts(self) -> Mapping[str, Any]:
        """What errors of this library hold of the request, by attribute; see ``faults.raised``."""


class Desk:
    """Where the patches ask: holds the recorder in use and what is under way."""

    def __init__(self) -> None:
        self.recorder: Recorder | None = None
        self.limit = 0
        self.hosts = Hosts()
        self.heeds: list[Callable[[Call], None]] = []  # told of each new call, where it is made
        self._notice: Callable[[str], None] | None = None
        self._said: set[str] = set()
        self._open: weakref.WeakSet[Tee] = weakref.WeakSet()

    def use(self, recorder: Recorder, notice: Callable[[str], None], limit: int) -> None:
        """Ask this recorder from now on."""
        self.recorder, self._notice, self.limit = recorder, notice, limit

    def listening(self, url: str) -> bool:
        """Whether a request made here is to be looked at; if not, it is somebody's who knows."""
        if self.recorder is None:
            return False
        if is_quiet():
            self.hosts.heard(host_of(url))
            return False
        return True

    def say(self, text: str) -> None:
        """Tell the person, but each thing only once."""
        if text not in self._said and self._notice is not None:
            self._said.add(text)
            self._notice(text)

    def call_of(self, sent: Sent) -> Call | None:
        """The call that this request belongs to; None when it is none.  Nothing in here can fail the script."""
        recorder = self.recorder
        if recorder is None or is_quiet():
            return None
        try:
            return self._call_of(recorder, sent)
        except Exception as error:  # noqa: BLE001 - the script must not notice
            self.failed_on(error)
            return None

    def _call_of(self, recorder: Recorder, sent: Sent) -> Call | None:
        url = sent.url
        host = host_of(url)
        asked = Asked(sent.method, url, sent.headers, sent.body())
        dialect = dialects.find(asked)
        if dialect is None or asked.body is None:
            self.hosts.contacted(host, f"{sent.method} {asked.path}")
            return None
        self.hosts.heard(host)
        where = place()
        call = _earlier(where, asked, sent)
        if call is None:
            exchange = Exchange(
                method=sent.method,
                url=public_url(url),
                path=asked.path,
                dialect=dialect.name,
                label=dialect.label(asked),
                model=dialect.model(asked),
                body=asked.body,
                json=asked.json,
                streaming=dialect.streaming(asked),
                location=(where.file, where.line) if where.file else None,
                function=where.function,
                library=sent.library,
                thread=thread_name(),
                task=task_name(),
                started=time.time(),
                tracked=where.tracked,
            )
            call = self.begin(recorder, exchange)
            _remember(where, call)
            for heed in self.heeds:
                heed(call)
        call.attempt()
        return call

    def begin(self, recorder: Recorder, exchange: Exchange) -> Call:
        """Ask the recorder about a new call."""
        return Call(self, recorder, exchange, recorder.begin(exchange))

    def finish_all(self, *, over: bool = False) -> None:
        """Tell about the answers that nobody has read to their end.

        Args:
            over: the script has come to its end by itself: what it is not just reading, it has left.
        """
        while self._open:
            try:
                left = list(self._open)
            except RuntimeError:  # another thread has just added one
                continue
            for tee in left:
                left_alone = over and not tee.busy
                error = None if left_alone else EOFError("still being read when recording ended")
                tee.finish(complete=False, error=error)
                self._open.discard(tee)

    def failed_on(self, error: Exception) -> None:
        """We could not do what we wanted; the script has what it wanted."""
        self.say(f"A call was not recorded: {type(error).__name__}: {public_text(str(error))}")

    def opened(self, tee: Tee) -> None:
        """An answer is on its way."""
        self._open.add(tee)


class Call:
    """One logical call.  ``decision`` holds for all its attempts."""

    def __init__(self, desk: Desk, recorder: Recorder, exchange: Exchange, decision: Decision) -> None:
        self.exchange = exchange
        self.decision = decision
        self.failed = False
        self.going = True
        self._desk = desk
        self._recorder = recorder
        self._zero = self._begun = perf_counter()
        self._attempts: list[Attempt] = []

    def attempt(self) -> None:
        """It is sent, for the first time or again."""
        self.failed, self.going = False, True
        self._begun = perf_counter()

    def given(self, replay: Replay) -> Given:
        """It is answered from a record.  A library that tries again after an error is given the same error again."""
        self.failed, self.going = replay.status is None or replay.status >= 300, False
        return Given(self, replay)

    def tried(self, status: int | None, error: str | None) -> None:
        """A library has tried by itself, and tries again."""
        now = perf_counter()
        self._attempts.append(Attempt(self._begun - self._zero, now - self._begun, status, error))
        self._begun = now

    def tee(self, status: int, headers: list[tuple[str, str]], *, encoded: bool, decodes: Container[str] = ()) -> Tee:
        """Listen to an answer; see ``Tee``."""
        self.failed = status >= 300
        options: dict[str, Any] = {"zero": self._zero, "limit": self._desk.limit, "ended": self._heard}
        tee = Tee(status, headers, encoded=encoded, decodes=decodes, **options)
        self._desk.opened(tee)
        return tee

    def broke(self, error: BaseException) -> None:
        """No answer came."""
        self.failed = True
        self._tell(None, (), b"", (), 0, False, _spelled(error), None, None, fault=fault_of(error))

    def _heard(self, tee: Tee) -> None:
        said = None if tee.error is None else _spelled(tee.error)
        self.failed = self.failed or tee.error is not None
        headers, body, chunks = public_headers(tee.headers), bytes(tee.kept), tuple(tee.chunks)
        complete = tee.complete or (tee.error is None and self._ended(body))
        ending: dict[str, Any] = {} if complete else {"left": tee.left, "fault": fault_of(tee.error)}
        self._tell(tee.status, headers, body, chunks, tee.omitted, complete, said, tee.first, tee.last, **ending)
        if tee.omitted:
            self._desk.say(
                f"An answer of {self.exchange.label} is longer than {self._desk.limit:,} bytes; the rest of it was "
                "counted, not kept, so that it can't be replayed."
            )

    def _ended(self, body: bytes) -> bool:
        """Whether all is there, although the script has not seen the end of it."""
        try:
            dialect = dialects.get(self.exchange.dialect)
            return dialect.ended(body) if self.exchange.streaming else isinstance(_json.loads(body), dict)
        except Exception:  # noqa: BLE001 - a dialect of the user's own must not fail the script
            return False

    def _tell(
        self,
        status: int | None,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
        chunks: tuple[tuple[float, int], ...],
        omitted: int,
        complete: bool,
        error: str | None,
        first: float | None,
        last: float | None,
        **ending: Any,
    ) -> None:
        now, self.going = perf_counter(), False
        self._attempts.append(Attempt(self._begun - self._zero, now - self._begun, status, error))
        outcome = Outcome(
            status,
            headers,
            body,
            chunks,
            omitted,
            complete,
            error,
            tuple(self._attempts),
            first,
            last,
            now - self._zero,
            **ending,
        )
        try:
            self._recorder.end(self.exchange, outcome)
        except Exception as problem:  # noqa: BLE001 - the script must not notice
            self._desk.say(f"A call was not recorded to its end: {type(problem).__name__}: {problem}")


class Given:
    """A recorded answer on its way to the script."""

    __slots__ = ("_call", "replay")

    def __init__(self, call: Call, replay: Replay) -> None:
        self._call, self.replay = call, replay

    def pieces(self) -> Iterator[tuple[float, bytes]]:
        """Each piece with the seconds to wait before it."""
        before = 0.0
        for when, piece in split(self.replay.body, self.replay.chunks):
            yield (when - before) * self.replay.pace, piece
            before = when

    def error(self, parts: Mapping[str, Any]) -> Exception | None:
        """What is to be raised where there are no more pieces, perhaps again; None: the body is whole."""
        if self.replay.fault is None:
            return None
        self._call.failed = True
        return raised(self.replay.fault, self._call.exchange.library, parts)


_last: ContextVar[weakref.ref[Call] | None] = ContextVar("ao_last_call", default=None)


def _earlier(where: Place, asked: Asked, sent: Sent) -> Call | None:
    """The call that this request tries again: one that failed underneath the same call of the library, same body."""
    if where.marker is not None:
        for call in reversed(where.marker.calls):
            if call.failed and call.exchange.body == asked.body:
                known: Call = call
                return known
    if str(sent.headers.get(_RETRY_COUNT) or "0") in ("", "0"):
        return None
    last = _last.get()
    before = last() if last else None
    return before if before is not None and before.failed and before.exchange.body == asked.body else None


def _remember(where: Place, call: Call) -> None:
    if where.marker is not None:
        calls = where.marker.calls
        if len(calls) >= _REMEMBERED:
            calls[:] = [known for known in calls if known.failed or known.going][-_REMEMBERED:]
        calls.append(call)
    _last.set(weakref.ref(call))


def _spelled(error: BaseException) -> str:
    text = public_text(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
