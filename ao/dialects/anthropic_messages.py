"""Anthropic's messages: its own API, Vertex's, and Bedrock's ``invoke``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ao.dialects import _json
from ao.dialects.base import Asked, Dialect, at, count, fields, listed
from ao.dialects.events import last_line, sse

__all__ = ["AnthropicMessages"]

_CLOUD = re.compile(r"/publishers/anthropic/models/([^/:]+):(?:raw|streamRaw)Predict$|/model/([^/]+)/invoke$")


class AnthropicMessages(Dialect):
    """``POST .../messages`` with ``max_tokens``."""

    name = "anthropic.messages"

    def matches(self, asked: Asked) -> bool:
        if asked.method != "POST":
            return False
        if asked.path.endswith("/messages"):
            return asked.has("messages", list) and asked.has("max_tokens")
        return bool(_CLOUD.search(asked.path)) and asked.has("anthropic_version") and asked.has("messages", list)

    def model(self, asked: Asked) -> str:
        found = _CLOUD.search(asked.path)
        return str(at(asked.json, "model") or (found and (found[1] or found[2])) or "")

    def text(self, body: Any) -> str:
        blocks = [block for block in listed(body, "content") if at(block, "type") == "text"]
        return "".join(str(at(block, "text") or "") for block in blocks)

    def usage(self, body: Any) -> dict[str, int] | None:
        told = at(body, "usage")
        if not isinstance(at(told, "input_tokens"), (int, float)):
            return None
        read, written = count(told, "cache_read_input_tokens"), count(told, "cache_creation_input_tokens")
        usage = {
            "input_tokens": count(told, "input_tokens") + read + written,
            "output_tokens": count(told, "output_tokens"),
        }
        parts = {"cached_tokens": read, "cache_write_tokens": written}
        return usage | {name: number for name, number in parts.items() if number}

    def ended(self, body: bytes) -> bool:
        return b"event: message_stop" in body[-256:] and last_line(body[-256:]).startswith(b"data:")

    def fold(self, events: Iterable[Any]) -> Any:
        body: dict[str, Any] = {}
        blocks: dict[int, dict[str, Any]] = {}
        inputs: dict[int, str] = {}
        for event in events:
            kind, index = at(event, "type"), count(event, "index")
            if kind == "message_start":
                body |= fields(event, "message")
            elif kind == "content_block_start":
                blocks[index] = dict(fields(event, "content_block"))
            elif kind == "content_block_delta":
                _add(blocks.setdefault(index, {}), fields(event, "delta"), inputs, index)
            elif kind == "message_delta":
                body |= {name: value for name, value in fields(event, "delta").items() if value is not None}
                body["usage"] = fields(body, "usage") | _told(event)
            elif kind == "error":
                body |= {"type": "error", "error": at(event, "error")}
        for index, text in inputs.items():
            blocks[index]["input"] = _parsed(text, blocks[index].get("input"))
        return body | {"content": [blocks[index] for index in sorted(blocks)]} if body or blocks else {}

    def spell(self, body: Any, asked: Asked) -> list[bytes] | None:
        ended = {"stop_reason": at(body, "stop_reason"), "stop_sequence": at(body, "stop_sequence")}
        begun = body | {"content": [], "stop_reason": None, "stop_sequence": None}
        told: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
        for index, block in enumerate(listed(body, "content")):
            told += _block(index, block)
        usage = {"output_tokens": count(body, "usage", "output_tokens")}
        told += [{"type": "message_delta", "delta": ended, "usage": usage}, {"type": "message_stop"}]
        return [sse(event, event["type"]) for event in told]


def _add(block: dict[str, Any], delta: dict[str, Any], inputs: dict[int, str], index: int) -> None:
    kind = delta.get("type")
    if kind == "input_json_delta":
        inputs[index] = inputs.get(index, "") + str(delta.get("partial_json") or "")
    elif kind == "citations_delta":
        block["citations"] = [*listed(block, "citations"), delta.get("citation")]
    else:
        for name, value in delta.items():
            if name == "signature":
                block[name] = value
            elif name != "type" and isinstance(value, str):
                block[name] = str(block.get(name) or "") + value


def _told(event: Any) -> dict[str, Any]:
    return {name: value for name, value in fields(event, "usage").items() if value is not None}


def _parsed(text: str, otherwise: Any) -> Any:
    try:
        return _json.loads(text) if text else otherwise
    except ValueError:  # cut off in the middle
        return text


def _block(index: int, block: Any) -> list[dict[str, Any]]:
    kind, where = at(block, "type"), {"index": index}
    begun, deltas = dict(block), []
    if kind == "text":
        begun["text"] = ""
        deltas = [{"type": "text_delta", "text": block.get("text") or ""}]
        deltas += [{"type": "citations_delta", "citation": each} for each in listed(begun, "citations")]
        begun.pop("citations", None)
    elif kind == "thinking":
        begun |= {"thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": block.get("thinking") or ""}]
        deltas += [{"type": "signature_delta", "signature": block["signature"]}] if block.get("signature") else []
    elif "input" in begun:
        begun["input"] = {}
        deltas = [{"type": "input_json_delta", "partial_json": _json.dumps(block["input"]).decode()}]
    middle = [{"type": "content_block_delta", "delta": delta} | where for delta in deltas]
    first = {"type": "content_block_start", "content_block": begun} | where
    return [first, *middle, {"type": "content_block_stop"} | where]
