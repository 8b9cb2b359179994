"""Laws of data sets, samplers, collating and the loader.  Where torch has the law too, it is torch's, restated."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from itertools import islice
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    default_collate,
)
from afnio.variable import Variable

seeds = st.integers(0, 2**32)
sizes = st.integers(1, 60)


class Letters(Dataset[tuple[Variable, tuple[Variable, Variable]]]):
    """Samples ``(x, (a, b))``."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Variable, tuple[Variable, Variable]]:
        return Variable(f"x{index}", "text", True), (Variable(f"a{index}", "first"), Variable(index, "second"))


# --- data sets


def test_a_dataset_says_what_it_needs() -> None:
    with pytest.raises(NotImplementedError, match="__getitem__"):
        Dataset[int]()[0]
    with pytest.raises(NotImplementedError, match="__len__"):
        len(Dataset[int]())


def test_a_dataset_iterates_like_a_list() -> None:
    assert [x.data for x, _ in Letters(3)] == ["x0", "x1", "x2"]


# --- samplers


@given(sizes)
def test_sequential_visits_all_in_order(size: int) -> None:
    sampler = SequentialSampler(range(size))
    assert list(sampler) == list(range(size)) == list(sampler)
    assert len(sampler) == size


@given(sizes, seeds)
def test_random_without_replacement_is_a_permutation(size: int, seed: int) -> None:
    sampler = RandomSampler(range(size), seed=seed)
    for _ in range(3):
        assert sorted(sampler) == list(range(size))


