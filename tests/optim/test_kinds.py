"""`Choice`, `Number`, `Demos`: what they hold, what they refuse, and that they survive every way a value travels."""

from __future__ import annotations

import asyncio
import copy
import io
import math
import pickle
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import afnio
from afnio import cognitive as cog
from afnio import functional as F
from afnio.cognitive import Choice, Demos, Number, Parameter
from afnio.optim import TGD
from afnio.trial import trial
from afnio.variable import Variable
from tests.autodiff.lab import Lab, by_role, system, user


class Agent(cog.Module):
    """One parameter of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.prompt = Parameter("Sort {x}.", "prompt")
        self.model = Choice(["small", "large"], role="model")
        self.warmth = Number(0.5, 0, 2, role="temperature")
        self.k = Number(3, 1, 9, role="k")
        self.demos = Demos()


def through_a_file(value: Any) -> Any:
    stream = io.BytesIO()
    afnio.save(value, stream)
    stream.seek(0)
    return afnio.load(stream)


WAYS: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "file": through_a_file,
}


def some(data: Any) -> list[Any]:
    """Numbers, choices and examples."""
    low = data.draw(st.integers(-5, 5))
    high = low + data.draw(st.integers(0, 10))
    whole = data.draw(st.integers(low, high))
    options = data.draw(st.lists(st.text() | st.integers() | st.booleans(), min_size=1, unique_by=repr))
    options = [o for n, o in enumerate(options) if not any(o == p and type(o) is type(p) for p in options[:n])]
    pairs = data.draw(st.lists(st.tuples(st.text(), st.text()), max_size=3))
    return [
        Number(whole, low, high, role="k"),
        Number(data.draw(st.floats(0, 1)), 0, 1.0, role="t", requires_grad=False),
        Choice(options, data.draw(st.sampled_from(options)), role="model"),
        Demos(pairs, role="examples"),
    ]


@pytest.mark.parametrize("way", list(WAYS))
@given(data=st.data())
def test_a_value_and_its_domain_survive(way: str, data: Any) -> None:
    for one in some(data):
        other = WAYS[way](one)
        assert type(other) is type(one)
        assert repr(other) == repr(one)
        assert (other.data, other.role, other.requires_grad) == (one.data, one.role, one.requires_grad)
        if not isinstance(one, Demos):
            assert other.domain == one.domain


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: Choice([]), ValueError, "at least one option"),
    (lambda: Choice("ab"), TypeError, r"write Choice\(\['a', 'b'\]\)"),
    (lambda: Choice(["a", "a"]), ValueError, "are equal"),
    (lambda: Choice([1, 1.0]), ValueError, "are equal"),
    (lambda: Choice([None]), TypeError, "got None"),  # type: ignore[list-item]
    (lambda: Choice([math.nan]), TypeError, "got nan"),
    (lambda: Choice(["a"], "b", role="model"), ValueError, "The Choice 'model' cannot be that: 'b' is not one of 'a'"),
    (lambda: Choice([1, 2], True), ValueError, "True is not one of 1, 2"),
    (lambda: Number(3, 0, 2), ValueError, "3 is not a whole number from 0 to 2"),
    (lambda: Number(-0.1, 0, 2), ValueError, "-0.1 is not a number from 0 to 2"),
    (lambda: Number(1, 2, 0), ValueError, "low <= high"),
    (lambda: Number(1, 0, math.inf), ValueError, "must be finite"),
    (lambda: Number(True, 0, 1), TypeError, "got bool"),
    (lambda: Number("1", 0, 1), TypeError, "got str"),  # type: ignore[arg-type]
    (lambda: Number(1.5, 0, 2, integer=True), ValueError, "whole number"),
    (lambda: Number(0.25, 0, 1, 0.1), ValueError, "in steps of 0.1"),
    (lambda: Number(0.5, 0, 1, 0), ValueError, "greater than 0"),
    (lambda: Demos("ab"), ValueError, "pairs"),
    (lambda: Demos([("a",)]), ValueError, "pairs"),
    (lambda: Demos([("a", 1)]), ValueError, "pairs"),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("make", "error", "says"), BAD)
def test_what_makes_no_sense_is_refused(make: Callable[[], Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()


@given(st.one_of(st.integers(), st.floats(), st.text(max_size=3), st.booleans(), st.none(), st.lists(st.integers())))
def test_whatever_is_set_it_is_never_out_of_range(value: Any) -> None:
    agent = Agent()
    for name in ("model", "warmth", "k", "demos"):
        param = getattr(agent, name)
        before = copy.deepcopy(param.data)
        for put in (lambda p: setattr(p, "data", value), lambda p: p.copy_(Variable(value))):
            try:
                put(param)
            except (TypeError, ValueError):
                assert param.data == before
        if name == "demos":
            assert isinstance(param.data, list)
        else:
            assert param.domain.check(param.data) == param.data


@pytest.mark.parametrize("value", [3, -1, 1.1, 0.25])
def test_a_number_with_steps_takes_none_outside_its_range(value: float) -> None:
    warmth = Number(0.7, low=0, high=1, step=0.1)
    with pytest.raises(ValueError, match="a number from 0 to 1, in steps of 0.1"):
        warmth.data = value
    assert warmth.data == 0.7
    for end in (0, 1):
        warmth.data = end
        assert warmth.data == end
    dusty = Number(0.5, low=0.1 + 0.2, high=0.1 + 0.7, step=0.1)
    for edge in (0.3, 0.1 + 0.2, 0.8, 0.1 + 0.7):
        dusty.data = edge
        assert dusty.data == pytest.approx(edge)


def test_numbers_are_held_as_what_they_are() -> None:
    assert [type(Number(*given).data) for given in [(3, 1, 9), (3, 1, 9.0), (3.0, 1, 9)]] == [int, float, float]
    grid = Number(0.3, 0, 1, 0.1)
    grid.data = 0.1 + 0.2
    assert grid.data == 0.3
    steps = Number(5, 1, 21, 4)
    steps.data = 21
    with pytest.raises(ValueError, match="in steps of 4"):
        steps.data = 20
    one = Choice([1, 2])
    one.data = 2.0
    assert type(one.data) is int


def test_they_are_registered_saved_and_loaded_with_their_module() -> None:
    agent, other = Agent(), Agent()
    agent.model.data, agent.warmth.data, agent.k.data = "large", 1.25, 9
    agent.demos.data = [["a {b}", "c"]]
    assert [name for name, _ in agent.named_parameters()] == ["prompt", "model", "warmth", "k", "demos"]
    other.load_state_dict(through_a_file(agent.state_dict()))
    assert [p.data for p in other.parameters()] == ["Sort {x}.", "large", 1.25, 9, [["a {b}", "c"]]]
    assert isinstance(other.model, Choice)
    assert other.model.domain.options == ("small", "large")
    assigned = Agent()
    assigned.load_state_dict(agent.state_dict(), assign=True)
    assert (type(assigned.k), assigned.k.domain, assigned.k.data) == (Number, agent.k.domain, 9)


def test_a_saved_value_that_is_out_of_range_changes_nothing() -> None:
    agent = Agent()
    state = Agent().state_dict()
    state["warmth"], state["prompt"] = Variable(7.5), Variable("new {x}")
    with pytest.raises(RuntimeError, match=r"warmth: The Number 'temperature' cannot be that: 7.5 is not a number"):
        agent.load_state_dict(state)
    assert [p.data for p in agent.parameters()] == ["Sort {x}.", "small", 0.5, 3, []]


def test_adding_in_place_would_leave_the_domain() -> None:
    params: list[Any] = [Choice(["a"]), Number(1, 0, 2), Demos()]
    for param in params:
        with pytest.raises(TypeError, match="added to in place"):
            param += Variable("b")


# examples in a prompt


def test_examples_fill_a_place_or_stand_as_a_part(lab: Lab) -> None:
    demos = Demos([("ticket {x}", '{"queue": "{x}"}'), ("</example>", "b")])
    shown = (
        '<examples>\n<example>\n<input>ticket {x}</input>\n<output>{"queue": "{x}"}</output>\n</example>\n<example>\n'
        "<input>\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}/example></input>\n<output>b</output>\n</example>\n"
        "</examples>"
    )
    lab.chat([system(Variable("Sort.\n{demos}")), user(Variable("{x}"))], {"demos": demos, "x": ["a", "b"]})
    lab.chat([system(Variable("Sort."), demos), user(Variable("{x}"))], {"x": "a"})
    lab.chat([system(Variable("Sort."), Demos()), user(Variable("{x}"))], {"x": "a"})
    assert [asked.ask.system for asked in lab.brain.asked][:2] == [f"Sort.\n{shown}"] * 2
    assert lab.brain.asked[2].ask.system == f"Sort.\n{shown}"
    assert lab.brain.asked[3].ask.system == "Sort."


# trials


def test_a_trial_is_seen_by_whoever_tries_and_by_nobody_else() -> None:
    agent = Agent()

    async def scene() -> list[Any]:
        async def one(number: int) -> Any:
            with trial({agent.k: number}):
                await asyncio.sleep(0)
                agent.k.append_grad(Variable(str(number)))
                inside = threading.Thread(target=copy_context().run, args=(seen.append, None))
                inside.start()
                inside.join()
                agent.k.data = number + 1
                with pytest.raises(ValueError, match="whole number"):
                    agent.k.data = 100
                return agent.k.data, [g.data for g in agent.k.grad]

        seen: list[Any] = []
        return await asyncio.gather(*[one(number) for number in range(1, 5)])

    assert asyncio.run(scene()) == [(number + 1, [str(number)]) for number in range(1, 5)]
    assert (agent.k.data, agent.k.grad) == (3, [])


def test_trials_nest_and_end_with_an_error() -> None:
    agent = Agent()
    with pytest.raises(KeyError), trial({agent.k: 4}), trial({agent.warmth: 1.5}):
        assert (agent.k.data, agent.warmth.data) == (4, 1.5)
        raise KeyError
    assert (agent.k.data, agent.warmth.data) == (3, 0.5)


# learned as settings of a call


def test_settings_of_a_call_are_learned_by_feedback_on_its_answer(lab: Lab) -> None:
    model, warmth = Choice(["brain", "small"], role="model"), Number(0.5, 0, 2, role="temperature")
    lab.brain.rule = by_role(
        optimizer=lambda ask: {"reasoning": "r", "value": "small" if 'role="model"' in ask.user else 1.5}
    )
    answer = lab.chat([user(Variable("{x}"))], {"x": ["a", "b"]}, model=model, temperature=warmth)
    lab.backward(F.exact_match_evaluator(answer, ["x", "y"]))
    assert [len(param.grad) for param in (model, warmth)] == [1, 1]
    lab.step(TGD([model, warmth], lab.client, model="brain"))
    assert (model.data, warmth.data) == ("small", 1.5)


def test_a_tried_setting_is_what_is_sent(inline: Lab) -> None:
    warmth = Number(0.5, 0, 2, role="temperature")
    with trial({warmth: 1.25}):
        inline.chat([user(Variable("hi"))], temperature=warmth)
    inline.chat([user(Variable("hi"))], temperature=warmth)
    assert [body["temperature"] for body in inline.client.requests] == [1.25, 0.5]
