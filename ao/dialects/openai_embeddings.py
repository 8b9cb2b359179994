"""OpenAI's embeddings, of whatever host and path prefix."""

from __future__ import annotations

from typing import Any

from ao.dialects.base import Asked, Dialect
from ao.dialects.openai_chat import chat_usage, deployed

__all__ = ["OpenAIEmbeddings"]


class OpenAIEmbeddings(Dialect):
    """``POST .../embeddings``."""

    name = "openai.embeddings"

    def matches(self, asked: Asked) -> bool:
        return asked.method == "POST" and asked.path.endswith("/embeddings") and asked.has("input")

    def model(self, asked: Asked) -> str:
        return deployed(asked)

    def streaming(self, asked: Asked) -> bool:
        return False

    def usage(self, body: Any) -> dict[str, int] | None:
        return chat_usage(body)
