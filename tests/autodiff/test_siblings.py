"""Calls made one by one for different samples share a critic; nothing else about them changes."""

from __future__ import annotations

from typing import Any

import pytest

from afnio import autodiff
from afnio import functional as F
from afnio.autodiff import Function
from afnio.autodiff.turn import Outcome, Turn
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff.lab import Lab, by_role, feedback, names_of, open_lab, samples_of, system, texts, user


def critic(ask: Any) -> Any:
    return feedback(ask, f"saw {';'.join(ids for ids, _ in samples_of(ask))}")


def losses(lab: Lab, count: int, prompt: Parameter, *, filled: bool) -> list[Any]:
    """``count`` samples, each a call and an evaluator of its own; the last one is right."""
    lab.brain.rule = by_role(forward=lambda ask: "right" if "last" in ask.user else "wrong", backward=critic)
    found = []
    for number in range(count):
        text = f"ticket {number}" if number < count - 1 else "the last ticket"
        if filled:
            answer = lab.chat([system(prompt), user(Variable("{x}", "template"))], {"x": text})
        else:
            answer = lab.chat([system(prompt), user(Variable(text, "the ticket"))])
        found.append(F.exact_match_evaluator(answer, "right"))
    return found


@pytest.mark.parametrize("filled", [True, False])
def test_one_critic_looks_at_all_failing_samples(filled: bool) -> None:
    with open_lab() as lab:
        prompt = Parameter("Classify", "the prompt")
        autodiff.backward([loss.explanation for loss in losses(lab, 5, prompt, filled=filled)])
        assert lab.calls()["backward"] == 1
        assert [gradient.samples for gradient in prompt.grad] == [("0", "1", "2", "3")]  # type: ignore[attr-defined]
        shown = lab.brain.of("backward")[0].ask.user
        assert [f"ticket {number}" in shown for number in range(4)] == [True] * 4
        assert "the last ticket" not in shown
        assert shown.count("Classify") == 1  # what they share is shown, and paid for, once


def test_turns_with_tools_settings_and_pictures_share_a_critic_too() -> None:
    with open_lab() as lab:
        lab.brain.rule = by_role(forward="wrong", backward=critic)
        prompt, heat = Parameter("Look", "the prompt"), Parameter(0.5, "the temperature")
        about = Parameter("Find it", "the description")
        tools = [{"name": "find", "description": about, "parameters": {"type": "object", "properties": {}}}]
        same = {"type": "image", "source": {"type": "url", "url": "https://example.org/same.png"}}
        found = []
        for number in range(3):
            own = {"type": "image", "source": {"type": "url", "url": f"https://example.org/{number}.png"}}
            messages = [system(prompt), user(Variable(f"ticket {number}", "the ticket"), same, own)]
            found.append(lab.turn(messages, tools=tools, temperature=heat).output)
        autodiff.backward([F.exact_match_evaluator(output, "right").explanation for output in found])
        assert lab.calls()["backward"] == 1
        for value in (prompt, heat, about):
            assert [gradient.samples for gradient in value.grad] == [("0", "1", "2")]  # type: ignore[attr-defined]
        (asked,) = lab.brain.of("backward")
        assert asked.user.count("same.png") == 0
        names = [image.url.rpartition("/")[2] for turn in asked.ask.turns for image in turn.images]
        assert names == ["same.png", "0.png", "1.png", "2.png"]


@pytest.mark.parametrize("batched", [True, False])
def test_the_last_turns_of_conversations_share_a_critic(batched: bool) -> None:
    """Each sample's own turns and results get their own feedback."""
    with open_lab() as lab:
        lab.brain.rule = by_role(forward="wrong", backward=critic)
        prompt, about = Parameter("Look", "the prompt"), Parameter("Find it", "the description")
        answers = [{"type": "tool_use", "id": "1", "name": "find", "input": {}}]
        outputs, firsts = [], []
        for number in range(3):
            given: Any = [f"ticket {number}"] if batched else f"ticket {number}"
            said = Say.apply(prompt, [answers], batched)
            firsts.append(said)
            said.retain_grad()
            tool = {"name": "find", "description": about, "parameters": {}}
            messages = [system(prompt), user(Variable("{x}")), {"role": "assistant", "content": [said]}]
            outputs.append(lab.turn(messages, {"x": given}, tools=[tool]).output)
        wanted: Any = ["right"] if batched else "right"
        autodiff.backward([F.exact_match_evaluator(output, wanted).explanation for output in outputs])
        assert lab.calls()["backward"] == 1
        ids = [f"{number}.0" if batched else str(number) for number in range(3)]
        assert [[gradient.samples for gradient in said.grad] for said in firsts] == [[(one,)] for one in ids]
        assert [gradient.index for gradient in firsts[0].grad] == [0 if batched else None]
        assert [gradient.samples for gradient in about.grad] == [tuple(ids)]  # type: ignore[attr-defined]
        assert len(prompt.grad) == 4  # from the call they share, and from where each first turn came from


