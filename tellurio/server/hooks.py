"""What runs with the server beside answering requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tellurio.server.log import log

__all__ = ["Hook", "Hooks"]

Hook = Callable[[], Awaitable[None]]


@dataclass
class Hooks:
    """Lists that `app.make_app` fills.

    Attributes:
        startup: done before the first request.
        sweep: done every few seconds; one that fails is logged, and done again next time.
        shutdown: done after the last request, in reverse order.
        closing: set when the server begins to end; whatever streams or waits ends then.
    """

    startup: list[Hook] = field(default_factory=list)
    sweep: list[Hook] = field(default_factory=list)
    shutdown: list[Hook] = field(default_factory=list)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Do what is to be done at the start."""
        for hook in self.startup:
            await hook()

    async def sweep_for_ever(self, seconds: float) -> None:
        """Sweep every ``seconds``, until the server ends."""
        while not self.closing.is_set():
            for hook in self.sweep:
                await _tried(hook, "sweep_failed")
            try:
                await asyncio.wait_for(self.closing.wait(), seconds)
            except TimeoutError:
                continue

    async def stop(self) -> None:
        """Do what is to be done at the end; all of it, whatever fails."""
        self.closing.set()
        for hook in reversed(self.shutdown):
            await _tried(hook, "shutdown_failed")


async def _tried(hook: Hook, event: str) -> None:
    try:
        await hook()
    except Exception as error:  # noqa: BLE001 - the others are to be done too
        log(event, logging.ERROR, error, hook=getattr(hook, "__qualname__", type(hook).__name__))
