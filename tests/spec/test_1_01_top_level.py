"""The names of `afnio`, and its validators."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any, get_origin

import pytest

import afnio
from afnio import _utils
from afnio._utils import (
    _is_valid_function,
    _validate_function,
    _validate_multi_turn_messages,
    _validate_typed_sequence,
    is_multi_turn_messages,
)
from tests.spec.signatures import takes

NAMES = [
    *("GradientEdge", "MultiTurnMessages", "Node", "Variable", "_validate_multi_turn_messages"),
    *("_validate_typed_sequence", "autodiff", "cognitive", "functional", "get_backward_model_client"),
    *("is_grad_enabled", "load", "no_grad", "optim", "save", "set_backward_model_client", "set_grad_enabled", "utils"),
]


def test_names_at_the_top() -> None:
    assert set(NAMES) <= set(afnio.__all__)
    assert all(hasattr(afnio, name) for name in [*NAMES, "__version__"])
    assert afnio.functional is afnio.cognitive.functional
    assert isinstance(afnio.__version__, str)
    assert not hasattr(afnio, "is_variable")
    assert get_origin(afnio.MultiTurnMessages) is list


@pytest.mark.parametrize("name", ["models", "tellurio", "serialization", "logging_config", "trainer"])
def test_submodules_are_reached_after_import_afnio_alone(name: str) -> None:
    code = f"import afnio; print(afnio.{name}.__name__)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == f"afnio.{name}"


def test_the_validators_have_these_signatures() -> None:
    takes(_validate_typed_sequence, "value, item_type, allow_tuple=False, allow_single=False, input_name=None")
    takes(_validate_multi_turn_messages, "messages")
    takes(_validate_function, "func")
    assert set(_utils.__all__) >= {"MultiTurnMessages", "is_multi_turn_messages"}


def test_is_multi_turn_messages_never_raises_and_takes_an_empty_list() -> None:
    assert is_multi_turn_messages([])
    wrong: list[Any] = [None, 5, "x", [{"a": 1}], [{"role": "user"}], [{"role": 1, "content": []}], [5], ({},)]
    for value in wrong:
        assert not is_multi_turn_messages(value)


class Caller:
    def __call__(self) -> None: ...

    def method(self) -> None: ...


def test_functions_that_may_be_kept() -> None:
    def nested() -> None: ...

    def closure() -> Any:
        return nested

    for good in (sum, len, takes):
        _validate_function(good)
    for refused in (Caller(), Caller().method, lambda: 0, closure, functools.partial(sum), Caller, None, 5):
        with pytest.raises(TypeError):
            _validate_function(refused)
    with pytest.raises(ValueError, match="cannot be found again by its name"):
        _validate_function(nested)
    assert _is_valid_function(None)
