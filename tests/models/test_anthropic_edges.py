"""Edges of Anthropic's API that its SDK does not show: streams that end early, counts that are null, choices."""

from __future__ import annotations

from typing import Any

import pytest

from afnio.errors import APIConnectionError
from afnio.models.formats.anthropic_messages import ANTHROPIC_MESSAGES

START = {
    "type": "message_start",
    "message": {"id": "m", "role": "assistant", "content": [], "usage": {"input_tokens": 7, "output_tokens": 1}},
}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
WORD = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Four"}}
CLOSE = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"input_tokens": None, "output_tokens": 9, "cache_read_input_tokens": None},
}
STOP = {"type": "message_stop"}
WHOLE: list[dict[str, Any]] = [START, BLOCK, WORD, CLOSE, STOP]


def folded(events: list[dict[str, Any]]) -> dict[str, Any]:
    folder = ANTHROPIC_MESSAGES.folder()
    for event in events:
        folder.add(event["type"], event)
    body: dict[str, Any] = folder.body()
    return body


@pytest.mark.parametrize("count", range(4))
def test_a_stream_that_ends_early_is_no_answer(count: int) -> None:
    with pytest.raises(APIConnectionError, match="ended before the answer was complete"):
        folded(WHOLE[:count])


def test_a_stream_is_whole_once_it_says_why_it_stopped() -> None:
    assert folded(WHOLE[:4]) == folded(WHOLE)
    assert ANTHROPIC_MESSAGES.text(folded(WHOLE)) == "Four"


def test_counts_that_are_null_do_not_replace_known_ones() -> None:
    usage = ANTHROPIC_MESSAGES.usage(folded(WHOLE))
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (7, 9, 0)


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("none", {"type": "none"}),
        ("auto", {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", {"type": "any", "disable_parallel_tool_use": True}),
        ("find", {"type": "tool", "name": "find", "disable_parallel_tool_use": True}),
        (None, {"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
def test_one_call_at_a_time_is_said_where_the_api_takes_it(choice: str | None, sent: dict[str, Any]) -> None:
    args = {"tools": [{"name": "find", "description": "Find.", "parameters": {"type": "object"}}]}
    more = {"tool_choice": choice, "parallel_tool_calls": False}
    body = ANTHROPIC_MESSAGES.body("m", [{"role": "user", "content": "hi"}], {**args, **more})
    assert body["tool_choice"] == sent
