"""Google's Gemini: the developer API and Vertex."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ao.dialects import _json
from ao.dialects.base import Asked, Dialect, at, count, fields, listed
from ao.dialects.events import parse, sse

__all__ = ["Gemini", "GeminiEmbeddings"]

_GENERATE = re.compile(r"/(?:models|tunedModels|endpoints)/([^/:]+):(streamGenerateContent|generateContent)$")
_EMBED = re.compile(r"/models/([^/:]+):(?:embedContent|batchEmbedContents|asyncBatchEmbedContent)$")


class Gemini(Dialect):
    """``POST .../models/NAME:generateContent`` and ``:streamGenerateContent``."""

    name = "gemini.generate"

    def matches(self, asked: Asked) -> bool:
        return asked.method == "POST" and bool(_GENERATE.search(asked.path)) and asked.has("contents", (list, dict))

    def model(self, asked: Asked) -> str:
        found = _GENERATE.search(asked.path)
        return found[1] if found else ""

    def streaming(self, asked: Asked) -> bool:
        return asked.path.endswith(":streamGenerateContent")

    def text(self, body: Any) -> str:
        parts = [part for part in listed(body, "candidates", 0, "content", "parts") if not at(part, "thought")]
        return "".join(str(at(part, "text") or "") for part in parts)

    def usage(self, body: Any) -> dict[str, int] | None:
        told = at(body, "usageMetadata")
        if not isinstance(at(told, "promptTokenCount"), (int, float)):
            return None
        thoughts = count(told, "thoughtsTokenCount")
        usage = {
            "input_tokens": count(told, "promptTokenCount") + count(told, "toolUsePromptTokenCount"),
            "output_tokens": count(told, "candidatesTokenCount") + thoughts,
        }
        parts = {"cached_tokens": count(told, "cachedContentTokenCount"), "reasoning_tokens": thoughts}
        return usage | {name: number for name, number in parts.items() if number}

    def answering(self, body: Any) -> str:
        return str(at(body, "modelVersion") or "")

    def ended(self, body: bytes) -> bool:
        """There is no event that says so: the last one has the reason why the model stopped."""
        told = parse(body)[-1:]
        candidates = listed(told, 0, "candidates")
        return bool(candidates) and all(at(each, "finishReason") for each in candidates)

    def fold(self, events: Iterable[Any]) -> Any:
        body: dict[str, Any] = {}
        candidates: dict[int, dict[str, Any]] = {}
        for event in events:
            if not isinstance(event, dict):
                continue
            body |= {name: value for name, value in event.items() if name != "candidates"}
            for told in listed(event, "candidates"):
                _add(candidates.setdefault(count(told, "index"), {}), told)
        return body | ({"candidates": [candidates[index] for index in sorted(candidates)]} if candidates else {})

    def spell(self, body: Any, asked: Asked) -> list[bytes] | None:
        return [sse(body)] if "alt=sse" in asked.url else [b"[" + _json.dumps(body) + b"]"]


def _add(candidate: dict[str, Any], told: Any) -> None:
    content = dict(fields(candidate, "content"))
    parts = list(listed(content, "parts"))
    for part in listed(told, "content", "parts"):
        before: Any = parts[-1] if parts else None
        if _plain(part) and _plain(before) and at(part, "thought") == at(before, "thought"):
            parts[-1] = before | part | {"text": before["text"] + part["text"]}
        else:
            parts.append(part)
    candidate |= fields(told)
    if content or "content" in fields(told):
        candidate["content"] = content | fields(told, "content") | {"parts": parts}


def _plain(part: Any) -> bool:
    return isinstance(at(part, "text"), str) and set(part) <= {"text", "thought"}


class GeminiEmbeddings(Dialect):
    """``POST .../models/NAME:embedContent`` and ``:batchEmbedContents``."""

    name = "gemini.embeddings"

    def matches(self, asked: Asked) -> bool:
        return asked.method == "POST" and bool(_EMBED.search(asked.path)) and isinstance(asked.json, dict)

    def model(self, asked: Asked) -> str:
        found = _EMBED.search(asked.path)
        return found[1] if found else ""

    def streaming(self, asked: Asked) -> bool:
        return False
