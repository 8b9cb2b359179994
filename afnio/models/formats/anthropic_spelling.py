"""Neutral messages, tools, tool choices and output schemas as the Anthropic messages API spells them.

What is spelled Anthropic's way already is left as it is, and what is spelled OpenAI's way (tool calls of an assistant,
pictures by URL) is understood.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from afnio._content_blocks import ContentBlockError, _strip_framework_keys

__all__ = ["spelled_choice", "spelled_format", "spelled_messages", "spelled_tools"]

_SYSTEM = frozenset({"system", "developer"})


def spelled_messages(messages: Iterable[Any]) -> tuple[Any, list[dict[str, Any]]]:
    """The system texts (a str; a list when they were blocks; None when there are none), and all other messages.

    The API wants user and assistant in turn: what follows each other in one role becomes one message.
    """
    system: list[Any] = []
    turns: list[dict[str, Any]] = []
    for message in map(_as_dict, messages):
        if message["role"] in _SYSTEM:
            system.append(message["content"])
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        content = _content(message)
        if role == "assistant" and not content:
            continue  # nothing was said, or only what others understand: the API refuses an empty turn
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] = _blocks(turns[-1]["content"]) + _blocks(content)
        else:
            turns.append({"role": role, "content": content})
    for turn in turns:
        _order(turn)
    return _system(system), turns


def _as_dict(message: Any) -> dict[str, Any]:
    if not isinstance(message, Mapping):  # a message of the SDK, put back as it came
        message = message.model_dump(mode="json", exclude_unset=True)
    return _strip_framework_keys(message)


def _system(texts: list[Any]) -> Any:
    if all(isinstance(text, str) for text in texts):
        return "\n\n".join(texts) or None
    return [block for text in texts for block in _blocks(text)]


def _content(message: Mapping[str, Any]) -> Any:
    content = message.get("content")
    if message["role"] == "tool" and "tool_call_id" in message:  # as OpenAI spells a tool's result
        return [{"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": _inner(content)}]
    calls = [_openai_call(call) for call in message.get("tool_calls") or ()]
    if not calls and isinstance(content, str):
        return content
    return [*_blocks(content), *calls]


def _blocks(content: Any) -> list[dict[str, Any]]:
    """A content as a list of blocks; the API refuses empty texts."""
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    spelled = [_spelled(block) for block in content or ()]
    return [block for block in spelled if block is not None and block.get("text") != ""]


def _spelled(block: Mapping[str, Any]) -> dict[str, Any] | None:
    """One block; None: this API has no place for it."""
    kind = block.get("type")
    if kind == "thinking":
        return dict(block) if block.get("signature") else None  # others' thoughts are refused
    if kind == "tool_use":
        given = block["input"]
        return {**block, "input": given if isinstance(given, dict) else {"arguments": given}}
    if kind == "tool_result":
        return {**block, "content": _inner(block.get("content"))}
    if kind == "provider":
        return dict(block["payload"]) if block["_provider"] == "anthropic" else None
    if kind == "text" and block.get("citations") is None:
        return {name: value for name, value in block.items() if name != "citations"}
    if kind == "image_url":
        return {"type": "image", "source": _source(block["image_url"])}
    if kind == "file":
        return _file(block["file"])
    return dict(block)


def _inner(content: Any) -> Any:
    """What a tool answered: a text, or blocks."""
    return content if isinstance(content, str) else _blocks(content)


def _openai_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    try:
        given = json.loads(function.get("arguments") or "{}")
    except ValueError:
        given = None
    given = given if isinstance(given, dict) else {"arguments": function["arguments"]}
    return {"type": "tool_use", "id": call["id"], "name": function["name"], "input": given}


def _source(image: Any) -> dict[str, Any]:
    url = image["url"] if isinstance(image, Mapping) else str(image)
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    head, _, data = url.removeprefix("data:").partition(",")
    return {"type": "base64", "media_type": head.removesuffix(";base64"), "data": data}


def _file(file: Mapping[str, Any]) -> dict[str, Any]:
    if "file_data" not in file:
        raise ContentBlockError(
            "A file that OpenAI keeps cannot be sent to Anthropic: use afnio.content.document(path)."
        )
    return {"type": "document", "source": _source(file["file_data"])}


def _order(turn: dict[str, Any]) -> None:
    """The API wants the tools' results before all else in a message."""
    content = turn["content"]
    if turn["role"] == "user" and isinstance(content, list):
        content.sort(key=lambda block: block.get("type") != "tool_result")


def spelled_tools(tools: Iterable[Any]) -> list[dict[str, Any]]:
    """``{"name", "description", "parameters"}``, with or without OpenAI's wrapping; Anthropic's own as they are."""
    spelled = []
    for tool in tools:
        tool = tool["function"] if tool.get("type") == "function" else tool
        if "parameters" in tool or not ({"type", "input_schema"} & set(tool)):
            tool = dict(tool)
            tool["input_schema"] = tool.pop("parameters", None) or {"type": "object", "properties": {}}
        spelled.append(dict(tool))
    return spelled


def spelled_choice(choice: Any, parallel: bool | None) -> dict[str, Any] | None:
    """``"auto"``, ``"required"``, ``"none"`` or a tool's name; ``parallel=False``: one call at a time."""
    if isinstance(choice, Mapping) and choice.get("type") == "function":
        choice = choice["function"]["name"]
    if isinstance(choice, str):
        kind = {"auto": "auto", "required": "any", "any": "any", "none": "none"}.get(choice)
        choice = {"type": kind} if kind else {"type": "tool", "name": choice}
    if parallel is not None and (choice or {}).get("type") != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": not parallel}
    return dict(choice) if choice else None


def spelled_format(form: Mapping[str, Any]) -> dict[str, Any] | None:
    """A ``response_format``.  None: text, or ``json_object``, which this API does not have: the prompt must say it."""
    if form.get("type") != "json_schema":
        return None
    named = form.get("json_schema", form)
    schema = named.get("schema") or {}
    if named.get("name"):
        schema = {"title": named["name"], **schema}  # the API has no other place for the name
    return {"type": "json_schema", "schema": schema}
