"""Streams of text: what ``model.stream(...)`` and ``model.astream(...)`` return."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from afnio.calls.loop import run_async, run_inline, submit
from afnio.calls.request import Reply
from afnio.errors import AfnioError

if TYPE_CHECKING:
    import asyncio
    import queue

__all__ = ["AsyncTextStream", "TextStream"]

Call = Callable[[Callable[[str], object]], Coroutine[Any, Any, Reply]]
"""Makes the call; what it is given gets the pieces, from any thread."""


class _Told:
    """The reply, once there is one."""

    _reply: Reply | None = None

    @property
    def reply(self) -> Reply:
        """The whole answer with its blocks, usage and cost.

        Raises:
            AfnioError: the stream has not been read to its end.
        """
        if self._reply is None:
            raise AfnioError("The reply is there when the stream has ended: read it to its end first.")
        return self._reply


class TextStream(_Told, Iterator[str]):
    """Pieces of an answer's text, as they come; the call begins with the first one that is asked for.

    ``close()``, or leaving its ``with`` block, ends a call that is still under way.
    """

    def __init__(self, call: Call, *, inline: bool) -> None:
        import queue

        self._call, self._inline = call, inline
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._running: Any = None
        self._over = False

    def __next__(self) -> str:
        if self._over:
            raise StopIteration
        try:
            if self._running is None:
                self._start()
            piece = self._pieces.get()
        except BaseException:
            self.close()
            raise
        if piece is not None:
            return piece
        self._over = True
        self._reply = self._running if isinstance(self._running, Reply) else self._running.result()
        raise StopIteration

    def _start(self) -> None:
        if self._inline:
            self._running = run_inline(self._call(self._pieces.put))
            self._pieces.put(None)
        else:
            self._running = submit(self._call(self._pieces.put), lambda: self._pieces.put(None))

    def close(self) -> None:
        """End the call, if it is still under way."""
        if not self._over and self._running is not None and not isinstance(self._running, Reply):
            self._running.cancel()
        self._over = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class AsyncTextStream(_Told, AsyncIterator[str]):
    """`TextStream`, for async code; ``await stream.aclose()`` ends a call that is still under way."""

    def __init__(self, call: Call, *, inline: bool) -> None:
        self._call, self._inline = call, inline
        self._pieces: asyncio.Queue[str | None]
        self._task: asyncio.Task[Reply] | None = None
        self._over = False

    async def __anext__(self) -> str:
        if self._over:
            raise StopAsyncIteration
        if self._task is None:
            self._task = self._started()
        try:
            piece = await self._pieces.get()
        except BaseException:
            await self.aclose()
            raise
        if piece is not None:
            return piece
        self._over = True
        self._reply = self._task.result()
        raise StopAsyncIteration

    def _started(self) -> asyncio.Task[Reply]:
        import asyncio

        here, self._pieces = asyncio.get_running_loop(), asyncio.Queue()

        def put(piece: str) -> None:
            here.call_soon_threadsafe(self._pieces.put_nowait, piece)

        call = self._call(put)
        task = here.create_task(call if self._inline else run_async(call))
        task.add_done_callback(lambda _: self._pieces.put_nowait(None))
        return task

    async def aclose(self) -> None:
        """End the call, if it is still under way, and wait until it has cleaned up."""
        import asyncio

        self._over = True
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
