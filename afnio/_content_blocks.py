"""Content blocks: what a message to or from a model is made of, whatever the provider.

Everything above `afnio.models` speaks of these blocks; an API format spells them for one API.  A block is a plain
dict with a ``type``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, NotRequired, TypedDict, TypeVar

from afnio.errors import ContentBlockError as ContentBlockError
from afnio.errors import MessageError as MessageError
from afnio.variable import Variable

__all__ = [
    "DOCUMENT",
    "IMAGE",
    "KNOWN_BLOCK_TYPES",
    "PROVIDER",
    "TEXT",
    "THINKING",
    "TOOL_RESULT",
    "TOOL_USE",
    "Block",
    "ContentBlockError",
    "DocumentBlock",
    "ImageBlock",
    "Message",
    "MessageError",
    "ProviderBlock",
    "Source",
    "StopReason",
    "TextBlock",
    "ThinkingBlock",
    "ToolResultBlock",
    "ToolUseBlock",
]

TEXT: Literal["text"] = "text"
TOOL_USE: Literal["tool_use"] = "tool_use"
TOOL_RESULT: Literal["tool_result"] = "tool_result"
THINKING: Literal["thinking"] = "thinking"
IMAGE: Literal["image"] = "image"
DOCUMENT: Literal["document"] = "document"
PROVIDER: Literal["provider"] = "provider"
KNOWN_BLOCK_TYPES = frozenset({TEXT, TOOL_USE, TOOL_RESULT, THINKING, IMAGE, DOCUMENT, PROVIDER})


class StopReason(str, Enum):  # noqa: UP042  # its str() is the field's, not enum.StrEnum's
    """Why a model stopped, in one vocabulary for all APIs."""

    END_TURN = "end_turn"
    TOOL_USE = "tool_use"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"
    PAUSE = "pause"


class TextBlock(TypedDict):
    """Words. As it goes to a model, ``text`` is a str."""

    type: Literal["text"]
    text: str | Variable
    citations: NotRequired[list[Any] | None]


class ToolUseBlock(TypedDict):
    """The model calls a tool.  ``input`` is an object; or the text as it came, where that is no JSON object."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any] | str


class ToolResultBlock(TypedDict):
    """What a tool answered; ``content`` is a text or a list of blocks (text, image, document)."""

    type: Literal["tool_result"]
    tool_use_id: str
    content: str | list[Any]
    is_error: NotRequired[bool]


class ThinkingBlock(TypedDict):
    """What the model thought before it answered; sent back with its ``signature``."""

    type: Literal["thinking"]
    thinking: str
    signature: NotRequired[str | None]


class Source(TypedDict):
    """Where an image or a document is: ``base64`` or ``text`` with ``media_type`` and ``data``, or ``url``."""

    type: Literal["base64", "url", "text"]
    media_type: NotRequired[str]
    data: NotRequired[str]
    url: NotRequired[str]


class ImageBlock(TypedDict):
    """A picture."""

    type: Literal["image"]
    source: Source


class DocumentBlock(TypedDict):
    """A document: a PDF, or plain text."""

    type: Literal["document"]
    source: Source
    title: NotRequired[str | None]


class ProviderBlock(TypedDict):
    """What only one provider knows, as it spells it: passed back to that provider, kept from all others."""

    type: Literal["provider"]
    _provider: str
    _native_type: str
    payload: dict[str, Any]


Block = TextBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock | ImageBlock | DocumentBlock | ProviderBlock


class Message(TypedDict):
    """One message; keys that begin with ``_`` are ours and never sent."""

    role: Literal["system", "user", "assistant", "tool"]
    content: list[Block]
    _stop_reason: NotRequired[StopReason | None]


_STRINGS = {
    TOOL_USE: ("id", "name"),
    TOOL_RESULT: ("tool_use_id",),
    THINKING: ("thinking",),
    PROVIDER: ("_provider", "_native_type"),
}
"""Block type -> its keys that hold a str."""
_SOURCES = {"base64": ("media_type", "data"), "text": ("media_type", "data"), "url": ("url",)}
_ROLES = ("system", "user", "assistant", "tool")


