"""Turns with tools over every engine: what is sent, what the critic is shown, and what arrives where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import afnio
import afnio.cognitive as cog
from afnio import functional as F
from afnio.autodiff import Function, gradcheck
from afnio.autodiff.feedback import Joined
from afnio.autodiff.function import Context
from afnio.autodiff.ops import Fields, Merge
from afnio.autodiff.ops.fields import Rows
from afnio.autodiff.ops.run_tool import Called, Calls, RunTool
from afnio.autodiff.turn import Outcome, Turn
from afnio.gradient import Gradient
from afnio.models.lm_server.ask import Ask, ToolCall
from afnio.models.scripted import Scripted
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff.lab import Lab, backward_model, by_role, feedback, samples, system, texts, user

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
WRONG = Variable("wrong", "feedback")


def lookup(word: str) -> str:
    """Look a word up.

    Args:
        word: the word.
    """
    return f"<{word}> is a word"


def calls_once(ask: Ask) -> list[ToolCall]:
    """Calls the first tool with the user's text, unless that says stop; then answers."""
    if "stop" in ask.user or any(turn.role == "tool" for turn in ask.turns):
        return []
    return [ToolCall(ask.tools[0].name, json.dumps({"word": ask.user}))]


def agent(lab: Lab, *tools: Any, **how: Any) -> tuple[Parameter, cog.ToolLoop]:
    lab.brain.calling = calls_once
    lab.brain.rule = by_role(
        forward=lambda ask: f"so {ask.user}", backward=lambda ask: feedback(ask, lambda v: f"on {v}")
    )
    return Parameter("Use tools.", "system prompt"), cog.ToolLoop([*tools] or [lookup], **how)


def ask(lab: Lab, prompt: Variable, loop: cog.ToolLoop, given: Any = ("a", "stop b", "c"), **args: Any) -> Any:
    batch: Any = given
    if isinstance(given, tuple):
        batch = Variable([*given], "question")
        batch._samples = tuple(f"row{n}" for n in range(len(given)))
    return lab.loop(loop, [system(prompt), user(Variable("{q}", "template"))], {"q": batch}, **args)


def test_feedback_reaches_prompt_and_description_from_every_turn(lab: Lab) -> None:
    prompt, loop = agent(lab)
    result = ask(lab, prompt, loop)
    assert result.output.data == ["so a", "so stop b", "so c"]
    assert result.stop_reason == ["end_turn"] * 3
    assert result.output.grad_fn.name() == "MergeBackward"
    lab.backward(F.exact_match_evaluator(result.output, ["no", "no", "so c"]))
    description = loop.tools["lookup"].description
    # The last turn, then the first one: there sample 1 ended, and sample 0 called the tool.
    assert samples(prompt) == samples(description) == [("row1", "row0"), ("row0",)] or samples(prompt) == samples(
        description
    ) == [("row0", "row1"), ("row0",)]
    assert lab.calls() == {"forward": 5, "backward": 2}


def test_the_critic_sees_the_whole_turn(lab: Lab) -> None:
    prompt, loop = agent(lab)
    lab.backward(F.exact_match_evaluator(ask(lab, prompt, loop).output, ["no", "so stop b", "so c"]))
    last, first = (asked.user for asked in lab.brain.of("backward"))
    schema = '{"type": "object", "properties": {"word": {"type": "string", "description": "the word."}}'
    for shown in (last, first):
        assert '<tool name="lookup"><variable id="v' in shown
        assert f"Look a word up.</variable>\n<parameters>{schema}" in shown
        assert '<message role="system"><variable id="v1" role="system prompt">Use tools.</variable></message>' in shown
        assert '<sample id="row0">' in shown
        assert "row1" not in shown
    assert '<tool_call call="1" name="lookup">{"word": "a"}</tool_call></variable></message>' in last
    # What a plain function returned has nothing to learn: it is shown, and not asked about.
    assert '<message role="tool"><tool_result call="1" name="lookup"><a> is a word</tool_result></message>' in last
    assert "<output>so a</output>\n<feedback>The evaluation" in last
    assert '<output stop="tool_use"><tool_call call="1" name="lookup">{"word": "a"}</tool_call></output>' in first
    assert "<feedback>on v2</feedback>" in first
    assert first.count("<feedback>") == 1
    assert "<tool_call> a call it made" in lab.brain.of("backward")[0].ask.system


