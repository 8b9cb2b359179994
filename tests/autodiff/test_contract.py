"""The reply contract: which replies are read, which are sent back once, and what is said when that fails too."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import afnio
from afnio.calls import run_inline
from afnio.errors import BadRequestError, ReplayMissError, ReplyContractError
from afnio.models.contract import Contract, Fault, _read, ask
from afnio.models.lm_server import LMServer
from afnio.models.lm_server.ask import Ask
from afnio.models.lm_server.simulation import Refusal
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff.lab import Lab, Served, by_role, feedback, open_lab, system, texts

WRONG = Variable("wrong", "feedback")

VALUE = Contract(
    "afnio_update",
    {"type": "object", "required": ["reasoning", "value"], "properties": {}, "additionalProperties": False},
    lambda value: value["value"],
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
prose = st.text(st.characters(exclude_characters='{}`<>[]"', exclude_categories=["Cs"]), max_size=30)
wrappings = st.sampled_from(
    [
        "{0}",
        "{1}{0}{1}",
        "{1}\n```json\n{0}\n```\n{1}",
        "```\n{0}\n```",
        "```json{0}```",
        "<answer>{0}</answer>",
        "{1}<json>\n{0}\n</json>{1}",
        "<afnio_update>{0}</afnio_update>",
        'Given {{x}} and {{"a": 1}}: {0} {1}',
    ]
)


@given(value=json_values, reasoning=st.text(max_size=20), wrap=wrappings, words=prose, ascii_=st.booleans())
def test_the_object_is_found_whatever_stands_around_it(
    value: Any, reasoning: str, wrap: str, words: str, ascii_: bool
) -> None:
    spelled = json.dumps({"reasoning": reasoning, "value": value}, ensure_ascii=ascii_)
    assert _read(wrap.format(spelled, words), VALUE) == value


@given(st.text(max_size=200))
def test_no_reply_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(Fault):
        _read(text, VALUE)


@given(cut=st.integers(1, 30))
def test_a_cut_reply_is_a_fault_and_no_inner_object_is_taken_for_it(cut: int) -> None:
    spelled = json.dumps({"reasoning": "r", "value": {"reasoning": "x", "valu": "y"}})
    with pytest.raises(Fault, match="not valid JSON"):
        _read(spelled[:-cut], VALUE)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is not JSON"),
        ("I cannot help with that.", "it is not JSON"),
        ("[1, 2]", "one JSON object, not a list"),
        ('"yes"', "one JSON object, not a string"),
        ("null", "not null"),
        ("3", "not a number"),
        ("true", "not a boolean"),
        ("{}", "no 'reasoning' and no 'value'"),
        ('{"reasoning": "r"}', "no 'value'"),
        ('Sure: {"reasoning": "r"}', "no 'value'"),
        ("{'reasoning': 'r', 'value': 'v'}", "not valid JSON"),
        ('{"reasoning": "r", "value": ', "not valid JSON"),
        ("{" * 10_000, "not valid JSON"),
    ],
)
def test_faults_are_told_in_words(text: str, says: str) -> None:
    with pytest.raises(Fault, match=says):
        _read(text, VALUE)


def test_line_breaks_inside_strings_are_forgiven() -> None:
    assert _read('{"reasoning": "r", "value": "two\nlines"}', VALUE) == "two\nlines"


def test_code_in_the_value_is_no_fence() -> None:
    code = "Use:\n```json\n{}\n```\ndone"
    assert _read(json.dumps({"reasoning": "r", "value": code}), VALUE) == code
    assert _read(f"```json\n{json.dumps({'reasoning': 'r', 'value': code})}\n```", VALUE) == code


# the critic's replies

CRITIC_FAULTS = [
    ('{"feedback": [{"variable": "v9", "text": "x"}]}', "an entry for 'v9'; asked for were v1, v2"),
    ('{"feedback": [{"variable": "v1", "text": "x"}]}', "no entry for v2"),
    ('{"feedback": [{"variable": "v1", "text": "x"}, {"variable": "v2", "text": null}]}', "'v2' has no text"),
    ('{"feedback": [{"variable": "v1", "text": "x"}, {"variable": "v2"}]}', "'v2' has no text"),
    ('{"feedback": "better"}', "must be a list of objects"),
    ('{"feedback": ["better"]}', "must be a list of objects"),
    ('{"feedback": []}', "no entry for v1, v2"),
    ('{"comments": []}', "no 'feedback'"),
    ('{"feedback": [{"variable": "v1", "te', "not valid JSON"),
    ("They should be better.", "not JSON"),
    ("", "not JSON"),
]


def two_prompts(lab: Lab) -> tuple[Parameter, Parameter, Variable]:
    one, two = Parameter("Do {x}", "first prompt"), Parameter("Mind {x}", "second prompt")
    return one, two, lab.chat([system(one, two)], inputs={"x": "a"})


@pytest.mark.parametrize(("bad", "fault"), CRITIC_FAULTS)
def test_one_repair_turn_quotes_reply_and_fault(lab: Lab, bad: str, fault: str) -> None:
    def critic(ask: Ask) -> Any:
        return bad if ask.turns[-1].role == "user" and "cannot be used" not in ask.user else feedback(ask)

    lab.brain.rule = by_role(backward=critic)
    one, two, answer = two_prompts(lab)
    lab.backward(answer, WRONG)
    assert texts(one) == texts(two) == ["say it better"]
    first, repair = lab.brain.of("backward")
    assert repair.ask.turns[: len(first.ask.turns)] == first.ask.turns
    assert [turn.role for turn in repair.ask.turns[-2:]] == ["assistant", "user"]
    assert repair.ask.turns[-2].text == bad
    assert fault in repair.ask.user
    assert repair.ask.schema_name == "afnio_feedback"


@pytest.mark.parametrize(("bad", "fault"), CRITIC_FAULTS)
def test_the_second_fault_is_a_typed_error(lab: Lab, bad: str, fault: str) -> None:
    lab.brain.rule = by_role(backward=lambda ask: bad)
    one, two, answer = two_prompts(lab)
    with pytest.raises(ReplyContractError) as error:
        lab.backward(answer, WRONG)
    raised = error.value
    assert (raised.role, raised.variable, raised.reply) == ("backward", "first prompt", bad)
    assert "ChatCompletion: first prompt" in raised.node
    assert fault in raised.fault
    for word in ("backward", "first prompt", "ChatCompletion", "No parameter was changed"):
        assert word in str(raised)
    assert (one.grad, two.grad, one.data, two.data) == ([], [], "Do {x}", "Mind {x}")
    assert lab.calls() == {"forward": 1, "backward": 2}


def test_two_entries_for_one_variable_are_joined(inline: Lab) -> None:
    entries = [{"variable": "v1", "text": " one "}, {"variable": "v2", "text": "x"}, {"variable": "v1", "text": "two"}]
    inline.brain.rule = by_role(backward=lambda ask: {"feedback": entries})
    one, _, answer = two_prompts(inline)
    inline.backward(answer, WRONG)
    assert texts(one) == ["one\ntwo"]


def test_an_empty_text_leaves_a_variable_as_it_is(lab: Lab) -> None:
    lab.brain.rule = by_role(
        backward=lambda ask: feedback(ask, lambda v: "" if v == "v2" else "say it better"), optimizer="Do better {x}"
    )
    one, two, answer = two_prompts(lab)
    lab.backward(answer, WRONG)
    assert texts(one) == ["say it better"]
    assert texts(two) == [""]
    assert lab.calls() == {"forward": 1, "backward": 1}
    lab.step(afnio.optim.TGD([one, two], lab.client, model="brain"))
    assert lab.calls() == {"forward": 1, "backward": 1, "optimizer": 1}
    assert two.data == "Mind {x}"


def test_a_critic_of_a_plain_call_that_says_nothing_at_all_is_asked_again(lab: Lab) -> None:
    said = iter(["", "say it better"])
    lab.brain.rule = by_role(backward=lambda ask: feedback(ask, next(said)))
    prompt = Parameter("Do it.", "prompt")
    lab.backward(lab.chat([system(prompt)]), WRONG)
    assert texts(prompt) == ["say it better"]
    assert lab.calls() == {"forward": 1, "backward": 2}
    assert "no entry has a text" in lab.brain.of("backward")[1].ask.user


def test_a_reducer_that_says_nothing_is_asked_again(inline: Lab) -> None:
    said = iter(["", "both lessons"])
    inline.brain.rule = by_role(reducer=lambda ask: feedback(ask, next(said)))
    prompt = Parameter("Do it.", "prompt")
    answer = inline.chat([system(prompt)])
    with inline.settings(feedback_tokens=2):
        inline.backward([answer + Variable(""), answer + Variable("")], [Variable("be brief"), Variable("be kind")])
    assert inline.calls()["reducer"] == 2
    assert "both lessons" in inline.brain.of("backward")[0].user


def test_what_need_not_change_asks_no_further_critic(lab: Lab) -> None:
    lab.brain.rule = by_role(backward=lambda ask: feedback(ask, lambda v: " " if v == "v2" else "say it better"))
    first, second = Parameter("Do {x}", "first prompt"), Parameter("Check {y}", "second prompt")
    draft = lab.chat([system(first)], inputs={"x": "a"})
    lab.backward(lab.chat([system(second)], inputs={"y": draft}), WRONG)
    assert (texts(first), texts(second)) == ([""], ["say it better"])
    assert lab.calls() == {"forward": 2, "backward": 1}


# endpoints without structured outputs


def plain(ask: Ask, role: str) -> Any:
    """An endpoint that knows no response_format; answers in a fence."""
    if ask.schema_name:
        raise Refusal(400, "invalid_request_error", "response_format is not supported by this model")
    return "answer" if role == "forward" else f"Here you are:\n```json\n{json.dumps(feedback(ask))}\n```"


def test_without_structured_outputs_the_schema_is_told_in_words(lab: Lab) -> None:
    lab.brain.rule = plain
    one, _, answer = two_prompts(lab)
    lab.backward(answer, WRONG, retain_graph=True)
    assert texts(one) == ["say it better"]
    refused, asked = lab.brain.of("backward")
    assert (refused.ask.schema_name, asked.ask.schema_name) == ("afnio_feedback", "")
    assert "afnio_feedback" in asked.ask.system
    assert '"enum": ["v1", "v2"]' in asked.ask.system
    assert asked.ask.system.startswith(refused.ask.system)
    lab.backward(answer, WRONG)
    assert len(lab.brain.of("backward")) == 3  # asked once, remembered


def test_another_client_is_not_taken_for_the_one_that_refused(
    inline: Lab, engine: str, served: tuple[LMServer, Served]
) -> None:
    inline.brain.rule = plain
    inline.backward(two_prompts(inline)[2], WRONG)
    with open_lab(engine, "sync", *served) as other:
        other.backward(two_prompts(other)[2], WRONG)
        assert [asked.ask.schema_name for asked in other.brain.of("backward")] == ["afnio_feedback"]


def test_another_400_is_no_reason_to_try_again(lab: Lab) -> None:
    def rule(ask: Ask, role: str) -> Any:
        if role == "backward":
            raise Refusal(400, "invalid_request_error", "messages: too many images")
        return "answer"

    lab.brain.rule = rule
    with pytest.raises(BadRequestError, match="too many images"):
        lab.backward(two_prompts(lab)[2], WRONG)
    assert lab.calls()["backward"] == 1


def test_a_replay_knows_what_was_sent_instead(tmp_path: Path) -> None:
    """The refusal is not in the log, the request in words is."""
    grads: list[list[str]] = []
    for mode in ("cache", "replay"):
        with open_lab() as lab:
            lab.brain.rule = plain if mode == "cache" else by_role(backward=lambda ask: pytest.fail("asked"))
            with afnio.local_engine(tmp_path / "calls.jsonl", mode=mode):
                one, _, answer = two_prompts(lab)
                lab.backward(answer, WRONG)
                grads.append(texts(one))
                if mode == "replay":
                    with pytest.raises(ReplayMissError):
                        lab.backward(two_prompts(lab)[2], Variable("never said"))
    assert grads[0] == grads[1] == ["say it better"]


def test_a_users_own_response_format_is_kept(inline: Lab) -> None:
    inline.brain.rule = by_role()
    reply = run_inline(
        ask(
            inline.client,
            [{"role": "user", "content": "<variable role='x'>a</variable>"}],
            VALUE,
            role="optimizer",
            node="n",
            completion_args={"response_format": {"type": "json_object"}},
        )
    )
    assert reply == "better"
    body = inline.client.requests[0]
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0]["role"] == "system"  # the schema, in words
    assert "afnio_update" in body["messages"][0]["content"]


def test_the_words_version_is_stored_with_the_call(tmp_path: Path) -> None:
    with open_lab() as lab, afnio.local_engine(tmp_path / "calls.jsonl"):
        lab.backward(two_prompts(lab)[2], WRONG)
        lab.backward(lab.chat([system(Parameter("Write", "prompt"))], temperature=Parameter(0.5, "heat")), WRONG)
    lines = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    assert [line.get("words") for line in lines if line.get("role") == "backward"] == ["critic/1", "critic/1 turns/2"]
