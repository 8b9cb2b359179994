"""OpenAI's chat completions, of whatever host and path prefix, Azure's deployments too; and the older completions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ao.dialects.base import Asked, Dialect, at, count, fields, listed
from ao.dialects.events import sse

__all__ = ["OpenAIChat", "OpenAICompletions", "chat_usage", "deployed", "done"]

_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/")
_WHOLE = frozenset({"role", "type", "id", "object", "name", "finish_reason"})
"""Fields of a delta that come once; other texts come in pieces."""


def deployed(asked: Asked) -> str:
    """The model in the body, else the deployment in an Azure path."""
    named = at(asked.json, "model")
    found = None if named else _DEPLOYMENT.search(asked.path)
    return str(named or (found[1] if found else ""))


def chat_usage(body: Any) -> dict[str, int] | None:
    """Tokens as chat completions, completions and embeddings report them."""
    told = at(body, "usage")
    if not isinstance(at(told, "prompt_tokens"), (int, float)):
        return None
    usage = {"input_tokens": count(told, "prompt_tokens"), "output_tokens": count(told, "completion_tokens")}
    parts = {
        "cached_tokens": count(told, "prompt_tokens_details", "cached_tokens"),
        "reasoning_tokens": count(told, "completion_tokens_details", "reasoning_tokens"),
    }
    return usage | {name: number for name, number in parts.items() if number}


def done(body: bytes) -> bool:
    """Whether the last event is ``[DONE]``."""
    return body[-64:].rstrip().rpartition(b"\n")[2] in (b"data: [DONE]", b"data:[DONE]")


class OpenAIChat(Dialect):
    """``POST .../chat/completions``."""

    name = "openai.chat"

    def matches(self, asked: Asked) -> bool:
        return asked.method == "POST" and asked.path.endswith("/chat/completions") and asked.has("messages", list)

    def model(self, asked: Asked) -> str:
        return deployed(asked)

    def text(self, body: Any) -> str:
        content = at(body, "choices", 0, "message", "content")
        if isinstance(content, list):
            return "".join(str(at(part, "text") or "") for part in content)
        return content if isinstance(content, str) else ""

    def usage(self, body: Any) -> dict[str, int] | None:
        return chat_usage(body)

    def ended(self, body: bytes) -> bool:
        return done(body)

    def fold(self, events: Iterable[Any]) -> Any:
        body: dict[str, Any] = {"object": "chat.completion"}
        choices: dict[int, dict[str, Any]] = {}
        for event in events:
            if not isinstance(event, dict):
                continue
            body |= {name: value for name, value in event.items() if name not in ("choices", "object") and value}
            for told in listed(event, "choices"):
                _add(choices.setdefault(count(told, "index"), {}), told)
        if choices or "error" not in body:
            body["choices"] = [{"index": index} | choices[index] for index in sorted(choices)]
        return body

    def spell(self, body: Any, asked: Asked) -> list[bytes] | None:
        top = {name: value for name, value in body.items() if name not in ("choices", "usage")}
        top |= {"object": "chat.completion.chunk"}
        pieces = []
        for choice in listed(body, "choices"):
            index, message = count(choice, "index"), fields(choice, "message")
            delta = {name: value for name, value in message.items() if name != "tool_calls"}
            calls = [{"index": number} | call for number, call in enumerate(listed(message, "tool_calls"))]
            if calls:
                delta["tool_calls"] = calls
            said = {"index": index, "delta": delta, "finish_reason": None}
            ended = {"index": index, "delta": {}, "finish_reason": at(choice, "finish_reason")}
            pieces += [sse(top | {"choices": [said]}), sse(top | {"choices": [ended]})]
        if at(body, "usage") and at(asked.json, "stream_options", "include_usage"):
            pieces.append(sse(top | {"choices": [], "usage": body["usage"]}))
        return [*pieces, b"data: [DONE]\n\n"]


def _add(choice: dict[str, Any], told: Any) -> None:
    message = choice.setdefault("message", {})
    _merge(message, fields(told, "delta"))
    for name, value in fields(told).items():
        if name in ("delta", "index"):
            continue
        if name == "logprobs" and value:
            known = fields(choice, "logprobs")
            choice["logprobs"] = known | {each: listed(known, each) + listed(value, each) for each in fields(value)}
        elif value is not None or name not in choice:
            choice[name] = value


def _merge(known: dict[str, Any], delta: dict[str, Any]) -> None:
    """Texts grow, objects are merged, elements of lists find theirs by ``index``."""
    for name, value in delta.items():
        before = known.get(name)
        if isinstance(value, dict):
            known[name] = before if isinstance(before, dict) else {}
            _merge(known[name], value)
        elif isinstance(value, list):
            known[name] = before if isinstance(before, list) else []
            _merge_list(known[name], value)
        elif isinstance(value, str) and isinstance(before, str) and name not in _WHOLE:
            known[name] = before + value
        elif value is not None or name not in known:
            known[name] = value


def _merge_list(known: list[Any], told: list[Any]) -> None:
    for value in told:
        index = at(value, "index")
        if not isinstance(index, int) or not 0 <= index <= len(known) + 64:
            known.append(value)
            continue
        while len(known) <= index:
            known.append({})
        _merge(known[index], {name: part for name, part in fields(value).items() if name != "index"})


class OpenAICompletions(Dialect):
    """``POST .../completions``: a prompt goes on."""

    name = "openai.completions"

    def matches(self, asked: Asked) -> bool:
        path = asked.path
        return asked.method == "POST" and path.endswith("/completions") and "/chat/" not in path and asked.has("prompt")

    def model(self, asked: Asked) -> str:
        return deployed(asked)

    def text(self, body: Any) -> str:
        return str(at(body, "choices", 0, "text") or "")

    def usage(self, body: Any) -> dict[str, int] | None:
        return chat_usage(body)

    def ended(self, body: bytes) -> bool:
        return done(body)

    def fold(self, events: Iterable[Any]) -> Any:
        body: dict[str, Any] = {}
        choices: dict[int, dict[str, Any]] = {}
        for event in events:
            if not isinstance(event, dict):
                continue
            body |= {name: value for name, value in event.items() if name != "choices" and value}
            for told in listed(event, "choices"):
                choice = choices.setdefault(count(told, "index"), {"text": ""})
                text = choice["text"] + str(at(told, "text") or "")
                choice |= {name: value for name, value in fields(told).items() if value is not None} | {"text": text}
        return body | {"choices": [choices[index] for index in sorted(choices)]}

    def spell(self, body: Any, asked: Asked) -> list[bytes] | None:
        return [sse(body), b"data: [DONE]\n\n"]
