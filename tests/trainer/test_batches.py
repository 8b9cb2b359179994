"""Batches of any shape, cut into samples and put together again."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.trainer.batches import get_batch_size, sample_ids, select
from afnio.utils.data import DataLoader, default_collate
from afnio.variable import Variable


class Pair(NamedTuple):
    x: Any
    y: Any


def V(data: Any) -> Variable:
    return Variable(data, role="r")


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        (V(["a", "b", "c"]), 3),
        (V("a long text is one sample"), 1),
        (V(7), 1),
        ((V(["a", "b"]), (V(["c", "d"]), V(["e", "f"]))), 2),
        ((V("shared"), V(["a", "b"])), 2),
        ({"x": ["a", "b", "c"], "y": [1, 2, 3]}, 3),
        ({"instructions": "same for all", "x": V(["a", "b"])}, 2),
        ([V("a"), V("b")], 2),
        ([V(["a", "b", "c"]), V(["d", "e", "f"])], 3),
        (["text", "text"], 2),
        ((["text"], [1]), 1),
        ("text", 1),
        (None, 1),
        (Pair(["a", "b"], [1, 2]), 2),
    ],
)
def test_sizes(batch: Any, size: int) -> None:
    assert get_batch_size(batch) == size


@pytest.mark.parametrize("batch", [V([]), [], {"x": []}, ([], [])])
def test_an_empty_batch(batch: Any) -> None:
    with pytest.raises(ValueError, match="holds no samples"):
        get_batch_size(batch)


def test_select_keeps_shape_role_and_what_is_shared() -> None:
    shared = V("shared")
    batch = Pair((V(["a", "b", "c"]), shared), {"y": [1, 2, 3], "z": "same"})
    part = select(batch, [2, 0])
    assert isinstance(part, Pair)
    assert part.x[0].data == ["c", "a"]
    assert part.x[0].role == "r"
    assert part.x[1] is shared
    assert part.y == {"y": [3, 1], "z": "same"}


def test_sample_ids_go_along() -> None:
    batches = list(DataLoader([(V(str(n)), n) for n in range(5)], batch_size=3))
    assert sample_ids(batches[1]) == ["3", "4"]
    assert sample_ids(select(batches[0], [2, 1])) == ["2", "1"]
    assert sample_ids({"x": ["a", "b"]}) == ["0", "1"]


samples = st.lists(st.tuples(st.text(), st.integers(), st.text()), min_size=1, max_size=8)


@given(samples, st.data())
def test_to_select_and_to_collate_commute(drawn: list[tuple[str, int, str]], data: Any) -> None:
    made = [(V(text), {"n": number}, (V(more), V(text))) for text, number, more in drawn]
    indices = data.draw(st.lists(st.integers(0, len(made) - 1), min_size=1, unique=True))
    part, expected = select(default_collate(made), indices), default_collate([made[i] for i in indices])
    assert repr(part) == repr(expected)
    assert get_batch_size(part) == len(indices)


@given(samples)
def test_to_select_all_changes_nothing(drawn: list[tuple[str, int, str]]) -> None:
    batch = default_collate([(V(text), number) for text, number, _ in drawn])
    assert repr(select(batch, range(len(drawn)))) == repr(batch)
