"""Blocks of ours as chat completions: what the vendor's own types take, and what stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import TypeAdapter

from afnio import content
from afnio.calls import Request, run_sync
from afnio.errors import ContentBlockError, UnsupportedFormatError
from afnio.models.anthropic import Anthropic
from afnio.models.contract import Contract, ask
from afnio.models.formats.openai_chat import OPENAI_CHAT
from afnio.models.invoke import complete
from afnio.models.lm_server import LMServer
from afnio.models.openai import OpenAI
from afnio.models.scripted import Scripted
from tests.calls.endpoint import Endpoint, message, status

Serve = Callable[..., Endpoint]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
PICTURE = content.image(PNG)
URL = f"data:image/png;base64,{PICTURE['source']['data']}"
TURNS: list[dict[str, Any]] = [
    {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
    {"role": "user", "content": [content.text("What is this?"), PICTURE, content.document(b"%PDF-1", title="t.pdf")]},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "anthropic's"},
            {"type": "provider", "_provider": "anthropic", "_native_type": "x", "payload": {"type": "x"}},
            {"type": "text", "text": "Let me "},
            {"type": "text", "text": "see."},
            {"type": "tool_use", "id": "a", "name": "f", "input": {"x": "ü"}},
            {"type": "tool_use", "id": "b", "name": "g", "input": '{"cut'},
        ],
        "_stop_reason": "tool_use",
    },
    {
        "role": "tool",
        "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": "boom", "is_error": True},
            {"type": "tool_result", "tool_use_id": "b", "content": [content.text("seen"), PICTURE]},
        ],
    },
]
SPELLED: list[dict[str, Any]] = [
    {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": URL}},
            {"type": "file", "file": {"filename": "t.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"}},
        ],
    },
    {
        "role": "assistant",
        "content": "Let me see.",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": "ü"}'}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": '{"cut'}},
        ],
    },
    {"role": "tool", "tool_call_id": "a", "content": "Error: boom"},
    {"role": "tool", "tool_call_id": "b", "content": "seen"},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": URL}}]},
]


def test_blocks_are_spelled_as_the_vendors_types_say() -> None:
    spelled = OPENAI_CHAT.body("m", TURNS, {})["messages"]
    assert spelled == SPELLED
    for each in spelled:
        TypeAdapter(ChatCompletionMessageParam).validate_python(each)


def test_what_is_spelled_openais_way_is_left_alone() -> None:
    theirs = [
        {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": URL}}]},
        {"role": "assistant", "content": None, "tool_calls": SPELLED[2]["tool_calls"]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]},
    ]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    body = OPENAI_CHAT.body("m", theirs, {"tools": tools, "tool_choice": "auto", "seed": 1})
    assert body == {"messages": theirs, "model": "m", "tools": tools, "tool_choice": "auto", "seed": 1}
    assert body["messages"] is not theirs, "the caller may append to his list"


def test_keys_of_plain_calls_are_what_they_were() -> None:
    """Recorded calls of earlier versions must be found again."""
    args = {"temperature": 0, "response_format": {"type": "json_object"}}
    body = OPENAI_CHAT.body("m", [{"role": "user", "content": "hi"}], args)
    request = Request("openai", "", OPENAI_CHAT.path, "m", body, OPENAI_CHAT)
    assert request.key == "5955235212c107ee0958de2bc3dcfe8d72b1d09e908490217b2d87e1bb00bdef"


def test_tools_and_choices() -> None:
    tool = {"name": "add", "description": "adds", "parameters": {"type": "object"}}
    body = OPENAI_CHAT.body("m", [], {"tools": [tool], "tool_choice": "add"})
    assert body["tools"] == [{"type": "function", "function": tool}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "add"}}


def test_a_document_by_its_url_is_refused_with_what_to_do() -> None:
    turns = [{"role": "user", "content": [content.document("https://h/x.pdf")]}]
    with pytest.raises(ContentBlockError, match=r"https://h/x.pdf.*download it"):
        OPENAI_CHAT.body("m", turns, {})


def test_thoughts_go_back_to_who_tells_them() -> None:
    thought = {"type": "thinking", "thinking": "hm"}
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    with_call, alone = OPENAI_CHAT.body(
        "m", [{"role": "assistant", "content": [thought, call]}, {"role": "assistant", "content": [thought]}], {}
    )["messages"]
    assert with_call["reasoning_content"] == "hm"
    assert alone == {"role": "assistant", "content": ""}


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"finish_reason": "stop"}, "end_turn"),
        ({"finish_reason": "length"}, "max_tokens"),
        ({"finish_reason": "content_filter"}, "content_filter"),
        ({"finish_reason": "stop", "message": {"tool_calls": [{"function": {"name": "f"}}]}}, "tool_use"),
        ({"finish_reason": "stop", "message": {"content": None, "refusal": "no"}}, "refusal"),
        ({"finish_reason": None}, "end_turn"),
    ],
)
def test_why_it_stopped(choice: dict[str, Any], reason: str) -> None:
    assert OPENAI_CHAT.stop_reason({"choices": [choice]}) == reason


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [None]}, {"choices": [{}]}, {"choices": "x"}])
def test_a_body_of_rubbish_has_no_content(body: dict[str, Any]) -> None:
    assert OPENAI_CHAT.content(body) == []
    assert OPENAI_CHAT.stop_reason(body) == "end_turn"


def test_a_call_without_id_or_arguments_gets_them() -> None:
    calls = [{"function": {"name": "f"}}, {"id": "x", "function": {"name": "g", "arguments": {"a": 1}}}, "rubbish"]
    assert OPENAI_CHAT.content({"choices": [{"message": {"tool_calls": calls}}]}) == [
        {"type": "tool_use", "id": "call_0", "name": "f", "input": {}},
        {"type": "tool_use", "id": "x", "name": "g", "input": {"a": 1}},
    ]


# ------------------------------------------------------------------------------- both APIs on one simulated model


@pytest.fixture(scope="module")
def server() -> Iterator[LMServer]:
    with LMServer(world="echo") as server:
        yield server


def test_both_apis_say_the_same_of_the_same_blocks(server: LMServer) -> None:
    """Tokens are counted from what the server read, so that equal counts mean equal requests."""
    clients: list[Any] = [
        OpenAI(api_key="k", base_url=server.base_url, model="m"),
        Anthropic(api_key="k", base_url=server.url, model="m"),
    ]
    plain = [each for each in TURNS[1]["content"] if each["type"] != "document"]
    turns = [TURNS[0], {"role": "user", "content": plain}]
    first, second = [run_sync(complete(client, turns)) for client in clients]
    assert (first.text, first.usage.input_tokens) == (second.text, second.usage.input_tokens)
    assert first.content == second.content
    assert first.stop_reason == second.stop_reason
    for client in clients:
        assert run_sync(complete(client, TURNS)).stop_reason == "end_turn"


VERDICT = Contract(
    name="x",
    schema={
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    },
    read=lambda value: value["a"],
)


def test_a_gateway_that_refuses_schemas_is_asked_in_words(serve: Serve) -> None:
    async def plain(endpoint: Endpoint, body: dict[str, Any]) -> Any:
        from aiohttp import web

        return web.json_response(message('{"a": "yes"}'))

    refusal = status(400, {"type": "invalid_request_error", "message": "output_config: Extra inputs are not permitted"})
    endpoint = serve(refusal, plain)
    model = Anthropic(api_key="k", base_url=endpoint.url, model="m")
    for _ in range(2):
        assert run_sync(ask(model, [{"role": "user", "content": "?"}], VERDICT, role="judge", node="n")) == "yes"
    assert ["output_config" in body for body in endpoint.bodies] == [True, False, False]
    assert "JSON" in endpoint.bodies[1]["system"]
    with pytest.raises(UnsupportedFormatError):
        Anthropic(api_key="k", base_url=serve(refusal).url, model="m").chat(
            messages=[{"role": "user", "content": "?"}], response_format=VERDICT.response_format()
        )


def test_the_critics_words_and_pictures_reach_both_apis(server: LMServer) -> None:
    """Messages as the critic sends them: a system text, then text and pictures, then a repair turn."""
    asked: list[dict[str, Any]] = [
        {"role": "system", "content": "You are a critic."},
        {"role": "user", "content": [content.text("Look at picture 1."), PICTURE]},
    ]
    for model in (Anthropic(api_key="k", base_url=server.url), OpenAI(api_key="k", base_url=server.base_url)):
        args = {"model": "m", "temperature": 0}
        assert run_sync(ask(model, asked, VERDICT, role="backward", node="n", completion_args=args)) is not None
    script = Scripted(["no JSON", '{"a": "b"}'])
    assert run_sync(ask(script, asked, VERDICT, role="backward", node="n")) == "b"
    assert [each["role"] for each in script.requests[1]["messages"]] == ["system", "user", "assistant", "user"]
    assert script.requests[1]["messages"][1]["content"][1] == {"type": "image_url", "image_url": {"url": URL}}
