"""The control: the job as anybody would write it with asyncio and aiohttp, without a library of ours."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

from benchmarks.clients.driver import WARM_TEXT, Contender, Task, main


async def ask(session: aiohttp.ClientSession, url: str, system: str, user: str) -> str:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    async with session.post(f"{url}/chat/completions", json={"model": "tickets", "messages": messages}) as answer:
        return str((await answer.json())["choices"][0]["message"]["content"])


async def improve(session: aiohttp.ClientSession, task: Task) -> str:
    prompt = task.prompt
    for start in range(0, len(task.samples), task.batch):
        batch = task.samples[start : start + task.batch]
        answers = await asyncio.gather(*(ask(session, task.base_url, prompt, text) for text, _ in batch))
        failed = "".join(
            f"<sample><input>{text}</input><output>{answer}</output><feedback>The target is {right}</feedback></sample>"
            for (text, right), answer in zip(batch, answers, strict=True)
            if answer != right
        )
        if not failed:
            continue
        asked = f'<call><variable id="v1" role="system prompt">{prompt}</variable></call>{failed}'
        advice = await ask(session, task.base_url, "Say what to change.", asked)
        order = f'<variable role="system prompt">{prompt}</variable><feedback>{advice}</feedback>'
        prompt = json.loads(await ask(session, task.base_url, "Rewrite the prompt.", order))["value"]
    return prompt


def prepare(task: Task) -> Contender:
    loop = asyncio.new_event_loop()

    async def open_session() -> Any:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    session = loop.run_until_complete(open_session())

    def run() -> str:
        return loop.run_until_complete(improve(session, task))

    return Contender(lambda: loop.run_until_complete(ask(session, task.base_url, task.prompt, WARM_TEXT)), run)


if __name__ == "__main__":
    main(prepare)