@given(sizes, st.integers(1, 200), seeds)
def test_random_draws_whole_rounds_first(size: int, wanted: int, seed: int) -> None:
    sampler = RandomSampler(range(size), num_samples=wanted, seed=seed)
    counts = Counter(sampler)
    assert sum(counts.values()) == wanted == len(sampler)
    assert max(counts.values()) <= -(-wanted // size)


@given(sizes, st.integers(1, 200), seeds)
def test_random_with_replacement_stays_in_range(size: int, wanted: int, seed: int) -> None:
    drawn = list(RandomSampler(range(size), replacement=True, num_samples=wanted, seed=seed))
    assert len(drawn) == wanted
    assert set(drawn) <= set(range(size))


@given(st.lists(st.integers(), min_size=1, max_size=20), st.integers())
def test_a_subset_comes_whole_and_in_a_new_order_each_epoch(indices: list[int], seed: int) -> None:
    one, two = SubsetRandomSampler(iter(indices), seed=seed), SubsetRandomSampler(indices, seed=seed)
    epochs = [list(one) for _ in range(3)]
    assert epochs == [list(two) for _ in range(3)]
    assert all(sorted(epoch) == sorted(indices) for epoch in epochs)
    assert len(one) == len(indices)
    with pytest.raises(ValueError, match="nothing to draw from"):
        SubsetRandomSampler([])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"dataset": None}, r"samples by number \(__getitem__, __len__\), got NoneType"),
        ({"dataset": iter([1])}, r"got list_iterator. A list does: list\(...\)"),
        ({"dataset": [1], "sampler": 5}, "sampler must be an iterable, got int"),
        ({"dataset": [1], "batch_sampler": 5}, "batch_sampler must be an iterable, got int"),
        ({"dataset": [1], "collate_fn": 5}, "collate_fn must be a function of a list of samples, got int"),
    ],
)
def test_arguments_of_a_wrong_kind_are_named(arguments: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        DataLoader(**arguments)


@given(st.sampled_from(["random", "replacement", "weighted"]), seeds)
def test_a_seed_repeats_every_epoch_and_epochs_differ(kind: str, seed: int) -> None:
    def make(seed: int) -> RandomSampler | WeightedRandomSampler:
        if kind == "weighted":
            return WeightedRandomSampler([1.0] * 50, 50, replacement=False, seed=seed)
        return RandomSampler(range(50), replacement=kind == "replacement", seed=seed)

    one, two = make(seed), make(seed)
    first, second = list(one), list(one)
    assert [list(two), list(two)] == [first, second]
    assert first != second
    two.set_epoch(0)
    assert list(two) == first


def test_two_epochs_begun_together_are_two_epochs() -> None:
    expected = RandomSampler(range(50), seed=1)
    orders = [list(expected), list(expected)]
    sampler = RandomSampler(range(50), seed=1)
    both = [iter(sampler), iter(sampler)]
    assert [list(epoch) for epoch in both] == orders


@given(seeds, st.integers(0, 5))
def test_sampler_state_carries_over(seed: int, epochs: int) -> None:
    one = RandomSampler(range(20), seed=seed)
    for _ in range(epochs):
        iter(one)
    other = RandomSampler(range(20))
    other.load_state_dict(one.state_dict())
    assert list(other) == list(one)


def test_without_a_seed_two_samplers_differ() -> None:
    assert list(RandomSampler(range(100))) != list(RandomSampler(range(100)))


def test_the_global_generator_is_neither_seeded_nor_drawn_from() -> None:
    before = random.getstate()
    list(DataLoader(list(range(9)), shuffle=True, seed=3))
    list(WeightedRandomSampler([1, 2, 3], 2, replacement=False))
    list(RandomSampler(range(4), replacement=True))
    assert random.getstate() == before


@given(st.lists(st.floats(0, 10), min_size=1, max_size=30), seeds, st.data())
def test_weights_of_zero_are_never_drawn(weights: list[float], seed: int, data: st.DataObject) -> None:
    drawable = [index for index, weight in enumerate(weights) if weight > 0]
    if not drawable:
        with pytest.raises(ValueError, match="above zero"):
            WeightedRandomSampler(weights, 1)
        return
    wanted = data.draw(st.integers(1, len(drawable)))
    unique = list(WeightedRandomSampler(weights, wanted, replacement=False, seed=seed))
    assert len(unique) == len(set(unique)) == wanted
    assert set(unique) <= set(drawable)
    assert set(WeightedRandomSampler(weights, 50, seed=seed)) <= set(drawable)


def test_without_replacement_the_weights_are_honoured() -> None:
    weights = [8.0, 4.0, 2.0, 1.0]
    sampler = WeightedRandomSampler(weights, 2, replacement=False, seed=0)
    draws = [tuple(sampler) for _ in range(6000)]
    for (first, second), count in Counter(draws).items():
        left = sum(weights) - weights[first]
        expected = weights[first] / sum(weights) * weights[second] / left
        assert count / len(draws) == pytest.approx(expected, abs=0.02), (first, second)


def test_with_replacement_the_weights_are_honoured() -> None:
    counts = Counter(WeightedRandomSampler([1, 3], 8000, seed=0))
    assert counts[1] / 8000 == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize(
    ("make", "error", "names"),
    [
        (lambda: RandomSampler([1], replacement=1), TypeError, "replacement"),  # type: ignore[arg-type]
        (lambda: RandomSampler([1], seed="x"), TypeError, "seed"),  # type: ignore[arg-type]
        (lambda: RandomSampler([1], num_samples=0), ValueError, "num_samples"),
        (lambda: RandomSampler([1], num_samples=1.5), ValueError, "num_samples"),  # type: ignore[arg-type]
        (lambda: RandomSampler([]), ValueError, "empty"),
        (lambda: WeightedRandomSampler([1], 0), ValueError, "num_samples"),
        (lambda: WeightedRandomSampler([1], True), ValueError, "num_samples"),
        (lambda: WeightedRandomSampler([1], 1, replacement=1), ValueError, "replacement"),  # type: ignore[arg-type]
        (lambda: WeightedRandomSampler([1, -1], 1), ValueError, r"weights\[1\]"),
        (lambda: WeightedRandomSampler([1, float("nan")], 1), ValueError, r"weights\[1\]"),
        (lambda: WeightedRandomSampler([1, float("inf")], 1), ValueError, r"weights\[1\]"),
        (lambda: WeightedRandomSampler(["a"], 1), ValueError, r"weights\[0\]"),  # type: ignore[list-item]
        (lambda: WeightedRandomSampler([1, 0], 2, replacement=False), ValueError, "Only 1"),
        (lambda: BatchSampler([1], 0), ValueError, "batch_size"),
        (lambda: BatchSampler([1], True), ValueError, "batch_size"),
        (lambda: BatchSampler([1], 1, "no"), ValueError, "drop_last"),  # type: ignore[arg-type]
        (lambda: iter(Sampler()), NotImplementedError, "__iter__"),
        (lambda: DataLoader([]), ValueError, "empty"),
        (lambda: DataLoader([], shuffle=True), ValueError, "empty"),
        (lambda: DataLoader([1], shuffle=1), ValueError, "shuffle"),  # type: ignore[arg-type]
        (lambda: DataLoader([1], shuffle=True, sampler=[0]), ValueError, "sampler and shuffle"),
        (lambda: DataLoader([1], 2, batch_sampler=[[0]]), ValueError, "batch_sampler"),
        (lambda: DataLoader([1], batch_sampler=[[0]], shuffle=True), ValueError, "batch_sampler"),
        (lambda: DataLoader([1], 0), ValueError, "batch_size"),
        (lambda: DataLoader([1], num_workers=-1), ValueError, "num_workers"),
        (lambda: len(DataLoader([1], sampler=iter([0]))), TypeError, "no length"),
        (lambda: len(DataLoader([1], batch_sampler=iter([[0]]))), TypeError, "no length"),
    ],
)
def test_bad_arguments_are_named(make: Any, error: type[Exception], names: str) -> None:
    with pytest.raises(error, match=names):
        make()


# --- collating


def test_variables_become_one_with_the_role_of_the_first() -> None:
    batch = default_collate([Variable("a", "first", True), Variable("b", "second")])
    assert (batch.data, batch.role, batch.requires_grad) == (["a", "b"], "first", True)


def test_nested_tuples_of_variables_keep_their_shape() -> None:
    x, (a, b) = default_collate([Letters(2)[0], Letters(2)[1]])
    assert [v.data for v in (x, a, b)] == [["x0", "x1"], ["a0", "a1"], [0, 1]]


def test_what_is_not_all_variables_is_a_list() -> None:
    v = Variable("a")
    assert default_collate([(v, 1), (2, 3)]) == ([v, 2], [1, 3])
    assert default_collate([1, "b"]) == [1, "b"]
    assert default_collate([v, 1]) == [v, 1]


def test_dicts_become_a_dict_of_lists_without_merging() -> None:
    one, two = Variable("1"), Variable("2")
    assert default_collate([{"x": one, "y": 1}, {"y": 2, "x": two}]) == {"x": [one, two], "y": [1, 2]}


def test_named_tuples_keep_their_names() -> None:
    class Point(NamedTuple):
        x: object
        y: object

    batch = default_collate([Point(1, 2), Point(3, 4)])
    assert type(batch) is Point
    assert batch == Point([1, 3], [2, 4])


def test_unequal_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="number 1 of the batch has 1"):
        default_collate([(1, 2), (1,)])
    with pytest.raises(ValueError, match="same keys"):
        default_collate([{"x": 1}, {"y": 1}])
    with pytest.raises(TypeError):
        default_collate([Variable("text"), Variable(1)])


