"""The ``anthropic`` SDK talks messages to the simulated server."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest

TEXT = "Say this back,\nword for word."
WEATHER: Any = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


def ask(client: anthropic.Anthropic, text: str, **given: Any) -> Any:
    return client.messages.create(model="m", max_tokens=1000, messages=[{"role": "user", "content": text}], **given)


def test_a_message(anthropic_sdk: anthropic.Anthropic) -> None:
    reply = ask(anthropic_sdk, TEXT, system="Be brief.")
    assert [block.text for block in reply.content] == [TEXT]
    assert reply.stop_reason == "end_turn"
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3 + 3 + 8 + 3, 8)


def test_a_stream_says_the_same(anthropic_sdk: anthropic.Anthropic) -> None:
    messages: Any = [{"role": "user", "content": TEXT}]
    with anthropic_sdk.messages.stream(model="m", max_tokens=100, messages=messages) as stream:
        assert "".join(stream.text_stream) == TEXT
        final = stream.get_final_message()
    assert final.usage.output_tokens == 8
    assert final.stop_reason == "end_turn"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_is_called_and_its_result_answered(anthropic_sdk: anthropic.Anthropic, streamed: bool) -> None:
    messages: Any = [{"role": "user", "content": "The weather in 'Turin'?"}]
    if streamed:
        with anthropic_sdk.messages.stream(model="m", max_tokens=100, messages=messages, tools=[WEATHER]) as stream:
            reply: Any = stream.get_final_message()
    else:
        reply = ask(anthropic_sdk, "The weather in 'Turin'?", tools=[WEATHER])
    assert reply.stop_reason == "tool_use"
    call = reply.content[0]
    assert (call.name, call.input) == ("get_weather", {"city": "Turin"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "sunny"}]}
    turns: Any = [
        *messages,
        {"role": "assistant", "content": [call.model_dump(exclude_none=True)]},
        {"role": "user", "content": [result]},
    ]
    after: Any = anthropic_sdk.messages.create(model="m", max_tokens=100, messages=turns, tools=[WEATHER])
    assert after.content[0].text == "sunny"


@pytest.mark.parametrize(("choice", "called"), [("any", True), ("none", False), ("auto", False)])
def test_tool_choice(anthropic_sdk: anthropic.Anthropic, choice: str, called: bool) -> None:
    reply = ask(anthropic_sdk, "hello", tools=[WEATHER], tool_choice={"type": choice})
    assert (reply.stop_reason == "tool_use") is called


def test_an_output_schema_is_obeyed(anthropic_sdk: anthropic.Anthropic) -> None:
    schema = {"type": "object", "properties": {"mood": {"type": "string"}, "level": {"enum": ["low", "high"]}}}
    reply = ask(anthropic_sdk, "fine", output_config={"format": {"type": "json_schema", "schema": schema}})
    assert json.loads(reply.content[0].text) == {"mood": "fine", "level": "low"}


def test_what_is_marked_counts_as_cached(anthropic_sdk: anthropic.Anthropic) -> None:
    system = [{"type": "text", "text": "s" * 400, "cache_control": {"type": "ephemeral"}}]
    usage = ask(anthropic_sdk, "hi", system=system).usage
    assert (usage.cache_read_input_tokens, usage.input_tokens) == (100, 3 + 1 + 3)


def test_max_tokens_cut_the_answer(anthropic_sdk: anthropic.Anthropic) -> None:
    messages: Any = [{"role": "user", "content": "x" * 100}]
    reply: Any = anthropic_sdk.messages.create(model="m", max_tokens=5, messages=messages)
    assert (reply.stop_reason, reply.content[0].text) == ("max_tokens", "x" * 20)


def test_tokens_are_counted(anthropic_sdk: anthropic.Anthropic) -> None:
    messages: Any = [{"role": "user", "content": "x" * 100}]
    assert anthropic_sdk.messages.count_tokens(model="m", messages=messages).input_tokens == 28
