"""TGD: length, messages, parameters that are no text, the functional form, and which words are stored with a call."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afnio
from afnio._dispatch import use_tracker
from afnio.domain import Choice, Number
from afnio.errors import PlaceholderError, ReplyContractError
from afnio.gradient import Gradient
from afnio.models.contract import Fault
from afnio.models.scripted import Scripted
from afnio.optim import TGD, TGD_MESSAGES, Constraint, Evolution, max_words, must_contain
from afnio.optim.checks import UNITS, check_value
from afnio.optim.functional import atgd, tgd
from afnio.optim.update import Version
from afnio.parameter import Parameter
from afnio.variable import Variable
from afnio.words.contract import REPAIR
from afnio.words.optimizer import OPTIMIZER
from tests.autodiff.lab import Lab, by_role, open_lab


def told(param: Any, *feedback: str) -> Any:
    for text in feedback or ("make it better",):
        param.append_grad(Gradient(text, f"feedback to {param.role}"))
    return param


def reply(value: Any, reasoning: str = "because") -> dict[str, Any]:
    return {"reasoning": reasoning, "value": value}


def answers(*values: Any) -> Any:
    """An optimizer that says these, one after the other, and then the last for ever."""
    left = list(values)
    return by_role(optimizer=lambda ask: reply(left.pop(0) if len(left) > 1 else left[0]))


# length


@pytest.mark.parametrize(("unit", "most", "now"), [("characters", 20, 29), ("tokens", 5, 8)])
def test_a_length_is_told_and_checked(lab: Lab, unit: str, most: int, now: int) -> None:
    lab.brain.rule = answers("Sort {x} by what it says, at length.", "Sort {x} fast.")
    p = told(Parameter("Sort {x} in the order of age.", "prompt"))
    lab.step(TGD([p], lab.client, max_length=most, length_unit=unit, constraints=["Be kind."], model="brain"))
    first, second = lab.brain.asked
    assert first.user.endswith(
        f"<constraint>Be kind.</constraint>\n<constraint>The value has at most {most} {unit}; the present one has "
        f"{now}.</constraint>"
    )
    found = 36 if unit == "characters" else 10
    assert f"{found} {unit}; at most {most} are allowed: shorten it by {found - most} or more" in second.ask.user
    assert p.data == "Sort {x} fast."


def test_each_group_may_have_a_length_of_its_own(inline: Lab) -> None:
    one, two = told(Parameter("a", "one")), told(Parameter("b", "two"))
    inline.brain.rule = answers("Changed.")
    groups: list[dict[str, Any]] = [{"params": [one], "max_length": 9, "length_unit": "tokens"}, {"params": [two]}]
    TGD(groups, inline.client, max_length=30).step()
    assert ["9 tokens" in asked.user for asked in inline.brain.asked] == [True, False]
    assert ["30 characters" in asked.user for asked in inline.brain.asked] == [False, True]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"max_length": 0}, "max_length must be an int of at least 1, got 0"),
        ({"max_length": 2.5}, "max_length must be an int"),
        ({"length_unit": "words"}, "length_unit must be one of 'characters', 'tokens', got 'words'"),
    ],
)
def test_a_length_that_makes_no_sense(args: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TGD([Parameter("a", "p")], Scripted([]), **args)


# messages


def messages(*texts: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [Variable(text) for text in texts]}]


@pytest.mark.parametrize(
    ("given_", "inputs", "error", "says"),
    [
        (messages("Mend {variable}."), None, PlaceholderError, r"lack \{feedback\}.*\{momentum\} \{history\}"),
        (messages("Mend it by {feedback}."), None, PlaceholderError, r"lack \{variable\}"),
        (messages("Mend it."), None, PlaceholderError, r"lack \{variable\} and \{feedback\}"),
        (messages("{variable} {feedback} {shop}"), None, PlaceholderError, r"use \{shop\}, which nothing fills"),
        (messages("{variable}", "{feedback}"), {"history": "x"}, PlaceholderError, "must not have 'history'"),
        ([{"role": "user", "content": "{variable} {feedback}"}], None, TypeError, "content"),
        ([{"role": "user"}], None, ValueError, "content"),
    ],
)
def test_messages_that_could_not_work_are_refused_at_once(
    given_: Any, inputs: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        TGD([Parameter("a", "p")], Scripted([]), messages=given_, inputs=inputs)
    optimizer = TGD([Parameter("a", "p")], Scripted([]))
    with pytest.raises(error, match=says):
        optimizer.add_param_group({"params": [Parameter("b", "q")], "messages": given_, "inputs": inputs or {}})
    assert len(optimizer.param_groups) == 1


def test_messages_may_be_split_and_groups_have_their_own(inline: Lab) -> None:
    inline.brain.rule = answers("Changed.")
    own = messages("{shop}: {variable}", "{feedback}")
    groups: list[dict[str, Any]] = [
        {"params": [told(Parameter("a", "one"))], "messages": own, "inputs": {"shop": "Bakery"}},
        {"params": [told(Parameter("b", "two"))]},
    ]
    TGD(groups, inline.client).step()
    assert inline.brain.asked[0].user.startswith("Bakery: <variable")
    assert inline.brain.asked[1].ask.system


# parameters that are no text


def test_a_choice_and_a_number_are_proposed_by_schema(lab: Lab) -> None:
    model, warmth = told(Choice(["small", "large"], role="model")), told(Number(0.5, 0, 2, role="temperature"))
    k = told(Number(3, 1, 9, role="number of passages"))
    proposed = {"model": "large", "temperature": 1.25, "number of passages": 7}
    lab.brain.rule = by_role(
        optimizer=lambda ask: reply(next(v for name, v in proposed.items() if f'role="{name}"' in ask.user))
    )
    optimizer = TGD([model, warmth, k], lab.client, momentum=1, model="brain")
    lab.step(optimizer)
    assert [p.data for p in (model, warmth, k)] == ["large", 1.25, 7]
    assert type(k.data) is int
    asked = {ask.user.split('role="')[1].split('"')[0]: ask for ask in lab.brain.asked}
    schemas = {name: (one.ask.schema or {})["properties"]["value"] for name, one in asked.items()}
    assert schemas == {
        "model": {"enum": ["small", "large"]},
        "temperature": {"type": "number", "minimum": 0, "maximum": 2},
        "number of passages": {"type": "integer", "minimum": 1, "maximum": 9},
    }
    assert "<constraint>The value is a number from 0 to 2.</constraint>" in asked["temperature"].user
    optimizer.record(0.5)
    proposed |= {"model": "small", "temperature": 0.75, "number of passages": 2}
    lab.step(optimizer)
    assert '<version score="0.5" status="kept">1.25</version>' in lab.brain.asked[-2].user or any(
        "1.25</version>" in one.user for one in lab.brain.asked
    )
    assert [p.data for p in (model, warmth, k)] == ["small", 0.75, 2]


@pytest.mark.parametrize(
    ("param", "bad", "good"),
    [
        (lambda: Choice(["small", "large"], role="p"), "huge", "large"),
        (lambda: Choice(["small", "large"], role="p"), None, "large"),
        (lambda: Number(0.5, 0, 2, role="p"), 2.5, 2),
        (lambda: Number(0.5, 0, 2, role="p"), "1", 1),
        (lambda: Number(0.5, 0, 2, role="p"), True, 1),
        (lambda: Number(0.5, 0, 1, 0.25, role="p"), 0.3, 0.75),
        (lambda: Number(3, 1, 9, role="p"), 3.5, 4),
    ],
)
def test_a_value_out_of_range_gets_one_repair_turn(lab: Lab, param: Any, bad: Any, good: Any) -> None:
    p = told(param())
    before = p.data
    lab.brain.rule = answers(bad, good)
    lab.step(TGD([p], lab.client, model="brain"))
    assert p.data == good
    assert "'value' is out of range" in lab.brain.asked[1].ask.user
    p.data = before
    lab.brain.rule = answers(bad)
    with pytest.raises(ReplyContractError, match="out of range"):
        lab.step(TGD([p], lab.client, model="brain"))
    assert p.data == before


json_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(json_values | st.lists(json_values, max_size=2), min_size=1, max_size=4))
def test_whatever_the_model_says_no_parameter_is_out_of_range_and_a_failed_update_changes_none(said: list[Any]) -> None:
    with open_lab() as lab:
        params = [
            told(Parameter("Sort {x}.", "text")),
            told(Choice(["small", 1, True], role="choice")),
            told(Number(3, 1, 9, role="whole")),
            told(Number(0.5, 0, 2, 0.5, role="grid")),
        ]
        before = [p.data for p in params]
        lab.brain.rule = answers(*said)
        try:
            lab.step(TGD(params, lab.client))
        except ReplyContractError:
            assert [p.data for p in params] == before
        for param in params[1:]:
            assert param.domain.check(param.data) == param.data
        assert "{x}" in params[0].data


def test_a_check_sees_the_number_itself(inline: Lab) -> None:
    k = told(Number(2, 0, 10, role="k"))
    inline.brain.rule = answers(3, 4)
    even = Constraint("Even.", lambda value: value % 2 == 0)
    TGD([k], inline.client, constraints=[even]).step()
    assert k.data == 4


def test_examples_are_for_another_optimizer() -> None:
    with pytest.raises(TypeError, match=r"give Demos to FewShot, and the others to TGD"):
        TGD([Parameter("a", "p"), afnio.Demos()], Scripted([]))


def test_numbers_and_choices_survive_in_a_state_dict(inline: Lab) -> None:
    def make() -> TGD:
        return TGD([Choice(["a", "b"], role="c"), Number(3, 1, 9, role="n")], inline.client, momentum=2)

    one, other = make(), make()
    inline.brain.rule = by_role(optimizer=lambda ask: reply("b" if 'role="c"' in ask.user else 5))
    for param in one.params():
        told(param)
    one.step()
    one.record(0.25)
    other.load_state_dict(json.loads(json.dumps(plain(one.state_dict()))))
    assert [[v.value for v in kept["history"]] for kept in other.state.values()] == [["b"], ["5"]]


def plain(state: dict[str, Any]) -> dict[str, Any]:
    """The state without what JSON has no word for."""
    kept = {number: {"history": each["history"]} for number, each in state["state"].items()}
    groups = [{"params": g["params"], "momentum": g["momentum"]} for g in state["param_groups"]]
    return {"state": kept, "param_groups": groups}


# the functional form


class Told:
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def call(self, record: Any) -> None: ...

    def metric(self, name: str, value: Any, step: int | None) -> None: ...

    def event(self, kind: str, data: Any) -> None:
        self.events.append((kind, json.loads(json.dumps(data))))


@pytest.mark.parametrize("form", ["sync", "async"])
def test_the_functional_form_tells_versions_and_takes_all_settings(inline: Lab, form: str) -> None:
    inline.brain.rule = answers("Sort {x} well.")
    p, tracker, buffers = Parameter("Sort {x}.", "prompt"), Told(), [[]]  # type: ignore[var-annotated]
    grads = [[Gradient("be kind", samples=("3",))]]
    args: dict[str, Any] = {
        "history_list": [[Version("Sort!", 0.25, "undone")]],
        "max_length": 40,
        "length_unit": "characters",
        "step": 7,
        "model": "brain",
    }
    with use_tracker(tracker):
        if form == "sync":
            tgd([p], grads, buffers, inline.client, TGD_MESSAGES, None, None, 1, **args)
        else:
            asyncio.run(atgd([p], grads, buffers, inline.client, TGD_MESSAGES, None, None, 1, **args))
    assert p.data == "Sort {x} well."
    assert '<version score="0.25" status="undone">Sort!</version>' in inline.brain.asked[0].user
    assert "at most 40 characters" in inline.brain.asked[0].user
    assert [old.data for old, _ in buffers[0]] == ["Sort {x}."]
    ((kind, data),) = tracker.events
    assert (kind, data["parameter"], data["before"], data["after"], data["step"]) == (
        "prompt",
        "prompt",
        "Sort {x}.",
        "Sort {x} well.",
        7,
    )
    assert data["gradients"] == [{"text": "be kind", "samples": ["3"]}]


def test_the_functional_form_changes_all_or_none_over_every_engine(lab: Lab) -> None:
    params: list[Any] = [Parameter("One", "one"), Number(1, 0, 5, role="two")]
    grads: list[Any] = [[Variable("fix")], [Variable("fix")]]
    buffers: list[Any] = [[], []]

    def go() -> None:
        if lab.drive == "sync":
            tgd(params, grads, buffers, lab.client, TGD_MESSAGES, None, None, 1, model="brain")
        else:
            asyncio.run(atgd(params, grads, buffers, lab.client, TGD_MESSAGES, None, None, 1, model="brain"))

    lab.brain.rule = by_role(optimizer=lambda ask: reply("Better" if 'role="one"' in ask.turns[1].text else 9))
    with pytest.raises(ReplyContractError):
        go()
    assert ([p.data for p in params], buffers) == (["One", 1], [[], []])
    lab.brain.rule = by_role(optimizer=lambda ask: reply("Better" if 'role="one"' in ask.turns[1].text else 5))
    go()
    assert [p.data for p in params] == ["Better", 5]


# words


def test_the_version_of_the_words_is_stored_with_the_call_and_with_its_repair(tmp_path: Path) -> None:
    client = Scripted(["rubbish", json.dumps(reply("Better.")), json.dumps(reply("Best."))])
    own = messages("{variable} {feedback}")
    with afnio.local_engine(tmp_path / "calls.jsonl"):
        p = told(Parameter("Good.", "prompt"))
        TGD([p], client).step()
        TGD([p], client, messages=own).step()
    stored = [json.loads(line)["words"] for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    assert stored == [OPTIMIZER.label, f"{OPTIMIZER.label} {REPAIR.label}", ""]


# models by their paths


@pytest.mark.parametrize("kind", [TGD, Evolution])
def test_a_model_may_be_named_by_its_path(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    groups: list[dict[str, Any]] = [
        {"params": [Parameter("a", "p")]},
        {"params": [Parameter("b", "q")], "model_client": "anthropic/claude-sonnet-4-5"},
    ]
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    optimizer = kind(groups, "openai/gpt-5")
    assert [group["model_client"].get_provider() for group in optimizer.param_groups] == ["openai", "anthropic"]
    optimizer.load_state_dict(optimizer.state_dict(), model_clients={1: "openai/gpt-5"})
    assert [group["model_client"].get_provider() for group in optimizer.param_groups] == ["openai", "openai"]
    with pytest.raises(ValueError, match="Unknown provider 'nobody'"):
        kind([Parameter("a", "p")], "nobody/gpt-5")


# groups


OWN: dict[str, Any] = {
    "model_client": Scripted([]),
    "messages": messages("{variable} {feedback}"),
    "inputs": {"shop": "Bakery"},
    "constraints": ["Be kind."],
    "momentum": 3,
    "max_length": 30,
    "length_unit": "tokens",
    "history": 1,
    "demos": True,
    "completion_args": {"model": "other"},
}


def test_every_setting_may_be_a_groups_own() -> None:
    optimizer = TGD([Parameter("a", "p")], Scripted([]), model="m")
    groups = optimizer.param_groups
    assert set(OWN) == set(groups[0]) - {"params"}
    for name, value in OWN.items():
        given_ = {"params": [Parameter("b", name)], name: value}
        before = dict(given_)
        optimizer.add_param_group(given_)
        assert given_ == before  # what was given is the user's
        assert groups[-1][name] == value
        assert all(groups[-1][other] == groups[0][other] for other in OWN if other != name)
    assert optimizer.param_groups is groups


def test_without_a_max_length_the_limit_is_in_characters_whatever_the_unit() -> None:
    for unit in UNITS:
        assert asyncio.run(check_value("a" * 10_000, "short", length_unit=unit))
        with pytest.raises(Fault, match="has 10001 characters; at most 10000 are allowed: shorten it by 1 or more"):
            asyncio.run(check_value("a" * 10_001, "short", length_unit=unit))
        assert asyncio.run(check_value("a" * 40_000, "b" * 10_000, length_unit=unit))


def test_constraints_that_could_never_be_kept_or_checked_are_refused() -> None:
    wrong: list[tuple[Any, Any, type[Exception]]] = [
        (max_words, 0, ValueError),
        (max_words, "x", ValueError),
        (must_contain, "", ValueError),
        (must_contain, 3, ValueError),
        (lambda check: Constraint("rule", check), 3, TypeError),
    ]
    for make, value, error in wrong:
        with pytest.raises(error, match="got"):
            make(value)
