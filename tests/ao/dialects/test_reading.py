"""Answers are read; a stream folds into the body that would have come without streaming, and can be spelled again."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afnio.calls.sse import DONE
from afnio.models.formats.anthropic_messages import ANTHROPIC_MESSAGES
from afnio.models.formats.openai_chat import OPENAI_CHAT
from afnio.models.lm_server import LMServer
from ao import dialects
from ao.dialects import Asked
from ao.dialects.events import parse
from ao.dialects.reading import read, respell


def post(server: LMServer, path: str, body: Any) -> bytes:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=150)
    try:
        connection.request("POST", path, json.dumps(body), {"authorization": "Bearer k", "x-api-key": "k"})
        return connection.getresponse().read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def server() -> Any:
    with LMServer("echo") as server:
        yield server


MESSAGES: Any = {"messages": [{"role": "user", "content": "one two three"}]}
CALLS: dict[str, tuple[str, Any]] = {
    "openai.chat": ("/v1/chat/completions", MESSAGES),
    "openai.responses": ("/v1/responses", {"input": "one two three"}),
    "anthropic.messages": (
        "/v1/messages",
        {"max_tokens": 9, "messages": [{"role": "user", "content": "one two three"}]},
    ),
}


def without(value: Any, *names: str) -> Any:
    """``value`` without fields that differ by design: the simulation numbers its answers, and null is left out."""
    if isinstance(value, dict):
        return {k: without(v, *names) for k, v in value.items() if k not in names and v not in (None, [], {})}
    return [without(each, *names) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", CALLS)
def test_a_stream_folds_into_the_body_without_streaming(name: str, server: LMServer) -> None:
    path, body = CALLS[name]
    body = {"model": "m"} | body
    options = {"stream_options": {"include_usage": True}} if name == "openai.chat" else {}
    whole = post(server, path, body)
    stream = post(server, path, body | {"stream": True} | options)
    plain, folded = read(name, 200, whole, streamed=False), read(name, 200, stream, streamed=True)
    assert dialects.get(name).ended(stream)
    assert not dialects.get(name).ended(stream[: len(stream) // 2])
    left_out = ("id", "created", "created_at", "item_id", "service_tier")
    assert without(folded.body, *left_out) == without(plain.body, *left_out)
    assert (folded.text, folded.usage, folded.model) == (plain.text, plain.usage, "m")
    assert folded.text.startswith("one two")
    assert plain.usage
    assert set(plain.usage) >= {"input_tokens", "output_tokens"}
    assert folded.error == plain.error == ""


@pytest.mark.parametrize(("name", "theirs"), [("openai.chat", OPENAI_CHAT), ("anthropic.messages", ANTHROPIC_MESSAGES)])
def test_streams_are_read_as_afnio_reads_them(name: str, theirs: Any, server: LMServer) -> None:
    path, body = CALLS[name]
    stream = post(server, path, {"model": "m", "stream": True, "stream_options": {"include_usage": True}} | body)
    folder = theirs.folder()
    for event in parse(stream):
        folder.add("", event)
    folder.add(DONE, {})
    folded, reading = folder.body(), read(name, 200, stream, streamed=True)
    usage = theirs.usage(folded)
    assert theirs.text(reading.body) == theirs.text(folded) == reading.text
    assert theirs.usage(reading.body) == usage
    assert reading.usage == {n: count for n, count in usage.as_dict().items() if count}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_spelled_folds_into_itself(name: str, server: LMServer) -> None:
    path, body = CALLS[name]
    body = {"model": "m", "stream": True, "stream_options": {"include_usage": True}} | body
    before = read(name, 200, post(server, path, body), streamed=True).body
    edited = json.loads(json.dumps(before).replace("one two", "edited"))
    asked = Asked("POST", "http://h" + path, {}, json.dumps(body).encode())
    pieces = respell(name, asked, edited, streamed=True)
    assert pieces
    assert len(pieces) > 2
    reading = read(name, 200, b"".join(pieces), streamed=True)
    assert without(reading.body) == without(edited)
    assert reading.text.startswith("edited")
    assert dialects.get(name).ended(b"".join(pieces))


SAID = {
    "openai.chat": {
        "id": "c",
        "object": "chat.completion",
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "hm",
                    "tool_calls": [
                        {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}},
                        {"id": "b", "type": "function", "function": {"name": "look", "arguments": "{}"}},
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}},
    },
    "openai.completions": {"model": "m", "choices": [{"index": 0, "text": "hm", "finish_reason": "stop"}]},
    "openai.responses": {
        "id": "r",
        "model": "m",
        "status": "completed",
        "output": [
            {"type": "message", "id": "i", "role": "assistant", "content": [{"type": "output_text", "text": "hm"}]},
            {"type": "function_call", "id": "f", "call_id": "c", "name": "look", "arguments": '{"a": 1}'},
        ],
        "usage": {"input_tokens": 3, "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 2}},
    },
    "anthropic.messages": {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [
            {"type": "thinking", "thinking": "so", "signature": "s"},
            {"type": "text", "text": "hm"},
            {"type": "tool_use", "id": "t", "name": "look", "input": {"a": [1, {"b": None}]}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "output_tokens": 4,
            "cache_read_input_tokens": 2,
            "cache_creation_input_tokens": 1,
        },
    },
    "gemini.generate": {
        "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "hm"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 2},
        "modelVersion": "m",
    },
    "ollama.chat": {"model": "m", "message": {"role": "assistant", "content": "hm"}, "done": True, "eval_count": 4},
    "ollama.generate": {"model": "m", "response": "hm", "done": True, "eval_count": 4, "prompt_eval_count": 3},
}


@pytest.mark.parametrize("name", SAID)
def test_every_kind_of_answer_survives_being_streamed(name: str) -> None:
    body = {"stream": True, "stream_options": {"include_usage": True}}
    asked = Asked("POST", "http://h/x?alt=sse", {}, json.dumps(body).encode())
    pieces = respell(name, asked, SAID[name], streamed=True)
    assert pieces
    reading = read(name, 200, b"".join(pieces), streamed=True)
    assert reading.body == SAID[name]
    assert (reading.text, reading.model) == ("hm", "m")
    whole = respell(name, asked, SAID[name], streamed=False)
    assert whole
    assert read(name, 200, whole[0], streamed=False) == reading


def test_usage_of_each() -> None:
    usage = {name: dialects.get(name).usage(body) for name, body in SAID.items()}
    assert usage == {
        "openai.chat": {"input_tokens": 3, "output_tokens": 4, "cached_tokens": 2},
        "openai.completions": None,
        "openai.responses": {"input_tokens": 3, "output_tokens": 4, "reasoning_tokens": 2},
        "anthropic.messages": {"input_tokens": 6, "output_tokens": 4, "cached_tokens": 2, "cache_write_tokens": 1},
        "gemini.generate": {"input_tokens": 3, "output_tokens": 6, "reasoning_tokens": 2},
        "ollama.chat": {"input_tokens": 0, "output_tokens": 4},
        "ollama.generate": {"input_tokens": 3, "output_tokens": 4},
    }


def test_gemini_streams_as_an_array_too() -> None:
    parts = [{"candidates": [{"content": {"parts": [{"text": text}]}}]} for text in ("a", "b")]
    text = json.dumps(parts).encode()
    assert read("gemini.generate", 200, text, streamed=True).text == "ab"
    assert read("gemini.generate", 200, text[:-20], streamed=True).text == "a"


def test_thoughts_of_gemini_are_no_text() -> None:
    parts = [{"text": "so", "thought": True}, {"text": "hm"}, {"functionCall": {"name": "look"}}, {"text": "!"}]
    events = [{"candidates": [{"content": {"parts": [part]}}]} for part in parts]
    body = dialects.get("gemini.generate").fold(events)
    assert body["candidates"][0]["content"]["parts"] == parts
    assert dialects.get("gemini.generate").text(body) == "hm!"


@pytest.mark.parametrize(
    ("name", "status", "body", "said"),
    [
        ("openai.chat", 429, b'{"error": {"message": "slow down", "type": "t"}}', "slow down"),
        ("anthropic.messages", 529, b'{"type": "error", "error": {"message": "busy"}}', "busy"),
        ("gemini.generate", 400, b'{"error": {"code": 400, "message": "bad key"}}', "bad key"),
        ("ollama.chat", 404, b'{"error": "no model"}', "no model"),
        ("openai.chat", 502, b"<html>bad gateway</html>", "<html>bad gateway</html>"),
        ("openai.chat", 500, b"", "status 500"),
        ("openai.responses", 200, b'{"status": "failed"}', "failed"),
        ("mcp.tools", 200, b'{"isError": true, "content": [{"type": "text", "text": "no"}]}', "no"),
    ],
)
def test_errors(name: str, status: int, body: bytes, said: str) -> None:
    for streamed in (False, True):
        assert read(name, status, body, streamed=streamed).error == said


def test_an_error_in_the_middle_of_a_stream() -> None:
    told = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: {"error": {"message": "gone"}}\n\n'
    reading = read("openai.chat", 200, told, streamed=True)
    assert (reading.text, reading.error) == ("a", "gone")
    told = (
        b'data: {"type": "message_start", "message": {}}\n\ndata: {"type": "error", "error": {"message": "gone"}}\n\n'
    )
    assert read("anthropic.messages", 200, told, streamed=True).error == "gone"


NAMES = [
    *("choices", "message", "content", "delta", "usage", "output", "type", "index", "candidates", "parts", "error"),
    *("input", "text", "tool_calls", "logprobs", "response"),
]
KINDS = ["message_start", "content_block_delta", "message_delta", "response.completed", "response.output_text.delta"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=50)
@pytest.mark.parametrize("name", dialects.names())
@given(body=st.binary(max_size=60), value=VALUES)
def test_rubbish_reads_as_something(name: str, body: bytes, value: Any) -> None:
    """No answer is so odd that a recorder fails on it."""
    text = json.dumps(value).encode()
    for streamed in (False, True):
        for content in (body, text, b"data: " + text + b"\n\n", text + b"\n" + text):
            reading = read(name, 200, content, streamed=streamed)
            assert isinstance(reading.text, str)
            assert isinstance(reading.error, str)
            dialects.get(name).ended(content)


def test_events() -> None:
    told = b': ping\r\nevent: x\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata:[2]\n\nid: 5\n\ndata: [DONE]\n\ndata: {"cut'
    assert parse(told) == [{"a": 1}, [2]]
    assert parse(b'{"a": 1}\n\n{"b": 2}\n{"c') == [{"a": 1}, {"b": 2}]
    assert parse(b"") == []


@pytest.mark.parametrize("name", dialects.names())
@pytest.mark.parametrize(
    "body", [None, [], "text", {}, {"choices": 1, "content": "x", "output": {}, "candidates": [1]}]
)
def test_a_body_that_cannot_be_streamed_is_said(name: str, body: Any) -> None:
    asked = Asked("POST", "http://h/x", {}, b"{}")
    pieces = respell(name, asked, body, streamed=True)
    assert pieces is None or all(isinstance(piece, bytes) for piece in pieces)
    assert respell(name, asked, body, streamed=False) == [json.dumps(body, separators=(",", ":")).encode()]


def test_an_unknown_dialect_reads_as_plain_json() -> None:
    assert read("nobody's", 200, b'{"a": 1}', streamed=False).body == {"a": 1}
    assert read("nobody's", 200, b"data: 1\n\n", streamed=True).body == [1]
