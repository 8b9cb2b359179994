"""What goes through a codec and back is what it was; what cannot, says so."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.autodiff import EngineSettings
from afnio.autodiff.chat import Chat
from afnio.autodiff.feedback import EMPTY, IDENTITY, Joined
from afnio.autodiff.turn import Outcome, Turn
from afnio.gradient import NO_TRAIL, Gradient, Trail
from afnio.optim.constraint import Constraint
from afnio.optim.update import Proposal, TGDItem, Version
from afnio.variable import Variable
from afnio.words import Part, Words
from tellurio.schemas.jobs import pack_settings, read_backward, read_settings, read_step
from tellurio.schemas.pack import Codec, Definitions, PackError
from tests.autodiff.lab import system, user

Pair = tuple[Codec, Codec]

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | words,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(words | st.integers(-9, 9), inner, max_size=3)
    ),
    max_leaves=12,
)


def pair(*variables: Variable) -> Pair:
    """Both sides of a job, which know the same Variables."""
    here, there = Codec("c"), Codec("s")
    for variable in variables:
        here.variable(variable)
    there.read_variables(over_the_wire(here.variable_forms()))
    there.shadow = lambda number: here.callables[number]
    return here, there


def over_the_wire(form: Any) -> Any:
    return json.loads(json.dumps(form))


def across(here: Codec, there: Codec, value: Any) -> Any:
    """``value`` as the other side reads it."""
    told = Definitions()
    form = over_the_wire([here.value(value, told), told])
    there.learn(form[1])
    return there.read(form[0])


def same(a: Any, b: Any) -> bool:
    """Equal, of the same types all the way down; NaN is NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(map(same, a.values(), b.values())) and all(map(same, a, b))
    return bool(a == b)


def shown(gradient: Gradient) -> tuple[Any, ...]:
    return gradient.data, gradient.role, gradient.samples, gradient.index, gradient.sources, gradient.goal


@given(plain)
def test_values(value: Any) -> None:
    assert same(across(*pair(), value), value)


@st.composite
def feedback(draw: st.DrawFn) -> list[Gradient]:
    """Gradients over trails that share and lead to each other, some of them twice, and the two everybody has."""
    trails = [NO_TRAIL]
    for _ in range(draw(st.integers(0, 4))):
        before = draw(st.lists(st.sampled_from(trails), max_size=3))
        trails.append(Trail(tuple(draw(st.lists(words, max_size=2))), before))
    gradient = st.builds(
        Gradient,
        words,
        words,
        samples=st.lists(words, max_size=2).map(tuple),
        index=st.none() | st.integers(0, 3),
        sources=st.sampled_from(trails),
        goal=words,
    )
    made = [EMPTY, IDENTITY, *draw(st.lists(gradient, min_size=1, max_size=4))]
    return draw(st.lists(st.sampled_from(made), min_size=1, max_size=8))


@given(feedback(), feedback())
def test_the_same_feedback_stays_the_same_object_on_both_sides(first: list[Gradient], second: list[Gradient]) -> None:
    here, there = pair()
    for pieces in (first, second, first + second):
        told = Definitions()
        names = here.pieces(pieces, told)
        there.learn(over_the_wire(told))
        read = there.read_pieces(names)
        assert [shown(piece) for piece in read] == [shown(piece) for piece in pieces]
        assert [[a is b for a in read] for b in read] == [[a is b for a in pieces] for b in pieces]
        shared = [[a.trail is b.trail for a in pieces] for b in pieces]
        assert [[a.trail is b.trail for a in read] for b in read] == shared
        back = Definitions()
        assert all(a is b for a, b in zip(here.read_pieces(there.pieces(read, back)), pieces, strict=True))
        assert not back.get("g")  # they are the other side's: nothing is told again


@given(feedback())
def test_what_the_other_side_made_comes_back_as_one_object_each_time(pieces: list[Gradient]) -> None:
    here, there = pair()
    read = []
    for _ in range(2):
        told = Definitions()
        names = there.pieces(pieces, told)
        here.learn(over_the_wire(told))
        read.append(here.read_pieces(names))
    assert all(a is b for a, b in zip(*read, strict=True))
    here.forget("s")
    with pytest.raises(PackError, match="never told") if set(pieces) - {EMPTY, IDENTITY} else contextlib.nullcontext():
        here.read_pieces(names)


def test_a_trail_of_10000_calls() -> None:
    trail = Trail(("the first text",))
    for number in range(10_000):
        trail = Trail((f"text {number}",), [trail])
    gradient = Gradient("too long", sources=trail)
    read = across(*pair(), gradient)
    assert read.sources == gradient.sources
    assert len(read.sources) == 10_001


def test_joined_feedback_is_sent_as_its_parts() -> None:
    with pytest.raises(PackError, match="as their parts"):
        across(*pair(), Joined([Gradient("a"), Gradient("b")]))


def test_variables() -> None:
    first, second = Variable("a", "first", requires_grad=True), Variable("b", "second")
    first._samples = ("one", "two")
    here, there = pair(first, second)
    read = across(here, there, [second, first, (first,), {"x": second}])
    assert read[0] is read[3]["x"]
    assert read[1] is read[2][0]
    assert (read[1].role, read[1].requires_grad, read[1].is_leaf, read[1]._samples) == (
        "first", True, True, ("one", "two"),
    )  # fmt: skip
    assert here.variables[there.variable(read[0])] is second
    assert read[1].data == ""  # what a Variable holds is not needed there, and not told


