"""What a world sees of a conversation is the same, whichever API it came by."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from afnio.models.lm_server.ask import Image, Tool, ToolCall, Turn
from afnio.models.lm_server.spellings import SPELLINGS, BadAskError

PICTURE = b"\x89PNG not really"
DATA = b64encode(PICTURE).decode()
URL = f"data:image/png;base64,{DATA}"
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"query": {"type": "string"}}}
FIND = {"name": "find", "description": "Finds a price."}
ARGUMENTS = '{"query":"hinge"}'

CHAT: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "How much?"}, {"type": "image_url", "image_url": {"url": URL}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": ARGUMENTS}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "4.20"},
    ],
    "tools": [{"type": "function", "function": {**FIND, "parameters": SCHEMA}}],
}
RESPONSES: dict[str, Any] = {
    "instructions": "Be brief.",
    "input": [
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "How much?"}, {"type": "input_image", "image_url": URL}],
        },
        {"type": "function_call", "call_id": "c1", "name": "find", "arguments": ARGUMENTS},
        {"type": "function_call_output", "call_id": "c1", "output": "4.20"},
    ],
    "tools": [{"type": "function", **FIND, "parameters": SCHEMA}],
}
ANTHROPIC: dict[str, Any] = {
    "max_tokens": 9,
    "system": "Be brief.",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "How much?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c1", "name": "find", "input": {"query": "hinge"}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "4.20"}]},
    ],
    "tools": [{**FIND, "input_schema": SCHEMA}],
}
REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": RESPONSES,
    "/v1/messages": ANTHROPIC,
}


@pytest.mark.parametrize("path", REQUESTS)
def test_pictures_calls_and_descriptions_arrive(path: str) -> None:
    ask = SPELLINGS[path].parse({"model": "m", **REQUESTS[path]})
    system, user, assistant, tool = ask.turns
    assert (system.role, system.text) == ("system", "Be brief.")
    assert user == Turn("user", "How much?", images=(Image(PICTURE, "image/png"),))
    assert (assistant.role, assistant.calls) == ("assistant", (ToolCall("find", ARGUMENTS, "c1"),))
    assert tool == Turn("tool", "4.20", call_id="c1")
    assert ask.tools == [Tool("find", SCHEMA, "Finds a price.")]


def test_anthropic_says_that_a_tool_failed() -> None:
    block = {"type": "tool_result", "tool_use_id": "c1", "content": "no such thing", "is_error": True}
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [block]}]}
    assert SPELLINGS["/v1/messages"].parse(body).turns == [Turn("tool", "no such thing", call_id="c1", failed=True)]


def test_a_picture_elsewhere_is_not_fetched_and_a_broken_one_refused() -> None:
    def body(url: str) -> dict[str, Any]:
        parts = [{"type": "image_url", "image_url": {"url": url}}]
        return {"model": "m", "messages": [{"role": "user", "content": parts}]}

    parse = SPELLINGS["/v1/chat/completions"].parse
    assert parse(body("https://example.com/a.png")).turns[0].images == (Image(b"", url="https://example.com/a.png"),)
    with pytest.raises(BadAskError, match="base64"):
        parse(body("data:image/png;base64,not base64!"))
