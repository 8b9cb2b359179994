"""The job by dspy's GEPA: one ``Predict``, three reflections on batches of 8, validated on the 24 samples."""

from __future__ import annotations

import importlib
import os
from typing import Any

from benchmarks.clients.driver import WARM_TEXT, Contender, Task, main
from benchmarks.peers.in_order import InOrder


def prepare(task: Task) -> Contender:
    os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    dspy: Any = importlib.import_module("dspy")
    stops: Any = importlib.import_module("gepa.utils.stop_condition")
    lm = dspy.LM("openai/tickets", api_base=task.base_url, api_key="any", cache=False)
    dspy.configure(lm=lm)
    data = [dspy.Example(ticket=text, answer=right).with_inputs("ticket") for text, right in task.samples]

    def metric(gold: Any, pred: Any, trace: Any = None, name: Any = None, name_trace: Any = None) -> Any:
        right = pred.answer == gold.answer
        said = "The answer is correct." if right else f"This is incorrect. The correct answer is '{gold.answer}'."
        return dspy.Prediction(score=float(right), feedback=said)

    def run() -> str:
        program = dspy.Predict(dspy.Signature("ticket -> answer", task.prompt))
        optimizer = dspy.GEPA(
            metric=metric,
            max_metric_calls=10_000,
            reflection_lm=lm,
            reflection_minibatch_size=None,
            num_threads=len(data),
            use_merge=False,
            gepa_kwargs={
                "stop_callbacks": stops.MaxCandidateProposalsStopper(3),
                "cache_evaluation": True,
                "batch_sampler": InOrder(task.batch),
            },
        )
        done = optimizer.compile(program, trainset=data, valset=data)
        return str(done.signature.instructions)

    return Contender(lambda: dspy.Predict(dspy.Signature("ticket -> answer", task.prompt))(ticket=WARM_TEXT), run)


if __name__ == "__main__":
    main(prepare)
