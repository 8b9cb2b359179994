"""One job seen from the client: it is sent, its events are taken in, its questions are answered, until its end."""

from __future__ import annotations

import contextlib
import copy
import inspect
import logging
import math
import os
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from afnio.autodiff.engine import call_backward, edges_of, through_hooks
from afnio.autodiff.feedback import Pieces
from afnio.autodiff.job import BackwardJob
from afnio.calls import Reply, Request, Session, _json
from afnio.calls.aio import pool
from afnio.calls.loop import in_thread
from afnio.calls.record import formats
from afnio.calls.request import Cost, Usage
from afnio.errors import (
    InvalidAPIKeyError,
    JobError,
    ServerError,
    ServerStartError,
    ServerUnreachableError,
    ServerVersionError,
    TellurioError,
)
from afnio.models.base import BaseModel
from afnio.models.invoke import complete
from tellurio.client.http import Client
from tellurio.client.local import ensure_local_server
from tellurio.client.stream import Event, events
from tellurio.schemas.faults import ASKED, pack_error, read_error
from tellurio.schemas.pack import Codec, Definitions
from tellurio.schemas.version import HEADER, our_version

if TYPE_CHECKING:
    import asyncio

    import aiohttp

__all__ = ["ClientSide", "RemoteJob"]

logger = logging.getLogger("afnio.tellurio")

PATIENCE = 300.0
"""Seconds a server may be away before a job is given up; ``TELLURIO_RECONNECT_SECONDS`` sets another."""

SILENCE = 35.0
"""Seconds without even a keep-alive after which a stream is taken for dead."""

MOMENT = 2.0
"""Seconds that whoever cancels a job waits until the server knows; a busy one is told a little later."""

_telling: set[asyncio.Task[None]] = set()


def _patience() -> float:
    given = os.environ.get("TELLURIO_RECONNECT_SECONDS", "").strip()
    try:
        seconds = float(given or PATIENCE)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:  # nan neither
        raise ValueError(
            f"TELLURIO_RECONNECT_SECONDS is {given!r}: expected a number of seconds of at least 0, such as 300. "
            "Set it to one, or unset it."
        )
    return seconds


class _Given(NamedTuple):
    """A gradient that a user's code handed on as it came: which one, whatever the server calls it by now."""

    output: int
    position: int


# ------------------------------------------------------------------------------------- what only the client can do


class ClientSide:
    """Answers the questions of a job, and counts the calls the server makes for it.

    Args:
        codec: what both sides call things.
        session: whose ledger, budget and log the calls go to.
        phase: what they are counted under.
        job: the backward pass; None: it is a step.
    """

    def __init__(self, codec: Codec, session: Session, phase: str, job: BackwardJob | None) -> None:
        self.codec, self._session, self._phase, self._job = codec, session, phase, job
        self._nodes = [] if job is None else list(job.front.order)
        self._counted: set[str] = set()
        self._lines: dict[str, int] = {}

    async def find(self, question: Mapping[str, Any]) -> Any:
        """The answer to a question, as an object that stays true when the server has to ask again."""
        kind = question["kind"]
        if kind == "lm":
            return await self._call_model(question)
        if kind == "check":
            verdict = self.codec.callables[question["callable"]](question["value"])
            return bool(await verdict if inspect.isawaitable(verdict) else verdict)
        self.codec.learn(question["told"])
        if kind == "hooks":
            return await self._run_hooks(question)
        if kind == "backward":
            return await self._run_backward(question)
        raise JobError(f"The server asks for {kind!r}, which this client does not know. Upgrade afnio-studio.")

    def spell(self, question: Mapping[str, Any], found: Any) -> Any:
        """The answer in JSON; what the user's code handed on is named as the question names it."""
        kind, told = question["kind"], Definitions()
        if kind in ("lm", "check"):
            return found
        if kind == "hooks":
            return {"pieces": self._names(found, [question["pieces"]], told), "told": told}
        return {"edges": [self._names(edge, question["outputs"], told) for edge in found], "told": told}

    def _names(self, pieces: Sequence[Any], given: Sequence[Sequence[str]], told: Definitions) -> list[str]:
        return [
            given[piece.output][piece.position] if isinstance(piece, _Given) else self.codec.pieces([piece], told)[0]
            for piece in pieces
        ]

    async def _call_model(self, question: Mapping[str, Any]) -> str:
        who = {name: question[name] for name in ("role", "node", "words")}
        args = self.codec.revealed(question["args"])
        reply = await complete(self.codec.models[question["model"]], question["messages"], **who, **args)
        return reply.text

    async def _run_hooks(self, question: Mapping[str, Any]) -> list[Any]:
        variable = self.codec.variables[question["variable"]]
        pieces = self.codec.read_pieces(question["pieces"])
        return _handed_on(await self._user(lambda: through_hooks(variable, pieces)), [pieces])

    async def _run_backward(self, question: Mapping[str, Any]) -> list[list[Any]]:
        assert self._job is not None
        node = self._nodes[question["node"]]
        ctx = copy.copy(node.ctx) if self._job.front.restricted else node.ctx
        ctx.needs_edge = question["wanted"]
        outputs = [self.codec.read_pieces(names) for names in question["outputs"]]
        returned = await self._user(lambda: call_backward(node.op, ctx, outputs))
        return [_handed_on(edge, outputs) for edge in edges_of(ctx, outputs, returned)]

    async def _user(self, function: Any) -> Any:
        if self._job is not None and self._job.user is not None:
            return await self._job.user(function)
        result = function()
        return await result if inspect.isawaitable(result) else result

    async def count(self, told: Mapping[str, Any]) -> None:
        """Count a call that the server made, once, however often it is told."""
        name, record, session = told["id"], told["record"], self._session
        if name in self._counted:
            return
        self._counted.add(name)
        reply = _reply(record, "live" if told["paid"] else record["source"])
        if not told["paid"] and record["source"] == "log" and session.log is not None:
            session.log.use(record["key"])
        session.ledger.add(self._phase, record["role"], record["model"], record["node"], reply)
        if not told["paid"]:
            if session.log is not None and record["source"] == "joined" and record["key"] in self._lines:
                reply.line = self._lines[record["key"]]
                session.log.refer(reply, self._phase, record["job"])
            return
        model = self.codec.models[told["model"]]
        if isinstance(model, BaseModel):
            model._count(reply)
        if session.budget is not None:
            session.budget.spend(reply.usage, reply.cost)
        if session.log is not None:
            self._lines[record["key"]] = await session.log.append(dict(record), durable=False)

    def budget(self) -> dict[str, Any]:
        """The limits of the session's budget, what is spent, and which calls of the job are in it."""
        budget = self._session.budget
        if budget is None:
            return {}
        return {"budget": {"limits": budget.limits(), "spent": budget.state_dict()}, "heard": list(self._counted)}


