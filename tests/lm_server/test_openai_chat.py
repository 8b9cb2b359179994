"""The ``openai`` SDK talks chat completions to the simulated server."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

TEXT = "  Grüße from the echo,\n\nwith two   spaces and a smile 🙂 "
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["C", "F"]}},
        },
    },
}


def say(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_a_completion(openai_sdk: openai.OpenAI) -> None:
    reply = openai_sdk.chat.completions.create(model="m", messages=say(TEXT))
    assert reply.choices[0].message.content == TEXT
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage
    assert reply.usage.prompt_tokens == -(-len(TEXT) // 4) + 3
    assert reply.usage.completion_tokens == -(-len(TEXT) // 4)
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.system_fingerprint == "simulation"


def test_n_choices(openai_sdk: openai.OpenAI) -> None:
    reply = openai_sdk.chat.completions.create(model="m", messages=say("four char"), n=3)
    assert [choice.message.content for choice in reply.choices] == ["four char"] * 3
    assert reply.usage
    assert reply.usage.completion_tokens == 9


def test_a_stream_says_the_same(openai_sdk: openai.OpenAI) -> None:
    options: Any = {"include_usage": True}
    chunks = list(
        openai_sdk.chat.completions.create(model="m", messages=say(TEXT), stream=True, stream_options=options)
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == -(-len(TEXT) // 4)


def test_content_parts(openai_sdk: openai.OpenAI) -> None:
    parts: Any = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    reply = openai_sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": parts}])
    assert reply.choices[0].message.content == "one\ntwo"


def test_a_tool_is_called_and_its_result_answered(openai_sdk: openai.OpenAI) -> None:
    question = "What is the weather in 'Turin' over 3 days, in C?"
    reply = openai_sdk.chat.completions.create(model="m", messages=say(question), tools=[WEATHER])
    choice = reply.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    call: Any = choice.message.tool_calls[0] if choice.message.tool_calls else None
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Turin", "days": 3, "unit": "C"}
    turns: Any = [
        *say(question),
        choice.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny, 24 C"},
    ]
    after = openai_sdk.chat.completions.create(model="m", messages=turns, tools=[WEATHER])
    assert after.choices[0].message.content == "sunny, 24 C"


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("none", False),
        ("auto", False),
        ("required", True),
        ({"type": "function", "function": {"name": "get_weather"}}, True),
    ],
)
def test_tool_choice(openai_sdk: openai.OpenAI, choice: Any, called: bool) -> None:
    reply = openai_sdk.chat.completions.create(model="m", messages=say("hello"), tools=[WEATHER], tool_choice=choice)
    assert bool(reply.choices[0].message.tool_calls) is called


def test_a_streamed_tool_call(openai_sdk: openai.OpenAI) -> None:
    with openai_sdk.chat.completions.stream(model="m", messages=say("weather in 'Turin'"), tools=[WEATHER]) as stream:
        final: Any = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments)["city"] == "Turin"


class Verdict(BaseModel):
    mood: str
    reasons: list[str]
    sure: bool


def test_an_output_schema_is_obeyed(openai_sdk: openai.OpenAI) -> None:
    reply = openai_sdk.chat.completions.parse(model="m", messages=say("fine"), response_format=Verdict)
    assert reply.choices[0].message.parsed == Verdict(mood="fine", reasons=[], sure=False)


def test_max_tokens_cut_the_answer(openai_sdk: openai.OpenAI) -> None:
    reply = openai_sdk.chat.completions.create(model="m", messages=say("x" * 100), max_completion_tokens=5)
    assert reply.choices[0].finish_reason == "length"
    assert reply.choices[0].message.content == "x" * 20
    assert reply.usage
    assert reply.usage.completion_tokens == 5


def test_a_long_system_prompt_counts_as_cached(openai_sdk: openai.OpenAI) -> None:
    messages: Any = [{"role": "system", "content": "s" * 4 * 1100}, *say("hi")]
    usage = openai_sdk.chat.completions.create(model="m", messages=messages).usage
    assert usage
    assert usage.prompt_tokens_details
    assert usage.prompt_tokens_details.cached_tokens == 1024
    short = openai_sdk.chat.completions.create(model="m", messages=say("hi")).usage
    assert short
    assert short.prompt_tokens_details
    assert short.prompt_tokens_details.cached_tokens == 0


def test_reasoning_tokens_by_effort(openai_sdk: openai.OpenAI) -> None:
    usage = openai_sdk.chat.completions.create(model="m", messages=say("1234"), reasoning_effort="low").usage
    assert usage
    assert usage.completion_tokens_details
    assert (usage.completion_tokens, usage.completion_tokens_details.reasoning_tokens) == (65, 64)


def test_the_models_are_listed(openai_sdk: openai.OpenAI) -> None:
    assert [model.owned_by for model in openai_sdk.models.list()] == ["simulation, not an AI"]
