"""Our loop by hand: forward, backward, step."""

from __future__ import annotations

from statistics import fmean

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.models.openai import AsyncOpenAI
from afnio.optim import TGD
from afnio.utils.data import DataLoader
from benchmarks.clients.driver import WARM_TEXT, Contender, Task, main
from benchmarks.clients.runs import Engine


def prepare(task: Task) -> Contender:
    client = AsyncOpenAI(base_url=task.base_url, api_key="any")
    afnio.set_backward_model_client(client, completion_args={"model": "tickets"})
    template = afnio.Variable("{ticket}", role="the ticket")
    samples = [(afnio.Variable(text, "ticket"), afnio.Variable(right, "answer")) for text, right in task.samples]
    logs = iter(range(task.repeats))
    engine = Engine(task)

    def forward(prompt: afnio.Variable, ticket: afnio.Variable | str) -> afnio.Variable:
        messages = [{"role": "system", "content": [prompt]}, {"role": "user", "content": [template]}]
        return F.chat_completion(client, messages, inputs={"ticket": ticket}, model="tickets", temperature=0)

    def run() -> str:
        log = f"{task.call_log}/{next(logs)}.jsonl" if task.call_log else None
        with engine.here(log):
            prompt = cog.Parameter(task.prompt, role="system prompt of the ticket classifier")
            optimizer = TGD([prompt], model_client=client, model="tickets")
            for tickets, answers in DataLoader(samples, batch_size=task.batch):
                optimizer.clear_grad()
                loss = F.exact_match_evaluator(forward(prompt, tickets), answers, fmean, "mean")
                loss.backward()
                optimizer.step()
        return str(prompt.data)

    return Contender(
        lambda: forward(afnio.Variable(task.prompt, role="prompt"), WARM_TEXT), run, engine.begin, engine.end
    )


if __name__ == "__main__":
    main(prepare)