def _handed_on(pieces: Pieces, given: Sequence[Pieces]) -> list[Any]:
    places = {id(piece): _Given(o, p) for o, output in enumerate(given) for p, piece in enumerate(output)}
    return [places.get(id(piece), piece) for piece in pieces]


def _reply(record: Mapping[str, Any], source: Any) -> Reply:
    asked = Request(
        record["provider"], record["host"], record["path"], record["model"], {}, formats[record["format"]],
        record["role"], record["node"], _key=record["key"],
    )  # fmt: skip
    usage, cost = Usage.from_dict(record["usage"]), Cost.from_dict(record["cost"])
    return Reply(asked, "", {}, usage, cost, source, record["attempts"], record["started"], record["seconds"])


# ------------------------------------------------------------------------------------- the talk


def _refusal(what: str, response: aiohttp.ClientResponse, content: bytes) -> TellurioError:
    """What the server said when it refused ``what``."""
    status, request_id = response.status, response.headers.get("X-Request-ID")
    try:
        body = _json.loads(content)
        said = body["error"]["message"]
    except (ValueError, KeyError, TypeError):
        body = content.decode(errors="replace")
        said = str(body)[:300]
    if status == 426:
        return ServerVersionError(said)
    kind = InvalidAPIKeyError if status == 401 else ServerError
    return kind(f"The server refused {what} ({status}): {said}", status_code=status, body=body, request_id=request_id)


