"""`ParameterList` and `ParameterDict`: a list and a dict whose items are Parameters of the agent."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import afnio.cognitive as cog
from afnio import Variable, load, save
from afnio.models.scripted import Scripted
from afnio.optim import TGD


def parameter(text: str) -> cog.Parameter:
    return cog.Parameter(text, role=f"example {text}")


class Agent(cog.Module):
    def __init__(self) -> None:
        super().__init__()
        self.examples = cog.ParameterList([parameter("a"), Variable("b", "example b")])
        self.prompts = cog.ParameterDict({"system": parameter("s"), "user": parameter("u")})


NAMES = ["examples.0", "examples.1", "prompts.system", "prompts.user"]


def test_their_items_are_parameters_of_the_agent() -> None:
    agent = Agent()
    assert [name for name, _ in agent.named_parameters()] == list(agent.state_dict()) == NAMES
    assert all(isinstance(value, cog.Parameter) and value.requires_grad for value in agent.parameters())
    assert agent.examples[1].role == "example b"
    assert agent.export_prompts() == dict(zip(NAMES, "absu", strict=True))
    assert len(TGD(agent.parameters(), model_client=Scripted([])).param_groups[0]["params"]) == 4


def test_they_are_saved_copied_and_pickled(tmp_path: Any) -> None:
    agent, other = Agent(), Agent()
    agent.examples[0].data = "changed"
    save(agent.state_dict(), tmp_path / "agent.hf")
    other.load_state_dict(load(tmp_path / "agent.hf"))
    for twin in (other, copy.deepcopy(agent), pickle.loads(pickle.dumps(agent))):
        assert twin.export_prompts() == agent.export_prompts()
        assert twin.examples[0] is not agent.examples[0]
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "2"'):
        agent.examples.append(parameter("c")).load_state_dict(Agent().examples.state_dict())


def test_a_list_is_a_list() -> None:
    a, b, c, d = map(parameter, "abcd")
    items = cog.ParameterList()
    assert (len(items), list(items), bool(items)) == (0, [], False)
    assert items.append(a) is items
    items += [b, c]
    assert list(items) == [a, b, c]
    assert (items[-1], items[0]) == (c, a)
    items[-2] = d
    assert list(items) == list(reversed(list(reversed(items)))) == [a, d, c]
    assert isinstance(items[1:], cog.ParameterList)
    assert list(items[1:]) == [d, c]
    assert list(items[::-1].named_parameters()) == [("0", c), ("1", d), ("2", a)]
    assert d in items
    items.extend(items)
    assert len(items) == 6
    assert not [name for name in dir(items) if name.isdigit()]


def test_a_dict_is_a_dict() -> None:
    a, b, c = map(parameter, "abc")
    items = cog.ParameterDict([("x", a), ("y", b)])
    assert (list(items), list(items.values()), "x" in items, "z" in items) == (["x", "y"], [a, b], True, False)
    items["x"] = c
    assert list(items.items()) == [("x", c), ("y", b)]
    assert items.get("z") is None
    assert items.setdefault("z", a) is a
    assert list(reversed(items)) == ["z", "y", "x"]
    assert items.popitem() == ("z", a)
    assert (items.pop("x"), items.pop("x", None)) == (c, None)
    twin = items.copy()
    del items["y"]
    assert (len(items), list(twin)) == (0, ["y"])
    joined = twin | {"q": a}
    twin |= cog.ParameterDict({"r": c})
    assert (list(joined), list(twin)) == (["y", "q"], ["y", "r"])
    assert (twin == twin.copy(), twin == twin) == (False, True)
    assert len({twin, twin, joined}) == 2
    twin.clear()
    with pytest.raises(KeyError, match="empty"):
        twin.popitem()


Items: Any = cog.ParameterList
Prompts: Any = cog.ParameterDict


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: Items(["x"]), TypeError, r"holds Parameters, got str. Wrap it: cog.Parameter\('x', role="),
        (lambda: Items(Variable("x")), TypeError, "called with an iterable, but got Variable"),
        (lambda: Items(5), TypeError, "called with an iterable, but got int"),
        (lambda: Items([parameter("x")])[1], IndexError, "index 1 is out of range"),
        (lambda: Items([parameter("x")])[-2], IndexError, "index -2 is out of range"),
        (lambda: Items()["a"], TypeError, "str"),
        (lambda: Items()(1), RuntimeError, "ParameterList should not be called"),
        (lambda: Prompts({"x": None}), TypeError, "holds Parameters, got NoneType"),
        (lambda: Prompts({5: parameter("x")}), TypeError, "parameter name should be a string"),
        (lambda: Prompts({"a.b": parameter("x")}), KeyError, "contain"),
        (lambda: Prompts({"train": parameter("x")}), KeyError, "already exists"),
        (lambda: Prompts()["x"], KeyError, "x"),
        (lambda: Prompts()(1), RuntimeError, "ParameterDict should not be called"),
    ],
)
def test_what_they_cannot_do_is_an_error(call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


def test_a_list_refused_in_the_middle_is_as_it_was() -> None:
    items = cog.ParameterList([parameter("a")])
    with pytest.raises(TypeError):
        items.extend([parameter("b"), "c"])  # type: ignore[list-item]
    assert len(items) == 1


def test_they_show_one_line_for_each_and_shorten_long_texts() -> None:
    shown = repr(Agent())
    assert "(examples): ParameterList(" in shown
    assert "    (0): Parameter containing: variable(data='a', role=example a, requires_grad=True)" in shown
    assert "    (user): Parameter containing: " in shown
    assert len(repr(cog.ParameterList([parameter("x" * 1000)]))) < 1200
