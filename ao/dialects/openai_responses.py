"""OpenAI's responses, of whatever host and path prefix."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ao.dialects.base import Asked, Dialect, at, count, fields, listed
from ao.dialects.events import last_line, sse
from ao.dialects.openai_chat import deployed

__all__ = ["OpenAIResponses"]

_FINAL = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")

_ENDED = re.compile(rb"^event: ?response\.(?:completed|incomplete|failed|cancelled)\s*$", re.MULTILINE)


class OpenAIResponses(Dialect):
    """``POST .../responses``."""

    name = "openai.responses"

    def matches(self, asked: Asked) -> bool:
        if asked.method != "POST" or not asked.path.endswith("/responses"):
            return False
        return any(asked.has(name) for name in ("input", "prompt", "previous_response_id", "conversation"))

    def model(self, asked: Asked) -> str:
        return deployed(asked)

    def text(self, body: Any) -> str:
        items = [item for item in listed(body, "output") if at(item, "type") == "message"]
        parts = [part for item in items for part in listed(item, "content")]
        return "".join(str(part["text"]) for part in parts if isinstance(at(part, "text"), str))

    def usage(self, body: Any) -> dict[str, int] | None:
        told = at(body, "usage")
        if not isinstance(at(told, "input_tokens"), (int, float)):
            return None
        usage = {"input_tokens": count(told, "input_tokens"), "output_tokens": count(told, "output_tokens")}
        parts = {
            "cached_tokens": count(told, "input_tokens_details", "cached_tokens"),
            "reasoning_tokens": count(told, "output_tokens_details", "reasoning_tokens"),
        }
        return usage | {name: number for name, number in parts.items() if number}

    def ended(self, body: bytes) -> bool:
        return bool(_ENDED.search(body)) and last_line(body).startswith(b"data:")

    def fold(self, events: Iterable[Any]) -> Any:
        """The last event holds the whole body; of a stream that broke before it, what was said so far."""
        body: dict[str, Any] = {}
        items: dict[int, dict[str, Any]] = {}
        for event in events:
            kind = at(event, "type")
            if kind in _FINAL:
                return fields(event, "response")
            if kind == "error":
                body["error"] = {name: value for name, value in event.items() if name != "type"}
            elif isinstance(at(event, "response"), dict):
                body |= event["response"]
            else:
                _add(items, event)
        if items:
            body["output"] = [items[index] for index in sorted(items)]
        return body

    def spell(self, body: Any, asked: Asked) -> list[bytes] | None:
        begun = body | {"status": "in_progress", "output": [], "usage": None}
        told: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
        for index, item in enumerate(listed(body, "output")):
            told += _item(index, item)
        end = f"response.{at(body, 'status') or 'completed'}"
        told.append({"type": end if end in _FINAL else _FINAL[0], "response": body})
        return [sse(event | {"sequence_number": number}, event["type"]) for number, event in enumerate(told)]

    def error(self, body: Any) -> str:
        return super().error(body) or (str(at(body, "status")) if at(body, "status") == "failed" else "")


def _add(items: dict[int, dict[str, Any]], event: Any) -> None:
    kind, index = at(event, "type"), count(event, "output_index")
    if kind in ("response.output_item.added", "response.output_item.done"):
        items[index] = fields(event, "item")
    elif kind == "response.function_call_arguments.delta":
        item = items.setdefault(index, {"type": "function_call"})
        item["arguments"] = str(item.get("arguments") or "") + str(at(event, "delta") or "")
    elif kind == "response.output_text.delta":
        content = items.setdefault(index, {"type": "message", "role": "assistant"}).setdefault("content", [])
        while len(content) <= min(count(event, "content_index"), 64):
            content.append({"type": "output_text", "text": ""})
        part = content[count(event, "content_index")]
        part["text"] = str(part.get("text") or "") + str(at(event, "delta") or "")


def _item(index: int, item: Any) -> list[dict[str, Any]]:
    where = {"output_index": index, "item_id": at(item, "id") or f"item_{index}"}
    told: list[dict[str, Any]] = []
    begun = dict(item)
    if "content" in begun:
        begun["content"] = []
    if "arguments" in begun:
        begun["arguments"] = ""
        told.append({"type": "response.function_call_arguments.delta", "delta": item["arguments"]} | where)
        done = {"arguments": item["arguments"], "name": at(item, "name") or ""}
        told.append({"type": "response.function_call_arguments.done"} | done | where)
    for number, part in enumerate(listed(item, "content")):
        told += _part(part, where | {"content_index": number})
    first = {"type": "response.output_item.added", "output_index": index, "item": begun}
    return [first, *told, {"type": "response.output_item.done", "output_index": index, "item": item}]


def _part(part: Any, where: dict[str, Any]) -> list[dict[str, Any]]:
    if at(part, "type") != "output_text":
        return []
    text = {"text": part.get("text") or "", "logprobs": part.get("logprobs") or []}
    return [
        {"type": "response.content_part.added", "part": part | {"text": ""}} | where,
        {"type": "response.output_text.delta", "delta": text["text"], "logprobs": text["logprobs"]} | where,
        {"type": "response.output_text.done"} | text | where,
        {"type": "response.content_part.done", "part": part} | where,
    ]