class Say(Function):
    """A turn that was said before."""

    @staticmethod
    def forward(ctx: Any, x: Variable, content: Any, batched: bool) -> Turn:
        return Turn([""] if batched else "", "a turn", content, [Outcome()])

    @staticmethod
    def backward(ctx: Any, grad: Variable) -> Any:
        return grad, None, None


def test_turns_with_other_tools_or_settings_share_nothing() -> None:
    with open_lab() as lab:
        lab.brain.rule = by_role(forward="wrong", backward=critic)
        prompt = Parameter("Look", "the prompt")
        tools = [[{"name": name, "description": "Find it"}] for name in ("find", "seek")]
        heats = [Parameter(0.5, "heat"), Parameter(0.5, "heat")]
        outputs = [lab.turn([system(prompt)], tools=given).output for given in tools]
        outputs += [lab.turn([system(prompt)], temperature=heat).output for heat in heats]
        autodiff.backward([F.exact_match_evaluator(output, "right").explanation for output in outputs])
        assert lab.calls()["backward"] == 4


def test_it_can_be_switched_off() -> None:
    with open_lab() as lab:
        prompt = Parameter("Classify", "the prompt")
        with lab.settings(share_critics=False):
            autodiff.backward([loss.explanation for loss in losses(lab, 5, prompt, filled=True)])
        assert lab.calls()["backward"] == 4
        assert len(prompt.grad) == 4


def test_samples_per_critic_bounds_a_family_too() -> None:
    with open_lab() as lab:
        prompt = Parameter("Classify", "the prompt")
        with lab.settings(samples_per_critic=3):
            autodiff.backward([loss.explanation for loss in losses(lab, 6, prompt, filled=True)])
        assert [gradient.samples for gradient in prompt.grad] == [("0", "1", "2"), ("3", "4")]  # type: ignore[attr-defined]


def test_each_sample_s_own_variables_get_their_own_feedback() -> None:
    with open_lab() as lab:
        prompt = Parameter("Classify", "the prompt")
        inputs = [Variable(f"text {number}", f"input {number}", requires_grad=True) for number in range(3)]
        lab.brain.rule = by_role(forward=lambda ask: "wrong", backward=critic)
        template = Variable("{x}", "template")
        answers = [lab.chat([system(prompt), user(template)], {"x": given}) for given in inputs]
        autodiff.backward([F.exact_match_evaluator(answer, "right").explanation for answer in answers])
        assert lab.calls()["backward"] == 1
        assert names_of(lab.brain.of("backward")[0].ask) == ["v1", "v2", "v3", "v4"]
        assert [given.grad[0].samples for given in inputs] == [("0",), ("1",), ("2",)]  # type: ignore[attr-defined]
        assert [len(given.grad) for given in inputs] == [1, 1, 1]


def test_an_empty_text_of_a_shared_critic_tells_each_call_that_nothing_need_change() -> None:
    with open_lab() as lab:
        prompt = Parameter("Classify", "the prompt")
        inputs = [Variable(f"text {number}", f"input {number}", requires_grad=True) for number in range(3)]
        lab.brain.rule = by_role(
            forward="wrong", backward=lambda ask: feedback(ask, lambda name: "better" if name == "v1" else "")
        )
        answers = [lab.chat([system(prompt), user(Variable("{x}", "template"))], {"x": given}) for given in inputs]
        autodiff.backward([F.exact_match_evaluator(answer, "right").explanation for answer in answers])
        assert lab.calls()["backward"] == 1
        assert texts(prompt) == ["better"]
        assert [texts(given) for given in inputs] == [[""]] * 3


def test_calls_with_other_prompts_and_calls_for_the_same_sample_share_nothing() -> None:
    with open_lab() as lab:
        one, other = Parameter("Classify", "one prompt"), Parameter("Classify", "another prompt")
        lab.brain.rule = by_role(forward=lambda ask: "wrong", backward=critic)
        answers = [lab.chat([system(prompt), user(Variable("x", "text"))]) for prompt in (one, other)]
        autodiff.backward([F.exact_match_evaluator(answer, "right").explanation for answer in answers])
        assert lab.calls()["backward"] == 2
    with open_lab() as lab:
        lab.brain.rule = by_role(forward=lambda ask: "wrong", backward=critic)
        parts = [lab.chat([system(one), user(Variable(text, "text"))]) for text in ("x", "y")]
        one.grad.clear()
        F.exact_match_evaluator(parts[0] + parts[1], "right").backward()
        assert lab.calls()["backward"] == 2
        assert [gradient.samples for gradient in one.grad] == [("0",), ("0",)]  # type: ignore[attr-defined]
