"""TGD: what it asks, which answers it takes, and what a step changes."""

from __future__ import annotations

import contextvars
from typing import Any

import pytest

from afnio import functional as F
from afnio.errors import NoEngineError, ReplyContractError
from afnio.gradient import Gradient
from afnio.models.lm_server.ask import Ask
from afnio.models.scripted import Scripted
from afnio.optim import TGD, TGD_MESSAGES, Constraint, max_words, must_contain
from afnio.optim.functional import tgd
from afnio.parameter import Parameter
from afnio.variable import Variable
from afnio.words.optimizer import OPTIMIZER
from tests.autodiff.lab import Lab, by_role, system, texts, user


def prompt(text: str = "Sort {x}.", role: str = "prompt", *feedback: Any) -> Parameter:
    made = Parameter(text, role)
    for one in feedback or ("say it better",):
        made.append_grad(one if isinstance(one, Variable) else Gradient(one, f"feedback to {role}", samples=("3", "5")))
    return made


def once(bad: Any, then: Any = "Sort {x} well.") -> Any:
    """An optimizer whose first reply is ``bad``."""
    return by_role(optimizer=lambda ask: bad if len(ask.turns) == 2 else {"reasoning": "r", "value": then})


def value(text: str, reasoning: str = "because") -> dict[str, str]:
    return {"reasoning": reasoning, "value": text}


# the request


def test_the_request_holds_variable_feedback_and_constraints(lab: Lab) -> None:
    lab.brain.rule = by_role(optimizer="Sort {x} well.")
    p = prompt("Sort {x}.", "system prompt", "be kind", Variable("be brief", "by hand"))
    lab.step(TGD([p], lab.client, constraints=["No jokes.", Variable("In English."), max_words(50)], model="brain"))
    (asked,) = lab.brain.asked
    assert asked.role == "optimizer"
    assert asked.ask.schema_name == "afnio_update"
    assert asked.user == (
        '<variable role="system prompt">Sort {x}.</variable>\n'
        '<feedback samples="3,5">be kind</feedback>\n'
        "<feedback>be brief</feedback>\n"
        "<constraint>No jokes.</constraint>\n"
        "<constraint>In English.</constraint>\n"
        "<constraint>The text has at most 50 words.</constraint>"
    )
    assert asked.ask.system == OPTIMIZER.system.replace("{{placeholder}}", "{placeholder}")
    assert p.data == "Sort {x} well."


def test_feedback_that_arrived_twice_is_shown_once(inline: Lab) -> None:
    inline.brain.rule = by_role(optimizer="Sort {x} well.")
    same = Gradient("be kind", "feedback")
    p = prompt("Sort {x}.", "p", same, same, Gradient("", "empty"), Gradient("be brief", "another's"))
    TGD([p], inline.client).step()
    assert inline.brain.asked[0].user.count("be kind") == 1


def test_the_same_words_from_several_places_are_shown_once_with_all_their_samples(inline: Lab) -> None:
    inline.brain.rule = by_role(optimizer="Sort {x} well.")
    turns = [Gradient("be kind", "turn", samples=ids) for ids in (("1", "2"), ("2", "3"))]
    p = prompt("Sort {x}.", "p", turns[0], Gradient("be brief", "another's", samples=("4",)), turns[1])
    TGD([p], inline.client).step()
    assert '<feedback samples="1,2,3">be kind</feedback>\n<feedback samples="4">be brief<' in inline.brain.asked[0].user


def test_ones_own_messages_and_inputs(lab: Lab) -> None:
    lab.brain.rule = by_role(optimizer="Sort {x} well.")
    messages = [
        {"role": "system", "content": [Variable("You serve {shop}."), Variable("JSON: {{reasoning}} {{value}}")]},
        {"role": "user", "content": [Variable("Mend {variable} by {feedback}")]},
    ]
    lab.step(TGD([prompt()], lab.client, messages=messages, inputs={"shop": Variable("a bakery")}, model="brain"))
    (asked,) = lab.brain.asked
    assert asked.ask.system == "You serve a bakery.\nJSON: {reasoning} {value}"
    assert asked.user.startswith('Mend <variable role="prompt">Sort {x}.</variable> by \n<feedback')