@pytest.mark.parametrize("ids", [None, ("a", "b")])
def test_chats(ids: tuple[str, ...] | None) -> None:
    prompt = Variable("Be kind to {who}.", "prompt", requires_grad=True)
    batch, names = Variable(["x", "y"], "batch"), [Variable("p", "p"), Variable("q", "q")]
    batch._samples = ids
    chat = Chat([system(prompt), user(batch)], {"who": names, "day": "Monday"}, "here", optional=("day",))
    here, there = pair(prompt, batch, *names)
    read = across(here, there, chat)
    assert (read.batched, read.size, read.samples, read.title) == (chat.batched, chat.size, chat.samples, chat.title)
    assert read.requests() == chat.requests()
    assert [there.variable(v) for v in read.variables()] == [here.variable(v) for v in chat.variables()]


def test_chats_with_blocks_tools_settings_and_a_mask() -> None:
    prompt, heat = Variable("Look.", "prompt", requires_grad=True), Variable(0.5, "heat", requires_grad=True)
    picture = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    call: Any = {"type": "tool_use", "id": "1", "name": "find", "input": {"x": [1.5, None]}}
    turn = Turn(["", None], "turn", [[call], None], [Outcome(), Outcome()])
    about = Variable("Find it.", "description", requires_grad=True)
    tools = [{"name": "find", "description": about, "parameters": {"type": "object"}}, {"name": "plain"}]
    messages = [system(prompt, picture), user([picture, None]), {"role": "assistant", "content": [turn]}]
    chat = Chat(messages, None, "here", tools=tools, arguments={"temperature": heat, "n": 1}, mask=[True, False])
    here, there = pair(prompt, heat, turn, about)
    read = across(here, there, chat)
    assert read.requests() == chat.requests()
    assert read.requests()[0][2] == {"role": "assistant", "content": [call]}
    assert (read.size, read.active, list(read.indices)) == (2, [0], [0])
    assert [(tool.name, tool.parameters, tool.text) for tool in read.tools] == [
        ("find", {"type": "object"}, "Find it."),
        ("plain", {"type": "object", "properties": {}}, ""),
    ]
    assert read.plain_args({"n": 1}) == chat.plain_args({"n": 1})
    assert [there.variable(v) for v in read.variables()] == [here.variable(v) for v in chat.variables()]
    assert [v.role for v in chat.variables()] == ["prompt", "turn", "description", "heat"]


def test_constraints_with_and_without_a_check() -> None:
    def short(value: str) -> bool:
        return len(value) < 5

    here, there = pair()
    read = across(here, there, [Constraint("Be brief.", short), Constraint("Be kind."), Constraint("Again.", short)])
    assert [each.text for each in read] == ["Be brief.", "Be kind.", "Again."]
    assert (read[0].check, read[1].check, read[2].check) == (short, None, short)
    assert here.callables == [short]


def test_items_of_a_step() -> None:
    model, gradient = object(), Gradient("more", sources=("a text",))
    item = TGDItem(
        value="Now",
        role="prompt",
        feedback=[gradient],
        past=[("Once", ["old feedback"])],
        history=[Version("Once", 0.5, "kept"), Version("Then", None, "undone")],
        constraints=["Be brief.", Variable("Be kind.", "rule"), Constraint("Be short.", str.istitle)],
        messages=[("system", [("here", "text {x}")])],
        inputs={"x": "1"},
        client=model,
        completion_args={"model": "m", "extra_headers": {"X-Key": "secret-1"}, "seed": 3},
        max_length=7,
    )
    here, there = pair()
    told = Definitions()
    form = over_the_wire([here.value(item, told), told])
    assert "secret-1" not in json.dumps(form)
    there.models, there.hidden = [model], here.hidden
    there.learn(form[1])
    read = there.read(form[0])
    assert (read.value, read.role, read.past, read.history) == (item.value, item.role, item.past, item.history)
    assert shown(read.feedback[0]) == shown(gradient)
    assert read.client is model
    assert there.revealed(read.completion_args) == item.completion_args
    assert read.constraints[:2] == ["Be brief.", "Be kind."]
    assert read.constraints[2].check == str.istitle
    assert (read.messages, read.inputs, read.max_length, read.demos) == (item.messages, {"x": "1"}, 7, False)
    assert across(here, there, Proposal("new", "why")) == Proposal("new", "why")


def test_settings_with_words() -> None:
    settings = EngineSettings(
        samples_per_critic=3, share_critics=False, words={"critic": Words("mine", "7", (Part("Say it.", "because"),))}
    )
    here, there = pair()
    assert read_settings(over_the_wire(pack_settings(settings, here)), there) == settings
    assert read_settings(over_the_wire(pack_settings(EngineSettings(), here)), there) == EngineSettings()


def test_what_cannot_travel_says_so() -> None:
    with pytest.raises(PackError, match="a set cannot be sent to the server: {1}"):
        across(*pair(), {1})
    with pytest.raises(PackError, match="completion arguments must have a JSON form"):
        Codec("c").args({"model": object()})


@pytest.mark.parametrize("form", [{"$": "later"}, {"$": ["v"]}, {}, {"$": "o", "n": "Later", "v": []}])
def test_an_unknown_kind_says_upgrade(form: Any) -> None:
    with pytest.raises(PackError, match="is not known here: upgrade the server"):
        Codec("s").read(form)


def test_an_unknown_version_op_or_rule_says_so() -> None:
    with pytest.raises(PackError, match="a job of version 2 was sent; this server reads version 1"):
        read_backward({"v": 2}, Codec("s"), None)  # type: ignore[arg-type]
    with pytest.raises(PackError, match="version None"):
        read_step({}, Codec("s"))
    with pytest.raises(PackError, match="the optimizer rule 'Later' is not known here: upgrade the server"):
        read_step({"v": 1, "rule": "Later"}, Codec("s"))
