"""One LM call, from the question to the accounted answer."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from afnio import _dispatch
from afnio.calls import _json
from afnio.calls.budget import Budget, Pricer
from afnio.calls.limiter import Limits, limiter_of
from afnio.calls.record import record_of, reply_of
from afnio.calls.request import Cost, Reply, Request, Source, Usage
from afnio.calls.retry import persist
from afnio.calls.session import MEMO_ROLES, Session, current_phase, current_session
from afnio.calls.streaming import NOBODY, ListenerFailed, Sink, streamed
from afnio.calls.tokens import encoding_at_hand, estimate, estimate_body
from afnio.calls.transport import RawResponse, Timeout, Transport
from afnio.errors import APIConnectionError, APIResponseError, RateLimitError

__all__ = ["send", "unpriced"]

logger = logging.getLogger("afnio.calls")

DEFAULT_TIMEOUT = Timeout()

GRACE = 30.0
"""Seconds for which calls in flight are waited for when the budget is used up."""


def unpriced(request: Request, usage: Usage) -> Cost:
    """The pricer that knows no price."""
    return Cost()


async def send(
    request: Request,
    transport: Transport,
    *,
    limits: Limits | None = None,
    max_retries: int = 2,
    timeout: Timeout = DEFAULT_TIMEOUT,
    pricer: Pricer = unpriced,
) -> Reply:
    """Answer ``request``: from the session's log or memo, by joining an identical call under way, or by asking.

    Runs on the LM loop, or is driven without a loop when the transport is inline. An answer that was paid for is in
    the call log, on disk, before this returns.

    Raises:
        APIError: the call failed; see its subclasses.
        StreamCutError: it broke off after ``request.on_text`` was given some of it.
        BudgetExceeded: the session's budget does not admit it.
        CallLogError: the answer could not be recorded; ReplayMissError: replay does not know the request.
    """
    session = current_session()
    sink = NOBODY if request.on_text is None else Sink(request.on_text)
    try:
        reply = None if session.log is None and session.memo is None else _recall(session, request)
        if reply is None:
            live = _Live(session, request, transport, limits, max_retries, timeout, pricer, sink)
            reply = await (live.run() if transport.inline else _join(session, request, transport, live.run))
        _account(session, reply)
        if sink is not NOBODY:
            sink.rest(reply.text)
        return reply
    except ListenerFailed as failed:
        raise failed.error from None


def _account(session: Session, reply: Reply) -> None:
    """Add up a reply that cost nothing (a live one is already), tell who listens, raise the fault it holds."""
    request = reply.request
    if reply.source != "live":
        session.ledger.add(current_phase(), request.role, request.model, request.node, reply)
    tracker = _dispatch.current_tracker()
    if tracker is not None:
        tracker.call(record_of(reply, current_phase(), session.job))
    if logger.isEnabledFor(logging.DEBUG):
        _log(reply)
    if reply.fault is not None:
        raise reply.fault


def _log(reply: Reply) -> None:
    asked, usage = reply.request, reply.usage
    what = f"{asked.role} {asked.node} {asked.model}: {usage.input_tokens}+{usage.output_tokens} tokens"
    logger.debug("%s, %s, %.3f s, %d attempts", what, reply.source, reply.seconds, reply.attempts)


# ------------------------------------------------------------------------------------- answers at hand


def _recall(session: Session, request: Request) -> Reply | None:
    """The next answer in the log that was not used yet, else the memo's, else (in replay) the last one recorded."""
    log = session.log
    if log is not None:
        found = log.take(request)
        if found is not None:
            return _remember(session, reply_of(found[1], request, found[0]))
    if session.memo is not None and request.role in MEMO_ROLES:
        known = session.memo.get(request.key)
        if known is not None:
            return _again(session, known, request, "memo")
    if log is not None and log.mode == "replay":
        line, record = log.last(request)
        return reply_of(record, request, line)
    return None


def _remember(session: Session, reply: Reply) -> Reply:
    if session.memo is not None and reply.request.role in MEMO_ROLES and reply.fault is None:
        session.memo.setdefault(reply.request.key, reply)
    return reply


def _again(session: Session, known: Reply, request: Request, source: Source) -> Reply:
    """``known`` as the answer to one more request; the log is told, so that replay counts the same."""
    reply = dataclasses.replace(known, request=request, source=source)
    log = session.log
    if log is not None and log.mode != "replay":
        log.refer(reply, current_phase(), session.job)
    return reply


async def _join(
    session: Session, request: Request, transport: Transport, live: Callable[[], Awaitable[Reply]]
) -> Reply:
    """Wait for an identical call of the same client under way, or make the call that others can wait for."""
    import asyncio

    loop = asyncio.get_running_loop()
    flights, key = session.flights(loop), (request.key, transport)
    while (flight := flights.get(key)) is not None:
        known: Reply | None = await asyncio.shield(flight)
        if known is not None:
            return _again(session, known, request, "joined")
    flight = flights[key] = loop.create_future()
    outcome: Reply | None = None  # None: given up here, the next one in line takes over
    try:
        outcome = await live()
        return outcome
    except Exception as error:
        if request.on_text is None:  # else the failure may be of who listens here, not of the call
            flight.set_exception(error)
            flight.exception()  # seen: perhaps nobody joined
        raise
    finally:
        del flights[key]
        if not flight.done():
            flight.set_result(outcome)


