"""`afnio.Variable`: what is not tested elsewhere."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from afnio import Variable
from afnio._variable import JAGGED, is_scalar_variable, is_variable
from afnio.autodiff import Node
from tests.spec.signatures import takes


def test_its_signatures() -> None:
    takes(Variable, "data='', role='', requires_grad=False")
    takes(Variable.backward, "gradient=None, retain_graph=None, create_graph=False, inputs=None")
    takes(Variable.requires_grad_, "mode=True")
    takes(Variable.to, "dtype=None")
    takes(Variable.copy_, "src")
    for name in ("append_grad", "retain_grad", "detach", "is_floating_point"):
        assert callable(getattr(Variable, name))


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ([1, 2.0], [1.0, 2.0]),
        ([True, 2], [True, 2]),
        ([True, 2.0], [1.0, 2.0]),
        ([], []),
        (None, None),
        ([None, ["a", None]], [None, ["a", None]]),
        ([[1], [None, 2.5]], [[1.0], [None, 2.5]]),
    ],
)
def test_data_is_held_like_this(given: Any, held: Any) -> None:
    data = Variable(given).data
    assert data == held
    assert [type(item) for item in data or []] == [type(item) for item in held or []]


def test_what_scripts_read_of_a_new_variable() -> None:
    variable = Variable()
    assert (variable.data, variable.role, variable.requires_grad, variable.grad) == ("", "", False, [])
    assert (variable.grad_fn, variable.output_nr, variable.is_leaf, variable.variable_id) == (None, 0, True, None)
    assert (variable._data, variable._grad_fn, variable._output_nr, variable._retain_grad) == ("", None, 0, False)
    with pytest.raises(AttributeError):
        variable.shape = (1,)  # type: ignore[misc]


def test_is_leaf_follows_requires_grad_underscore_and_not_the_plain_attribute() -> None:
    result = Variable("a", requires_grad=True) + Variable("b")
    assert not result.is_leaf
    result.requires_grad = False
    assert not result.is_leaf
    assert result.requires_grad_(False).is_leaf


def test_gradients_are_appended_to_the_same_list_and_checked() -> None:
    variable = Variable("a", requires_grad=True)
    before = variable.grad
    variable.append_grad(Variable("one"))
    variable.append_grad(Variable("two"))
    assert variable.grad is before
    assert [gradient.data for gradient in before] == ["one", "two"]
    wrong: Any
    for wrong in (Variable("x"), ["x"], None, (Variable("x"),)):
        with pytest.raises(TypeError, match="list of Variables"):
            variable.grad = wrong


def test_a_result_keeps_gradients_only_if_asked() -> None:
    result = Variable("a", requires_grad=True) + Variable("b")
    for touch in (lambda: result.grad, lambda: setattr(result, "grad", []), lambda: result.append_grad(Variable("x"))):
        with pytest.raises(RuntimeError):
            touch()
    with pytest.raises(RuntimeError, match="leaf"):
        Variable("a").retain_grad()
    with pytest.raises(RuntimeError, match="leaf"):
        copy.deepcopy(result)
    result.retain_grad()
    assert result.grad == []


def test_backward_of_a_leaf_is_a_runtime_error() -> None:
    with pytest.raises(RuntimeError):
        Variable("a", requires_grad=True).backward()


def test_copy_takes_data_role_and_requires_grad_of_the_same_shape() -> None:
    source = Variable([["a"], ["b"]], "source", requires_grad=True)
    target = Variable([["x"], ["y"]], "target")
    assert target.copy_(source) is target
    assert (target.data, target.role, target.requires_grad) == ([["a"], ["b"]], "source", True)
    assert target.data[0] is not source.data[0]
    with pytest.raises(ValueError, match="same shape"):
        target.copy_(Variable("a"))
    with pytest.raises(TypeError, match="expects a Variable"):
        target.copy_("a")  # type: ignore[arg-type]


def test_adding_in_place_keeps_the_object() -> None:
    x = first = Variable("a", "x", requires_grad=True)
    x += Variable("b", "y")
    assert x is first
    assert (x.data, x.role, x.requires_grad) == ("ab", "x and y", True)
    assert isinstance(x.grad_fn, Node)
    with pytest.raises(TypeError, match="Only a Variable"):
        _ = x + "b"  # type: ignore[operator]


def test_how_it_shows_itself() -> None:
    assert repr(Variable("a", "r")) == "Variable(data='a', role=r, requires_grad=False)"
    result = Variable("a", "r", requires_grad=True) + Variable("b", "s")
    assert repr(result) == "Variable(data='ab', role=r and s, grad_fn=AddBackward)"
    long = str(Variable("a" * 30 + "b" * 30, "r"))
    assert long.startswith("variable(data=")
    assert "a" * 20 + "..." + "b" * 20 in long
    assert "a" * 21 not in long
    assert str(Variable(list(range(9)))).startswith("variable(data=[0, 1, 2, ..., 6, 7, 8]")
    assert "..." not in str(Variable(list(range(6))))
    assert "..." not in str(Variable("a" * 40))


def test_free_functions() -> None:
    assert is_variable(Variable())
    assert not is_variable("a")
    assert all(map(is_scalar_variable, (Variable("a"), Variable(1), Variable(2.0))))
    assert not any(map(is_scalar_variable, (Variable(None), Variable(["a"]), "a")))
    assert repr(JAGGED) == "j"


def test_a_variable_needs_no_server_and_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a socket was asked for")

    monkeypatch.setattr("socket.socket.connect", refuse)
    variable = Variable("a", "r", requires_grad=True)
    variable.data, variable.role, variable.requires_grad = "b", "s", False
    assert (variable + variable).data == "bb"
