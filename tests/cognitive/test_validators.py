"""The checks of `afnio._utils`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from afnio import Variable, _validate_multi_turn_messages, _validate_typed_sequence
from afnio._utils import _is_valid_function, _validate_function, is_multi_turn_messages


def plain() -> None: ...


def with_free_variable() -> Callable[[], int]:
    free = 1

    def inner() -> int:
        return free

    return inner


def without_free_variable() -> Callable[[], int]:
    def inner() -> int:
        return 1

    return inner


@pytest.mark.parametrize(
    ("value", "options"),
    [
        ([], {}),
        (["a", "b"], {}),
        (("a",), {"allow_tuple": True}),
        ("a", {"allow_single": True}),
    ],
)
def test_a_sequence_of_the_type_passes(value: Any, options: dict[str, Any]) -> None:
    _validate_typed_sequence(value, str, **options)


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        ("a", {}, "names must be a list of str, got str."),
        (("a",), {}, "names must be a list of str, got tuple."),
        (5, {"allow_tuple": True}, "names must be a list or tuple of str, got int."),
        (5, {"allow_single": True}, "names must be str or a list of str, got int."),
        (["a", 5], {}, "names[1] must be str, got int."),
    ],
)
def test_another_sequence_is_refused_by_name_and_place(value: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as error:
        _validate_typed_sequence(value, str, **options, input_name="names")
    assert str(error.value) == message


def test_a_sequence_may_mix_the_types_of_a_tuple() -> None:
    _validate_typed_sequence(["a", 1], (str, int))
    with pytest.raises(TypeError, match=r"value\[0\] must be str or int, got float"):
        _validate_typed_sequence([1.0], (str, int))


GOOD: list[Any] = [
    [],
    [{"role": "user", "content": []}],
    [{"role": "user", "content": [Variable("a"), Variable("b")], "name": "me"}],
]
BAD: list[tuple[Any, type[Exception], str]] = [
    ("text", TypeError, "messages must be a list of dict"),
    (({"role": "user", "content": []},), TypeError, "messages must be a list of dict"),
    (["text"], TypeError, "messages[0] must be dict"),
    ([{"content": []}], ValueError, 'messages[0] has no "role"'),
    ([*GOOD[1], {"role": "user"}], ValueError, 'messages[1] has no "content"'),
    ([{"role": None, "content": []}], TypeError, 'messages[0]["role"] must be str, got NoneType'),
    ([{"role": "user", "content": "text"}], TypeError, 'messages[0]["content"] must be a list of Variable, got str'),
    ([{"role": "user", "content": [Variable(), 1]}], TypeError, 'messages[0]["content"][1] must be Variable'),
]


@pytest.mark.parametrize("messages", GOOD)
def test_a_conversation_passes(messages: Any) -> None:
    _validate_multi_turn_messages(messages)
    assert is_multi_turn_messages(messages)


@pytest.mark.parametrize(("messages", "kind", "text"), BAD)
def test_what_is_no_conversation_is_refused_with_the_place(messages: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as error:
        _validate_multi_turn_messages(messages)
    assert text in str(error.value)
    assert not is_multi_turn_messages(messages)


@pytest.mark.parametrize("function", [plain, sum, len, math.sqrt])
def test_a_function_of_a_module_passes(function: Any) -> None:
    _validate_function(function)
    assert _is_valid_function(function)


@pytest.mark.parametrize(
    ("function", "kind", "text"),
    [
        (None, TypeError, "got NoneType"),
        (5, TypeError, "got int"),
        (str, TypeError, "got type"),
        (lambda: 1, TypeError, "lambda"),
        ([].append, TypeError, "method"),
        (Variable("x").detach, TypeError, "method"),
        (with_free_variable(), TypeError, "closure"),
        (without_free_variable(), ValueError, "cannot be found again by its name"),
    ],
)
def test_another_callable_is_refused(function: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        _validate_function(function)


def test_no_function_is_valid() -> None:
    assert _is_valid_function(None)
    assert not _is_valid_function(lambda: 1)
