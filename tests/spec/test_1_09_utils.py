"""`afnio.utils`: signatures and what is not tested elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from afnio import Variable
from afnio.utils.agents import SentimentAnalyzer
from afnio.utils.data import DataLoader, Dataset, RandomSampler, Sampler, SequentialSampler, WeightedRandomSampler
from afnio.utils.datasets import TREC, FacilitySupport
from tests.spec.signatures import takes


def test_their_signatures() -> None:
    takes(SequentialSampler, "data_source")
    takes(RandomSampler, "data_source, replacement=False, num_samples=None, seed=None")
    takes(WeightedRandomSampler, "weights, num_samples, replacement=True, seed=None")
    takes(DataLoader, "dataset, batch_size=1, shuffle=False, sampler=None, drop_last=False, seed=None")
    takes(FacilitySupport, "split, root=None")
    takes(TREC, "task, split, validation_split=0.0, root=None")
    takes(SentimentAnalyzer, "")
    takes(SentimentAnalyzer.forward, "fwd_model, inputs=None, **completion_args")
    calls: Any = (lambda: Dataset()[0], lambda: len(Dataset()), lambda: iter(Sampler()))
    for wrong in calls:
        with pytest.raises(NotImplementedError):
            wrong()


NO: Any = "no"


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: RandomSampler([1], replacement=NO), TypeError),
        (lambda: RandomSampler([1], num_samples=0), ValueError),
        (lambda: WeightedRandomSampler([1.0], 0), ValueError),
        (lambda: WeightedRandomSampler([-1.0], 1), ValueError),
        (lambda: WeightedRandomSampler([1.0], 1, replacement=NO), ValueError),
        (lambda: DataLoader([1], shuffle=NO), ValueError),
        (lambda: DataLoader([1], shuffle=True, sampler=[0]), ValueError),
        (lambda: FacilitySupport("validation"), ValueError),
        (lambda: TREC("coarse", "validation"), ValueError),
        (lambda: TREC("medium", "train"), ValueError),
        (lambda: TREC("fine", "val"), ValueError),
    ],
)
def test_wrong_arguments_are_these_errors(make: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()


def test_a_batch_of_inputs_and_answers_is_a_variable_and_a_tuple_of_variables() -> None:
    samples = [(Variable(f"m{n}", "message"), (Variable("a", "one"), Variable(n, "two"))) for n in range(3)]
    [(messages, (one, two))] = DataLoader(samples, batch_size=3)
    assert (messages.data, messages.role) == (["m0", "m1", "m2"], "message")
    assert (one.data, two.data, two.role) == (["a", "a", "a"], [0, 1, 2], "two")
    [mixed] = DataLoader([("x", Variable("y")), ("z", "w")], batch_size=2)
    assert mixed[0] == ["x", "z"]
    assert isinstance(mixed[1], list)
