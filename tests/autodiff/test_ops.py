"""Add, Sum, Split: what they make, which roles it has, what they refuse, and that feedback passes through unchanged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio import functional as F
from afnio.autodiff import Function
from afnio.autodiff.ops import Add, Split, Sum
from afnio.variable import Variable
from tests.autodiff.lab import Lab, open_lab, texts

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
numbers = st.one_of(st.integers(-1000, 1000), st.floats(-1e6, 1e6))


def V(data: Any, role: str = "", *, grad: bool = False) -> Variable:
    return Variable(data, role, requires_grad=grad)


# Add


@given(words, words)
def test_add_joins_strings(x: str, y: str) -> None:
    assert (V(x) + V(y)).data == x + y


@given(numbers, numbers)
def test_add_adds_numbers(x: float, y: float) -> None:
    assert F.add(V(x), V(y)).data == x + y


@given(words, numbers)
def test_add_writes_a_number_out_beside_a_string(x: str, y: float) -> None:
    assert F.add(V(x), V(y)).data == f"{x}{y}"
    assert F.add(V(y), V(x)).data == f"{y}{x}"


@given(st.lists(st.tuples(words, words), min_size=1))
def test_add_of_lists_is_element_by_element(pairs: list[tuple[str, str]]) -> None:
    left, right = [x for x, _ in pairs], [y for _, y in pairs]
    assert F.add(V(left), V(right)).data == [x + y for x, y in pairs]


@given(words, words, words)
def test_add_is_associative_and_has_an_identity(x: str, y: str, z: str) -> None:
    assert ((V(x) + V(y)) + V(z)).data == (V(x) + (V(y) + V(z))).data
    assert (V(x) + V("")).data == x == (V("") + V(x)).data


def test_add_names_both_roles() -> None:
    assert (V("a", "greeting") + V("b", "name")).role == "greeting and name"


@pytest.mark.parametrize(
    ("x", "y", "error", "says"),
    [
        ("a", ["b"], ValueError, "list and a scalar"),
        ([1], 2, ValueError, "list and a scalar"),
        (["a"], ["b", "c"], ValueError, "got 1 and 2 items"),
        (None, "a", TypeError, "None"),
        (["a", None], ["b", "c"], TypeError, "None"),
    ],
)
def test_add_refuses(x: Any, y: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        F.add(V(x), V(y))


@pytest.mark.parametrize("other", ["text", 3, None, ["a"]])
def test_add_needs_variables(other: Any) -> None:
    with pytest.raises(TypeError, match="Variable"):
        V("a") + other
    with pytest.raises(TypeError, match="expects two Variables"):
        F.add(other, V("a"))


def test_iadd_keeps_the_object_and_joins_the_graph(inline: Lab) -> None:
    leaf, text = V("b", "end", grad=True), V("a", "start")
    same = text
    text += leaf
    assert text is same
    assert (text.data, text.role, text.requires_grad, text.is_leaf) == ("ab", "start and end", True, False)
    text += leaf
    text.backward(V("too long"))
    assert texts(leaf) == ["too long", "too long"]


def test_iadd_carries_the_samples() -> None:
    batch = V(["a", "b"])
    batch._samples = ("7", "8")
    text = V(["x", "y"])
    text += batch
    assert text._samples == ("7", "8")


# Sum


@given(st.lists(words, min_size=1))
def test_sum_wraps_strings_as_items(items: list[str]) -> None:
    assert F.sum([V(item) for item in items]).data == "".join(f"<ITEM>{item}</ITEM>" for item in items)


@given(st.lists(numbers, min_size=1))
def test_sum_adds_numbers(items: list[float]) -> None:
    assert F.sum([V(item) for item in items]).data == sum(items)


@given(st.lists(st.lists(st.integers(), min_size=3, max_size=3), min_size=1, max_size=4))
def test_sum_of_lists_is_position_by_position(rows: list[list[int]]) -> None:
    assert F.sum([V(row) for row in rows]).data == [sum(column) for column in zip(*rows, strict=True)]


def test_sum_of_lists_of_strings_wraps_each() -> None:
    assert F.sum([V(["a", "b"]), V(["c", "d"])]).data == [
        "<ITEM>a</ITEM><ITEM>c</ITEM>",
        "<ITEM>b</ITEM><ITEM>d</ITEM>",
    ]


def test_sum_joins_the_roles() -> None:
    assert F.sum([V("a", "one"), V("b", "two"), V("c", "three")]).role == "one and two and three"


@pytest.mark.parametrize(
    ("given_", "error", "says"),
    [
        ("ab", TypeError, "list of Variables"),
        ([V("a"), "b"], TypeError, "list of Variables"),
        (V("a"), TypeError, "list of Variables"),
        ([], ValueError, "at least one"),
        ([V("a"), V(1)], TypeError, "strings and numbers"),
        ([V(["a"]), V("b")], ValueError, "lists and scalars"),
        ([V(["a"]), V(["b", "c"])], ValueError, "one length"),
        ([V("a"), V(None)], TypeError, "None"),
    ],
)
def test_sum_refuses(given_: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        F.sum(given_)


# Split


@given(words, st.sampled_from([None, " ", "a", "ab"]), st.integers(-1, 3))
def test_split_is_str_split(text: str, sep: str | None, most: int) -> None:
    assert [part.data for part in F.split(V(text), sep, most)] == text.split(sep, most)
    assert [part.data for part in F.split(V(text), V(sep), V(most))] == text.split(sep, most)


@given(st.lists(words, min_size=1))
def test_split_inverts_join(items: list[str]) -> None:
    items = [item.replace("|", "") for item in items]
    assert [part.data for part in F.split(V("|".join(items)), "|")] == items


@given(st.lists(words, min_size=1, max_size=5))
def test_split_of_a_list_fills_up_with_empty_texts(rows: list[str]) -> None:
    parts = F.split(V(rows), "a")
    split = [row.split("a") for row in rows]
    assert all(len(part.data) == len(rows) for part in parts)
    assert len(parts) == max(map(len, split))
    for row, pieces in enumerate(split):
        assert [part.data[row] for part in parts] == pieces + [""] * (len(parts) - len(pieces))


def test_split_names_the_parts() -> None:
    assert [part.role for part in F.split(V("a b", "full name"))] == [
        "split part 0 of full name",
        "split part 1 of full name",
    ]


@pytest.mark.parametrize(
    ("args", "error", "says"),
    [
        (("a b",), TypeError, "expects a Variable"),
        ((V(3),), TypeError, "string or a list of strings"),
        ((V(["a", 1] if False else [1, 2]),), TypeError, "string or a list of strings"),
        ((V(None),), TypeError, "string or a list of strings"),
        ((V("a b"), 3), TypeError, "sep must be a string"),
        ((V("a b"), " ", "1"), TypeError, "maxsplit must be an int"),
        ((V("a b"), " ", True), TypeError, "maxsplit must be an int"),
        ((V("a b"), ""), ValueError, "empty separator"),
    ],
)
def test_split_refuses(args: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        F.split(*args)


# all three


@pytest.mark.parametrize("op", [Add, Sum, Split])
def test_ops_are_not_instantiated(op: type[Function]) -> None:
    with pytest.raises(RuntimeError, match=r"apply\(...\)"):
        op()


@given(feedback=words.filter(bool), count=st.integers(1, 4))
def test_feedback_passes_through_linear_ops_unchanged(feedback: str, count: int) -> None:
    with open_lab() as lab:
        leaves = [V("a|b", f"leaf {number}", grad=True) for number in range(count)]
        total = F.sum([leaf + V("!") for leaf in leaves])
        F.split(total, "|")[0].backward(V(feedback, "from outside"))
        given_ = Variable(feedback, "from outside")
        for leaf in leaves:
            assert [(gradient.data, gradient.role) for gradient in leaf.grad] == [(given_.data, given_.role)]
        assert not lab.brain.asked


def test_feedback_on_one_part_reaches_the_whole_once(inline: Lab) -> None:
    leaf = V("a b c", "text", grad=True)
    first, _, last = F.split(leaf)
    inline.backward([first, last], [V("wrong"), V("wrong too")])
    assert texts(leaf) == ["wrong", "wrong too"]


def test_the_same_feedback_on_two_parts_is_one_piece(inline: Lab) -> None:
    leaf = V("a b", "text", grad=True)
    first, last = F.split(leaf)
    (first + last).backward(V("wrong"))
    assert texts(leaf) == ["wrong"]


def test_a_list_of_feedback_is_one_piece_for_each_position(inline: Lab) -> None:
    leaf = V(["a", "b", "c"], "batch", grad=True)
    leaf._samples = ("10", "11", "12")
    (leaf + V(["!", "!", "!"])).backward(V(["wrong", "", "bad"], "verdict"))
    assert [(g.data, g.samples, g.index) for g in leaf.grad] == [("wrong", ("10",), 0), ("bad", ("12",), 2)]  # type: ignore[attr-defined]


def test_batches_carry_their_sample_ids_through_ops() -> None:
    batch = V(["a b", "c d"])
    batch._samples = ("3", "9")
    assert (batch + V(["x", "y"]))._samples == ("3", "9")
    assert F.sum([V(["x", "y"]), batch])._samples == ("3", "9")
    assert [part._samples for part in F.split(batch)] == [("3", "9")] * 2
    assert batch.detach()._samples == ("3", "9")


def test_repr_and_graph_of_an_op() -> None:
    x, y = V("a", "x", grad=True), V("b", "y")
    result = x + y
    assert result.grad_fn.name() == "AddBackward"
    (node, number), (other, _) = result.grad_fn.next_functions
    assert (node.name(), number, other) == ("AccumulateGrad", 0, None)
    assert "AddBackward" in repr(result)
    assert repr(result) == "Variable(data='ab', role=x and y, grad_fn=AddBackward)"
    with pytest.raises(NotImplementedError, match="call backward"):
        result.grad_fn.apply()
