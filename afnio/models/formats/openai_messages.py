"""Neutral messages, tools and tool choices as the chat completions API spells them.

A message that holds no block of ours is left as it is, so that whoever spells it OpenAI's way can.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from afnio._content_blocks import (
    KNOWN_BLOCK_TYPES,
    TEXT,
    ContentBlockError,
    _strip_framework_keys,
    _validate_content_block,
)

__all__ = ["answered", "spelled_choice", "spelled_messages", "spelled_tools"]

_OURS = KNOWN_BLOCK_TYPES - {TEXT}  # a text block is the same in both
_PLAIN = frozenset({"role", "content"})
_CHOICES = frozenset({"auto", "required", "none"})


def spelled_messages(messages: Iterable[Any]) -> list[Any]:
    """The messages, in a new list (the caller may append to his)."""
    spelled: list[Any] = []
    for message in messages:
        if isinstance(message, dict) and message.keys() <= _PLAIN and isinstance(message.get("content"), str):
            spelled.append(message)
        elif _is_ours(message):
            spelled += _spelled(_strip_framework_keys(message))
        elif isinstance(message, dict) and any(name.startswith("_") for name in message):
            spelled.append(_strip_framework_keys(message))
        else:
            spelled.append(message)
    return spelled


def _is_ours(message: object) -> bool:
    content = message.get("content") if isinstance(message, dict) else None
    return isinstance(content, list) and any(
        isinstance(block, dict) and (block.get("type") in _OURS or "citations" in block) for block in content
    )


def _spelled(message: dict[str, Any]) -> list[dict[str, Any]]:
    """One message of ours; each tool result becomes a message of its own."""
    role, blocks = message["role"], message["content"]
    if role == "assistant":
        return [_assistant(message)]
    results = [block for block in blocks if block["type"] == "tool_result"]
    rest = [part for block in blocks if block["type"] != "tool_result" for part in _parts(block)]
    pictures = [part for block in results for part in _not_text(block)]  # a tool's message holds text only
    spelled = [_tool_result(block) for block in results]
    return spelled + (
        [{"role": "user" if role == "tool" else role, "content": pictures + rest}] if pictures + rest else []
    )


def _assistant(message: dict[str, Any]) -> dict[str, Any]:
    blocks = message["content"]
    text = "".join([block["text"] for block in blocks if block["type"] == "text"])
    calls = [_call(block) for block in blocks if block["type"] == "tool_use"]
    spelled = message | {"content": text or (None if calls else "")}
    if calls:
        spelled["tool_calls"] = calls
        thoughts = [block["thinking"] for block in blocks if block["type"] == "thinking" and not block.get("signature")]
        if thoughts:  # who tells his thoughts in this field wants them back between tool calls
            spelled["reasoning_content"] = "".join(thoughts)
    return spelled


def answered(blocks: Iterable[Any]) -> dict[str, Any]:
    """The message of an answer that holds ``blocks`` (text, tool_use, thinking).

    Raises:
        ContentBlockError: one of them is no block.
    """
    blocks = list(blocks)
    for block in blocks:
        _validate_content_block(block)
    message = _assistant({"role": "assistant", "content": blocks})
    thoughts = "".join([block["thinking"] for block in blocks if block["type"] == "thinking"])
    return message | {"reasoning_content": thoughts} if thoughts else message


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    given = block["input"]
    arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return {"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": arguments}}


def _tool_result(block: Mapping[str, Any]) -> dict[str, Any]:
    content = block["content"]
    text = (
        content if isinstance(content, str) else "\n".join([each["text"] for each in content if each["type"] == "text"])
    )
    if block.get("is_error") and not text.lower().startswith("error"):
        text = f"Error: {text}"  # the API has no other way to say so
    return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": text}


def _not_text(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = result["content"]
    others = [each for each in content if each["type"] != "text"] if isinstance(content, list) else []
    return [part for block in others for part in _parts(block)]


def _parts(block: Mapping[str, Any]) -> list[dict[str, Any]]:
    kind = block.get("type")
    if kind == "image":
        return [{"type": "image_url", "image_url": {"url": _url(block["source"])}}]
    if kind == "document":
        return [_document(block)]
    if kind == "provider":
        return [block["payload"]] if block["_provider"] == "openai" else []
    if kind == "thinking":
        return []
    if kind == "text":
        return [{"type": "text", "text": block["text"]}]
    return [dict(block)]


def _document(block: Mapping[str, Any]) -> dict[str, Any]:
    source = block["source"]
    if source["type"] == "text":
        return {"type": "text", "text": source["data"]}
    if source["type"] == "url":
        raise ContentBlockError(
            f"The chat completions API takes no document by its URL ({source['url']}): download it, "
            f"then afnio.content.document(path)."
        )
    name = block.get("title") or f"document.{source['media_type'].rpartition('/')[2]}"
    return {"type": "file", "file": {"filename": name, "file_data": _url(source)}}


def _url(source: Mapping[str, Any]) -> str:
    return str(source["url"]) if source["type"] == "url" else f"data:{source['media_type']};base64,{source['data']}"


def spelled_tools(tools: Iterable[Any]) -> list[Any]:
    """``{"name", "description", "parameters"}`` as a function tool; all others as they are."""
    return [
        {"type": "function", "function": tool} if isinstance(tool, Mapping) and "type" not in tool else tool
        for tool in tools
    ]


def spelled_choice(choice: object) -> object:
    """``"auto"``, ``"required"``, ``"none"`` as they are; any other str is the name of a tool."""
    if isinstance(choice, str) and choice not in _CHOICES:
        return {"type": "function", "function": {"name": choice}}
    return choice