def test_the_default_messages_are_copied_and_have_roles() -> None:
    roles = [content.role for message in TGD_MESSAGES for content in message["content"]]
    assert [("TGD" in role or "gradient descent" in role) for role in roles] == [True, True]
    optimizer = TGD([Parameter("a", "p")], Scripted([]))
    assert optimizer.param_groups[0]["messages"][0]["content"][0] is not TGD_MESSAGES[0]["content"][0]


def test_completion_args_are_passed_on(inline: Lab) -> None:
    inline.brain.rule = by_role(optimizer="Sort {x} well.")
    TGD([prompt()], inline.client, model="brain", temperature=0.25).step()
    assert inline.client.requests[0]["temperature"] == 0.25


# the reply


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("!rubbish", "not JSON"),
        ({"reasoning": "r"}, "no 'value'"),
        ({"value": "Sort {x}."}, "no 'reasoning'"),
        (value(""), "'value' is empty"),
        (value(" \n"), "'value' is empty"),
        ({"reasoning": "r", "value": ["a"]}, "'value' must be a string"),
        ({"reasoning": "r", "value": None}, "'value' must be a string"),
        (value("Sort it."), "drops the placeholder {x}"),
        (value("Sort {x} by {y}."), "has the placeholder {y}"),
        (value("Sort {x}. " + "word " * 3000), "characters; at most 10000 are allowed"),
    ],
)
def test_a_value_that_cannot_be_used_is_sent_back_once(lab: Lab, bad: Any, says: str) -> None:
    lab.brain.rule = once(bad)
    p = prompt()
    optimizer = TGD([p], lab.client, model="brain")
    lab.step(optimizer)
    assert p.data == "Sort {x} well."
    assert len(lab.brain.asked) == 2
    assert says in lab.brain.asked[1].ask.user
    (update,) = optimizer.last_updates
    assert (update.parameter, update.before, update.after, update.reasoning) == (p, "Sort {x}.", "Sort {x} well.", "r")

    lab.brain.rule = by_role(optimizer=lambda ask: bad)
    with pytest.raises(ReplyContractError) as error:
        lab.step(optimizer)
    assert (error.value.role, error.value.variable, p.data) == ("optimizer", "prompt", "Sort {x} well.")
    assert "TGD: prompt" in error.value.node
    assert texts(p) == ["say it better"]


@pytest.mark.parametrize(
    ("constraint", "bad", "good"),
    [
        (max_words(4), "Sort {x} very very well.", "Sort {x} well."),
        (must_contain("Please"), "Sort {x}!", "Please sort {x}."),
        (Constraint("All lower case.", str.islower), "Sort {x} well.", "sort {x} well."),
    ],
)
def test_a_constraint_with_a_check_is_checked(lab: Lab, constraint: Constraint, bad: str, good: str) -> None:
    lab.brain.rule = once(value(bad), good)
    p = prompt()
    lab.step(TGD([p], lab.client, constraints=[constraint], model="brain"))
    assert p.data == good
    assert f"breaks the constraint: {constraint.text}" in lab.brain.asked[1].ask.user
    assert f"<constraint>{constraint.text}</constraint>" in lab.brain.asked[0].user


@pytest.mark.parametrize("given_", ["No jokes.", Variable("No jokes."), Constraint("No jokes."), [3], [None], 3])
def test_constraints_are_a_list_of_constraints(given_: Any) -> None:
    with pytest.raises(TypeError, match="constraint"):
        TGD([Parameter("a", "p")], Scripted([]), constraints=given_)
    with pytest.raises(TypeError, match="constraint"):
        TGD([{"params": [Parameter("a", "p")], "constraints": given_}], Scripted([]))
    with pytest.raises(ValueError, match="text that says the rule"):
        Constraint(" ")


def test_max_length(lab: Lab) -> None:
    lab.brain.rule = once(value("Sort {x} " + "x" * 30), "Sort {x}, ok.")
    p = prompt()
    lab.step(TGD([p], lab.client, max_length=20, model="brain"))
    assert p.data == "Sort {x}, ok."
    assert "at most 20 are allowed" in lab.brain.asked[1].ask.user


