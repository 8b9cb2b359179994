"""The job by gepa: three reflections on batches of 8, validated on the 24 samples, which is its way."""

from __future__ import annotations

import importlib
import os
from typing import Any

from benchmarks.clients.driver import WARM_TEXT, Contender, Task, main
from benchmarks.peers.in_order import InOrder


def prepare(task: Task) -> Contender:
    os.environ |= {"OPENAI_API_BASE": task.base_url, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    gepa: Any = importlib.import_module("gepa")
    adapters: Any = importlib.import_module("gepa.adapters.default_adapter.default_adapter")
    stops: Any = importlib.import_module("gepa.utils.stop_condition")
    litellm: Any = importlib.import_module("litellm")
    data = [{"input": text, "answer": right, "additional_context": {}} for text, right in task.samples]

    def run() -> str:
        done = gepa.optimize(
            seed_candidate={"system_prompt": task.prompt},
            trainset=data,
            valset=data,
            adapter=adapters.DefaultAdapter("openai/tickets", max_litellm_workers=len(data)),
            reflection_lm="openai/tickets",
            batch_sampler=InOrder(task.batch),
            cache_evaluation=True,
            stop_callbacks=stops.MaxCandidateProposalsStopper(3),
            display_progress_bar=False,
        )
        return str(done.best_candidate["system_prompt"])

    messages = [{"role": "system", "content": task.prompt}, {"role": "user", "content": WARM_TEXT}]
    return Contender(lambda: litellm.completion(model="openai/tickets", messages=messages), run)


if __name__ == "__main__":
    main(prepare)
