"""ToolLoop: turns, masks, limits, and errors in the middle of a conversation."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

import afnio
import afnio.cognitive as cog
from afnio import functional as F
from afnio._content_blocks import StopReason
from afnio.errors import (
    AuthenticationError,
    BatchError,
    ContentBlockError,
    ContextLengthError,
    PlaceholderError,
    ReplyContractError,
    ToolError,
)
from afnio.models import backward_client
from afnio.models.formats.openai_chat import OpenAIChat
from afnio.models.scripted import Scripted
from afnio.parameter import Parameter
from afnio.variable import Variable

DRIVES = ("sync", "async")
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@cog.tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def call(name: str, given: Any, ident: str = "c") -> dict[str, Any]:
    return {"type": "tool_use", "id": ident, "name": name, "input": given}


def counting(body: dict[str, Any]) -> Any:
    """Adds 1 as often as the user says, then tells the sum."""
    said = [message for message in body["messages"] if message["role"] == "user"][-1]["content"]
    results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    if len(results) < int(said):
        return [{"type": "text", "text": f"step {len(results)}"}, call("add", {"a": len(results), "b": 1})]
    return f"{said}: {results[-1] if results else 'nothing'}"


def loop_over(drive: str, loop: cog.ToolLoop, model: Any, given: Any, **args: Any) -> Any:
    messages = [
        {"role": "system", "content": [Parameter("Count.", "system prompt")]},
        {"role": "user", "content": [Variable("{n}", "template")]},
    ]
    args = {"model": "m", **args}
    if drive == "sync":
        return loop(model, messages, {"n": given}, **args)
    return asyncio.run(loop.acall(model, messages, {"n": given}, **args))


@pytest.mark.parametrize("drive", DRIVES)
def test_each_turn_asks_only_those_who_still_go_on(drive: str) -> None:
    model = Scripted(counting)
    result = loop_over(drive, cog.ToolLoop([add]), model, ["2", "0", "1"])
    assert result.output.data == ["2: 2", "0: nothing", "1: 1"]
    assert model.calls == 3 + 2 + 1
    assert result.stop_reason == ["end_turn"] * 3
    assert result.content == [[{"type": "text", "text": text}] for text in result.output.data]
    turns = [message["content"][0].data for message in result.messages if message["role"] == "assistant"]
    assert turns == [["step 0", "0: nothing", "step 0"], ["step 1", None, "1: 1"], ["2: 2", None, None]]


@pytest.mark.parametrize("drive", DRIVES)
def test_a_batch_is_its_samples_one_by_one(drive: str) -> None:
    loop = cog.ToolLoop([add])
    batch = loop_over(drive, loop, Scripted(counting), ["2", "0", "1"])
    for index, n in enumerate(["2", "0", "1"]):
        alone = loop_over(drive, loop, Scripted(counting), n)
        assert alone.output.data == batch.output.data[index]
        assert alone.content[0] == batch.content[index]


@pytest.mark.parametrize("drive", DRIVES)
def test_the_conversation_goes_on_from_its_messages(drive: str) -> None:
    model = Scripted(counting)
    first = loop_over(drive, cog.ToolLoop([add]), model, ["1", "0"])
    more = [*first.messages, {"role": "user", "content": [Variable(["1", "1"], "more")]}]
    F.chat_turn(model, more, {"n": ["1", "0"]}, model="m")
    last, other = model.requests[-2:]
    assert [message["role"] for message in last["messages"]] == [
        "system", "user", "assistant", "tool", "assistant", "user",
    ]  # fmt: skip
    assert [message["role"] for message in other["messages"]] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize("turns", [1, 2, 5])
def test_max_turns_is_told_by_the_stop_reason(drive: str, turns: int) -> None:
    model, runs = Scripted(counting), []

    def tell(a: int, b: int) -> int:
        """Add."""
        runs.append(a)
        return a + b

    loop = cog.ToolLoop([cog.Tool(tell, name="add")], max_turns=turns)
    result = loop_over(drive, loop, model, ["9", "0"])
    assert result.stop_reason == ["tool_use", "end_turn"]
    assert result.output.data == [f"step {turns - 1}", "0: nothing"]
    assert len(runs) == turns - 1  # what nobody will read is not run
    assert model.calls == turns + 1


@pytest.mark.parametrize("drive", DRIVES)
def test_a_typed_answer_that_never_came_says_so(drive: str) -> None:
    loop = cog.ToolLoop([add], max_turns=2, response_format=SCHEMA)
    with pytest.raises(ToolError, match=r"ended after max_turns=2 turns.*still called add.*Raise max_turns"):
        loop_over(drive, loop, Scripted(counting), "9")
    model = Scripted(lambda body: {"n": 7} if "0" in body["messages"][1]["content"] else counting(body))
    result = loop_over(drive, loop, model, ["9", "0"])
    assert result.parsed == [None, {"n": 7}]
    assert "for sample 0" in str(result.parse_error[0])
    assert result.parse_error[1] is None
    assert result.fields["n"].data == [None, 7]


@pytest.mark.parametrize("drive", DRIVES)
def test_a_context_that_overflows_in_the_middle_says_where(drive: str) -> None:
    def limited(body: dict[str, Any]) -> Any:
        if len(body["messages"]) > 4:
            return ContextLengthError("The request is too long.", status_code=400)
        return counting(body)

    loop = cog.ToolLoop([add])
    with pytest.raises(ContextLengthError, match="Turn 3 of the tool loop: The request is too long"):
        loop_over(drive, loop, Scripted(limited), "5")
    with pytest.raises(
        BatchError, match="1 of 3 samples failed; sample 1: .*Turn 3 of the tool loop, sample 1"
    ) as error:
        loop_over(drive, loop, Scripted(limited), ["0", "5", "1"])
    assert isinstance(error.value.errors[1], ContextLengthError)
    assert error.value.errors[1].turn == 3  # type: ignore[attr-defined]
    assert error.value.result.output.data == ["0: nothing", None, "1: 1"]  # what the others said is not lost


@pytest.mark.parametrize("drive", DRIVES)
def test_an_error_all_would_meet_ends_the_loop(drive: str) -> None:
    refused = AuthenticationError("No.", status_code=401)
    with pytest.raises(AuthenticationError, match="Turn 1 of the tool loop"):
        loop_over(drive, cog.ToolLoop([add]), Scripted(lambda body: refused), ["1", "2"])


@pytest.mark.parametrize("drive", DRIVES)
def test_a_model_that_is_told_of_its_mistakes_mends_them(drive: str) -> None:
    script: list[Any] = [
        [call("ad", {"a": 1, "b": 2}, "1")],
        [call("add", {"a": "one", "b": 2}, "2")],
        [call("add", {"a": 1, "b": 2}, "3")],
        "3",
    ]
    model = Scripted(script)
    result = loop_over(drive, cog.ToolLoop([add]), model, "x")
    assert result.output.data == "3"
    told = [message["content"] for message in model.requests[-1]["messages"] if message["role"] == "tool"]
    assert told == [
        "Error: There is no tool 'ad'. Known tools: add.",
        "Error: The arguments do not fit: 'a' must be a whole number, not \"one\".",
        "3",
    ]


def test_with_on_error_raise_the_sample_is_named() -> None:
    model = Scripted(lambda body: [call("ad", {})] if "1" in body["messages"][1]["content"] else "fine")
    with pytest.raises(ToolError, match=r"The tool 'ad' \(sample 1\) failed: There is no tool 'ad'") as error:
        loop_over("sync", cog.ToolLoop([add], on_error="raise"), model, ["0", "1"])
    assert (error.value.tool, error.value.sample) == ("ad", 1)


def test_a_tool_choice_is_for_the_first_turn() -> None:
    model = Scripted(counting)
    loop_over("sync", cog.ToolLoop([add]), model, "1", tool_choice="required")
    assert [request.get("tool_choice") for request in model.requests] == ["required", None]


class Pausing(OpenAIChat):
    """An API that pauses, as Anthropic's does, when the model says wait."""

    def stop_reason(self, body: dict[str, Any]) -> StopReason:
        """``pause`` after "wait"."""
        return StopReason.PAUSE if self.text(body) == "wait" else super().stop_reason(body)


