"""Means weighted by samples: the laws of adding up."""

from __future__ import annotations

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.trainer.averages import Averages
from afnio.trainer.fit import Goal
from afnio.trainer.outcome import Outcome

numbers = st.floats(-1e3, 1e3)
batches = st.lists(st.lists(numbers, min_size=1, max_size=6), min_size=1, max_size=6)


def outcome(scores: list[float], failed: int = 0, single: bool = True) -> Outcome:
    mean = sum(scores) / len(scores)
    return Outcome(None, len(scores), failed, {"loss": mean, "n": 1.0}, {"loss": scores} if single else {})


def added(groups: list[list[float]], averages: Averages | None = None) -> Averages:
    averages = Averages() if averages is None else averages
    for group in groups:
        averages.add(outcome(group))
    return averages


@given(batches)
def test_the_mean_over_batches_is_the_mean_over_samples(groups: list[list[float]]) -> None:
    scores = [score for group in groups for score in group]
    metrics = added(groups).metrics()
    assert metrics["loss"] == pytest.approx(statistics.fmean(scores), abs=1e-6)
    assert metrics["n"] == pytest.approx(1.0)
    assert metrics.samples == len(scores)
    if len(scores) > 1:
        expected = statistics.stdev(scores) / len(scores) ** 0.5
        assert metrics.stderr["loss"] == pytest.approx(expected, abs=1e-3)
    else:
        assert metrics.stderr == {}


@given(batches, st.integers(0, 6))
def test_to_save_and_go_on_changes_nothing(groups: list[list[float]], cut: int) -> None:
    saved = json.loads(json.dumps(added(groups[:cut]).state_dict()))
    averages = Averages()
    averages.load_state_dict(saved)
    assert added(groups[cut:], averages).metrics() == added(groups).metrics()


def test_failed_samples_count_0_in_the_scores_only() -> None:
    averages = Goal(monitor="val_loss").averages()
    averages.add(outcome([1.0, 1.0, 1.0], failed=1))
    metrics = averages.metrics()
    assert (metrics["loss"], metrics["n"]) == (0.75, 1.0)
    assert metrics.stderr["loss"] == pytest.approx(statistics.stdev([1, 1, 1, 0]) / 2)
    averages = Goal(mode="min").averages()
    averages.add(outcome([1.0, 1.0, 1.0], failed=1))
    assert averages.metrics()["loss"] == 1.0


def test_batches_that_fail_whole() -> None:
    averages = Goal().averages()
    averages.add(Outcome(None, 0, 3))
    assert averages.metrics() == {"loss": 0.0}
    averages.add(outcome([1.0]))
    assert averages.metrics()["loss"] == 0.25


def test_without_single_scores_there_is_no_standard_error() -> None:
    averages = Averages()
    averages.add(outcome([1.0, 0.0]))
    averages.add(outcome([1.0, 0.0], single=False))
    assert averages.metrics() == {"loss": 0.5, "n": 1.0}
    assert averages.metrics().stderr == {}


@pytest.mark.parametrize(
    ("monitor", "metric"), [(None, "loss"), ("val_loss", "loss"), ("train_f1", "f1"), ("f1", "f1")]
)
def test_the_monitored_metric(monitor: str | None, metric: str) -> None:
    assert Goal(monitor=monitor).metric == metric
