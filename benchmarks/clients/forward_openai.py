"""A forward pass over all samples at once by the ``openai`` SDK (control), with the transport the task names."""

from __future__ import annotations

import asyncio

import openai

from benchmarks.clients.driver import WARM_TEXT, Contender, Task, main


def prepare(task: Task) -> Contender:
    loop = asyncio.new_event_loop()

    async def connect() -> openai.AsyncOpenAI:
        transport = openai.DefaultAioHttpClient() if task.options.get("transport") == "aiohttp" else None
        return openai.AsyncOpenAI(base_url=task.base_url, api_key="any", http_client=transport)

    client = loop.run_until_complete(connect())

    async def ask(text: str) -> str:
        answer = await client.chat.completions.create(
            model="tickets",
            messages=[{"role": "system", "content": task.prompt}, {"role": "user", "content": text}],
        )
        return answer.choices[0].message.content or ""

    async def forward() -> str:
        answers = await asyncio.gather(*(ask(text) for text, _ in task.samples))
        assert all(answers)
        return ""

    return Contender(lambda: loop.run_until_complete(ask(WARM_TEXT)), lambda: loop.run_until_complete(forward()))


if __name__ == "__main__":
    main(prepare)
