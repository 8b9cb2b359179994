"""Optimizers: groups, errors as torch's, and the laws of snapshot, restore, record and state dicts."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afnio
from afnio.gradient import Gradient
from afnio.models.scripted import Scripted
from afnio.optim import TGD, Constraint, Optimizer, Update
from afnio.optim.optimizer import HISTORY
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff.lab import Lab, by_role, open_lab

CLIENT = Scripted([])


def P(text: str = "a", role: str = "p") -> Parameter:
    return Parameter(text, role)


# groups


@pytest.mark.parametrize(
    ("params", "error", "says"),
    [
        (lambda: P(), TypeError, r"iterable of Variables or dicts: write \[parameter\]"),
        (list, ValueError, "empty parameter list"),
        (lambda: {P(), P()}, TypeError, "use a list instead"),
        (lambda: [{"params": {P()}}], TypeError, "use a list instead"),
        (lambda: {"params": [P()]}, TypeError, "got dict"),
        (lambda: "text", TypeError, "got str"),
        (lambda: 3, TypeError, "got int"),
        (lambda: ["text"], TypeError, "optimizes Variables, got str"),
        (lambda: [P(), {"params": [P()]}], TypeError, "optimizes Variables, got dict"),
        (lambda: [{"params": [P()]}, P()], TypeError, "group is a dict, got Parameter"),
        (lambda: [{"momentum": 3}], TypeError, "got NoneType"),
        (lambda: [Variable("a", "x", requires_grad=True) + P()], ValueError, "not a leaf"),
        (lambda: [p := P(), p], ValueError, "twice in a parameter group"),
        (lambda: [{"params": (p := P())}, {"params": [p]}], ValueError, "more than one parameter group"),
    ],
)
def test_params_that_make_no_sense(params: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        TGD(params(), CLIENT)


@pytest.mark.parametrize(
    ("settings_", "says"),
    [
        ({"momentum": -1}, "momentum must be an int of at least 0, got -1"),
        ({"momentum": 1.5}, "momentum must be an int"),
        ({"momentum": True}, "momentum must be an int"),
        ({"history": -2}, "history must be an int"),
        ({"model_client": None}, "needs a model_client"),
    ],
)
def test_settings_that_make_no_sense(settings_: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TGD([P()], **{"model_client": CLIENT, **settings_})
    optimizer = TGD([P()], CLIENT)
    with pytest.raises(ValueError, match=says):
        optimizer.add_param_group({"params": [P()], **settings_})
    assert len(optimizer.param_groups) == 1


def test_a_generator_is_read_once_and_order_is_kept() -> None:
    params = [P(str(number)) for number in range(5)]

    def each() -> Iterator[Parameter]:
        yield from params

    optimizer = TGD(each(), CLIENT)
    assert optimizer.params() == params
    groups = optimizer.param_groups
    optimizer.add_param_group({"params": (more := P())})
    assert optimizer.param_groups is groups
    assert optimizer.params() == [*params, more]


def test_groups_take_what_they_do_not_say_from_the_defaults() -> None:
    groups: list[dict[str, Any]] = [{"params": [P()], "momentum": 7}, {"params": [P()]}]
    optimizer = TGD(groups, CLIENT, momentum=2)
    assert [group["momentum"] for group in optimizer.param_groups] == [7, 2]
    assert [group["model_client"] for group in optimizer.param_groups] == [CLIENT] * 2
    assert "Parameter Group 1" in repr(optimizer)
    assert "momentum: 7" in repr(optimizer)


def test_clear_grad_keeps_the_lists(inline: Lab) -> None:
    p = P()
    grads = p.grad
    p.append_grad(Variable("x"))
    TGD([p], CLIENT).clear_grad()
    assert p.grad is grads
    assert grads == []


def test_an_optimizer_without_a_rule_says_so(inline: Lab) -> None:
    p = P()
    p.append_grad(Variable("x"))
    with pytest.raises(NotImplementedError, match=r"must define item\(\)"):
        Optimizer([p], {}).step()


# one run of steps, for the laws


def train(lab: Lab, optimizer: TGD, steps: list[tuple[int, str]]) -> None:
    """Each step gives feedback to one parameter, whose new value is the text."""
    params = optimizer.params()
    for which, text in steps:
        lab.brain.rule = by_role(optimizer=lambda ask, text=text: {"reasoning": "r", "value": text})
        params[which % len(params)].append_grad(Gradient(f"feedback on {text}", "f", samples=("1",)))
        optimizer.step()
        optimizer.clear_grad()


steps = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["red", "green", "blue", "gold"])), max_size=5)


def seen(optimizer: TGD) -> Any:
    """Parameters and state, as plain values."""
    return [
        (
            p.data,
            [(old.data, [(g.data, g.samples) for g in given]) for old, given in kept.get("momentum_buffer", [])],
            [(v.value, v.score, v.status) for v in kept.get("history", [])],
        )
        for p in optimizer.params()
        for kept in [optimizer.state.get(p, {})]
    ]


def make(lab: Lab, momentum: int = 2) -> TGD:
    return TGD([P(f"text {number}", f"p{number}") for number in range(3)], lab.client, momentum=momentum)


@settings(max_examples=40, deadline=None)
@given(steps, steps, st.integers(0, 3))
def test_restore_undoes_any_steps(before: list[Any], after: list[Any], momentum: int) -> None:
    with open_lab() as lab:
        optimizer = make(lab, momentum)
        params = optimizer.params()
        train(lab, optimizer, before)
        kept = seen(optimizer)
        snapshot = optimizer.snapshot()
        train(lab, optimizer, after)
        params[0].append_grad(gradient := Gradient("since"))
        optimizer.restore(snapshot)
        assert seen(optimizer) == kept
        assert optimizer.params() == params  # the same objects
        assert params[0].grad == [gradient]
        train(lab, optimizer, after)
        optimizer.restore(snapshot)  # a snapshot is not used up, nor changed by what came later
        assert seen(optimizer) == kept


def test_a_proposal_that_was_undone_stays_in_the_history(inline: Lab) -> None:
    optimizer = make(inline)
    snapshot = optimizer.snapshot()
    train(inline, optimizer, [(0, "red")])
    optimizer.restore(snapshot)
    optimizer.record(0.25, kept=False)
    train(inline, optimizer, [(0, "blue")])
    assert '<version score="0.25" status="undone">red</version>' in inline.brain.asked[-1].user
    optimizer.record(0.75, kept=True)
    optimizer.restore(snapshot)
    assert seen(optimizer)[0] == ("text 0", [], [("red", 0.25, "undone"), ("blue", 0.75, "kept")])


def test_only_what_the_last_step_changed_is_recorded(inline: Lab) -> None:
    optimizer = make(inline)
    train(inline, optimizer, [(0, "red"), (1, "blue")])
    optimizer.record(0.5, kept=True)
    assert [history for _, _, history in seen(optimizer)] == [[], [("blue", 0.5, "kept")], []]
    optimizer.step()  # nothing to improve
    optimizer.record(0.75, kept=True)
    assert [len(history) for _, _, history in seen(optimizer)] == [0, 1, 0]


def test_parameters_may_be_given_with_names_as_in_torch(inline: Lab) -> None:
    pairs = [("first", P("a", "p")), ("second.part", P("b", "p"))]
    optimizer = TGD(iter(pairs), inline.client)
    assert optimizer.params() == [param for _, param in pairs]
    assert optimizer.param_groups[0]["param_names"] == ["first", "second.part"]
    assert TGD([{"params": pairs, "momentum": 1}], inline.client).param_groups[0]["param_names"] == [
        "first",
        "second.part",
    ]
    unnamed = TGD([param for _, param in pairs], inline.client)
    unnamed.load_state_dict(optimizer.state_dict())
    assert "param_names" not in unnamed.param_groups[0]
    with pytest.raises(ValueError, match="give all of them in pairs, or none"):
        TGD([*pairs, P()], inline.client)  # type: ignore[arg-type]


def test_the_history_of_a_parameter_is_bounded() -> None:
    prompt = P("version 0")
    optimizer = TGD([prompt], CLIENT)
    for number in range(1, 2 * HISTORY):
        optimizer.last_updates = [Update(prompt, f"version {number - 1}", f"version {number}", "")]
        optimizer.record(float(number), kept=True)
    history = optimizer.state[prompt]["history"]
    assert len(history) == HISTORY
    assert history[-1].value == f"version {2 * HISTORY - 1}"


# state dicts


def through_a_file(state: Any) -> Any:
    stream = io.BytesIO()
    afnio.save(state, stream)
    stream.seek(0)
    return afnio.load(stream)


WAYS: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda state: state,
    "deep copy": copy.deepcopy,
    "file": through_a_file,
}


@pytest.mark.parametrize("way", list(WAYS))
@settings(max_examples=20, deadline=None)
@given(before=steps, used=steps, after=steps)
def test_a_state_dict_brings_back_the_whole_state(
    way: str, before: list[Any], used: list[Any], after: list[Any]
) -> None:
    with open_lab() as lab:
        one = make(lab)
        train(lab, one, before)
        one.record(0.5, kept=True)
        state = WAYS[way](one.state_dict())
        expected = seen(one)
        other = make(lab, momentum=1)
        train(lab, other, used)
        for p, q in zip(one.params(), other.params(), strict=True):
            q.data = p.data
        other.load_state_dict(state)
        assert seen(other) == expected
        assert [group["momentum"] for group in other.param_groups] == [2]
        train(lab, other, after)  # what comes later changes neither the saved state nor the one it came from
        assert seen(one) == expected
        train(lab, one, after)
        assert seen(one) == seen(other)


def test_before_the_first_step_there_is_a_state_dict(inline: Lab) -> None:
    p = P()
    state = TGD([p], inline.client, momentum=3, constraints=["Be kind."], model="m", temperature=0.5).state_dict()
    assert state["state"] == {}
    (group,) = state["param_groups"]
    assert group["params"] == [0]
    assert (group["momentum"], group["constraints"]) == (3, ["Be kind."])
    assert group["completion_args"] == {"model": "m", "temperature": 0.5}
    assert group["model_client"]["class_type"] == "Scripted"
    assert set(group["model_client"]) == {"class_type", "provider", "usage"}
    assert [message["role"] for message in group["messages"]] == ["system", "user"]
    other = TGD([P()], inline.client)
    other.load_state_dict(through_a_file(state))
    assert other.param_groups[0]["momentum"] == 3
    assert other.param_groups[0]["model_client"] is inline.client


def test_a_saved_state_is_not_changed_by_later_steps(inline: Lab) -> None:
    optimizer = make(inline)
    train(inline, optimizer, [(0, "red")])
    state = optimizer.state_dict()
    before = [(old.data, len(given)) for old, given in state["state"][0]["momentum_buffer"]]
    train(inline, optimizer, [(0, "blue"), (0, "green")])
    assert [(old.data, len(given)) for old, given in state["state"][0]["momentum_buffer"]] == before


def test_numbers_of_parameters_may_be_text(inline: Lab) -> None:
    """As JSON makes them."""
    optimizer = make(inline)
    train(inline, optimizer, [(1, "red")])
    state = optimizer.state_dict()
    state["state"] = {str(index): kept for index, kept in state["state"].items()}
    other = make(inline)
    other.load_state_dict(state)
    assert [bool(buffer) for _, buffer, _ in seen(other)] == [False, True, False]


def test_checked_constraints_are_kept_and_told_as_text(inline: Lab) -> None:
    rule = Constraint("Short.", lambda value: len(value) < 5)
    one = TGD([P()], inline.client, constraints=[rule, "Kind."])
    state = one.state_dict()
    assert state["param_groups"][0]["constraints"] == ["Short.", "Kind."]
    other = TGD([P()], inline.client, constraints=[rule])
    other.load_state_dict(state)
    assert other.param_groups[0]["constraints"] == [rule]


@pytest.mark.parametrize(
    ("params", "clients", "says"),
    [
        (lambda: [[P(), P()]], {}, "has 2 parameter groups, this optimizer 1"),
        (lambda: [[P()]], {}, "has 2 parameter groups, this optimizer 1"),
        (lambda: [[P(), P()], [P()]], {}, "group 0 has 2 parameters, the saved one 1"),
        (lambda: [[P()], [P(), P()]], {}, "group 1 has 2 parameters, the saved one 1"),
        (lambda: [[P()], [P()]], {5: CLIENT}, r"names the groups \[5\]; there are 2"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(inline: Lab, params: Any, clients: Any, says: str) -> None:
    groups: list[dict[str, Any]] = [{"params": [P()], "momentum": 4}, {"params": [P()]}]
    saved = TGD(groups, inline.client).state_dict()
    optimizer = TGD([{"params": group} for group in params()], inline.client, momentum=1)
    first = optimizer.params()[0]
    optimizer.state[first] = {"momentum_buffer": []}
    with pytest.raises(ValueError, match=says):
        optimizer.load_state_dict(saved, clients)
    assert optimizer.param_groups[0]["momentum"] == 1
    assert dict(optimizer.state) == {first: {"momentum_buffer": []}}


def test_clients_are_given_by_group(inline: Lab) -> None:
    other = Scripted([], model="other")
    optimizer = TGD([{"params": [P()]}, {"params": [P()]}], inline.client)
    optimizer.load_state_dict(optimizer.state_dict(), model_clients={1: other})
    assert [group["model_client"] for group in optimizer.param_groups] == [inline.client, other]


def test_a_group_without_a_client_asks_for_one(inline: Lab) -> None:
    state = TGD([P()], inline.client).state_dict()
    optimizer = TGD([P()], inline.client)
    optimizer.param_groups[0]["model_client"] = None
    with pytest.raises(ValueError, match=r"pass model_clients=\{0: client\}"):
        optimizer.load_state_dict(state)
    optimizer.load_state_dict(state, {0: inline.client})
    assert optimizer.param_groups[0]["model_client"] is inline.client


def test_a_tracker_is_told_of_new_prompts(inline: Lab) -> None:
    from afnio._dispatch import use_tracker

    told: list[Any] = []

    class Tracker:
        def call(self, record: Any) -> None: ...
        def metric(self, name: str, value: Any, step: int | None) -> None: ...
        def event(self, kind: str, data: Any) -> None:
            told.append((kind, json.loads(json.dumps(data))))

    with use_tracker(Tracker()):
        train(inline, make(inline), [(2, "red"), (1, "text 1")])  # the second changes nothing: no new version
    assert told == [
        (
            "prompt",
            {
                "parameter": "p2",
                "role": "p2",
                "before": "text 2",
                "after": "red",
                "reasoning": "r",
                "gradients": [{"text": "feedback on red", "samples": ["1"]}],
                "step": 1,
            },
        )
    ]
