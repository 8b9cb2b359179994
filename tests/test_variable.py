"""Variables: which data they hold, what they show, how they are copied, and that they stay small."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import afnio
from afnio.autodiff.feedback import Joined
from afnio.gradient import Gradient
from afnio.parameter import Parameter
from afnio.variable import JAGGED, Variable, is_scalar_variable, is_variable

strings = st.text(max_size=5)
numbers = st.one_of(st.integers(-5, 5), st.floats(-1e6, 1e6), st.booleans())


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(leaves | st.none(), lambda inner: st.lists(inner, max_size=3), max_leaves=8)


data = st.one_of(nested(strings), nested(numbers))


def leaves(value: Any) -> list[Any]:
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]


# data


@given(data)
def test_it_holds_what_it_was_given(value: Any) -> None:
    held = Variable(value).data
    assert held == value
    if isinstance(value, list):
        kinds = {type(leaf) for leaf in leaves(held)} - {type(None), bool}
        assert len(kinds) <= 1  # all strings, all ints, or all floats


@pytest.mark.parametrize(
    ("given_", "held"),
    [
        ([1, 2.0], [1.0, 2.0]),
        ([True, 2], [True, 2]),
        ([True, 2.0], [1.0, 2.0]),
        ([[1], [2.5, None]], [[1.0], [2.5, None]]),
    ],
)
def test_ints_beside_floats_become_floats(given_: Any, held: Any) -> None:
    assert repr(Variable(given_).data) == repr(held)


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        (("a", "b"), "Use a list instead of a tuple"),
        ([("a",)], "got tuple"),
        ({"a": 1}, "got dict"),
        ([{"a": 1}], "got dict"),
        (["a", 1], "all strings or all numbers"),
        ([["a"], [1]], "all strings or all numbers"),
        (b"a", "got bytes"),
        (object(), "got object"),
        ([Variable("a")], "got Variable"),
        (3j, "got complex"),
    ],
)
def test_other_data_is_refused(given_: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        Variable(given_)
    variable = Variable("before")
    with pytest.raises(TypeError, match=says):
        variable.data = given_
    assert variable.data == "before"


def test_a_role_is_text_and_requires_grad_is_yes_or_no() -> None:
    make: Any = Variable
    assert make("a", None).role == ""
    for role in (5, ["r"], b"r"):
        with pytest.raises(TypeError, match="role must be text that says what the value is for, got"):
            make("a", role)
    for mode in ("no", 1, None):
        with pytest.raises(TypeError, match="requires_grad must be True or False, got"):
            make("a", "r", mode)
        with pytest.raises(TypeError, match="requires_grad must be True or False, got"):
            make("a").requires_grad_(mode)

    class Role(str):
        __slots__ = ()

    assert make("a", Role("r")).role == "r"


@pytest.mark.parametrize(
    ("given_", "shape"),
    [
        ("abc", ()),
        (None, ()),
        (3, ()),
        ([], (0,)),
        (["a", "b"], (2,)),
        ([[1, 2], [3, 4], [5, 6]], (3, 2)),
        ([[1], [2, 3]], (2, JAGGED)),
        ([[[1], [2]], [[3], [4, 5]]], (2, JAGGED, JAGGED)),
        ([[], []], (2, 0)),
    ],
)
def test_shapes(given_: Any, shape: tuple[Any, ...]) -> None:
    assert Variable(given_).shape == shape
    assert repr(JAGGED) == "j"


@given(data)
def test_dtype_casts_keep_nones_roles_and_gradients_mode(value: Any) -> None:
    variable = Variable(value, "role", requires_grad=True)
    text = variable.to(str)
    assert (text.role, text.requires_grad, text is variable) == ("role", True, False)
    assert leaves(text.data) == [None if leaf is None else str(leaf) for leaf in leaves(variable.data)]
    assert variable.to().data == variable.data


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (1.0, True),
        (1, False),
        ("a", False),
        ([1.0, None], True),
        ([None], False),
        ([], False),
        (None, False),
        (True, False),
    ],
)
def test_is_floating_point(given_: Any, expected: bool) -> None:
    assert Variable(given_).is_floating_point() is expected


@pytest.mark.parametrize(("data", "value"), [(2, 2), (0.5, 0.5), ("a text", "a text"), ([[3]], 3), (True, True)])
def test_item_is_the_one_value(data: Any, value: Any) -> None:
    assert Variable(data).item() is value or Variable(data).item() == value


@pytest.mark.parametrize("data", [None, [], [None], [1, 2], ["a", "b"]])
def test_item_of_another_number_of_values_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match=r"item\(\) needs one value; 'answers' holds"):
        Variable(data, "answers").item()


# what it is


def test_leaves_and_results() -> None:
    x = Variable("a", "x", requires_grad=True)
    y = x + Variable("b", "y")
    assert (x.is_leaf, y.is_leaf, Variable("a").is_leaf, y.detach().is_leaf) == (True, False, True, True)
    assert y.requires_grad_(False).is_leaf
    assert not y.requires_grad_().is_leaf
    assert y.grad_fn is not None
    assert y.variable_id is None
    with pytest.raises(AttributeError, match="forward pass"):
        x.grad_fn = None


@pytest.mark.parametrize("value", [-1, "0", 1.0, True, None])
def test_output_nr_is_checked(value: Any) -> None:
    with pytest.raises(TypeError, match="output_nr"):
        Variable().output_nr = value
    variable = Variable()
    variable.output_nr = 2
    assert variable.output_nr == 2


def test_grad_is_a_list_that_keeps_its_identity() -> None:
    x = Variable("a", requires_grad=True)
    grads = x.grad
    x.append_grad(Variable("one"))
    assert x.grad is grads
    assert [gradient.data for gradient in grads] == ["one"]
    x.grad = [Variable("two")]
    for wrong in (Variable("a"), ["text"], None, (Variable("a"),)):
        with pytest.raises(TypeError, match="list of Variables"):
            x.grad = wrong  # type: ignore[assignment]


def test_copy_takes_over_value_role_and_mode() -> None:
    source = Variable([["a"]], "source", requires_grad=True)
    target = Variable([["b"]], "target")
    assert target.copy_(source) is target
    assert (target.data, target.role, target.requires_grad) == ([["a"]], "source", True)
    target.data[0][0] = "changed"
    assert source.data == [["a"]]
    with pytest.raises(ValueError, match="same shape"):
        target.copy_(Variable("a"))
    with pytest.raises(TypeError, match="got str"):
        target.copy_("a")  # type: ignore[arg-type]


def test_free_helpers() -> None:
    assert [is_variable(x) for x in (Variable(), Parameter(), "a", None)] == [True, True, False, False]
    values: list[Any] = ["a", 1, 1.5, None, ["a"]]
    assert [is_scalar_variable(Variable(value)) for value in values] == [True, True, True, False, False]
    assert not hasattr(afnio, "is_variable")  # it is at afnio._variable only
    from afnio._variable import Variable as Old

    assert Old is Variable


# how it is shown


def test_repr_is_whole_and_str_is_short() -> None:
    long = "x" * 60
    assert repr(Variable(long, "r")) == f"Variable(data={long!r}, role=r, requires_grad=False)"
    assert str(Variable(long, "r")) == f"variable(data='{'x' * 20}...{'x' * 20}', role=r, requires_grad=False)"
    assert str(Variable(list(range(9)))).startswith("variable(data=[0, 1, 2, ..., 6, 7, 8],")
    assert str(Variable(list(range(6)))).startswith("variable(data=[0, 1, 2, 3, 4, 5],")
    assert repr(Parameter("a", "p")) == "Parameter containing:\nVariable(data='a', role=p, requires_grad=True)"


# copies


@given(data, st.booleans())
def test_deepcopy_is_a_fresh_leaf_of_the_same_value(value: Any, grad: bool) -> None:
    kinds: list[Any] = [Variable, Parameter]
    for cls in kinds:
        x = cls(value, "role", requires_grad=grad)
        x._samples = ("1",)
        x.append_grad(Gradient("g"))
        other = copy.deepcopy(x)
        assert type(other) is cls
        assert (repr(other.data), other.role, other.requires_grad) == (repr(x.data), "role", grad)
        assert (other.grad, other._samples, other.is_leaf) == ([], ("1",), True)
        if isinstance(value, list):
            assert other.data is not x.data


def test_a_variable_that_stands_twice_is_copied_once() -> None:
    x = Variable("a")
    one, two = copy.deepcopy([x, x])
    assert one is two is not x


def test_results_are_not_deepcopied() -> None:
    x = Variable("a", requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        copy.deepcopy(x + x)
    assert copy.deepcopy((x + x).detach()).data == "aa"


@given(data)
def test_pickling_keeps_the_value_and_a_leafs_gradients(value: Any) -> None:
    x = Variable(value, "role", requires_grad=True)
    x._samples = ("1", "2")
    gradient = Gradient("fix", "to role", samples=("1", "2"), index=1, sources=("text",), goal="match")
    x.append_grad(gradient)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        other = pickle.loads(pickle.dumps(x, protocol))
        assert (repr(other.data), other.role, other.requires_grad, other._samples) == (
            repr(x.data),
            "role",
            True,
            ("1", "2"),
        )
        (back,) = other.grad
        assert_same(back, gradient)


def assert_same(one: Any, other: Any) -> None:
    for name in ("data", "role", "samples", "index", "sources", "goal"):
        assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize("way", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))])
def test_gradients_are_copied_with_their_samples(way: Any) -> None:
    gradient = Gradient("fix", "to x", samples=("1",), index=0, sources=("text", "more"), goal="match")
    joined = Joined([gradient, Gradient("and this", samples=("2",), sources=("other",))])
    for one in (gradient, joined):
        assert_same(way(one), one)
        assert type(way(one)) is type(one)
    assert joined.data == "1. fix\n2. and this"
    assert (joined.samples, joined.sources) == (("1", "2"), ("text", "more", "other"))


def test_pickling_a_result_keeps_only_its_value() -> None:
    x = Variable("a", requires_grad=True)
    other = pickle.loads(pickle.dumps(x + x))
    assert (other.data, other.grad_fn, other.is_leaf) == ("aa", None, True)


class Tagged(Variable):
    """A user's subclass with attributes."""


def test_a_users_subclass_is_copied_with_its_attributes() -> None:
    x: Any = Tagged("a")
    x.tags = ["one"]
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert (type(other), other.data, other.tags) == (Tagged, "a", ["one"])
        assert other.tags is not x.tags


def test_a_million_variables_are_a_million_small_objects() -> None:
    assert sys.getsizeof(Variable("a")) <= 160
    assert not hasattr(Variable("a"), "__dict__")
    x = Variable("a", requires_grad=True)
    assert (x._grad, x._hooks, x._accumulator) == (None, None, None)


def test_a_gradient_that_is_no_variable_is_refused_when_it_is_added() -> None:
    x = Variable("a", requires_grad=True)
    with pytest.raises(TypeError, match="append_grad\\(\\) takes a Variable that holds feedback, got str"):
        x.append_grad("text")  # type: ignore[arg-type]
    assert x.grad == []