def _validate_content_block(block: Any) -> None:
    """Check one block.

    Raises:
        ContentBlockError: it is no block; the message says what is missing or wrong.
    """
    if not isinstance(block, Mapping):
        raise ContentBlockError(f"A content block is a dict with a 'type', got {type(block).__name__}.")
    kind = block.get("type")
    if kind not in KNOWN_BLOCK_TYPES:
        raise ContentBlockError(f"Unknown content block type {kind!r}; known: {', '.join(sorted(KNOWN_BLOCK_TYPES))}.")
    for name in _STRINGS.get(kind, ()):
        if not isinstance(block.get(name), str):
            raise _wrong(block, name, "a str")
    check = _CHECKS.get(kind)
    if check is not None:
        check(block)


def _check_text(block: Mapping[str, Any]) -> None:
    if not isinstance(block.get("text"), (str, Variable)):
        raise _wrong(block, "text", "a str or a Variable")


def _check_tool_use(block: Mapping[str, Any]) -> None:
    if not isinstance(block.get("input"), (dict, str)):
        raise _wrong(block, "input", "a dict")


def _check_tool_result(block: Mapping[str, Any]) -> None:
    content = block.get("content")
    if not isinstance(content, (str, list)):
        raise _wrong(block, "content", "a str or a list of blocks")
    if not isinstance(block.get("is_error", False), bool):
        raise _wrong(block, "is_error", "a bool")
    for inner in content if isinstance(content, list) else ():
        _validate_content_block(inner)


def _check_thinking(block: Mapping[str, Any]) -> None:
    if not isinstance(block.get("signature"), (str, type(None))):
        raise _wrong(block, "signature", "a str")


def _check_source(block: Mapping[str, Any]) -> None:
    source = block.get("source")
    if not isinstance(source, Mapping) or source.get("type") not in _SOURCES:
        raise _wrong(
            block, "source", "{'type': 'base64', 'media_type': ..., 'data': ...} or {'type': 'url', 'url': ...}"
        )
    for name in _SOURCES[source["type"]]:
        if not isinstance(source.get(name), str):
            raise ContentBlockError(
                f"The {source['type']} source of a {block['type']!r} block needs {name!r}, a str; "
                f"got {type(source.get(name)).__name__}."
            )


def _check_payload(block: Mapping[str, Any]) -> None:
    if not isinstance(block.get("payload"), dict):
        raise _wrong(block, "payload", "a dict")


_CHECKS = {
    TEXT: _check_text,
    TOOL_USE: _check_tool_use,
    TOOL_RESULT: _check_tool_result,
    THINKING: _check_thinking,
    IMAGE: _check_source,
    DOCUMENT: _check_source,
    PROVIDER: _check_payload,
}


def _wrong(block: Mapping[str, Any], name: str, expected: str) -> ContentBlockError:
    given = f"a {type(block[name]).__name__}" if name in block else "nothing"
    return ContentBlockError(f"A {block['type']!r} block needs {name!r}: {expected}; got {given}.")


def _validate_message(message: Any) -> None:
    """Check one message and its blocks.

    Raises:
        MessageError: role or content is missing or wrong.
        ContentBlockError: one of its blocks is.
    """
    if not isinstance(message, Mapping):
        raise MessageError(f"A message is a dict with 'role' and 'content', got {type(message).__name__}.")
    if message.get("role") not in _ROLES:
        raise MessageError(f"A message's role is one of {', '.join(_ROLES)}; got {message.get('role')!r}.")
    content = message.get("content")
    if not isinstance(content, list):
        raise MessageError(f"A message's content is a list of blocks, got {type(content).__name__}.")
    for block in content:
        _validate_content_block(block)
    reason = message.get("_stop_reason")
    if reason is not None and reason not in list(StopReason):
        raise MessageError(f"_stop_reason is one of {', '.join(each.value for each in StopReason)}; got {reason!r}.")


M = TypeVar("M", bound=Mapping[str, Any])


def _strip_framework_keys(message: M) -> dict[str, Any]:
    """A copy of ``message`` without its own keys that begin with ``_``; its blocks are left as they are."""
    return {name: value for name, value in message.items() if not name.startswith("_")}
