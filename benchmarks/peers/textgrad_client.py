"""The job by textgrad 0.1.8, as its tutorial on prompt optimization does it."""

from __future__ import annotations

import importlib
import os
from typing import Any

from benchmarks.clients.driver import WARM_TEXT, Contender, Task, main


def prepare(task: Task) -> Contender:
    os.environ["OLLAMA_BASE_URL"] = task.base_url  # the only way its OpenAI engine takes another address
    tg: Any = importlib.import_module("textgrad")
    engines: Any = importlib.import_module("textgrad.engine.openai")
    functions: Any = importlib.import_module("textgrad.autograd.string_based_ops")
    engine = engines.ChatOpenAI("tickets", base_url=task.base_url)
    tg.set_backward_engine(engine, override=True)

    def judge(prediction: Any, target: Any) -> str:
        if prediction.value == target.value:
            return "The prediction matches the target."
        return f'The prediction "{prediction.value}" does not match the target "{target.value}"; score 0.'

    evaluate = functions.StringBasedFunction(judge, function_purpose="exact match of prediction and target")

    def run() -> str:
        prompt = tg.Variable(task.prompt, requires_grad=True, role_description="system prompt of the classifier")
        model = tg.BlackboxLLM(engine, system_prompt=prompt)
        optimizer = tg.TextualGradientDescent(engine=engine, parameters=[prompt])
        for start in range(0, len(task.samples), task.batch):
            optimizer.zero_grad()
            losses = []
            for text, right in task.samples[start : start + task.batch]:
                answer = model(tg.Variable(text, requires_grad=False, role_description="the ticket"))
                target = tg.Variable(right, requires_grad=False, role_description="the right answer")
                losses.append(evaluate(inputs={"prediction": answer, "target": target}))
            tg.sum(losses).backward()
            optimizer.step()
        return str(prompt.value)

    return Contender(lambda: engine(WARM_TEXT, system_prompt=task.prompt), run)


if __name__ == "__main__":
    main(prepare)
