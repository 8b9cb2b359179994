"""What an assignment does.  Where torch 2.13 has the same kinds of value, 20,000 random sequences ended the same."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from afnio import Variable
from afnio.cognitive import Module, Parameter
from afnio.models import BaseModel
from afnio.models.scripted import Scripted

SLOTS = (
    "_parameters",
    "_modules",
    "_chats",
    "_models",
    "_completion_configs",
    "_functions",
    "_buffers",
)


def top_level(prediction: str, target: str) -> int:
    return int(prediction == target)


def other_function(scores: list[int]) -> int:
    return max(scores)


def closure() -> Callable[[], int]:
    free = 3
    return lambda: free


def chat(text: str = "hello") -> list[dict[str, Any]]:
    return [{"role": "user", "content": [Variable(text)]}]


def home(module: Module, name: str) -> str | None:
    """The slot that holds ``name``; "plain" if it is an ordinary attribute; None if there is none."""
    held = [slot for slot in SLOTS if name in getattr(module, slot)]
    if name in module.__dict__:
        held.append("plain")
    assert len(held) < 2, f"{name} is in {held}"
    return held[0] if held else None


class Forgetful(Module):
    def __init__(self) -> None:
        pass


class Named(Module):
    taken: Any = "of the class"

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    @property
    def client(self) -> Any:
        return self.seen[-1]

    @client.setter
    def client(self, value: Any) -> None:
        self.seen.append(value)


# --- the traps: plain until a value decides


@pytest.mark.parametrize("value", [None, [], {}, {"model": "gpt-4o"}, 5, "text", True, (1, 2), [1], [{"a": 1}]])
def test_an_ordinary_value_is_an_ordinary_attribute(value: Any) -> None:
    module = Module()
    module.x = value
    assert home(module, "x") == "plain"
    assert module.x is value
    assert module.state_dict() == {}


@pytest.mark.parametrize("first", [None, [], {}, {"a": 1}, 5])
@pytest.mark.parametrize("second", [None, [], [1], {}, 5, "text", lambda: None])
def test_an_ordinary_attribute_takes_anything_later(first: Any, second: Any) -> None:
    module = Module()
    module.x = first
    module.x = second
    assert home(module, "x") == "plain"
    assert module.x is second


@pytest.mark.parametrize(
    ("value", "slot"),
    [
        (Parameter("p"), "_parameters"),
        (Module(), "_modules"),
        (chat(), "_chats"),
        (Scripted([]), "_models"),
        (top_level, "_functions"),
        (sum, "_functions"),
    ],
)
@pytest.mark.parametrize("before", [None, [], {"a": 1}])
def test_a_value_decides_what_an_attribute_is(before: Any, value: Any, slot: str) -> None:
    module = Module()
    module.x = before
    module.x = value
    assert home(module, "x") == slot
    assert module.x is value


@pytest.mark.parametrize(
    "value",
    [
        Variable("v"),
        lambda: None,
        closure(),
        [].append,
        partial(top_level, "a"),
        Scripted([]).get_usage,
        Variable,
        json.loads,  # a checkpoint may not name it
        [{"role": "user"}],
        [{"role": "user", "content": "text"}],
        [{"role": 1, "content": [Variable()]}],
        [{"role": "user", "content": [Variable()]}, "text"],
        tuple(chat()),
    ],
)
def test_what_cannot_be_saved_is_an_ordinary_attribute(value: Any) -> None:
    module = Module()
    module.x = value
    assert home(module, "x") == "plain"


def test_a_nested_function_is_an_ordinary_attribute() -> None:
    def nested() -> None: ...

    module = Module()
    module.x = nested
    assert home(module, "x") == "plain"


# --- a name that holds a registered value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Parameter("p"), "cannot assign 'int' as parameter 'x' (afnio.cognitive.Parameter or None expected"),
        (Module(), "cannot assign 'int' as child module 'x' (afnio.cognitive.Module or None expected"),
        (chat(), "cannot assign 'int' as chat 'x' (list of {'role': str, 'content': [Variable, ...]} or None expected"),
        (Scripted([]), "cannot assign 'int' as model 'x' (afnio.models.BaseModel or None expected"),
        (top_level, "cannot assign 'int' as function 'x' (function at the top of a module or None expected"),
    ],
)
def test_a_registered_name_refuses_other_values(value: Any, message: str) -> None:
    module = Module()
    module.x = value
    with pytest.raises(TypeError) as error:
        module.x = 5
    assert message in str(error.value)
    assert module.x is value


def test_a_refused_function_says_how_to_go_on() -> None:
    module = Module()
    module.x = top_level
    with pytest.raises(TypeError, match="`del` the attribute first"):
        module.x = lambda: None
    del module.x
    module.x = lambda: None
    assert home(module, "x") == "plain"


@pytest.mark.parametrize("value", [Parameter("p"), Module(), chat(), Scripted([]), top_level])
def test_none_empties_a_registered_name_and_keeps_its_kind(value: Any) -> None:
    module = Module()
    module.x = value
    slot = home(module, "x")
    module.x = None
    assert home(module, "x") == slot
    assert module.x is None
    assert module.state_dict() == {}
    module.x = value
    assert module.x is value


def test_a_chat_can_become_empty() -> None:
    module = Module()
    module.x = chat()
    module.x = []
    assert home(module, "x") == "_chats"


def test_a_buffer_takes_variables_and_a_config_takes_dicts() -> None:
    module = Module()
    module.register_buffer("b", Variable("1"))
    module.register_completion_config("c", {"model": "a"})
    module.b, module.c = Variable("2"), {"model": "b"}
    assert (home(module, "b"), home(module, "c")) == ("_buffers", "_completion_configs")
    with pytest.raises(TypeError, match=r"cannot assign 'str' as buffer 'b' \(afnio.Variable or None expected"):
        module.b = "text"
    with pytest.raises(TypeError, match=r"cannot assign 'list' as completion config 'c' \(dict or None expected"):
        module.c = []


@pytest.mark.parametrize(
    ("first", "second", "slot"),
    [
        (Module(), Parameter("p"), "_parameters"),
        (chat(), Parameter("p"), "_parameters"),
        (chat(), Module(), "_modules"),
        (Scripted([]), Module(), "_modules"),
        (top_level, Scripted([]), "_models"),
    ],
)
def test_a_kind_takes_over_a_name_from_a_later_kind(first: Any, second: Any, slot: str) -> None:
    module = Module()
    module.x = first
    module.x = second
    assert home(module, "x") == slot


@pytest.mark.parametrize(
    ("first", "second"),
    [(Parameter("p"), Module()), (Module(), chat()), (chat(), Scripted([])), (Scripted([]), top_level)],
)
def test_a_kind_does_not_take_over_a_name_from_an_earlier_kind(first: Any, second: Any) -> None:
    module = Module()
    module.x = first
    with pytest.raises(TypeError, match="cannot assign"):
        module.x = second
    assert module.x is first


def test_a_parameter_takes_over_a_buffer_with_its_persistence() -> None:
    module = Module()
    module.register_buffer("x", Variable("b"), persistent=False)
    module.x = Parameter("p")
    assert home(module, "x") == "_parameters"
    assert module._non_persistent_buffers_set == set()
    assert list(module.state_dict()) == ["x"]


# --- the class


def test_a_registered_value_does_not_hide_behind_a_class_attribute() -> None:
    for value in (Parameter("p"), Module(), chat(), Scripted([])):
        module = Named()
        with pytest.raises(KeyError, match="attribute 'taken' already exists"):
            module.taken = value
        assert module.taken == "of the class"


def test_a_refused_assignment_loses_nothing() -> None:
    module = Named()
    module.taken = 3
    with pytest.raises(KeyError):
        module.taken = Parameter("p")
    assert module.taken == 3


def test_a_property_sets_itself() -> None:
    module = Named()
    model = Scripted([])
    module.client = model
    assert module.seen == [model]
    assert list(module.models()) == []


def test_a_function_can_stand_in_for_a_method() -> None:
    module = Module()
    module.forward = top_level  # type: ignore[method-assign]
    assert module("a", "a") == 1
    assert list(module.functions()) == []


# --- register


REGISTER: list[tuple[str, str, Any]] = [
    ("register_parameter", "parameter", Parameter("p")),
    ("register_buffer", "buffer", Variable("b")),
    ("register_chat", "chat", chat()),
    ("register_model", "model", Scripted([])),
    ("register_completion_config", "completion config", {"model": "m"}),
    ("register_function", "function", top_level),
    ("register_module", "module", Module()),
    ("add_module", "module", Module()),
]


@pytest.mark.parametrize(("method", "word", "value"), REGISTER)
def test_register_takes_the_value_or_none(method: str, word: str, value: Any) -> None:
    module = Module()
    getattr(module, method)("x", None)
    assert module.x is None
    getattr(module, method)("x", value)
    assert module.x is value


@pytest.mark.parametrize(("method", "word", "value"), REGISTER)
def test_register_before_init_says_so(method: str, word: str, value: Any) -> None:
    with pytest.raises(AttributeError, match=rf"cannot assign {word} before Module.__init__\(\) call"):
        getattr(Forgetful(), method)("x", value)


@pytest.mark.parametrize(("method", "word", "value"), REGISTER)
def test_register_checks_the_name(method: str, word: str, value: Any) -> None:
    module = Module()
    module.plain = 1
    register = getattr(module, method)
    with pytest.raises(TypeError, match=f"{word} name should be a string. Got int"):
        register(1, value)
    with pytest.raises(KeyError) as error:
        register("a.b", value)
    assert error.value.args[0] == f'{word} name can\'t contain ".", got: a.b'
    with pytest.raises(KeyError) as error:
        register("", value)
    assert error.value.args[0] == f'{word} name can\'t be empty string ""'
    for name in ("plain", "forward", "training"):
        with pytest.raises(KeyError, match=f"attribute '{name}' already exists"):
            register(name, value)


@pytest.mark.parametrize(
    ("method", "value", "error", "message"),
    [
        ("register_parameter", Variable("v"), TypeError, "cannot assign 'afnio.variable.Variable' object to parameter"),
        ("register_buffer", "text", TypeError, "cannot assign 'str' object to buffer 'x' (afnio.Variable or None req"),
        ("register_model", "gpt-4o", TypeError, "cannot assign 'str' object to model 'x'"),
        ("register_completion_config", [1], TypeError, "cannot assign 'list' object to completion config 'x'"),
        ("register_module", 5, TypeError, "int is not a Module subclass"),
        ("register_chat", "text", TypeError, "messages must be a list of dict"),
        ("register_chat", [{"role": "user"}], ValueError, 'messages[0] has no "content"'),
        ("register_chat", [{"role": "user", "content": ["text"]}], TypeError, 'messages[0]["content"][0] must be Var'),
        ("register_function", lambda: None, TypeError, "a lambda"),
        ("register_function", closure(), TypeError, "a lambda"),
        ("register_function", "sum", TypeError, "Expected a function, got str"),
        ("register_function", Scripted([]).chat, TypeError, "method"),
    ],
)
def test_register_checks_the_value(method: str, value: Any, error: type[Exception], message: str) -> None:
    module = Module()
    with pytest.raises(error) as raised:
        getattr(module, method)("x", value)
    assert message in str(raised.value)
    assert home(module, "x") is None


def test_a_parameter_must_be_a_leaf() -> None:
    parameter = Parameter("p")
    parameter += Variable("x")
    assert not parameter.is_leaf
    module = Module()
    for assign in (partial(module.register_parameter, "x"), partial(setattr, module, "x")):
        with pytest.raises(ValueError, match="Cannot assign non-leaf Variable to parameter 'x'"):
            assign(parameter)


@pytest.mark.parametrize("value", [Parameter("p"), Module(), chat(), Scripted([]), top_level])
def test_assigning_before_init_says_so(value: Any) -> None:
    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        Forgetful().x = value


def test_an_ordinary_attribute_may_come_before_init() -> None:
    class Early(Module):
        def __init__(self) -> None:
            self.size = 3
            super().__init__()

    assert Early().size == 3


def test_registered_functions_may_be_builtins_a_checkpoint_would_not_name() -> None:
    module = Module()
    module.register_function("x", math.sin)
    assert list(module.functions()) == [math.sin]


# --- reading, deleting, listing


def test_a_missing_attribute_says_which_class_lacks_it() -> None:
    with pytest.raises(AttributeError, match="'Named' object has no attribute 'nothing'"):
        Named().nothing
    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) first"):
        Forgetful().nothing


@pytest.mark.parametrize(("method", "word", "value"), REGISTER)
def test_del_takes_a_registered_value_out(method: str, word: str, value: Any) -> None:
    module = Module()
    getattr(module, method)("x", value)
    assert "x" in dir(module)
    del module.x
    assert home(module, "x") is None
    assert "x" not in dir(module)
    with pytest.raises(AttributeError):
        del module.x
    module.x = 5
    assert home(module, "x") == "plain"


def test_del_of_a_buffer_forgets_its_persistence() -> None:
    module = Module()
    module.register_buffer("x", Variable("b"), persistent=False)
    del module.x
    module.register_buffer("x", Variable("b"))
    assert list(module.state_dict()) == ["x"]


def test_dir_is_sorted_and_has_no_duplicates() -> None:
    module = Named()
    module.taken = 1
    module.prompt = Parameter("p")
    names = dir(module)
    assert names == sorted(set(names))
    assert {"prompt", "taken", "forward", "training"} <= set(names)


def test_a_model_of_a_users_own_class_is_a_model() -> None:
    class Mine(BaseModel):
        pass

    module = Module()
    module.client = Mine("mine")
    assert [name for name, _ in module.named_models()] == ["client"]
