"""OpenAI responses: ``POST /v1/responses``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from afnio.models.lm_server.ask import Answer, Ask, Image, Tool, ToolCall, Turn
from afnio.models.lm_server.spellings.base import CREATED, BadAskError, event, image_at, number, pieces, text_of
from afnio.models.lm_server.spellings.openai_chat import error

__all__ = ["error", "parse", "render", "stream"]


def parse(body: dict[str, Any]) -> Ask:
    """Read a responses request; it must bring its whole conversation."""
    given = body.get("input")
    if not isinstance(given, str | list):
        raise BadAskError("'input' must be a string or a list of items.")
    if body.get("previous_response_id") or body.get("conversation"):
        raise BadAskError("The simulation keeps no conversations: send the whole 'input' each time.")
    turns = [Turn("system", body["instructions"])] if body.get("instructions") else []
    turns += [Turn("user", given)] if isinstance(given, str) else [_turn(item) for item in given]
    ask = Ask(str(body.get("model", "")), turns)
    _read_form(ask, (body.get("text") or {}).get("format") or {})
    if body.get("tools"):
        _read_tools(ask, body)
    ask.max_tokens = number(body.get("max_output_tokens"))
    ask.effort = str((body.get("reasoning") or {}).get("effort") or "")
    ask.stream = bool(body.get("stream"))
    return ask


def _turn(item: dict[str, Any]) -> Turn:
    kind = item.get("type", "message")
    if kind == "function_call":
        call = ToolCall(str(item.get("name")), str(item.get("arguments")), str(item.get("call_id")))
        return Turn("assistant", f"{item.get('name')}({item.get('arguments')})", calls=(call,))
    if kind == "function_call_output":
        output = item.get("output")
        return Turn("tool", text_of(output), images=tuple(_images(output)), call_id=str(item.get("call_id") or ""))
    role, content = str(item.get("role", "user")), item.get("content")
    return Turn("system" if role == "developer" else role, text_of(content), images=tuple(_images(content)))


def _images(content: object) -> list[Image]:
    parts = content if isinstance(content, list) else []
    return [image_at(str(part.get("image_url"))) for part in parts if part.get("type") == "input_image"]


def _read_form(ask: Ask, form: dict[str, Any]) -> None:
    import orjson

    ask.json_mode = form.get("type") == "json_object"
    if form.get("type") == "json_schema":
        ask.schema_name, ask.schema = str(form.get("name", "")), form.get("schema") or {}
        ask.extra_chars += len(orjson.dumps(ask.schema))


def _read_tools(ask: Ask, body: dict[str, Any]) -> None:
    import orjson

    functions = [tool for tool in body["tools"] if tool.get("type") == "function"]
    ask.tools = [
        Tool(tool["name"], tool.get("parameters") or {}, str(tool.get("description") or "")) for tool in functions
    ]
    ask.extra_chars += len(orjson.dumps(body["tools"]))
    choice = body.get("tool_choice") or "auto"
    ask.tool_choice = choice if isinstance(choice, str) else str(choice.get("name", "auto"))


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": answer.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _items(answer: Answer, ident: str, status: str) -> list[dict[str, Any]]:
    if not answer.tool_calls:
        content = [_part(answer.text)]
        return [{"id": f"msg_{ident}", "type": "message", "role": "assistant", "status": status, "content": content}]
    return [
        {
            "id": f"fc_{ident}{i}",
            "type": "function_call",
            "call_id": f"call_{ident}{i}",
            "name": call.name,
            "arguments": call.arguments,
            "status": status,
        }
        for i, call in enumerate(answer.tool_calls)
    ]


def render(ask: Ask, answer: Answer, ident: str) -> dict[str, Any]:
    """The body of a response."""
    status = "incomplete" if answer.cut else "completed"
    return _response(ask, ident, status) | {"output": _items(answer, ident, status), "usage": _usage(answer)}


def _response(ask: Ask, ident: str, status: str) -> dict[str, Any]:
    return {
        "id": f"resp_{ident}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "max_output_tokens": ask.max_tokens,
        "metadata": {"simulation": "true"},
        "model": ask.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
    }


def stream(ask: Ask, answer: Answer, ident: str) -> Iterator[bytes]:
    """The events of a streamed response, numbered from 0."""
    for number_, (name, data) in zip(count(), _events(ask, answer, ident), strict=False):
        yield event({"type": name, "sequence_number": number_, **data}, name)


def _events(ask: Ask, answer: Answer, ident: str) -> Iterator[tuple[str, dict[str, Any]]]:
    begun = {"response": _response(ask, ident, "in_progress")}
    yield "response.created", begun
    yield "response.in_progress", begun
    done = render(ask, answer, ident)
    for index, item in enumerate(done["output"]):
        empty: dict[str, Any] = {"arguments": ""} if answer.tool_calls else {"content": []}
        yield (
            "response.output_item.added",
            {"output_index": index, "item": {**item, **empty, "status": "in_progress"}},
        )
        yield from _call_events(item, index) if answer.tool_calls else _text_events(item, index)
        yield "response.output_item.done", {"output_index": index, "item": item}
    yield f"response.{done['status']}", {"response": done}


def _text_events(item: dict[str, Any], index: int) -> Iterator[tuple[str, dict[str, Any]]]:
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    text = item["content"][0]["text"]
    yield "response.content_part.added", {**place, "part": _part("")}
    for piece in pieces(text):
        yield "response.output_text.delta", {**place, "delta": piece, "logprobs": []}
    yield "response.output_text.done", {**place, "text": text, "logprobs": []}
    yield "response.content_part.done", {**place, "part": _part(text)}


def _call_events(item: dict[str, Any], index: int) -> Iterator[tuple[str, dict[str, Any]]]:
    place = {"item_id": item["id"], "output_index": index}
    for piece in pieces(item["arguments"], 1):
        yield "response.function_call_arguments.delta", {**place, "delta": piece}
    yield (
        "response.function_call_arguments.done",
        {**place, "name": item["name"], "arguments": item["arguments"]},
    )