def test_literal_braces_and_values_without_placeholders(inline: Lab) -> None:
    text = 'Reply {"a": 1} or {{x}}.'
    inline.brain.rule = by_role(optimizer=lambda ask: value(f"{text} Now!"))
    p = prompt(text)
    TGD([p], inline.client).step()
    assert p.data == f"{text} Now!"


TICKET = "My heating has been broken since Monday evening and nobody answers the phone"


def trained(lab: Lab, how: str) -> Parameter:
    """A prompt with feedback from a sample."""
    p = Parameter("Sort {x}." if how != "content" else "Sort.", "prompt")
    ticket = Variable(TICKET, "ticket")
    if how == "batch":
        answer = lab.chat([system(p)], inputs={"x": [TICKET, "other"]})
        lab.backward(F.exact_match_evaluator(answer, ["x", "y"]))
    elif how == "chain":
        first = lab.chat([system(Variable("Translate {x}"))], inputs={"x": [TICKET, "other"]})
        answer = lab.chat([system(p)], inputs={"x": first})
        lab.backward(F.exact_match_evaluator(answer, ["x", "y"]))
    else:
        messages = [system(p)] if how == "single" else [system(p), user(ticket)]
        answer = lab.chat(messages, inputs={"x": ticket} if how == "single" else None)
        lab.backward(F.exact_match_evaluator(answer, "x"))
    return p


@pytest.mark.parametrize("how", ["batch", "single", "content"])
def test_a_training_sample_is_not_copied_into_the_prompt(lab: Lab, how: str) -> None:
    p = trained(lab, how)
    place = " {x}" if how != "content" else ""
    copied = f"Sort{place}. Example: MY heating -- has been broken since monday evening and nobody answers!"
    lab.brain.rule = once(value(copied), f"Sort{place} well.")
    lab.step(TGD([p], lab.client, model="brain"))
    assert p.data == f"Sort{place} well."
    fault = lab.brain.asked[-1].ask.user
    assert "copies a training sample ('my heating has been broken since monday evening')" in fault

    lab.brain.rule = by_role(optimizer=lambda ask: value(copied))
    with pytest.raises(ReplyContractError, match="copies a training sample"):
        lab.step(TGD([p], lab.client, model="brain"))
    lab.step(TGD([p], lab.client, model="brain", demos=True))
    assert p.data == copied


def test_what_the_prompt_says_already_is_no_copy(inline: Lab) -> None:
    p = Parameter(f"Sort {{x}}. Like this: {TICKET}", "prompt")
    inline.backward(inline.chat([system(p)], inputs={"x": TICKET}), Variable("wrong"))
    inline.brain.rule = by_role(optimizer=lambda ask: value(f"Sort {{x}} well. Like this: {TICKET}"))
    TGD([p], inline.client).step()
    assert p.data.startswith("Sort {x} well")


def test_another_parameters_text_is_no_sample(inline: Lab) -> None:
    rules = Parameter("Say what is urgent and what can wait until the next working day.", "rules")
    p = Parameter("Sort {x} by {rules}", "prompt")
    inline.backward(inline.chat([system(p)], inputs={"x": "a", "rules": rules}), Variable("wrong"))
    inline.brain.rule = by_role(
        optimizer=lambda ask: value(f"{rules.data} Sort {{x}} by {{rules}}" if "{rules}" in ask.user else "Rules.")
    )
    TGD([p, rules], inline.client).step()
    assert p.data.startswith("Say what is urgent")


def test_much_feedback_is_reduced_before_it_is_shown(lab: Lab) -> None:
    p = prompt("Sort {x}.", "prompt", *[f"lesson {number}, at some length" for number in range(10)])
    lab.brain.rule = by_role(optimizer="Sort {x} well.")
    with lab.settings(feedback_tokens=20):
        lab.step(TGD([p], lab.client, model="brain"))
    assert lab.calls()["reducer"] >= 5
    shown = [text for asked in lab.brain.of("reducer") for text in asked.user.split("\n") if "lesson" in text]
    assert {f"lesson {number}," in "".join(shown) for number in range(10)} == {True}
    assert lab.brain.of("optimizer")[0].user.count("in short") >= 1


# the step


