"""The messages API of Anthropic, and of gateways that speak it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afnio import errors
from afnio._content_blocks import Block, StopReason
from afnio.calls.record import formats
from afnio.calls.request import Request, Usage
from afnio.errors import APIResponseError, APIStatusError
from afnio.models.formats._faults import BY_STATUS, count, short, status_error
from afnio.models.formats.anthropic_spelling import spelled_choice, spelled_format, spelled_messages, spelled_tools
from afnio.models.formats.anthropic_stream import MessageFolder

__all__ = ["ANTHROPIC_MESSAGES", "AnthropicMessages"]

MAX_TOKENS = 8192
"""The API wants to be told how long an answer may become; sent when nobody says.  Thinking comes on top."""
OLD_MAX_TOKENS = 4096
_OLD = ("claude-2", "claude-instant", "claude-3-opus", "claude-3-sonnet", "claude-3-haiku")

STOPS = {
    "end_turn": StopReason.END_TURN,
    "tool_use": StopReason.TOOL_USE,
    "max_tokens": StopReason.MAX_TOKENS,
    "model_context_window_exceeded": StopReason.MAX_TOKENS,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "refusal": StopReason.REFUSAL,
    "pause_turn": StopReason.PAUSE,
}

_SHARED = frozenset({"text", "tool_use", "thinking"})
"""Blocks that all providers have, spelled alike here; all others are the provider's own."""

_EFFORTS = {"minimal": "low", "none": None}
_ERRORS = BY_STATUS | {529: errors.OverloadedError}


class AnthropicMessages:
    """The format's ``ApiFormat``."""

    name = "anthropic.messages"
    path = "/v1/messages"

    def body(self, model: str, messages: list[dict[str, Any]], args: dict[str, Any]) -> dict[str, Any]:
        """A message's request; arguments named as in chat completions are spelled the API's way.

        ``response_format`` with a schema becomes ``output_config.format``, ``reasoning_effort``
        ``output_config.effort``, ``stop`` ``stop_sequences``, ``user`` ``metadata.user_id``; all others pass through.
        """
        args = dict(args)
        system, turns = spelled_messages(messages)
        if system and not turns:  # the API wants something to answer
            system, turns = None, [{"role": "user", "content": system}]
        longest = [args.pop(name, None) for name in ("max_tokens", "max_completion_tokens")]
        body = {"model": model, "max_tokens": longest[0] or longest[1] or _longest(model, args), "messages": turns}
        if system:
            body["system"] = system
        _spell_tools(body, args)
        _spell_output(body, args)
        stop, user = args.pop("stop", None), args.pop("user", None)
        if stop:
            body["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
        if user is not None:
            body["metadata"] = {**(args.pop("metadata", None) or {}), "user_id": user}
        if args.get("n") in (1, None):
            args.pop("n", None)
        return body | args

    def streamed(self, body: dict[str, Any], *, usage: bool) -> dict[str, Any]:
        """Usage comes with every stream."""
        return {**body, "stream": True}

    def folder(self) -> MessageFolder:
        """What takes the events of one answer."""
        return MessageFolder()

    def text(self, body: dict[str, Any]) -> str:
        """All text of the answer, ``""`` when it only calls tools."""
        blocks = body.get("content")
        if not isinstance(blocks, list):
            raise APIResponseError(f"The answer has no content: {short(body)}.", body=str(body))
        found = self.content(body)
        texts = [str(block["text"]) for block in found if block["type"] == "text"]
        if texts or any(block["type"] != "thinking" for block in found):
            return "".join(texts)
        raise APIResponseError(_why_empty(body), body=str(body))

    def content(self, body: dict[str, Any]) -> list[Block]:
        """The answer's blocks; what only Anthropic knows is kept as it is, to be sent back."""
        blocks = body.get("content")
        return [_neutral(block) for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []

    def stop_reason(self, body: dict[str, Any]) -> StopReason:
        """By ``stop_reason``."""
        return STOPS.get(str(body.get("stop_reason")), StopReason.END_TURN)

    def usage(self, body: dict[str, Any]) -> Usage | None:
        """The reported tokens; input is all input, whether it came from the cache, went into it, or neither."""
        told = body.get("usage")
        if not isinstance(told, dict) or not isinstance(told.get("input_tokens"), (int, float)):
            return None
        read, written = count(told, "cache_read_input_tokens"), count(told, "cache_creation_input_tokens")
        return Usage(
            input_tokens=count(told, "input_tokens") + read + written,
            output_tokens=count(told, "output_tokens"),
            cached_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=count(told.get("output_tokens_details"), "thinking_tokens"),
        )

    def error(self, status: int, headers: Mapping[str, str], body: object, request: Request) -> APIStatusError:
        """The typed error: what was asked of whom, what was answered, what to do about it."""
        return status_error(status, headers, body, request, "ANTHROPIC_API_KEY", _ERRORS)


ANTHROPIC_MESSAGES = AnthropicMessages()
formats[ANTHROPIC_MESSAGES.name] = ANTHROPIC_MESSAGES


def _longest(model: str, args: Mapping[str, Any]) -> int:
    thinking = args.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
    return (OLD_MAX_TOKENS if any(name in model for name in _OLD) else MAX_TOKENS) + (budget or 0)


def _spell_tools(body: dict[str, Any], args: dict[str, Any]) -> None:
    tools, parallel = args.pop("tools", None), args.pop("parallel_tool_calls", None)
    choice = spelled_choice(args.pop("tool_choice", None), parallel if tools else None)
    if tools:
        body["tools"] = spelled_tools(tools)
    if choice:
        body["tool_choice"] = choice


def _spell_output(body: dict[str, Any], args: dict[str, Any]) -> None:
    config = dict(args.pop("output_config", None) or {})
    form, effort = args.pop("response_format", None), args.pop("reasoning_effort", None)
    schema = spelled_format(form) if isinstance(form, Mapping) else None
    effort = _EFFORTS.get(effort, effort) if isinstance(effort, str) else effort
    config |= {name: value for name, value in (("format", schema), ("effort", effort)) if value is not None}
    if config:
        body["output_config"] = config


def _neutral(block: dict[str, Any]) -> Any:
    kind = str(block.get("type"))
    if kind in _SHARED:
        return {name: value for name, value in block.items() if value is not None}
    return {"type": "provider", "_provider": "anthropic", "_native_type": kind, "payload": block}


def _why_empty(body: Mapping[str, Any]) -> str:
    reason = body.get("stop_reason")
    if reason == "refusal":
        return "The model refused to answer (stop_reason 'refusal')."
    if reason == "max_tokens":
        return "The answer was cut before its first word (stop_reason 'max_tokens'). Raise max_tokens."
    return f"The answer has no text (stop_reason {reason!r})."
