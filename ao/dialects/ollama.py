"""Ollama's own API: chat, generate, embed.  Its streams are lines of JSON, and streaming is the default."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ao.dialects.base import Asked, Dialect, at, count, fields
from ao.dialects.events import lines

__all__ = ["OllamaChat", "OllamaEmbeddings", "OllamaGenerate"]


class _Ollama(Dialect):
    path = ""

    def matches(self, asked: Asked) -> bool:
        return asked.method == "POST" and asked.path.endswith(self.path) and asked.has("model", str)

    def streaming(self, asked: Asked) -> bool:
        return at(asked.json, "stream") is not False

    def ended(self, body: bytes) -> bool:
        return bool(re.search(rb'"done": ?true', body)) and body.rstrip().endswith(b"}")

    def usage(self, body: Any) -> dict[str, int] | None:
        if at(body, "prompt_eval_count") is None and at(body, "eval_count") is None:
            return None
        return {"input_tokens": count(body, "prompt_eval_count"), "output_tokens": count(body, "eval_count")}


class OllamaChat(_Ollama):
    """``POST /api/chat``."""

    name = "ollama.chat"
    path = "/api/chat"

    def matches(self, asked: Asked) -> bool:
        return super().matches(asked) and asked.has("messages", list)

    def text(self, body: Any) -> str:
        return str(at(body, "message", "content") or "")

    def fold(self, events: Iterable[Any]) -> Any:
        body: dict[str, Any] = {}
        message: dict[str, Any] = {}
        for event in events:
            for name, value in fields(event, "message").items():
                message[name] = _grown(name, message.get(name), value)
            body |= event if isinstance(event, dict) else {}
        return body | ({"message": message} if message else {})

    def spell(self, body: Any, asked: Asked) -> list[bytes] | None:
        message = fields(body, "message")
        head = {name: body[name] for name in ("model", "created_at") if name in body}
        end = body | {"done": True, "message": {"role": at(message, "role") or "assistant", "content": ""}}
        return lines([head | {"message": message, "done": False}, end])


def _grown(name: str, before: Any, value: Any) -> Any:
    """Texts and lists go on; what else is told again replaces what was told, unless it is empty."""
    if isinstance(value, str) and isinstance(before, str) and name != "role":
        return before + value
    if isinstance(value, list) and isinstance(before, list):
        return before + value
    return value or before or value


class OllamaGenerate(_Ollama):
    """``POST /api/generate``."""

    name = "ollama.generate"
    path = "/api/generate"

    def text(self, body: Any) -> str:
        return str(at(body, "response") or "")

    def fold(self, events: Iterable[Any]) -> Any:
        body: dict[str, Any] = {}
        for event in events:
            if isinstance(event, dict):
                texts = {
                    name: str(body.get(name) or "") + str(event.get(name) or "") for name in ("response", "thinking")
                }
                body |= event | {name: text for name, text in texts.items() if name in event or name in body}
        return body

    def spell(self, body: Any, asked: Asked) -> list[bytes] | None:
        head = {name: body[name] for name in ("model", "created_at", "response", "thinking") if name in body}
        end = {name: value for name, value in body.items() if name != "thinking"} | {"response": "", "done": True}
        return lines([head | {"done": False}, end])


class OllamaEmbeddings(_Ollama):
    """``POST /api/embed`` and the older ``/api/embeddings``."""

    name = "ollama.embeddings"

    def matches(self, asked: Asked) -> bool:
        named = asked.path.endswith(("/api/embed", "/api/embeddings"))
        return asked.method == "POST" and named and asked.has("model", str)

    def streaming(self, asked: Asked) -> bool:
        return False
