"""Dialects: how each API spells LM calls.  ``register`` adds one.

from ao.dialects import Dialect, register

class House(Dialect):
    name = "house"

    def matches(self, asked):
        return asked.path == "/ask" and asked.has("question")

    def text(self, body):
        return body["answer"]

register(House())
"""

from __future__ import annotations

from collections.abc import Callable

from ao.dialects.anthropic_messages import AnthropicMessages
from ao.dialects.base import Asked as Asked
from ao.dialects.base import Dialect as Dialect
from ao.dialects.gemini import Gemini, GeminiEmbeddings
from ao.dialects.mcp import MCPTools
from ao.dialects.ollama import OllamaChat, OllamaEmbeddings, OllamaGenerate
from ao.dialects.openai_chat import OpenAIChat, OpenAICompletions
from ao.dialects.openai_embeddings import OpenAIEmbeddings
from ao.dialects.openai_responses import OpenAIResponses

__all__ = ["Asked", "Dialect", "find", "get", "names", "register"]

_ours: tuple[Dialect, ...] = (
    OpenAIChat(),
    OpenAIResponses(),
    AnthropicMessages(),
    Gemini(),
    OpenAIEmbeddings(),
    OllamaChat(),
    OllamaGenerate(),
    OllamaEmbeddings(),
    GeminiEmbeddings(),
    OpenAICompletions(),
    MCPTools(),
)
_table: tuple[Dialect, ...] = _ours
_UNKNOWN = Dialect()


def register(dialect: Dialect) -> Callable[[], None]:
    """Add a dialect, before all others; one of the same name is replaced.  Returns the function that undoes it.

    Raises:
        ValueError: it has no name.
    """
    global _table
    if not dialect.name:
        raise ValueError(f'{type(dialect).__name__} has no name: give its class a line like name = "house".')
    before = _table
    _table = (dialect, *(known for known in before if known.name != dialect.name))

    def undo() -> None:
        global _table
        _table = before

    return undo


def find(asked: Asked) -> Dialect | None:
    """The dialect of a request; None when it is no LM call."""
    for dialect in _table:
        if dialect.matches(asked):
            return dialect
    return None


def get(name: str) -> Dialect:
    """A dialect by its name; one that is not registered here reads as plain JSON."""
    for dialect in _table:
        if dialect.name == name:
            return dialect
    return _UNKNOWN


def names() -> list[str]:
    """The names of all dialects, in the order they are asked."""
    return [dialect.name for dialect in _table]