@pytest.mark.parametrize("drive", DRIVES)
def test_a_pause_goes_on_with_what_was_said(drive: str) -> None:
    model = Scripted(lambda body: "wait" if len(body["messages"]) < 4 else "done")
    assert model._route is not None
    model._route = dataclasses.replace(model._route, format=Pausing())
    result = loop_over(drive, cog.ToolLoop([add]), model, "1")
    assert (result.output.data, list(result.stop_reason)) == ("done", ["end_turn"])
    assert [message["content"] for message in model.requests[-1]["messages"][2:]] == ["wait", "wait"]


def test_a_mask_is_kept_from_the_first_turn_on() -> None:
    model = Scripted(counting)
    result = loop_over("sync", cog.ToolLoop([add]), model, ["1", "0", "1"], mask=[True, True, False])
    assert result.output.data == ["1: 1", "0: nothing", None]
    assert model.calls == 3
    assert list(result.stop_reason) == ["end_turn", "end_turn", None]


@pytest.mark.parametrize(
    ("run", "error", "says"),
    [
        (lambda m: F.chat_turn(m, [_user(Variable("a"))], mask=[True, False]), None, None),
        (lambda m: F.chat_turn(m, [_user(Variable(["a"]))], mask=[True, False]), ValueError, "mask has 2"),
        (lambda m: F.chat_turn(m, [_user(Variable(["a"]))], mask=[False]), ValueError, "leaves no sample to ask"),
        (lambda m: F.chat_turn(m, [_user(Variable(["a"]))], mask=[1]), TypeError, "one bool for each sample"),  # type: ignore[list-item]
        (lambda m: F.chat_turn(m, [_user({"type": "imge"})]), ContentBlockError, "Unknown content block type 'imge'"),
        (lambda m: F.chat_turn(m, [_user(Variable(["a", None], "x"))]), TypeError, "'x' must hold text.*sample 1"),
        (
            lambda m: F.chat_turn(m, [_user(Variable("{x}"))], {"x": Variable(["a", None])}),
            PlaceholderError,
            "nothing for sample 1",
        ),
        (lambda m: F.chat_turn(m, [_user(Variable("a"))], tools=[3]), TypeError, "a tool is an afnio.cognitive.Tool"),
        (
            lambda m: F.chat_turn(m, [_user(Variable("a"))], tools=[add, add]),
            ValueError,
            "two tools have the name 'add'",
        ),
    ],
)
def test_what_cannot_be_asked_says_why(run: Callable[[Any], Any], error: Any, says: str | None) -> None:
    if error is None:  # two samples of one text: the mask makes the batch
        assert run(Scripted(["hi"])).output.data == ["hi", None]
        return
    with pytest.raises(error, match=says):
        run(Scripted([]))


