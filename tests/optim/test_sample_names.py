"""Which samples of an evaluation are known again."""

from __future__ import annotations

import afnio.cognitive.functional as F
from afnio.autodiff import Loss
from afnio.optim.evaluation import read_evaluation
from afnio.variable import Variable


def loss(answers: list[str], *names: str) -> Loss:
    answered = Variable([*answers], "answers", requires_grad=True)
    answered._samples = names
    return F.exact_match_evaluator(answered, ["a"] * len(answers))


def test_several_losses_name_their_samples() -> None:
    read = read_evaluation([loss(["a"], "row3"), loss(["b", "a"], "row1", "row2")])
    assert read.named("x") == {"row3": 1.0, "row1": 0.0, "row2": 1.0}


def test_a_sample_that_is_there_twice_keeps_both_scores() -> None:
    """A sampler with replacement gives one twice: by name, the second score would replace the first."""
    read = read_evaluation([loss(["a"], "row3"), loss(["b"], "row3")])
    assert read.samples is None
    assert list(read.named("#0.").values()) == [1.0, 0.0]