def test_a_turn_sent_back_is_the_model_s_own_blocks(inline: Lab) -> None:
    prompt, loop = agent(inline)
    ask(inline, prompt, loop, "a")
    sent = inline.client.requests[1]["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool"]
    (call,) = sent[2]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"word": "a"}
    assert (sent[3]["tool_call_id"], sent[3]["content"]) == (call["id"], "<a> is a word")


def test_what_a_tool_computed_is_part_of_the_graph(lab: Lab) -> None:
    inner = Parameter("Say more on {word}.", "prompt of the tool")

    def explain(word: str) -> Variable:
        """Explain a word."""
        return F.chat_completion(lab.client, [user(inner)], {"word": word}, model="brain")

    async def aexplain(word: str) -> Variable:
        """Explain a word."""
        return await F.achat_completion(lab.client, [user(inner)], {"word": word}, model="brain")

    prompt, loop = agent(lab, explain if lab.drive == "sync" else aexplain)
    result = ask(lab, prompt, loop)
    lab.backward(F.exact_match_evaluator(result.output, ["no", "so stop b", "no"]))
    assert samples(inner) == [("row0",), ("row2",)]
    assert [sorted(ids) for ids in samples(prompt)] == [["row0", "row2"], ["row0", "row2"]]
    assert all("on v" in text for text in texts(inner))
    assert result.messages[3]["content"][0].data == ["so Say more on a.", None, "so Say more on c."]


def test_feedback_on_the_result_of_a_tool_that_learns_says_whose_it_is(lab: Lab) -> None:
    known = Parameter("all words", "what the tool knows")

    def recall(word: str) -> Variable:
        """Recall a word."""
        return known

    prompt, loop = agent(lab, recall)
    result = ask(lab, prompt, loop, "a")
    (tool_result,) = result.messages[3]["content"]
    assert tool_result.requires_grad
    lab.backward(F.exact_match_evaluator(result.output, "no"))
    last, first = (asked.user for asked in lab.brain.of("backward"))
    shown = '<tool_result call="1" name="recall">all words</tool_result></variable></message>'
    assert shown in last
    assert "<feedback>On the result of its call 1 (recall): on v3</feedback>" in first
    assert texts(known) == ["on v3"]


def test_a_plain_result_beside_one_that_learns_is_not_asked_about(inline: Lab) -> None:
    known = Parameter("all words", "what the tool knows")

    def recall(word: str) -> Variable:
        """Recall a word."""
        return known

    def both(ask: Ask) -> list[ToolCall]:
        if any(turn.role == "tool" for turn in ask.turns):
            return []
        return [ToolCall(tool.name, '{"word": "a"}') for tool in ask.tools]

    prompt, loop = agent(inline, lookup, recall)
    inline.brain.calling = both
    result = ask(inline, prompt, loop, "a")
    plain, learning = result.messages[3]["content"]
    assert (plain.requires_grad, plain.grad_fn, learning.requires_grad) == (False, None, True)
    assert [block["type"] for block in plain._content[0]] == ["tool_result"]
    inline.backward(F.exact_match_evaluator(result.output, "no"))
    last, first = (asked.user for asked in inline.brain.of("backward"))
    assert "<a> is a word</tool_result>\n" in last
    assert "call 2 (recall)" in first
    assert "call 1 (lookup)" not in first
    assert len(known.grad) == 1


def test_settings_that_are_variables_are_sent_and_criticised(lab: Lab) -> None:
    heat = Parameter(0.5, "temperature of the writer")
    prompt = Parameter("Write.", "system prompt")
    lab.backward(lab.chat([system(prompt)], temperature=heat), WRONG)
    (asked,) = lab.brain.of("backward")
    assert (
        '<argument name="temperature"><variable id="v2" role="temperature of the writer">0.5</variable>' in asked.user
    )
    assert texts(heat) == ["say it better"]


