"""A line between a client and a server that can be cut, slowed down and closed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import threading
from collections.abc import Callable, Collection
from typing import Any, Self

__all__ = ["Proxy"]


class Proxy:
    """Hands bytes on between a port of its own and the server's.

    Args:
        server: the server's port.
        lengths: draws how many bytes a connection carries, both ways together, before it is cut; None: never.
        pause: seconds between two pieces of 1 kB; 0: as fast as they come.

    Attributes:
        closed: take no connections.
        says: the beginnings of answers to the next connections, which do not get to the server; and their ``body``.
        refuses: the beginning of what is said to each request that brings answers to a job's questions.
        taken: how many connections were taken.
        cuts: how many connections were cut.
        seen: what clients have sent.
    """

    def __init__(self, server: int, lengths: Callable[[], int] | None = None, pause: float = 0.0) -> None:
        self.server, self.lengths, self.pause = server, lengths, pause
        self.says: list[bytes] = []
        self.body = self.refuses = b""
        self.closed, self.taken, self.cuts, self.port = False, 0, 0, 0
        self.seen = b""
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        """What a client is told."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut(self) -> None:
        """Break all connections."""
        self._loop.call_soon_threadsafe(self._cut_all)

    def _cut_all(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        listening = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self.port = listening.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        for each in listening.sockets:  # a connection that is being taken while its server is closed is never closed
            self._loop.remove_reader(each.fileno())
        self._loop.run_until_complete(_turns())
        self._cut_all()
        listening.close()
        self._loop.run_until_complete(_ended(asyncio.all_tasks(self._loop)))
        self._loop.run_until_complete(_turns())
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self.taken += 1
        try:
            if self.closed:
                return
            if self.says:
                await reader.readuntil(b"\r\n\r\n")
                await self._say(self.says.pop(0), reader, writer)
                return
            there = await asyncio.open_connection("127.0.0.1", self.server)
            self._open.add(there[1])
            left = [self.lengths() if self.lengths is not None else None]
            pumps = [
                asyncio.ensure_future(self._pump(reader, there[1], left, back=writer)),
                asyncio.ensure_future(self._pump(there[0], writer, left)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            there[1].transport.abort()
            self._open.discard(there[1])
        except OSError:
            pass
        finally:
            with contextlib.suppress(Exception):
                writer.transport.abort()
            self._open.discard(writer)

    async def _say(self, start: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 %s\r\nConnection: close\r\n\r\n%s" % (start, self.body))
        writer.write_eof()
        while await reader.read(65536):  # a line closed before all was read is reset, and the answer lost
            pass

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        left: list[int | None],
        *,
        back: asyncio.StreamWriter | None = None,
    ) -> None:
        """From the one to the other; ``back`` leads to who has written what is read, if that is the client."""
        with contextlib.suppress(OSError):
            while piece := await reader.read(1024 if self.pause else 65536):
                if back is not None:
                    self.seen += piece
                    if self.refuses and b"/answers HTTP/1.1\r\n" in piece:
                        await self._say(self.refuses, reader, back)
                        return
                limit = left[0]
                if limit is not None:
                    piece = piece[:limit]
                    left[0] = limit - len(piece)
                writer.write(piece)
                await writer.drain()
                if left[0] == 0:
                    self.cuts += 1
                    await asyncio.sleep(0.002)  # what was let through is to get there
                    return
                if self.pause:
                    await asyncio.sleep(self.pause)


async def _turns() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def _ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def drawn(seed: int, least: int, most: int, first: int) -> Callable[[], int]:
    """Draws numbers, the same ones for the same seed, the first of them at most ``first``."""
    draw: Any = random.Random(seed)
    limits = itertools.chain([first], itertools.repeat(most))
    return lambda: int(draw.randint(least, next(limits)))
