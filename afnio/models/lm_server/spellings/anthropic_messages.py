"""Anthropic messages: ``POST /v1/messages``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from afnio.models.lm_server.ask import Answer, Ask, Image, Tool, ToolCall, Turn
from afnio.models.lm_server.spellings.base import BadAskError, event, image_of, number, pieces, text_of

__all__ = ["error", "parse", "render", "stream"]

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def parse(body: dict[str, Any]) -> Ask:
    """Read a messages request."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadAskError("messages: at least one message is required")
    if number(body.get("max_tokens")) is None:
        raise BadAskError("max_tokens: Field required")
    system = text_of(body.get("system"))
    turns = [Turn("system", system)] if system else []
    for message in messages:
        turns += _turns(message)
    ask = Ask(str(body.get("model", "")), turns, max_tokens=number(body.get("max_tokens")))
    _read_form(ask, body)
    if body.get("tools"):
        _read_tools(ask, body)
    ask.stream = bool(body.get("stream"))
    ask.cached_chars = _cached_chars(body)
    return ask


def _turns(message: dict[str, Any]) -> list[Turn]:
    """A user message may hold tool results before its text: each becomes a turn of its own."""
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    results = [_result(block) for block in blocks if block.get("type") == "tool_result"]
    said = Turn(str(message["role"]), text_of(content), images=tuple(_images(blocks)), calls=tuple(_calls(blocks)))
    return results if results and not said.text and not said.images else [*results, said]


def _result(block: dict[str, Any]) -> Turn:
    content = block.get("content")
    images = tuple(_images(content if isinstance(content, list) else []))
    failed = bool(block.get("is_error"))
    return Turn("tool", text_of(content), images=images, call_id=str(block.get("tool_use_id")), failed=failed)


def _images(blocks: list[dict[str, Any]]) -> list[Image]:
    sources = [block["source"] for block in blocks if block.get("type") == "image"]
    return [
        image_of(str(source["data"]), str(source["media_type"]))
        if source["type"] == "base64"
        else Image(b"", url=str(source.get("url", "")))
        for source in sources
    ]


def _dump(value: object) -> str:
    import orjson

    return orjson.dumps(value).decode()


def _calls(blocks: list[dict[str, Any]]) -> list[ToolCall]:
    used = [block for block in blocks if block.get("type") == "tool_use"]
    return [ToolCall(str(call["name"]), _dump(call["input"]), str(call["id"])) for call in used]


def _read_form(ask: Ask, body: dict[str, Any]) -> None:
    import orjson

    config = body.get("output_config") or {}
    form = config.get("format") or body.get("output_format") or {}
    if form.get("type") == "json_schema":
        ask.schema = form.get("schema") or {}
        ask.schema_name = str(ask.schema.get("title", ""))
        ask.extra_chars += len(orjson.dumps(ask.schema))
    ask.effort = str(config.get("effort") or "")


def _read_tools(ask: Ask, body: dict[str, Any]) -> None:
    import orjson

    ask.tools = [
        Tool(tool["name"], tool["input_schema"], str(tool.get("description") or ""))
        for tool in body["tools"]
        if "input_schema" in tool
    ]
    ask.extra_chars += len(orjson.dumps(body["tools"]))
    choice = body.get("tool_choice") or {"type": "auto"}
    ask.tool_choice = _CHOICES.get(choice["type"], str(choice.get("name", "auto")))


def _cached_chars(body: dict[str, Any]) -> int:
    """Length of everything up to the last block marked with ``cache_control``."""
    contents = [body.get("system"), *[message.get("content") for message in body["messages"]]]
    length = cached = 0
    for content in contents:
        blocks = content if isinstance(content, list) else [{"text": content or ""}]
        for block in blocks:
            length += len(str(block.get("text", "")))
            cached = length if block.get("cache_control") else cached
    return cached


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "input_tokens": answer.input_tokens - answer.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached_tokens,
        "output_tokens": answer.output_tokens,
        "service_tier": "standard",
    }


def _input(call: ToolCall) -> dict[str, Any]:
    """A call's arguments: this API sends an object, so of broken ones nothing is left."""
    import orjson

    try:
        given = orjson.loads(call.arguments)
    except orjson.JSONDecodeError:
        return {}
    return given if isinstance(given, dict) else {}


def _blocks(answer: Answer, ident: str) -> list[dict[str, Any]]:
    if not answer.tool_calls:
        return [{"type": "text", "text": answer.text, "citations": None}]
    return [
        {"type": "tool_use", "id": f"toolu_{ident}{i}", "name": call.name, "input": _input(call)}
        for i, call in enumerate(answer.tool_calls)
    ]


def _stop(answer: Answer) -> str:
    return "max_tokens" if answer.cut else "tool_use" if answer.tool_calls else "end_turn"


def render(ask: Ask, answer: Answer, ident: str) -> dict[str, Any]:
    """The body of a message."""
    return {
        "id": f"msg_{ident}",
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": _blocks(answer, ident),
        "stop_reason": _stop(answer),
        "stop_sequence": None,
        "usage": _usage(answer),
    }


def stream(ask: Ask, answer: Answer, ident: str) -> Iterator[bytes]:
    """The events of a streamed message."""
    for name, data in _events(ask, answer, ident):
        yield event({"type": name, **data}, name)


def _events(ask: Ask, answer: Answer, ident: str) -> Iterator[tuple[str, dict[str, Any]]]:
    whole = render(ask, answer, ident)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield "message_start", {"message": begun}
    for index, block in enumerate(whole["content"]):
        yield from _block_events(block, index, answer)
    stop = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield "message_delta", {"delta": stop, "usage": {"output_tokens": answer.output_tokens}}
    yield "message_stop", {}


def _block_events(block: dict[str, Any], index: int, answer: Answer) -> Iterator[tuple[str, dict[str, Any]]]:
    if block["type"] == "text":
        empty: dict[str, Any] = {"text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
    else:
        arguments = pieces(answer.tool_calls[index].arguments if block["input"] else "{}", 1)
        empty = {"input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in arguments]
    yield "content_block_start", {"index": index, "content_block": {**block, **empty}}
    for delta in deltas:
        yield "content_block_delta", {"index": index, "delta": delta}
    yield "content_block_stop", {"index": index}


def error(status: int, kind: str, message: str, code: str | None) -> dict[str, Any]:
    """The body of an error."""
    return {"type": "error", "error": {"type": _KINDS.get(status, "api_error"), "message": message}, "request_id": None}