# --- the loader

loaders = st.tuples(sizes, st.integers(1, 9), st.booleans(), st.booleans())


@given(loaders, seeds, st.sampled_from([0, 2]))
def test_len_counts_the_batches_and_every_sample_comes_once(
    shape: tuple[int, int, bool, bool], seed: int, workers: int
) -> None:
    size, batch_size, shuffle, drop_last = shape
    loader = DataLoader(range(size), batch_size, shuffle, None, drop_last, seed, num_workers=workers)
    batches = list(loader)
    assert len(batches) == len(loader)
    seen = [sample for batch in batches for sample in batch]
    assert all(len(batch) == batch_size for batch in batches[:-1])
    if drop_last:
        assert len(seen) == size - size % batch_size
        assert len(set(seen)) == len(seen)
    else:
        assert sorted(seen) == list(range(size))


def test_len_follows_the_sampler() -> None:
    assert len(DataLoader(range(10), 2, sampler=[1, 2, 3])) == 2
    assert len(DataLoader(range(10), 4, sampler=RandomSampler(range(10), num_samples=25))) == 7


def test_a_batch_sampler_says_it_all() -> None:
    loader = DataLoader(range(10), batch_sampler=[[1, 2], [9]])
    assert list(loader) == [[1, 2], [9]]
    assert len(loader) == 2
    assert loader.batch_size is None


def test_two_iterators_at_once_do_not_disturb_each_other() -> None:
    loader = DataLoader(range(4), 2)
    assert list(zip(loader, loader, strict=True)) == [([0, 1], [0, 1]), ([2, 3], [2, 3])]


def test_threads_give_the_same_batches() -> None:
    plain = DataLoader(range(40), 3, shuffle=True, seed=5)
    threaded = DataLoader(range(40), 3, shuffle=True, seed=5, num_workers=4)
    for _ in range(2):
        assert list(threaded) == list(plain)


