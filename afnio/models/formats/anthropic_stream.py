"""The events of a streamed Anthropic message, folded into one."""

from __future__ import annotations

import json
from typing import Any

from afnio.calls.request import ErrorEvent
from afnio.errors import APIConnectionError

__all__ = ["STATUSES", "MessageFolder"]

STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status that an error told within a stream would have had."""

_GROWING = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
"""Kind of a delta -> the field of it, and of the block, whose text grows by it."""


class MessageFolder:
    """The format's ``Folder``."""

    def __init__(self) -> None:
        self._message: dict[str, Any] | None = None
        self._blocks: dict[int, dict[str, Any]] = {}
        self._arguments: dict[int, str] = {}
        self._ended = False

    def add(self, event: str, data: dict[str, Any]) -> str:
        """Take an event; returns its new text."""
        kind = data.get("type") or event
        if kind == "error":
            fault = data.get("error")
            name = fault.get("type") if isinstance(fault, dict) else None
            raise ErrorEvent(STATUSES.get(str(name), 500), data)
        if kind == "message_start":
            self._message = dict(data["message"])
        elif kind == "content_block_start":
            self._blocks[data["index"]] = block = dict(data["content_block"])
            return str(block.get("text") or "") if block.get("type") == "text" else ""
        elif kind == "content_block_delta":
            return self._delta(data["index"], data["delta"])
        elif kind == "message_delta":
            self._close(data)
        elif kind == "message_stop":
            self._ended = True
        return ""

    def _delta(self, index: int, delta: dict[str, Any]) -> str:
        block, kind = self._blocks.setdefault(index, {"type": "text", "text": ""}), delta.get("type", "")
        if kind == "input_json_delta":
            self._arguments[index] = self._arguments.get(index, "") + delta["partial_json"]
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        elif kind in _GROWING:
            name = _GROWING[kind]
            block[name] = (block.get(name) or "") + delta[name]
            return str(delta[name]) if name == "text" else ""
        return ""

    def _close(self, data: dict[str, Any]) -> None:
        message = self._message = self._message or {}
        message.update(data.get("delta") or {})
        told = {name: value for name, value in (data.get("usage") or {}).items() if value is not None}
        message["usage"] = {**(message.get("usage") or {}), **told}

    def body(self) -> dict[str, Any]:
        """The whole message."""
        if self._message is None or not (self._ended or self._message.get("stop_reason")):
            raise APIConnectionError("The stream ended before the answer was complete.")
        for index, text in self._arguments.items():
            self._blocks[index]["input"] = _arguments(text)
        return {**self._message, "content": [self._blocks[index] for index in sorted(self._blocks)]}


def _arguments(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text  # cut by max_tokens: whoever runs the tool says what is wrong with it
