"""A forward pass over all samples at once by aiohttp alone (control)."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from benchmarks.clients.asyncio_reference import ask
from benchmarks.clients.driver import WARM_TEXT, Contender, Task, main


def prepare(task: Task) -> Contender:
    loop = asyncio.new_event_loop()

    async def open_session() -> Any:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    session = loop.run_until_complete(open_session())

    async def forward() -> str:
        answers = await asyncio.gather(*(ask(session, task.base_url, task.prompt, text) for text, _ in task.samples))
        assert all(answers)
        return ""

    warm = ask(session, task.base_url, task.prompt, WARM_TEXT)
    return Contender(lambda: loop.run_until_complete(warm), lambda: loop.run_until_complete(forward()))


if __name__ == "__main__":
    main(prepare)