def test_nothing_to_improve_is_no_call(lab: Lab) -> None:
    p = Parameter("a", "p")
    p.append_grad(Gradient("", "feedback to p"))
    optimizer = TGD([p, Parameter("b", "no feedback")], lab.client, momentum=3, model="brain")
    assert lab.step(optimizer) == (None, None)
    assert (p.data, lab.brain.asked, dict(optimizer.state), optimizer.last_updates) == ("a", [], {}, [])


def test_all_right_leaves_no_trace(lab: Lab) -> None:
    p = Parameter("Do {x}", "p")
    optimizer = TGD([p], lab.client, momentum=3, model="brain")
    lab.backward(F.exact_match_evaluator(lab.chat([system(p)], inputs={"x": ["a", "b"]}), ["answer"] * 2))
    lab.step(optimizer)
    assert (texts(p), p.data, dict(optimizer.state), lab.calls()) == ([""], "Do {x}", {}, {"forward": 2})


def test_parameters_that_need_no_gradient_stay(lab: Lab) -> None:
    p = prompt("a", "p")
    p.requires_grad_(False)
    lab.step(TGD([p], lab.client, model="brain"))
    assert (p.data, lab.brain.asked) == ("a", [])


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_all_parameters_change_or_none(lab: Lab, bad: int) -> None:
    params = [prompt(f"Text {number}.", f"prompt {number}") for number in range(3)]

    def reply(ask: Ask) -> Any:
        return "!rubbish" if f"prompt {bad}" in ask.turns[1].text else value("Changed.")

    lab.brain.rule = by_role(optimizer=reply)
    optimizer = TGD(params, lab.client, momentum=2, model="brain")
    before = optimizer.state_dict()["state"]
    with pytest.raises(ReplyContractError, match=f"prompt {bad}"):
        lab.step(optimizer)
    assert [p.data for p in params] == [f"Text {number}." for number in range(3)]
    assert [texts(p) for p in params] == [["say it better"]] * 3
    assert optimizer.state_dict()["state"] == before == {}
    lab.brain.rule = by_role(optimizer="Changed.")
    lab.step(optimizer)
    assert [p.data for p in params] == ["Changed."] * 3


def test_the_closure_comes_first_and_its_result_is_returned(lab: Lab) -> None:
    p = Parameter("Sort {x}.", "p")
    lab.brain.rule = by_role(optimizer="Sort {x} well.")
    optimizer = TGD([p], lab.client, model="brain")

    def closure() -> Any:
        optimizer.clear_grad()
        loss = F.exact_match_evaluator(p, "b")
        loss.backward()
        return loss

    async def aclosure() -> Any:
        optimizer.clear_grad()
        loss = F.exact_match_evaluator(p, "b")
        await loss.abackward()
        return loss

    loss = lab.step(optimizer, closure)
    assert (loss.score.data, p.data) == (0, "Sort {x} well.")
    if lab.drive == "async":
        assert lab.step(optimizer, aclosure).score.data == 0


def test_groups_have_settings_of_their_own(lab: Lab) -> None:
    one, two = prompt("a", "one"), prompt("b", "two")
    lab.brain.rule = by_role(optimizer="Changed.")
    groups: list[dict[str, Any]] = [{"params": [one], "constraints": ["Only one."], "momentum": 2}, {"params": two}]
    optimizer = TGD(groups, lab.client, constraints=["For all."], model="brain")
    lab.step(optimizer)
    shown = {asked.user.split("\n")[0]: asked.user for asked in lab.brain.asked}
    assert "Only one." in shown['<variable role="one">a</variable>']
    assert "For all." in shown['<variable role="two">b</variable>']
    assert [name for name in ("momentum_buffer",) if name in optimizer.state[one]] == ["momentum_buffer"]
    assert two not in optimizer.state


def test_a_value_that_is_no_text_is_refused(lab: Lab) -> None:
    p = Parameter(["a", "b"], "list")
    p.append_grad(Gradient("fix"))
    with pytest.raises(TypeError, match="TGD rewrites text; the parameter 'list' holds list"):
        lab.step(TGD([p], lab.client, model="brain"))


def test_without_an_engine_the_way_out_is_named(inline: Lab) -> None:
    optimizer = TGD([prompt()], inline.client)

    def outside() -> None:
        with pytest.raises(NoEngineError, match=r"optimizer.step\(\).*local_engine"):
            optimizer.step()
        with pytest.raises(NoEngineError, match=r"optimizer.clear_grad\(\)"):
            optimizer.clear_grad()
        with pytest.raises(NoEngineError, match=r"tgd\(\)"):
            tgd([], [], [], inline.client, TGD_MESSAGES, None, None, 0)

    contextvars.Context().run(outside)
    optimizer.clear_grad()


