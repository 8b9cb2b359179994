"""What every API format is read into, and what every world answers with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer", "Ask", "Image", "Tool", "ToolCall", "Turn"]


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in a message: its bytes, or the URL it would have to be fetched from (then ``data`` is empty)."""

    data: bytes
    media_type: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; ``parameters`` is its JSON schema."""

    name: str
    parameters: dict[str, Any]
    description: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function the simulation calls, or has called in an earlier turn.

    ``arguments`` is JSON text.  ``id`` is the one it came back with; the simulation's own calls get theirs from the
    API's spelling.
    """

    name: str
    arguments: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message: ``role`` is ``system``, ``user``, ``assistant`` or ``tool``.

    Attributes:
        images: its pictures, in order.
        calls: the tools an assistant's turn called.
        call_id: the call that a tool's turn answers.
        failed: whether a tool's turn says that the tool failed (Anthropic's ``is_error``).
    """

    role: str
    text: str
    images: tuple[Image, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    failed: bool = False


@dataclass(slots=True)
class Ask:
    """One request, whatever API it came by.

    Attributes:
        extra_chars: length of what is no message but counts as input: tools and output schema.
        cached_chars: length of what the request marks as cacheable (Anthropic's ``cache_control``), or None
            when the API caches by itself.
        tool_choice: ``auto``, ``none``, ``required``, or the name of one tool.
    """

    model: str
    turns: list[Turn]
    schema_name: str = ""
    schema: dict[str, Any] | None = None
    json_mode: bool = False
    tools: list[Tool] = field(default_factory=list)
    tool_choice: str = "auto"
    max_tokens: int | None = None
    effort: str = ""
    stream: bool = False
    stream_usage: bool = False
    choices: int = 1
    extra_chars: int = 0
    cached_chars: int | None = None

    @property
    def system(self) -> str:
        """All system texts, a blank line between two."""
        return "\n\n".join([turn.text for turn in self.turns if turn.role == "system"])

    @property
    def user(self) -> str:
        """The last user message, or ``""``."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")

    @property
    def tool_results(self) -> list[str]:
        """The results of tools that came back since the last user message, oldest first."""
        results: list[str] = []
        for turn in reversed(self.turns):
            if turn.role == "user":
                break
            if turn.role == "tool":
                results.insert(0, turn.text)
        return results


@dataclass(slots=True)
class Answer:
    """What the simulation says: text, or tool calls, and what that costs in tokens."""

    text: str
    tool_calls: list[ToolCall] = field(default_factory=list)
    cut: bool = False
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
