"""The critic: what it is shown, how samples share a call, what is reduced, and what runs side by side."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afnio
from afnio import functional as F
from afnio.autodiff import EngineSettings
from afnio.models.lm_server import LMServer
from afnio.models.lm_server import server as lm_server
from afnio.models.lm_server.ask import Ask
from afnio.models.lm_server.roles import task_of
from afnio.models.openai import AsyncOpenAI
from afnio.parameter import Parameter
from afnio.variable import Variable
from afnio.words import Part, Words
from afnio.words.critic import CRITIC
from tests.autodiff.lab import (
    Brain,
    Lab,
    Served,
    backward_model,
    by_role,
    feedback,
    open_lab,
    samples,
    samples_of,
    system,
    texts,
    user,
)

WRONG = Variable("wrong", "feedback")


def batch(size: int, length: int = 1) -> Variable:
    data = Variable([f"ticket {number} " * length for number in range(size)], "ticket")
    data._samples = tuple(f"row{number}" for number in range(size))
    return data


def failing(lab: Lab, prompt: Variable, size: int, length: int = 1) -> Any:
    answer = lab.chat([system(prompt), user(Variable("{x}", "template"))], inputs={"x": batch(size, length)})
    return F.exact_match_evaluator(answer, ["no"] * size)


# what it is shown


def test_the_request_holds_call_samples_variables_and_goal(lab: Lab) -> None:
    prompt, example = Parameter("Sort {x} by {how}.", "system prompt"), Parameter("Like this.", "example")
    fixed, given_ = Variable("{x}!", "template"), batch(3)
    answer = lab.chat([system(prompt, example), user(fixed)], inputs={"x": given_, "how": "urgency"})
    lab.backward(F.exact_match_evaluator(answer, ["answer", "high", "low"]))
    (asked,) = lab.brain.of("backward")
    shown = asked.user
    assert "<goal>exact match</goal>" in shown
    assert (
        '<call>\n<message role="system"><variable id="v1" role="system prompt">Sort {x} by {how}.</variable>\n'
        '<variable id="v2" role="example">Like this.</variable></message>\n'
        '<message role="user">{x}!</message>\n'
        '<input name="how">urgency</input>\n</call>' in shown
    )
    assert [ids for ids, _ in asked.samples] == ["row1", "row2"]  # row0 is right
    assert '<sample id="row1">\n<input name="x">ticket 1 </input>\n<output>answer</output>\n<feedback>' in shown
    assert "('high')" in shown
    assert shown.endswith("Give feedback on: v1 (system prompt), v2 (example).")
    assert (asked.ask.schema_name, asked.role) == ("afnio_feedback", "backward")
    assert (samples(prompt), samples(example)) == ([("row1", "row2")], [("row1", "row2")])
    assert [(g.role, g.goal) for g in prompt.grad] == [("feedback to system prompt", "exact match")]  # type: ignore[attr-defined]


def test_the_whole_variable_is_shown(inline: Lab) -> None:
    prompt = Parameter("word " * 50_000, "long prompt")
    inline.backward(inline.chat([system(prompt)]), WRONG)
    assert prompt.data in inline.brain.of("backward")[0].user


def test_each_variable_is_asked_for_once_and_answered_along_each_edge(lab: Lab) -> None:
    prompt = Parameter("Do it.", "prompt")
    answer = lab.chat([system(prompt, prompt), user(prompt, Variable("{x}"))], inputs={"x": prompt})
    lab.backward(answer, WRONG)
    assert lab.brain.of("backward")[0].variables == ["v1"]
    assert texts(prompt) == ["say it better"] * 4


def test_one_call_serves_all_variables_of_a_node(lab: Lab) -> None:
    prompts = [Parameter(f"Rule {number}.", f"rule {number}") for number in range(6)]
    lab.brain.rule = by_role(backward=lambda ask: feedback(ask, lambda name: f"on {name}"))
    lab.backward(lab.chat([system(*prompts[:3]), user(*prompts[3:])]), WRONG)
    assert lab.calls() == {"forward": 1, "backward": 1}
    assert [texts(prompt) for prompt in prompts] == [[f"on v{number}"] for number in range(1, 7)]


def test_fixed_variables_are_not_asked_about(lab: Lab) -> None:
    fixed, prompt = Variable("Fixed.", "fixed"), Parameter("Do it.", "prompt")
    lab.backward(lab.chat([system(fixed, prompt)]), WRONG)
    (asked,) = lab.brain.of("backward")
    assert asked.variables == ["v1"]
    assert '<message role="system">Fixed.\n<variable id="v1"' in asked.user


def test_each_failing_sample_of_a_batch_gets_feedback_of_its_own(lab: Lab) -> None:
    first, second = Parameter("Read {x}", "first"), Parameter("Say {y}", "second")
    middle = lab.chat([system(first)], inputs={"x": batch(4)})
    answer = lab.chat([system(second)], inputs={"y": middle})
    lab.brain.rule = by_role(backward=lambda ask: feedback(ask, lambda name: f"on {name}"))
    lab.backward(F.exact_match_evaluator(answer, ["answer", "a", "answer", "b"]))
    last, before = lab.brain.of("backward")
    assert last.variables == ["v1", "v3", "v5"]  # the prompt, and the inputs of samples 1 and 3
    assert before.samples == [("row1", ["on v3"]), ("row3", ["on v5"])]
    assert samples(first) == samples(second) == [("row1", "row3")]


def test_a_list_of_variables_gets_feedback_sample_by_sample(lab: Lab) -> None:
    prompt = Parameter("Do {x}", "prompt")
    one, two, three = (Variable(text, text, requires_grad=True) for text in ("a", "b", "c"))
    answer = lab.chat([system(prompt)], inputs={"x": [one, two, three, two]})
    lab.backward(F.exact_match_evaluator(answer, ["answer", "x", "answer", "y"]))
    assert [samples(x) for x in (prompt, one, two, three)] == [[("1", "3")], [], [("1", "3"), ("1", "3")], []]
    (asked,) = lab.brain.of("backward")
    assert asked.variables == ["v1", "v3"]


def test_feedback_on_the_whole_batch_concerns_each_sample(lab: Lab) -> None:
    prompt = Parameter("Do {x}", "prompt")
    answer = lab.chat([system(prompt)], inputs={"x": ["a", "b"]})
    lab.backward(answer, Variable("All too long.", "note"))
    (asked,) = lab.brain.of("backward")
    assert asked.samples == [("0", ["All too long."]), ("1", ["All too long."])]


# samples share a call


@pytest.mark.parametrize(("share", "calls"), [(1, 7), (2, 4), (3, 3), (7, 1), (100, 1), (None, 1)])
def test_samples_per_critic(lab: Lab, share: int | None, calls: int) -> None:
    prompt = Parameter("Do it.", "prompt")
    with lab.settings(samples_per_critic=share):
        lab.backward(failing(lab, prompt, 7))
    assert len(lab.brain.of("backward")) == calls == len(prompt.grad)
    flat = [name for ids in samples(prompt) for name in ids]
    assert flat == [f"row{number}" for number in range(7)]


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 12), length=st.integers(1, 40), room=st.integers(1, 400))
def test_critic_tokens_split_the_samples_and_lose_none(size: int, length: int, room: int) -> None:
    with open_lab() as lab:
        prompt = Parameter("Do it.", "prompt")
        with lab.settings(critic_tokens=room):
            lab.backward(failing(lab, prompt, size, length))
        shown = [name for asked in lab.brain.of("backward") for name, _ in asked.samples]
        assert shown == [f"row{number}" for number in range(size)]
        assert [name for ids in samples(prompt) for name in ids] == shown
        for asked in lab.brain.of("backward"):
            for number in (name.removeprefix("row") for name, _ in asked.samples):
                assert f"ticket {number} " * length in asked.user  # never cut


def test_less_room_never_means_fewer_calls(inline: Lab) -> None:
    counts = []
    for room in (10_000, 1_000, 500, 250, 1):
        inline.brain.asked.clear()
        with inline.settings(critic_tokens=room):
            inline.backward(failing(inline, Parameter("Do it.", "prompt"), 12, 10))
        counts.append(len(inline.brain.of("backward")))
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, 12)


@pytest.mark.parametrize("name", ["samples_per_critic", "critic_tokens", "feedback_tokens"])
def test_settings_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        EngineSettings(**{name: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given_", "error", "says"),
    [
        ({"critic_tokens": "x"}, TypeError, "critic_tokens must be an int, got 'x'"),
        ({"feedback_tokens": None}, TypeError, "feedback_tokens must be an int, got None"),
        ({"words": "critic"}, TypeError, "words must be a dict of name -> Words"),
        ({"words": {"critic": "Be kind."}}, TypeError, "words must be a dict of name -> Words"),
        ({"words": {"critik": CRITIC}}, ValueError, "the names are 'critic', 'reducer', 'turns'"),
    ],
)
def test_settings_that_could_not_be_used_are_refused(given_: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        EngineSettings(**given_)


def test_the_words_can_be_replaced(lab: Lab) -> None:
    mine = Words("critic", "mine", (Part("Be a kind critic.", "why"), Part("Reply in JSON.", "why")))
    with lab.settings(words={"critic": mine}):
        lab.backward(lab.chat([system(Parameter("a", "prompt"))]), WRONG)
    assert lab.brain.of("backward")[0].ask.system == "Be a kind critic.\nReply in JSON."


# reducing


def count_words(ask: Ask) -> Any:
    """A reducer that keeps every lesson, each once."""
    lessons = dict.fromkeys(re.findall(r"lesson\d+", task_of(ask)))
    return feedback(ask, " ".join(lessons))


@settings(max_examples=30, deadline=None)
@given(count=st.integers(2, 40), room=st.integers(20, 300))
def test_much_feedback_is_reduced_in_a_tree_that_keeps_every_lesson(count: int, room: int) -> None:
    with open_lab() as lab, lab.settings(feedback_tokens=room):
        lab.brain.rule = by_role(reducer=count_words)
        prompt = Parameter("Do it.", "prompt")
        answer = lab.chat([system(prompt)])
        roots = [answer + Variable("") for _ in range(count)]
        lab.backward(roots, [Variable(f"lesson{number} " + "so it is " * 5) for number in range(count)])
        (critic,) = lab.brain.of("backward")
        ((_, given_),) = critic.samples
        kept = re.findall(r"lesson\d+", " ".join(given_))
        assert sorted(kept) == sorted(f"lesson{number}" for number in range(count))
        reducers = lab.brain.of("reducer")
        assert len(reducers) <= 2 * count  # a tree, not a chain over everything
        for asked in reducers:
            assert asked.user.startswith('<variable id="v1" role="answer to prompt">answer</variable>')


def test_little_feedback_is_shown_as_it_is(inline: Lab) -> None:
    prompt = Parameter("Do it.", "prompt")
    inline.backward(failing(inline, prompt, 5))
    assert "reducer" not in inline.calls()


def test_one_piece_is_never_reduced(inline: Lab) -> None:
    with inline.settings(feedback_tokens=1):
        inline.backward(inline.chat([system(Parameter("Do it.", "prompt"))]), Variable("very long " * 1000))
    assert "reducer" not in inline.calls()
    assert "very long " * 1000 in inline.brain.of("backward")[0].user


@pytest.mark.parametrize("size", [1, 8, 64])
def test_requests_grow_linearly_with_the_samples(inline: Lab, size: int) -> None:
    with inline.settings(critic_tokens=2_000):
        inline.backward(failing(inline, Parameter("Do it.", "prompt"), size, 20))
    sent = sum(len(asked.user) for asked in inline.brain.of("backward"))
    alone = 1500  # one sample with its feedback, and the call once
    assert sent <= size * alone


# side by side


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """``together(n)``: from now on the model answers when n requests are there, however long that takes."""
    groups: list[asyncio.Barrier] = []
    sleep = lm_server._sleep_until

    async def answers(moment: float, idle: bool) -> None:
        if not groups:
            return await sleep(moment, idle)
        async with asyncio.timeout(150), groups[-1]:
            return None

    monkeypatch.setattr(lm_server, "_sleep_until", answers)
    return lambda number: groups.append(asyncio.Barrier(number))


@pytest.fixture
def slow() -> Any:
    brain = Brain()
    with LMServer(world=_World(brain), latency=0.05) as server:
        client = AsyncOpenAI(api_key="any", base_url=server.base_url)
        with backward_model(client), afnio.local_engine() as engine:
            yield Lab(brain, client, engine, "sync"), server


class _World(Served):
    def __init__(self, brain: Brain) -> None:
        self.brain = brain


def chat(lab: Lab, *contents: Variable, **inputs: Any) -> Variable:
    return F.chat_completion(lab.client, [system(*contents)], inputs or None, model="brain")


def test_critics_that_do_not_wait_for_each_other_are_in_flight_together(slow: Any, together: Any) -> None:
    lab, server = slow
    prompts = [Parameter(f"Rule {number}", f"rule {number}") for number in range(12)]
    answers = [chat(lab, prompt) for prompt in prompts]
    server.reset()
    together(12)
    F.sum(answers).backward(WRONG)
    assert server.stats()["calls"] == server.stats()["max_concurrency"] == 12
    assert [len(prompt.grad) for prompt in prompts] == [1] * 12


def test_groups_and_reducers_are_in_flight_together(slow: Any, together: Any) -> None:
    lab, server = slow
    prompt = Parameter("Do {x}", "prompt")
    answer = chat(lab, prompt, x=[f"ticket {number}" for number in range(6)])
    server.reset()
    with lab.settings(samples_per_critic=1, feedback_tokens=10):
        many = [
            Variable([f"note {note} on sample {number}, said at length" for number in range(6)]) for note in range(2)
        ]
        together(6)
        lab.backward([answer, answer + Variable([""] * 6)], many)
    stats = server.stats()
    assert stats["by_role"]["reducer"]["calls"] == stats["by_role"]["backward"]["calls"] == 6
    assert stats["max_concurrency"] == 6
    rows = stats["requests"]
    assert max(row["done"] for row in rows[:6]) <= min(row["arrived"] for row in rows[6:])
    assert max(row["arrived"] for row in rows[6:]) <= min(row["done"] for row in rows[6:])


def test_a_chain_is_walked_from_its_end(slow: Any) -> None:
    lab, server = slow
    prompts = [Parameter("Do {x}", f"prompt {number}") for number in range(4)]
    value: Any = "start"
    for prompt in prompts:
        value = chat(lab, prompt, x=value)
    server.reset()
    value.backward(WRONG)
    assert server.stats()["max_concurrency"] == 1
    asked = [task_of(asked.ask) for asked in lab.brain.of("backward")]
    assert [re.findall(r'id="v1" role="(.*?)"', text)[0] for text in asked] == [
        f"prompt {number}" for number in (3, 2, 1, 0)
    ]
    rows = server.stats()["requests"]
    assert all(before["done"] <= after["arrived"] for before, after in itertools.pairwise(rows))


def test_a_node_waits_for_all_its_feedback(slow: Any) -> None:
    """A diamond: the shared node's critic is asked once, after both others."""
    lab, server = slow
    shared, left, right = (Parameter("Do {x}", name) for name in ("shared", "left", "right"))
    top = chat(lab, shared, x="a")
    branches = [chat(lab, left, x=top), chat(lab, right, x=chat(lab, right, x=top))]
    server.reset()
    lab.brain.rule = by_role(
        backward=lambda ask: feedback(ask, "from " + re.findall(r'id="v1" role="(.*?)"', task_of(ask))[0])
    )
    F.sum(branches).backward(WRONG)
    asked = lab.brain.of("backward")
    assert len(asked) == 4
    assert samples_of(asked[-1].ask) == [("0", ["from left", "from right"])]
    assert texts(shared) == ["from shared"]


def test_steps_rewrite_all_parameters_side_by_side(slow: Any, together: Any) -> None:
    lab, server = slow
    prompts = [Parameter(f"Rule {number}", f"rule {number}") for number in range(8)]
    for prompt in prompts:
        prompt.append_grad(Variable("do better"))
    together(8)
    afnio.optim.TGD(prompts, lab.client, model="brain").step()
    assert server.stats()["max_concurrency"] == 8
    assert {prompt.data for prompt in prompts} == {"better"}


def test_identical_critics_in_flight_are_one_call(slow: Any) -> None:
    lab, server = slow
    prompt = Parameter("Do it.", "prompt")
    answers = [chat(lab, prompt) for _ in range(5)]
    server.reset()
    afnio.autodiff.backward(answers, [WRONG] * 5)
    assert server.stats()["calls"] == 1
    assert texts(prompt) == ["say it better"] * 5