def test_num_workers_really_reads_at_once_and_in_the_callers_context() -> None:
    word: ContextVar[str] = ContextVar("word", default="")
    together = threading.Barrier(3, timeout=150)  # opens only if three samples are read at the same time

    class Slow(Dataset[str]):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> str:
            together.wait()
            return f"{word.get()}{index}"

    token = word.set("w")
    try:
        assert list(DataLoader(Slow(), 2, num_workers=3)) == [["w0", "w1"], ["w2", "w3"], ["w4", "w5"]]
    finally:
        word.reset(token)


def test_leaving_early_leaves_no_thread_behind() -> None:
    before = readers()
    iterator = iter(DataLoader(range(100), 2, num_workers=2))
    next(iterator)
    assert readers() - before
    iterator.close()  # type: ignore[attr-defined]
    assert readers() <= before


def readers() -> set[threading.Thread]:
    """The threads that read ahead; others of this process come and go."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("afnio-data")}


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_names_the_sample(workers: int) -> None:
    class Broken(Dataset[int]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> int:
            return 1 // (2 - index)

    batches = iter(DataLoader(Broken(), num_workers=workers))
    assert list(islice(batches, 2)) == [[0], [1]]
    with pytest.raises(ZeroDivisionError) as caught:
        next(batches)
    assert "sample 2 of Broken" in caught.value.__notes__[0]


def test_collate_fn_makes_the_batch() -> None:
    assert list(DataLoader([1, 2, 3], 2, collate_fn=sum)) == [3, 3]


def test_batched_variables_know_their_samples() -> None:
    loader = DataLoader(Letters(5), 2, sampler=[4, 1, 0])
    (x, (a, b)), (last, _) = loader
    assert [v._samples for v in (x, a, b, last)] == [("4", "1")] * 3 + [("0",)]


def test_the_variables_of_the_data_set_itself_are_not_marked() -> None:
    own = Variable(["a", "b"])
    assert list(DataLoader([{"x": own}, {"x": own}], 2)) == [{"x": [own, own]}]
    assert list(DataLoader([own, own], 2, collate_fn=lambda samples: samples[0])) == [own]
    assert own._samples is None


@given(loaders, seeds, st.data())
def test_a_loader_resumes_in_the_middle_of_an_epoch(
    shape: tuple[int, int, bool, bool], seed: int, data: st.DataObject
) -> None:
    size, batch_size, shuffle, drop_last = shape

    def make(seed: int | None) -> DataLoader[int]:
        return DataLoader(range(size), batch_size, shuffle, None, drop_last, seed)

    def epochs(loader: DataLoader[int]) -> Iterator[Any]:
        for _ in range(3):
            yield list(loader)

    whole = list(epochs(make(seed)))
    stop = data.draw(st.integers(0, len(make(seed))))
    loader = make(seed)
    list(loader)
    first_half = list(islice(iter(loader), stop))
    resumed = make(None)
    resumed.load_state_dict(loader.state_dict())
    assert resumed.state_dict() == loader.state_dict()
    assert [first_half + list(resumed), list(resumed)] == whole[1:]


def test_the_state_after_an_epoch_is_the_start_of_the_next() -> None:
    loader = DataLoader(range(10), 3, shuffle=True, seed=1)
    list(loader)
    assert loader.state_dict() == {"sampler": {"seed": 1, "epoch": 1}, "batch": 0}
    loader.set_epoch(5)
    assert loader.state_dict() == {"sampler": {"seed": 1, "epoch": 5}, "batch": 0}


def test_resuming_reads_no_sample_again() -> None:
    read = []

    class Watched(Dataset[int]):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> int:
            read.append(index)
            return index

    loader = DataLoader(Watched(), 2)
    loader.load_state_dict({"sampler": {}, "batch": 2})
    assert list(loader) == [[4, 5]]
    assert read == [4, 5]
    assert len(list(loader)) == 3


def test_a_sampler_without_state_resumes_if_its_order_is_fixed() -> None:
    loader = DataLoader(range(9), 2, sampler=[8, 7, 6, 5, 4])
    iterator = iter(loader)
    next(iterator)
    other = DataLoader(range(9), 2, sampler=[8, 7, 6, 5, 4])
    other.load_state_dict(loader.state_dict())
    assert list(other) == list(iterator)
