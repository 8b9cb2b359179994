"""A forward pass over all samples at once, ours."""

from __future__ import annotations

import afnio
import afnio.cognitive.functional as F
from afnio.models.openai import AsyncOpenAI
from benchmarks.clients.driver import WARM_TEXT, Contender, Task, main


def prepare(task: Task) -> Contender:
    client = AsyncOpenAI(base_url=task.base_url, api_key="any")
    prompt = afnio.Variable(task.prompt, role="system prompt", requires_grad=True)
    template = afnio.Variable("{ticket}", role="the ticket")
    messages = [{"role": "system", "content": [prompt]}, {"role": "user", "content": [template]}]

    def forward(tickets: list[str]) -> str:
        with afnio.local_engine():
            answer = F.chat_completion(client, messages, inputs={"ticket": tickets}, model="tickets")
        assert len(answer.data) == len(tickets)
        return ""

    return Contender(lambda: forward([WARM_TEXT]), lambda: forward([text for text, _ in task.samples]))


if __name__ == "__main__":
    main(prepare)
