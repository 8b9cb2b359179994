"""Run coroutines side by side, all or none."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

__all__ = ["together"]

_T = TypeVar("_T")


async def together(coros: Sequence[Coroutine[Any, Any, _T]], inline: bool = False) -> list[_T]:
    """The results of ``coros``, in order; the first error cancels the others and is raised.

    Args:
        inline: they never wait: run one after the other, without an event loop.
    """
    if inline or len(coros) == 1:
        try:
            return [await coro for coro in coros]
        finally:
            for coro in coros:
                coro.close()  # those after one that failed were never started
    import asyncio  # 40 ms: only where something waits

    tasks = [asyncio.ensure_future(coro) for coro in coros]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