# ------------------------------------------------------------------------------------- asking


@dataclasses.dataclass(slots=True)
class _Live:
    """A call that is really made."""

    session: Session
    request: Request
    transport: Transport
    limits: Limits | None
    max_retries: int
    timeout: Timeout
    pricer: Pricer
    sink: Sink
    on_the_wire: bool = False
    cancelled: BaseException | None = None

    async def run(self) -> Reply:
        session, request = self.session, self.request
        budget = session.budget
        hold = None if budget is None else budget.reserve(request, self.pricer)
        started, clock = time.time(), time.perf_counter()
        try:
            if self.transport.inline:
                reply = _reply(await self.transport.send(request, self.timeout), request)
            else:
                reply = await self._ask()
            reply.cost = self.pricer(request, reply.usage)
        except BaseException:
            if budget is not None and hold is not None:
                budget.release(hold)
            raise
        reply.started, reply.seconds = started, time.perf_counter() - clock
        if budget is not None and hold is not None:
            budget.settle(hold, reply.usage, reply.cost)
        session.ledger.add(current_phase(), request.role, request.model, request.node, reply)
        if session.log is not None:
            record = record_of(reply, current_phase(), session.job)
            reply.line = await session.log.append(record, durable=not self.transport.inline)
        if self.cancelled is not None:
            raise self.cancelled
        return reply if session.memo is None else _remember(session, reply)

    async def _ask(self) -> Reply:
        if self.session.budget is not None:
            return await self._see_through(self.session.budget)
        return await self._persist()

    async def _persist(self) -> Reply:
        reply, attempts = await persist(self._attempt, self.max_retries)
        reply.attempts = attempts
        return reply

    async def _see_through(self, budget: Budget) -> Reply:
        """The reply, also of a call that is cancelled because another one met the end of the budget: it is on its way
        and will be paid for, so that its answer is waited for, `GRACE` seconds at most, and recorded.

        A second cancellation (Ctrl-C) goes through at once.
        """
        import asyncio

        asking = asyncio.ensure_future(self._persist())
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError as cancelled:
            if not (self.on_the_wire and budget.refused and not asking.done()):
                asking.cancel()
                raise
            await asyncio.wait([asking], timeout=GRACE)
            if not asking.done() or asking.cancelled() or asking.exception() is not None:
                raise
            self.cancelled = cancelled
            return asking.result()
        finally:
            asking.cancel()

    async def _attempt(self) -> Reply:
        limiter, tokens = limiter_of(self.request, self.limits), 0
        if limiter.limits.tpm is not None:
            tokens = estimate_body(self.request.body)
        entered = await limiter.acquire(tokens)
        self.on_the_wire = True
        try:
            reply = _reply(await self._sent(), self.request)
        except RateLimitError as error:
            limiter.throttled(entered, error.retry_after)
            raise
        else:
            limiter.succeeded(reply.usage.total - tokens)
            return reply
        finally:
            self.on_the_wire = False
            limiter.leave()

    async def _sent(self) -> RawResponse:
        if self.request.stream:
            return await streamed(self.request, self.transport, self.timeout, self.sink)
        return await self.transport.send(self.request, self.timeout)


_NOT_YET = Cost()  # what a reply costs, until the pricer has said it


def _reply(raw: RawResponse, request: Request) -> Reply:
    """The reply a response holds; raises the typed error it is instead."""
    if raw.status >= 400:
        raise _status_error(raw, request)
    content = raw.content
    body = content if isinstance(content, dict) else _decoded(raw, content, request)
    usage, fault, text = request.format.usage(body), None, ""
    try:
        text = request.format.text(body)
    except APIResponseError as error:
        if usage is None:
            raise  # nothing was answered and nothing paid
        fault = error
    if usage is None:
        encoding = encoding_at_hand()
        usage = Usage(estimate_body(request.body, encoding), estimate(text, encoding), estimated=True)
    return Reply(request, text, body, usage, _NOT_YET, request_id=raw.request_id, fault=fault)


def _decoded(raw: RawResponse, content: bytes, request: Request) -> dict[str, Any]:
    try:
        body = _json.loads(content)
    except ValueError as error:
        raise _unreadable(raw, content, request) from error
    if not isinstance(body, dict):
        raise _unreadable(raw, content, request)
    return body


def _unreadable(raw: RawResponse, content: bytes, request: Request) -> APIResponseError | APIConnectionError:
    shown = content[:200].decode(errors="replace")
    name, model, request_id = request.provider, request.model, raw.request_id
    if content[:1] in (b"{", b""):
        said = f"The answer of {name} is cut short after {len(content)} bytes."
        return APIConnectionError(said, provider=name, model=model, request_id=request_id)
    return APIResponseError(
        f"{name} answered {raw.status} with something that is no JSON object: {shown!r}. Check base_url.",
        body=content.decode(errors="replace"),
        provider=name,
        model=model,
        request_id=request_id,
    )


def _status_error(raw: RawResponse, request: Request) -> Exception:
    body: object = raw.content
    if isinstance(raw.content, bytes):
        try:
            body = _json.loads(raw.content)
        except ValueError:
            body = raw.content.decode(errors="replace")
    error = request.format.error(raw.status, raw.headers, body, request)
    told = raw.headers.get("x-should-retry")
    if told in ("true", "false"):
        error.should_retry = told == "true"  # type: ignore[attr-defined]
    return error
