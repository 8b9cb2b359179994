"""`ModuleList`, `ModuleDict`, `Sequential`: as in torch 2.13, but `insert` counts negative positions like a list."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

import pytest

from afnio.cognitive import Module, ModuleDict, ModuleList, Parameter, Sequential


class Step(Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.prompt = Parameter(name)

    def forward(self, text: str) -> Any:
        return text + self.name


class AsyncStep(Step):
    async def forward(self, text: str) -> str:
        await asyncio.sleep(0)
        return text + self.name


def steps(names: str) -> list[Step]:
    return [Step(name) for name in names]


def content(modules: Any) -> dict[str, str]:
    return {name: child.name for name, child in modules._modules.items()}


NUMBERED: list[Any] = [ModuleList, lambda modules=(): Sequential(*modules)]


@pytest.fixture(params=NUMBERED, ids=["ModuleList", "Sequential"])
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_modules_are_registered_by_number(make: Any) -> None:
    modules = make(steps("abc"))
    assert len(modules) == 3
    assert [name for name, _ in modules.named_parameters()] == ["0.prompt", "1.prompt", "2.prompt"]
    assert list(modules.state_dict()) == ["0.prompt", "1.prompt", "2.prompt"]
    assert [step.name for step in modules] == ["a", "b", "c"]


def test_positions_work_as_in_a_list(make: Any) -> None:
    modules = make(steps("abc"))
    assert (modules[0].name, modules[-1].name) == ("a", "c")
    assert type(modules[1:]) is type(modules)
    assert [step.name for step in modules[1:]] == ["b", "c"]
    modules[-1] = Step("z")
    assert content(modules) == {"0": "a", "1": "b", "2": "z"}
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"index {index} is out of range"):
            modules[index]


def test_deleting_renumbers(make: Any) -> None:
    modules = make(steps("abcde"))
    del modules[1]
    assert content(modules) == {"0": "a", "1": "c", "2": "d", "3": "e"}
    del modules[1:3]
    assert content(modules) == {"0": "a", "1": "e"}
    assert modules.pop(-1).name == "e"
    assert content(modules) == {"0": "a"}
    with pytest.raises(IndexError):
        del modules[1]


@pytest.mark.parametrize("index", [0, 1, 3, -1, -3])
def test_insert_puts_a_module_where_a_list_would(make: Any, index: int) -> None:
    modules, listed = make(steps("abc")), list("abc")
    modules.insert(index, Step("x"))
    listed.insert(index, "x")
    assert list(content(modules).items()) == [(str(i), name) for i, name in enumerate(listed)]


def test_insert_and_append_take_modules_only(make: Any) -> None:
    modules = make(steps("a"))
    with pytest.raises(TypeError):
        modules.append("b")
    with pytest.raises(TypeError):
        modules.insert(0, "b")
    with pytest.raises(IndexError, match="Index out of range: 5"):
        modules.insert(5, Step("b"))
    assert content(modules) == {"0": "a"}


def test_append_and_extend_return_the_container(make: Any) -> None:
    modules = make()
    assert modules.append(Step("a")).extend(steps("bc")) is modules
    assert content(modules) == {"0": "a", "1": "b", "2": "c"}
    assert len(modules.extend(modules)) == 6


def test_numbers_are_not_in_dir(make: Any) -> None:
    assert not any(name.isdigit() for name in dir(make(steps("ab"))))


def test_module_lists_add_up() -> None:
    left, right = ModuleList(steps("ab")), ModuleList(steps("c"))
    assert content(left + right) == {"0": "a", "1": "b", "2": "c"}
    left += right
    assert content(left) == {"0": "a", "1": "b", "2": "c"}


def test_a_module_list_takes_iterables_only() -> None:
    with pytest.raises(TypeError, match=r"ModuleList.extend should be called with an iterable, but got int"):
        ModuleList(3)  # type: ignore[arg-type]


def test_a_module_list_is_not_called() -> None:
    with pytest.raises(NotImplementedError, match=r'\[ModuleList\] is missing the required "forward"'):
        ModuleList(steps("ab"))("")


def test_sequential_hands_on_what_each_returns() -> None:
    assert Sequential(*steps("abc"))("-") == "-abc"
    assert Sequential()("-") == "-"


@pytest.mark.parametrize("kinds", [(AsyncStep, Step, AsyncStep), (Step, AsyncStep, Step), (AsyncStep,) * 3])
def test_sequential_is_asynchronous_if_one_of_its_modules_is(kinds: tuple[type[Step], ...]) -> None:
    modules = Sequential(*[kind(name) for kind, name in zip(kinds, "abc", strict=True)])

    async def run() -> tuple[str, str]:
        return await modules("-"), await modules.acall("-")

    assert asyncio.run(run()) == ("-abc", "-abc")


def test_acall_of_a_sequential_works_without_asynchronous_modules() -> None:
    assert asyncio.run(Sequential(*steps("abc")).acall("-")) == "-abc"


def test_sequential_takes_names() -> None:
    modules = Sequential(OrderedDict(first=Step("a"), second=Step("b")))
    assert content(modules) == {"first": "a", "second": "b"}
    assert modules.first is modules[0]
    assert content(modules[1:]) == {"second": "b"}
    modules.append(Step("c"))
    assert content(modules) == {"first": "a", "second": "b", "2": "c"}


def test_sequentials_add_up_and_multiply() -> None:
    ab = Sequential(*steps("ab"))
    assert content(ab + Sequential(Step("c"))) == {"0": "a", "1": "b", "2": "c"}
    assert (ab * 2)("") == (2 * ab)("") == "abab"
    ab *= 2
    assert content(ab) == {"0": "a", "1": "b", "2": "a", "3": "b"}
    ab += Sequential(Step("c"))
    assert ab("") == "ababc"


def test_sequentials_refuse_other_operands() -> None:
    ab: Any = Sequential(*steps("ab"))
    with pytest.raises(ValueError, match="add operator supports only objects of Sequential class"):
        ab + ModuleList()
    with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for \*"):
        ab * "2"
    with pytest.raises(ValueError, match="Non-positive multiplication factor 0"):
        ab * 0


def test_a_module_dict_is_a_dict_of_registered_modules() -> None:
    a, b, c = steps("abc")
    modules = ModuleDict({"a": a})
    modules["b"] = b
    modules.update([("c", c)])
    assert list(modules) == ["a", "b", "c"] == list(modules.keys())
    assert list(modules.values()) == [a, b, c]
    assert dict(modules.items()) == {"a": a, "b": b, "c": c}
    assert len(modules) == 3
    assert "b" in modules
    assert [name for name, _ in modules.named_parameters()] == ["a.prompt", "b.prompt", "c.prompt"]
    assert modules.pop("b") is b
    del modules["a"]
    assert content(modules) == {"c": "c"}
    modules.clear()
    assert len(modules) == 0


def test_a_module_dict_takes_another_one() -> None:
    other = ModuleDict({"a": Step("a")})
    assert ModuleDict(other)["a"] is other["a"]


@pytest.mark.parametrize(
    ("modules", "error", "message"),
    [
        (3, TypeError, "ModuleDict.update should be called with an iterable of key/value pairs, but got int"),
        ([1], TypeError, "ModuleDict update sequence element #0 should be Iterable; is int"),
        ([("a", Step("a")), ("b",)], ValueError, "ModuleDict update sequence element #1 has length 1; 2 is required"),
        ({"a": 1}, TypeError, "int is not a Module subclass"),
        ({"keys": Step("a")}, KeyError, "attribute 'keys' already exists"),
    ],
)
def test_a_module_dict_refuses_what_it_cannot_hold(modules: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ModuleDict(modules)
