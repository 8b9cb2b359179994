"""The ``openai`` SDK talks responses to the simulated server."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

TEXT = "Say this back,\nword for word."
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def test_a_response(openai_sdk: openai.OpenAI) -> None:
    reply = openai_sdk.responses.create(model="m", instructions="Be brief.", input=TEXT)
    assert reply.output_text == TEXT
    assert reply.status == "completed"
    assert reply.usage
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens


def test_items_as_input(openai_sdk: openai.OpenAI) -> None:
    items: Any = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "one"}]},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]
    assert openai_sdk.responses.create(model="m", input=items).output_text == "three"


def test_a_stream_says_the_same(openai_sdk: openai.OpenAI) -> None:
    with openai_sdk.responses.stream(model="m", input=TEXT) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == TEXT
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TEXT
    assert [event.sequence_number for event in events] == sorted({event.sequence_number for event in events})
    assert events[-1].type == "response.completed"


def test_a_raw_stream(openai_sdk: openai.OpenAI) -> None:
    events = list(openai_sdk.responses.create(model="m", input=TEXT, stream=True))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    assert [event.sequence_number for event in events] == list(range(len(events)))


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_is_called_and_its_result_answered(openai_sdk: openai.OpenAI, streamed: bool) -> None:
    question = "The weather in 'Turin'?"
    if streamed:
        with openai_sdk.responses.stream(model="m", input=question, tools=[WEATHER]) as stream:
            call: Any = stream.get_final_response().output[0]
    else:
        call = openai_sdk.responses.create(model="m", input=question, tools=[WEATHER]).output[0]
    assert call.name == "get_weather"
    assert json.loads(call.arguments) == {"city": "Turin"}
    given = {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}
    items: Any = [
        {"role": "user", "content": question},
        given,
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
    ]
    assert openai_sdk.responses.create(model="m", input=items, tools=[WEATHER]).output_text == "sunny"


class Verdict(BaseModel):
    mood: str
    score: int


def test_an_output_schema_is_obeyed(openai_sdk: openai.OpenAI) -> None:
    reply = openai_sdk.responses.parse(model="m", input="fine", text_format=Verdict)
    assert reply.output_parsed == Verdict(mood="fine", score=0)


def test_max_output_tokens_make_it_incomplete(openai_sdk: openai.OpenAI) -> None:
    reply = openai_sdk.responses.create(model="m", input="x" * 100, max_output_tokens=16)
    assert reply.status == "incomplete"
    assert reply.incomplete_details
    assert reply.incomplete_details.reason == "max_output_tokens"
    assert reply.output_text == "x" * 64


def test_cached_and_reasoning_tokens(openai_sdk: openai.OpenAI) -> None:
    usage = openai_sdk.responses.create(
        model="m", instructions="s" * 4 * 1200, input="hi", reasoning={"effort": "low"}
    ).usage
    assert usage
    assert usage.input_tokens_details.cached_tokens == 1152
    assert usage.output_tokens_details.reasoning_tokens == 64


def test_conversations_are_refused_with_the_way_out(openai_sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="send the whole 'input'"):
        openai_sdk.responses.create(model="m", input="hi", previous_response_id="resp_1")