class _Broken(Exception):
    """The stream ended before the job did; ``cause`` says how."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)


class RemoteJob:
    """Sends a job and brings back its result, however often the connection or the server breaks on the way.

    Args:
        client: speaks to the server.
        run_id: the Run it belongs to.
        job_id: its id: sending it again is harmless.
        body: what is sent.
        side: what only the client can do.
    """

    def __init__(self, client: Client, run_id: str, job_id: str, body: dict[str, Any], side: ClientSide) -> None:
        self._client, self._id, self._body, self._side = client, job_id, body, side
        self._path = f"/api/v1/runs/{run_id}/jobs/{job_id}"
        self._fence = 0
        self._last_event = ""
        self._first = True  # not asked for before: the server need not look for it
        self._over = False
        self._result: Any = None
        self._failure: BaseException | None = None
        self._found: dict[str, asyncio.Task[Any]] = {}
        self._raised: dict[str, BaseException] = {}
        self._responding: set[asyncio.Task[None]] = set()
        self._outbox: list[tuple[str, bytes]] = []
        self._sending: asyncio.Task[None] | None = None
        self._stream: aiohttp.ClientResponse | None = None
        self._hopeless: TellurioError | None = None  # no answer is taken, so that no end will come
        self._patience = PATIENCE

    @property
    def is_over(self) -> bool:
        """Whether the server has told its end, and before it all its calls."""
        return self._over

    async def run(self) -> Any:
        """The result.

        Raises:
            ValueError: ``TELLURIO_RECONNECT_SECONDS`` is no number of seconds.
            ServerUnreachableError: the server is away for longer than our patience.
            Exception: what the job failed with; an error of the user's own code is the very same object.
        """
        import asyncio

        patience = self._patience = _patience()
        away_since: float | None = None
        pause = 0.05
        try:
            while True:
                fence, event = self._fence, self._last_event
                try:
                    await self._listen()
                    break
                except _Broken as broken:
                    if self._hopeless is not None:
                        raise self._hopeless from None
                    if (self._fence, self._last_event) != (fence, event):
                        away_since, pause = None, 0.05  # something came: it was there
                    away_since = away_since or time.monotonic()
                    if time.monotonic() - away_since > patience:
                        raise self._gone(broken) from None
                    logger.debug("Job %s: %s; asking again.", self._id, broken.cause)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 2.0)
                    await self._revive()
            if self._failure is not None:
                raise self._failure
            return self._result
        finally:
            if not self._over:  # Ctrl-C, a call log that takes no more: nobody waits for the job any longer
                await self._cancel()
            await self._put_away()

    def _gone(self, broken: _Broken) -> ServerUnreachableError:
        return ServerUnreachableError(
            f"The Tellurio server at {self._client.url} did not answer for {self._patience:.0f} s ({broken.cause}). No "
            f"parameter was changed, and what was paid for is recorded there. Start it again (tellurio up) and call "
            f"backward() or step() once more; TELLURIO_RECONNECT_SECONDS sets how long to wait."
        )

    async def _revive(self) -> None:
        """Start the local server again, if it is ours and gone."""
        if not self._client.is_local:
            return
        try:
            self._client.url, self._client.key = await in_thread(ensure_local_server)
        except (ServerStartError, ServerUnreachableError) as error:
            logger.debug("The local server: %s", error)

    # events down

    async def _listen(self) -> None:
        """Take in what the server says, up to the job's end.

        Raises:
            _Broken: it did not come to that.  An error of the user's code is not raised here: it may be an OSError.
        """
        import aiohttp

        limits = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=SILENCE)
        headers = self._headers()
        if self._last_event:
            headers["Last-Event-ID"] = self._last_event
        content = _json.dumps({**self._body, **self._side.budget(), "first": self._first})
        self._first = False
        try:
            async with pool().post(
                self._client.url + self._path, data=content, headers=headers, timeout=limits
            ) as response:
                self._stream = response
                if self._hopeless is not None:
                    raise _Broken("given up")
                await self._check(response)
                async for event in events(response.content.iter_any()):
                    await self._take(event)
                    if self._over:
                        return
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _Broken(f"{type(error).__name__}: {error}") from None
        raise _Broken("the stream ended")

    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._client.key}",
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            HEADER: our_version(),
        }

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status < 400:
            return
        content, status = await response.read(), response.status
        if HEADER not in response.headers:
            raise _Broken(f"what answers there is no Tellurio server (status {status})")
        if status in (409, 429, 502, 503, 504) or (status == 401 and self._client.is_local and not self._fence):
            raise _Broken(f"it answered {status}: {content[:200].decode(errors='replace')}")
        raise _refusal("a job", response, content)

    async def _take(self, event: Event) -> None:
        """Take an event in."""
        kind, data = event.kind, event.data
        if kind == "begun":
            self._begin(data["fence"])
        elif kind == "ask":
            self._start(self._respond(self._fence, data))
        elif kind == "call":
            await self._side.count(data)
        elif kind in ("done", "failed", "cancelled"):
            self._over = True
            self._result, self._failure = data, None if kind == "done" else self._error(data)
        self._last_event = event.id

    def _begin(self, fence: int) -> None:
        if fence != self._fence:
            self._fence = fence
            self._outbox.clear()
            self._side.codec.forget("s")

    def _error(self, data: Mapping[str, Any]) -> BaseException:
        import asyncio

        form = data.get("error") or {}
        asked = data.get("raised") or (form.get("carried") or {}).get(ASKED)
        error = self._raised.get(str(asked)) or read_error(form)
        if isinstance(error, asyncio.CancelledError):
            return asyncio.CancelledError("A backward in the graph was cancelled: by a user's code, from inside.")
        return error

    # answers up

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        import asyncio

        task = asyncio.ensure_future(work)
        self._responding.add(task)
        task.add_done_callback(self._responding.discard)

    async def _respond(self, fence: int, question: Mapping[str, Any]) -> None:
        import asyncio

        name = question["id"]
        task = self._found.get(name)
        if task is None:
            task = self._found[name] = asyncio.ensure_future(self._side.find(question))
        elif "told" in question:
            self._side.codec.learn(question["told"])
        try:
            found = await asyncio.shield(task)
            answer = _json.dumps({"id": name, "answer": self._side.spell(question, found)})
        except BaseException as error:  # Ctrl-C in a user's code too: whoever called backward() is to get it
            if not task.done():
                raise  # not the code was stopped, but we were
            answer = self._as_answer(name, error, "error" if question["kind"] == "lm" else "raised")
        if fence == self._fence:
            self._outbox.append((name, answer))
            if self._sending is None or self._sending.done():
                self._sending = asyncio.ensure_future(self._send_answers())

    def _as_answer(self, name: str, error: BaseException, kind: str) -> bytes:
        """An error as the answer to a question; it is kept here, to be raised as it is."""
        self._raised[name] = error
        if kind != "error":
            return _json.dumps({"id": name, kind: True})
        form = pack_error(error)
        form["carried"] = {**form["carried"], ASKED: name}
        return _json.dumps({"id": name, kind: form})

    async def _send_answers(self) -> None:
        """Send what waits, until nothing does.  What the server did not take is sent again, unless it begins anew.

        A stream may live on while no answer comes through: a gateway takes none so large, a key was withdrawn.  Then
        the job is given up.
        """
        import asyncio

        import aiohttp

        limits = aiohttp.ClientTimeout(total=30.0, sock_connect=5.0)
        failing_since: float | None = None
        while self._outbox:
            fence, batch = self._fence, list(self._outbox)
            content = b'{"fence":%d,"answers":[%s]}' % (fence, b",".join(answer for _, answer in batch))
            url = f"{self._client.url}{self._path}/answers"
            try:
                async with pool().post(url, data=content, headers=self._headers(), timeout=limits) as response:
                    ours, status = HEADER in response.headers, response.status
                    taken = ours and (status < 400 or status in (404, 409, 410))
                    refused = ours and status in (400, 413, 422)
                    shut = ours and status in (401, 403) and not self._client.is_local
                    content = b"" if taken else await response.read()
                    said = f"it answered {status}: {content[:300].decode(errors='replace')}"
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                taken = refused = shut = False
                said = f"{type(error).__name__}: {error}"
            if fence != self._fence:
                failing_since = None
                continue
            if taken:
                failing_since = None
                del self._outbox[: len(batch)]
            elif shut:
                return self._give_up(_refusal("an answer of this process", response, content))
            elif refused and (faults := self._as_faults(batch, said)) != batch:  # nor will it take them the next time
                self._outbox[: len(batch)] = faults
            else:
                logger.debug("Job %s: answers could not be sent: %s", self._id, said)
                failing_since = failing_since or time.monotonic()
                if time.monotonic() - failing_since > self._patience:
                    return self._give_up(self._gone(_Broken(f"it took no answer of this process: {said}")))
                await asyncio.sleep(0.2)
        return None

    def _as_faults(self, batch: Sequence[tuple[str, bytes]], said: str) -> list[tuple[str, bytes]]:
        fault = JobError(f"The server did not take an answer of this process: {said}")
        return [(name, self._as_answer(name, fault, "raised")) for name, _ in batch]

    def _give_up(self, error: TellurioError) -> None:
        """Have `run` raise ``error``: the stream, on which nothing more can come, breaks."""
        self._hopeless = error
        if self._stream is not None:
            self._stream.close()

    # ends

    async def _cancel(self) -> None:
        """Tell the server that nobody waits any more; best effort, and not waited for longer than a moment."""
        import asyncio

        telling = asyncio.ensure_future(self._tell_cancelled())
        _telling.add(telling)
        telling.add_done_callback(_telling.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([telling], timeout=MOMENT)

    async def _tell_cancelled(self) -> None:
        import aiohttp

        url, limits = self._client.url + self._path, aiohttp.ClientTimeout(total=30.0, sock_connect=5.0)
        try:
            async with pool().delete(url, headers=self._headers(), timeout=limits):
                pass
        except (aiohttp.ClientError, OSError, TimeoutError):
            logger.debug("Job %s could not be cancelled at the server; it ends there by itself.", self._id)

    async def _put_away(self) -> None:
        import asyncio

        tasks = [*self._responding, *self._found.values(), *([self._sending] if self._sending else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