def _user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def test_some_failing_samples_of_a_turn_are_a_batch_error() -> None:
    model = Scripted(
        lambda body: ContextLengthError("long", status_code=400) if body["messages"][0]["content"] == "b" else "hi"
    )
    with pytest.raises(BatchError, match="1 of 2 samples failed; sample 1: ContextLengthError"):
        F.chat_turn(model, [_user(Variable(["a", "b"]))])


def test_a_turn_added_to_is_no_turn_any_more() -> None:
    turn = F.chat_turn(Scripted(["hi"]), [_user(Parameter("a", "p"))]).output
    longer = turn
    longer += Variable("!", "mark")
    assert (longer.data, type(longer), turn.data) == ("hi!", Variable, "hi")
    assert copy.copy(turn.detach())._content == [[{"type": "text", "text": "hi"}]]  # type: ignore[attr-defined]


def test_a_loop_is_saved_with_its_descriptions_and_latest_call() -> None:
    loop = cog.ToolLoop([cog.Tool(add.fn, name="add")])
    loop_over("sync", loop, Scripted(counting), "1", temperature=Parameter(0.5, "heat"))
    state = loop.state_dict()
    assert state["completion_args"] == {"model": "m", "temperature": 0.5}
    assert state["tools.add.description"].data == "Add two numbers."
    assert json.dumps(loop.export_prompts()) == '{"tools.add.description": "Add two numbers."}'


def test_an_agent_that_went_on_from_a_turn_is_saved_and_copied() -> None:
    class Agent(cog.Module):
        def __init__(self) -> None:
            super().__init__()
            self.chat = cog.ChatTurn()

        def forward(self, model: Any) -> Any:
            first = self.chat(model, [_user(Parameter("a", "p"))], model="m")
            return self.chat(model, [*first.messages, _user(Variable("more"))], model="m")

    agent = Agent()
    agent(Scripted(["hi", "bye"]))
    twin, file = copy.deepcopy(agent), io.BytesIO()
    afnio.save(agent.state_dict(), file)
    file.seek(0)
    twin.load_state_dict(afnio.load(file))
    saved = twin.chat.messages
    assert [[part.data for part in message["content"]] for message in saved] == [["a"], ["hi"], ["more"]]


def test_an_agent_may_be_a_tool_of_another() -> None:
    inner, outer = Parameter("Inner.", "inner prompt"), Parameter("Outer.", "outer prompt")
    model = Scripted(
        lambda body: (
            {"feedback": [{"variable": name, "text": f"for {name}"} for name in _asked(body)]}
            if "response_format" in body
            else counting(body)
        )
    )
    helper = cog.ToolLoop([add])

    @cog.tool(name="add")
    def ask(a: int, b: int) -> Any:
        """Ask the helper."""
        return helper(model, [{"role": "system", "content": [inner]}, _user(Variable("1"))], model="m")

    before = backward_client._current
    afnio.set_backward_model_client(model, completion_args={"model": "m"})
    try:
        messages = [{"role": "system", "content": [outer]}, _user(Variable("{n}"))]
        result = cog.ToolLoop([ask])(model, messages, {"n": ["1", "0"]}, model="m")
        assert result.output.data == ["1: 1: 1", "0: nothing"]
        with afnio.local_engine():
            F.exact_match_evaluator(result.output, ["no", "0: nothing"]).backward()
    finally:
        backward_client._current = before
    assert [gradient.samples for gradient in inner.grad] == [("0",), ("0",)]  # type: ignore[attr-defined]
    assert [gradient.samples for gradient in outer.grad] == [("0",), ("0",)]  # type: ignore[attr-defined]
    assert len(add.description.grad) == len(ask.description.grad) == 2
    add.description.grad.clear()


def _asked(body: dict[str, Any]) -> list[str]:
    schema = body["response_format"]["json_schema"]["schema"]
    names: list[str] = schema["properties"]["feedback"]["items"]["properties"]["variable"]["enum"]
    return names


def test_a_contract_broken_twice_without_a_batch_is_typed() -> None:
    with pytest.raises(ReplyContractError, match="it is not JSON"):
        loop_over("sync", cog.ToolLoop([add], response_format=SCHEMA), Scripted(["no", "still no"]), "1")