def test_the_value_of_a_setting_is_what_is_sent(inline: Lab) -> None:
    inline.turn([user(Variable("a"))], temperature=Variable(0.5), stop=Variable(["x", "y"]))
    assert {"temperature": 0.5, "stop": ["x", "y"]}.items() <= inline.client.requests[0].items()


def test_pictures_go_to_the_critic_with_a_number(lab: Lab) -> None:
    prompt = Parameter("What is it?", "system prompt")
    other = {**IMAGE, "source": {"type": "url", "url": "https://example.org/x.png"}}
    result = lab.turn([system(prompt), {"role": "user", "content": [[IMAGE, other], IMAGE, Variable(["a", "b"])]}])
    assert [len(asked.ask.turns[1].images) for asked in lab.brain.asked] == [2, 2]
    lab.backward(F.exact_match_evaluator(result.output, ["no", "no"]))
    (asked,) = lab.brain.of("backward")
    assert '<message role="user">(of each sample: content)\n(see image 1)\n' in asked.user
    first, second = (text for _, text in _shown(asked.user))
    assert "(see image 1)" in first
    assert "(see image 2)" in second
    (turn,) = [turn for turn in asked.ask.turns if turn.images]
    assert [image.url or "data" for image in turn.images] == ["data", "https://example.org/x.png"]
    assert "image 1:" in turn.text
    assert "image 2:" in turn.text


def test_a_picture_that_a_tool_returns_is_seen_by_model_and_critic(lab: Lab) -> None:
    def photo(word: str) -> Any:
        """Take a photo."""
        return [f"a photo of {word}", IMAGE]

    prompt, loop = agent(lab, photo)
    result = ask(lab, prompt, loop, "a")
    assert result.messages[3]["content"][0].data == "a photo of a\n(see image 1)"
    assert [len(turn.images) for turn in lab.brain.asked[1].ask.turns if turn.images] == [1]
    lab.backward(F.exact_match_evaluator(result.output, "no"))
    last, _ = lab.brain.of("backward")
    assert '<tool_result call="1" name="photo">a photo of a\n(see image 1)</tool_result>' in last.user
    assert [image.media_type for turn in last.ask.turns for image in turn.images] == ["image/png"]


def _shown(request: str) -> list[tuple[str, str]]:
    return [(part.partition('"')[0], part) for part in request.split('<sample id="')[1:]]


def test_a_mask_leaves_samples_out(lab: Lab) -> None:
    prompt, seen = Parameter("Say {x}.", "system prompt"), Variable(["a", "b", "c"], "thing", requires_grad=True)
    result = lab.turn([system(prompt)], {"x": seen}, mask=[True, False, True])
    assert result.output.data == ["answer", None, "answer"]
    assert list(result.stop_reason) == ["end_turn", None, "end_turn"]
    assert lab.calls() == {"forward": 2}
    lab.backward(F.exact_match_evaluator(result.output, ["no", "no", "no"]))
    assert samples(prompt) == [("0", "2")]
    assert samples(seen) == [("0",), ("2",)]


