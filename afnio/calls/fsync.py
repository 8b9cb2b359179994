"""One fsync for all who wait."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["GroupSync"]

NO_DISK = (errno.EINVAL, errno.ENOTSUP, errno.EROFS)  # a pipe or device: nothing to make durable


class GroupSync:
    """Awaited, it returns when everything written to ``fd`` before is on disk.

    One thread syncs; whoever comes while it is busy shares the next sync. Lives on one event loop.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._waiting: list[asyncio.Future[None]] = []
        self._thread: ThreadPoolExecutor | None = None
        self._task: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        mine = loop.create_future()
        self._waiting.append(mine)
        if self._task is None:
            self._task = loop.create_task(self._run(loop))
        await mine

    async def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        from concurrent.futures import ThreadPoolExecutor

        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="afnio-fsync")
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                error = await self._synced(loop)
                for each in group:
                    if not each.done():
                        each.set_result(None) if error is None else each.set_exception(error)
        finally:
            self._task = None

    async def _synced(self, loop: asyncio.AbstractEventLoop) -> OSError | None:
        try:
            return await loop.run_in_executor(self._thread, _sync, self._fd)
        except RuntimeError:  # the thread was ended
            return OSError(errno.EBADF, "the log was closed")

    def close(self) -> None:
        """End the thread, after the sync under way."""
        if self._thread is not None:
            self._thread.shutdown(wait=True)


def _sync(fd: int) -> OSError | None:
    try:
        (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(fd)
    except OSError as error:
        return None if error.errno in NO_DISK else error
    return None
