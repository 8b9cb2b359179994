"""The chat completions API: OpenAI, and all who speak it (vLLM, Ollama, OpenRouter, ...)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from afnio._content_blocks import Block, StopReason
from afnio.calls.record import formats
from afnio.calls.request import Request, Usage
from afnio.errors import APIResponseError, APIStatusError
from afnio.models.formats._faults import count, short, status_error
from afnio.models.formats.openai_messages import spelled_choice, spelled_messages, spelled_tools
from afnio.models.formats.openai_stream import ChatFolder

__all__ = ["OPENAI_CHAT", "OpenAIChat"]

PATH = "/chat/completions"


class OpenAIChat:
    """The format's ``ApiFormat``."""

    name = "openai.chat"
    path = PATH

    def body(self, model: str, messages: list[dict[str, Any]], args: dict[str, Any]) -> dict[str, Any]:
        """A chat completion's request; arguments are the API's own."""
        body = {"messages": spelled_messages(messages), "model": model, **args}
        if args.get("tools"):
            body["tools"] = spelled_tools(args["tools"])
        if "tool_choice" in args:
            body["tool_choice"] = spelled_choice(args["tool_choice"])
        return body

    def streamed(self, body: dict[str, Any], *, usage: bool) -> dict[str, Any]:
        """Usage comes with a stream only when it is asked for, and some servers refuse to be asked."""
        return {**body, "stream": True, **({"stream_options": {"include_usage": True}} if usage else {})}

    def folder(self) -> ChatFolder:
        """What takes the chunks of one answer."""
        return ChatFolder()

    def content(self, body: dict[str, Any]) -> list[Block]:
        """Thoughts (of those who tell them), text, tool calls of the first choice."""
        message = _choice(body).get("message")
        if not isinstance(message, dict):
            return []
        blocks: list[Block] = []
        thought = message.get("reasoning_content") or message.get("reasoning")
        if isinstance(thought, str):
            blocks.append({"type": "thinking", "thinking": thought})
        text = _joined(message.get("content")) or message.get("refusal")
        if isinstance(text, str) and text:
            blocks.append({"type": "text", "text": text})
        return blocks + _calls(message.get("tool_calls"))

    def stop_reason(self, body: dict[str, Any]) -> StopReason:
        """By ``finish_reason``; tool calls and a refusal count whatever it says."""
        choice = _choice(body)
        message = choice.get("message")
        if isinstance(message, dict) and message.get("tool_calls") and choice.get("finish_reason") != "length":
            return StopReason.TOOL_USE
        if isinstance(message, dict) and message.get("refusal"):
            return StopReason.REFUSAL
        return STOPS.get(str(choice.get("finish_reason")), StopReason.END_TURN)

    def text(self, body: dict[str, Any]) -> str:
        """Text of the first choice, ``""`` when it only calls tools."""
        try:
            choice = body["choices"][0]
            message = choice["message"]
            content = message.get("content")
        except (KeyError, IndexError, TypeError, AttributeError):
            raise APIResponseError(f"The answer has no choices: {short(body)}.", body=str(body)) from None
        if isinstance(content, str):
            return content
        if isinstance(content, list):
            return _joined(content)
        if message.get("tool_calls"):
            return ""
        raise APIResponseError(_why_empty(choice, message), body=str(body))

    def usage(self, body: dict[str, Any]) -> Usage | None:
        """The reported tokens; fields that are missing or no number count as 0."""
        told = body.get("usage")
        if not isinstance(told, dict) or not isinstance(told.get("prompt_tokens"), (int, float)):
            return None
        usage = Usage(count(told, "prompt_tokens"), count(told, "completion_tokens"))
        given = told.get("prompt_tokens_details")
        if given:
            usage.cached_tokens = count(given, "cached_tokens")
            usage.input_audio_tokens = count(given, "audio_tokens")
        made = told.get("completion_tokens_details")
        if made:
            usage.reasoning_tokens = count(made, "reasoning_tokens")
            usage.output_audio_tokens = count(made, "audio_tokens")
            usage.accepted_prediction_tokens = count(made, "accepted_prediction_tokens")
            usage.rejected_prediction_tokens = count(made, "rejected_prediction_tokens")
        return usage

    def error(self, status: int, headers: Mapping[str, str], body: object, request: Request) -> APIStatusError:
        """The typed error: what was asked of whom, what was answered, what to do about it."""
        return status_error(status, headers, body, request, "OPENAI_API_KEY")


STOPS = {
    "length": StopReason.MAX_TOKENS,
    "content_filter": StopReason.CONTENT_FILTER,
    "function_call": StopReason.TOOL_USE,
}

OPENAI_CHAT = OpenAIChat()
formats[OPENAI_CHAT.name] = OPENAI_CHAT


def _choice(body: Mapping[str, Any]) -> dict[str, Any]:
    choices = body.get("choices")
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}


def _joined(content: object) -> str:
    """The text of an answer's content; some endpoints answer in parts."""
    if isinstance(content, str):
        return content
    texts = [part.get("text") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return "".join(text for text in texts if isinstance(text, str))


def _calls(calls: object) -> list[Block]:
    """The tool calls; one without an id (some local servers) gets one, so that its result can be sent back."""
    blocks: list[Block] = []
    for number, call in enumerate(calls if isinstance(calls, list) else ()):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            name, ident = str(function.get("name") or ""), str(call.get("id") or f"call_{number}")
            blocks.append({"type": "tool_use", "id": ident, "name": name, "input": _input(function.get("arguments"))})
    return blocks


def _input(arguments: object) -> dict[str, Any] | str:
    if isinstance(arguments, dict):
        return arguments
    try:
        found = json.loads(str(arguments or "{}"))
    except ValueError:
        return str(arguments)
    return found if isinstance(found, dict) else str(arguments)


def _why_empty(choice: Mapping[str, Any], message: Mapping[str, Any]) -> str:
    if message.get("refusal"):
        return f"The model refused: {short(message['refusal'])}"
    reason = choice.get("finish_reason")
    if reason == "length":
        return "The answer was cut before its first word (finish_reason 'length'). Raise max_completion_tokens."
    return f"The answer has no text (finish_reason {reason!r})."
