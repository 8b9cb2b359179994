"""The talk of a running job with its client: numbered events down, answers up."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from afnio.calls import _json
from afnio.errors import AfnioError
from tellurio.schemas.faults import read_error

__all__ = ["Channel", "ClientRaised"]


class ClientRaised(AfnioError):
    """The user's code in the client raised; the client has the error itself.

    Attributes:
        ask: id of the question.
    """

    def __init__(self, ask: str) -> None:
        self.ask = ask
        super().__init__(f"the client's code raised, asked as {ask}")


class Channel:
    """Events of one holding of a job, and the questions among them that are not answered yet.

    The engine lives on one event loop, the streams on another: each is woken by its own.

    Args:
        fence: number of the holding.
        name: begins each event's id: a client that lost the stream of another name is told everything.
    """

    def __init__(self, fence: int, name: str = "") -> None:
        self.fence, self.name = fence, name or str(fence)
        self.streams = 0
        self._events: list[bytes] = []
        self._ended = False
        self._wakers: dict[object, Callable[[], object]] = {}
        self._lock = threading.Lock()
        self._asked: dict[str, asyncio.Future[Any]] = {}

    # the engine's side

    def tell(self, kind: str, data: Mapping[str, Any], *, last: bool = False) -> None:
        """Send an event."""
        with self._lock:
            number = len(self._events) + 1
            head = f"id: {self.name}:{number}\nevent: {kind}\ndata: ".encode()
            self._events.append(head + _json.dumps(data) + b"\n\n")
            self._ended = self._ended or last
            wakers = list(self._wakers.values())
        _wake(wakers)

    async def ask(self, name: str, kind: str, data: Mapping[str, Any]) -> Any:
        """Ask the client, and wait for its answer.

        Raises:
            ClientRaised: the user's code raised.
            AfnioError: what else the client answered with.
        """
        future = asyncio.get_running_loop().create_future()
        self._asked[name] = future
        self.tell("ask", {"id": name, "kind": kind, **data})
        try:
            return await future
        finally:
            self._asked.pop(name, None)

    def close(self) -> None:
        """End the streams without a last event: who listens is to ask for the job again."""
        with self._lock:
            self._ended = True
            wakers = list(self._wakers.values())
        _wake(wakers)

    @property
    def waits(self) -> bool:
        """Whether a question is open."""
        return bool(self._asked)

    # the client's side

    def answer(self, answers: list[Mapping[str, Any]]) -> None:
        """Take over answers; those to questions nobody asked, or asks any more, are left out.

        Raises:
            ValueError: one has neither an answer nor an error.
        """
        for answer in answers:
            future = self._asked.get(str(answer.get("id")))
            if future is None:
                continue
            error: Exception | None = None
            if answer.get("raised"):
                error = ClientRaised(str(answer["id"]))
            elif isinstance(answer.get("error"), dict):
                error = read_error(answer["error"])
            elif "answer" not in answer:
                raise ValueError(f"{answer['id']!r:.100} has neither an answer nor an error")
            future.get_loop().call_soon_threadsafe(_settle, future, answer.get("answer"), error)

    async def stream(self, after: int = 0) -> AsyncIterator[bytes]:
        """The events from number ``after`` + 1 on, as server-sent events, until the last one."""
        loop, woken, me = asyncio.get_running_loop(), asyncio.Event(), object()
        with self._lock:
            self._wakers[me] = lambda: loop.call_soon_threadsafe(woken.set)
            self.streams += 1
        try:
            while True:
                woken.clear()
                with self._lock:
                    waiting, ended = self._events[after:], self._ended
                if waiting:
                    after += len(waiting)
                    yield b"".join(waiting)
                elif ended:
                    return
                else:
                    await woken.wait()
        finally:
            with self._lock:
                del self._wakers[me]
                self.streams -= 1


def _wake(wakers: list[Callable[[], object]]) -> None:
    for wake in wakers:
        with contextlib.suppress(RuntimeError):  # the server ends, and its loop is closed already
            wake()


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