# momentum and history


def test_momentum_remembers_values_with_their_feedback_and_shows_them(lab: Lab) -> None:
    p = prompt("Version 0 {x}", "p", "feedback 0")
    optimizer = TGD([p], lab.client, momentum=2, model="brain")
    for step in range(1, 5):
        lab.brain.rule = by_role(optimizer=f"Version {step} {{x}}")
        lab.step(optimizer)
        optimizer.clear_grad()
        p.append_grad(Gradient(f"feedback {step}"))
        buffer = optimizer.state[p]["momentum_buffer"]
        assert [(old.data, [g.data for g in given]) for old, given in buffer] == [
            (f"Version {number} {{x}}", [f"feedback {number}"]) for number in range(max(0, step - 2), step)
        ]
    shown = lab.brain.asked[-1].user
    assert [f"<past_version>Version {number} {{x}}\n<feedback>feedback {number}" in shown for number in range(4)] == [
        False,
        True,
        True,
        False,
    ]
    assert "past_version" not in lab.brain.asked[0].user


def test_without_momentum_nothing_is_kept(lab: Lab) -> None:
    lab.brain.rule = by_role(optimizer="Sort {x} well.")
    optimizer = TGD([prompt()], lab.client, model="brain")
    lab.step(optimizer)
    assert dict(optimizer.state) == {}


def test_the_history_shows_what_proposals_scored(lab: Lab) -> None:
    p = prompt("Version 0 {x}", "p")
    optimizer = TGD([p], lab.client, history=2, model="brain")
    for number, (score, kept) in enumerate([(0.25, True), (0.125, False), (None, True), (1 / 3, True)], 1):
        lab.brain.rule = by_role(optimizer=f"Version {number} {{x}}")
        lab.step(optimizer)
        optimizer.record(score, kept=kept)
    users = [asked.user for asked in lab.brain.asked]
    assert "<history>" not in users[0]
    assert '<history>\n<version score="0.25" status="kept">Version 1 {x}</version>\n</history>' in users[1]
    assert (
        '<history>\n<version score="0.125" status="undone">Version 2 {x}</version>\n'
        '<version score="unknown" status="kept">Version 3 {x}</version>\n</history>' in users[3]
    )


def test_a_proposal_that_changed_nothing_is_not_recorded(lab: Lab) -> None:
    lab.brain.rule = by_role(optimizer="Sort {x}.")
    optimizer = TGD([p := prompt("Sort {x}.")], lab.client, model="brain")
    lab.step(optimizer)
    optimizer.record(0.5, kept=True)
    assert "history" not in optimizer.state[p]


# functional form


def test_the_functional_form_changes_parameters_and_buffers_in_place(lab: Lab) -> None:
    lab.brain.rule = by_role(optimizer="Better {x}")
    params = [Parameter("One {x}", "one"), Parameter("Two {x}", "two")]
    grads = [[Variable("fix one")], [Variable("")]]
    buffers: list[Any] = [[], []]
    first = buffers[0]
    for _ in range(3):
        tgd(params, grads, buffers, lab.client, TGD_MESSAGES, None, ["Be kind."], 2, model="brain")
    assert [p.data for p in params] == ["Better {x}", "Two {x}"]
    assert buffers[0] is first
    assert [old.data for old, _ in first] == ["Better {x}", "Better {x}"]
    assert buffers[1] == []
    assert len(lab.brain.asked) == 3
    assert lab.brain.asked[-1].user.count("<past_version>") == 2


def test_the_functional_form_refuses_lists_that_do_not_fit(inline: Lab) -> None:
    p = Parameter("One", "one")
    with pytest.raises(ValueError, match="same length"):
        tgd([p], [], [[]], inline.client, TGD_MESSAGES, None, None, 0)
    with pytest.raises(TypeError, match="constraints must be a list"):
        tgd([p], [[Variable("x")]], [[]], inline.client, TGD_MESSAGES, None, "Be kind.", 0)