def test_fields_carry_feedback_with_their_name(lab: Lab) -> None:
    lab.brain.rule = by_role(forward={"mood": "bad", "place": {"city": "Rome", "rooms": 3}, "tags": ["x"]})
    schema = {
        "type": "object",
        "properties": {
            "mood": {"type": "string"},
            "place": {"type": "object", "properties": {"city": {"type": "string"}, "rooms": {"type": "integer"}}},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["mood", "place"],
    }
    prompt = Parameter("Read.", "system prompt")
    result = lab.turn([system(prompt), user(Variable(["x", "y"]))], response_format=schema)
    assert result.fields is not None
    assert {name: field.data for name, field in result.fields.items()} == {
        "mood": ["bad"] * 2, "place.city": ["Rome"] * 2, "place.rooms": [3, 3], "tags": ['["x"]'] * 2,
    }  # fmt: skip
    lab.backward(
        [
            F.exact_match_evaluator(result.fields["mood"], ["good", "bad"]).explanation,
            F.exact_match_evaluator(result.fields["place.city"], ["Rome", "Oslo"]).explanation,
        ]
    )
    (asked,) = lab.brain.of("backward")
    first, second = (text for _, text in _shown(asked.user))
    assert "<feedback>On the field 'mood': The evaluation" in first
    assert "<feedback>On the field 'place.city': The evaluation" in second
    assert samples(prompt) == [("0.0", "1.1")]


def test_the_ops_keep_the_laws() -> None:
    said, known = Parameter("x", "said"), Parameter("y", "what the tool knows")

    def lookup(word: str) -> Variable:
        """Look a word up."""
        return known

    class Say(Function):
        @staticmethod
        def forward(ctx: Any, x: Variable) -> Turn:
            call = {"type": "tool_use", "id": "1", "name": "lookup", "input": {"word": "w"}}
            return Turn("", "answer", [[call]], [Outcome()])  # type: ignore[list-item]

        @staticmethod
        def backward(ctx: Any, grad: Variable) -> Variable:
            return grad

    with backward_model(Scripted(lambda body: {})), afnio.local_engine():
        assert gradcheck(lambda x: F.run_tools(Say.apply(x), [lookup]), [said])
        assert gradcheck(lambda x: Fields.apply(Say.apply(x), ["a", "b"], Rows([{"a": 1, "b": "t"}])), [said])
        assert gradcheck(lambda x: Merge.apply([_batch(Say.apply(x))], [0]), [said])


def test_feedback_on_a_whole_merge_goes_to_the_samples_that_ended_at_each_turn() -> None:
    def turn(*texts: str | None) -> Turn:
        return Turn(list(texts), "answer", [None if text is None else [] for text in texts], [Outcome() for _ in texts])

    ctx = Context()
    Merge.forward(ctx, [turn("a", "b", "c"), turn(None, "d", None), turn("e", None, None)], [2, 1, 0])
    whole = Gradient("be brief", "feedback", samples=("row0", "row1", "row2"))
    told = [[(piece.data, piece.index) for piece in edge] for edge in Merge.backward(ctx, whole)]
    assert told == [[("be brief", 2)], [("be brief", None)], [("be brief", None)]]


def test_feedback_on_all_results_reaches_what_each_tool_returned() -> None:
    def called(name: str) -> Called:
        value = Variable(name, f"what {name} found", requires_grad=True)
        return Called("find", name, {"type": "tool_result", "tool_use_id": "1", "content": name}, [value])

    ctx, rows = Context(), Calls([[called("a")], None, [called("c")]])
    turn = Turn(["", "done", ""], "answer", [[], [], []], [Outcome(), Outcome(), Outcome()])
    RunTool.forward(ctx, turn, [], rows)
    whole = Gradient("be brief", "feedback", samples=("row0", "row2"))
    about_c = Gradient("not that", "feedback", samples=("row2",), index=2)
    told = [[piece.data for piece in edge] for edge in RunTool.backward(ctx, Joined([whole, about_c]))]
    assert told[1:] == [["be brief"], ["be brief", "not that"]]


def _batch(turn: Turn) -> Turn:
    class Listed(Function):
        @staticmethod
        def forward(ctx: Any, x: Turn) -> Turn:
            return Turn([x.data], x.role, x._content, x._outcomes)

        @staticmethod
        def backward(ctx: Any, grad: Variable) -> Variable:
            return grad

    listed: Turn = Listed.apply(turn)
    return listed


def test_a_recorded_loop_replays_without_a_model(tmp_path: Path) -> None:
    answers: list[Any] = []
    for mode in ("cache", "replay"):
        model = Scripted(_script if mode == "cache" else lambda body: pytest.fail("asked"))
        with afnio.local_engine(tmp_path / "calls.jsonl", mode=mode):
            loop = cog.ToolLoop([lookup])
            result = loop(model, [user(Variable("{q}"))], {"q": ["a", "b"]}, model="m")
        answers.append((result.output.data, result.content, list(result.stop_reason)))
    assert answers[0] == answers[1]
    assert answers[0][0] == ["done", "done"]


def _script(body: dict[str, Any]) -> Any:
    if body["messages"][-1]["role"] == "tool":
        return "done"
    return [{"type": "tool_use", "id": "c1", "name": "lookup", "input": {"word": body["messages"][-1]["content"]}}]
