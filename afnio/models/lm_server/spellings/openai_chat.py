"""OpenAI chat completions: ``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from afnio.models.lm_server.ask import Answer, Ask, Image, Tool, ToolCall, Turn
from afnio.models.lm_server.spellings.base import CREATED, BadAskError, event, image_at, number, pieces, text_of

__all__ = ["error", "parse", "render", "stream"]

_ROLES = {"developer": "system", "function": "tool"}


def parse(body: dict[str, Any]) -> Ask:
    """Read a chat completion request."""
    import orjson

    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadAskError("'messages' must be a list with at least one message.")
    ask = Ask(str(body.get("model", "")), [_turn(message) for message in messages])
    form = body.get("response_format") or {}
    ask.json_mode = form.get("type") == "json_object"
    if form.get("type") == "json_schema":
        ask.schema_name, ask.schema = form["json_schema"].get("name", ""), form["json_schema"].get("schema") or {}
        ask.extra_chars += len(orjson.dumps(ask.schema))
    if body.get("tools"):
        _read_tools(ask, body)
    ask.max_tokens = number(body.get("max_completion_tokens") or body.get("max_tokens"))
    ask.effort = str(body.get("reasoning_effort") or "")
    ask.stream = bool(body.get("stream"))
    ask.stream_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    ask.choices = number(body.get("n")) or 1
    return ask


def _turn(message: dict[str, Any]) -> Turn:
    content = message.get("content")
    called = [(call.get("function") or {}, call) for call in message.get("tool_calls") or ()]
    return Turn(
        _ROLES.get(message["role"], message["role"]),
        text_of(content),
        images=tuple(_images(content)),
        calls=tuple([ToolCall(str(f.get("name")), str(f.get("arguments")), str(call.get("id"))) for f, call in called]),
        call_id=str(message.get("tool_call_id") or ""),
    )


def _images(content: object) -> list[Image]:
    parts = content if isinstance(content, list) else []
    return [image_at(str(part["image_url"]["url"])) for part in parts if part.get("type") == "image_url"]


def _read_tools(ask: Ask, body: dict[str, Any]) -> None:
    import orjson

    functions = [tool["function"] for tool in body["tools"] if tool.get("type") == "function"]
    ask.tools = [
        Tool(function["name"], function.get("parameters") or {}, str(function.get("description") or ""))
        for function in functions
    ]
    ask.extra_chars += len(orjson.dumps(body["tools"]))
    choice = body.get("tool_choice") or "auto"
    ask.tool_choice = choice if isinstance(choice, str) else str(choice.get("function", {}).get("name", "auto"))


def usage(answer: Answer) -> dict[str, Any]:
    """The ``usage`` object."""
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": answer.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _tool_calls(answer: Answer, ident: str) -> list[dict[str, Any]]:
    return [
        {"id": f"call_{ident}{i}", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for i, call in enumerate(answer.tool_calls)
    ]


def _finish(answer: Answer) -> str:
    return "length" if answer.cut else "tool_calls" if answer.tool_calls else "stop"


def render(ask: Ask, answer: Answer, ident: str) -> dict[str, Any]:
    """The body of a chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.tool_calls:
        message |= {"content": None, "tool_calls": _tool_calls(answer, ident)}
    return {
        "id": f"chatcmpl-{ident}",
        "object": "chat.completion",
        "created": CREATED,
        "model": ask.model,
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": _finish(answer)}
            for index in range(ask.choices)
        ],
        "usage": usage(answer),
        "service_tier": "default",
        "system_fingerprint": "simulation",
    }


def stream(ask: Ask, answer: Answer, ident: str) -> Iterator[bytes]:
    """The chunks of a streamed chat completion."""
    yield _chunk(ask, ident, {"role": "assistant", "content": None if answer.tool_calls else ""})
    if answer.tool_calls:
        yield from _tool_chunks(ask, answer, ident)
    else:
        for piece in pieces(answer.text):
            yield _chunk(ask, ident, {"content": piece})
    yield _chunk(ask, ident, {}, _finish(answer))
    if ask.stream_usage:
        yield event({**_head(ask, ident), "choices": [], "usage": usage(answer)})
    yield b"data: [DONE]\n\n"


def _tool_chunks(ask: Ask, answer: Answer, ident: str) -> Iterator[bytes]:
    for index, call in enumerate(_tool_calls(answer, ident)):
        whole = call["function"]["arguments"]
        call["function"]["arguments"] = ""
        yield _chunk(ask, ident, {"tool_calls": [{"index": index, **call}]})
        for piece in pieces(whole, 1):
            yield _chunk(ask, ident, {"tool_calls": [{"index": index, "function": {"arguments": piece}}]})


def _head(ask: Ask, ident: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{ident}",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": ask.model,
        "system_fingerprint": "simulation",
    }


def _chunk(ask: Ask, ident: str, delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return event({**_head(ask, ident), "choices": [choice]})


def error(status: int, kind: str, message: str, code: str | None) -> dict[str, Any]:
    """The body of an error."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
