"""The chat completions API: OpenAI, and all who speak it (vLLM, Ollama, OpenRouter, ...)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isfinite
from time import time
from typing import Any

from afnio import errors
from afnio._content_blocks import Block, StopReason
from afnio.calls.aio import public_url
from afnio.calls.record import formats
from afnio.calls.request import Request, Usage
from afnio.errors import APIResponseError, APIStatusError
from afnio.models.formats.openai_messages import spelled_choice, spelled_messages, spelled_tools

__all__ = ["OPENAI_CHAT", "OpenAIChat"]

PATH = "/chat/completions"

BY_STATUS: dict[int, type[APIStatusError]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    422: errors.UnprocessableEntityError,
    429: errors.RateLimitError,
}

TOO_LONG = re.compile(
    r"context_length_exceeded|maximum context length|context (?:length|window|size)|max_model_len|prompt is too long"
    r"|input is too long|too many (?:input )?tokens|input length and .?max_tokens"
    r"|reduce the length of the (?:messages|prompt)",
    re.IGNORECASE,
)
NO_SCHEMA = re.compile(
    r"response_format|json_schema|json_object|structured.?output|guided.?(?:json|decoding)|grammar", re.IGNORECASE
)
NO_CREDIT = re.compile(r"insufficient_quota|billing_hard_limit|exceeded your current quota", re.IGNORECASE)


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
            raise APIResponseError(f"The answer has no choices: {_short(body)}.", body=str(body)) from None
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
        usage = Usage(_count(told, "prompt_tokens"), _count(told, "completion_tokens"))
        given = told.get("prompt_tokens_details")
        if given:
            usage.cached_tokens = _count(given, "cached_tokens")
            usage.input_audio_tokens = _count(given, "audio_tokens")
        made = told.get("completion_tokens_details")
        if made:
            usage.reasoning_tokens = _count(made, "reasoning_tokens")
            usage.output_audio_tokens = _count(made, "audio_tokens")
            usage.accepted_prediction_tokens = _count(made, "accepted_prediction_tokens")
            usage.rejected_prediction_tokens = _count(made, "rejected_prediction_tokens")
        return usage

    def error(self, status: int, headers: Mapping[str, str], body: object, request: Request) -> APIStatusError:
        """The typed error: what was asked of whom, what was answered, what to do about it."""
        said = _message(body)
        kind = _kind(status, f"{_codes(body)} {said}", request)
        where = public_url(request.endpoint)
        hint = HINTS.get(kind, "").format(model=request.model)
        return kind(
            f"{request.provider} answered {status} for model '{request.model}' at {where}: {said.rstrip('. ')}.{hint}",
            status_code=status,
            body=body,
            retry_after=_retry_after(headers),
            provider=request.provider,
            model=request.model,
            request_id=headers.get("x-request-id"),
        )


STOPS = {
    "length": StopReason.MAX_TOKENS,
    "content_filter": StopReason.CONTENT_FILTER,
    "function_call": StopReason.TOOL_USE,
}

OPENAI_CHAT = OpenAIChat()
formats[OPENAI_CHAT.name] = OPENAI_CHAT

HINTS: dict[type[APIStatusError], str] = {
    errors.AuthenticationError: " Check the API key: OPENAI_API_KEY or api_key=...",
    errors.PermissionDeniedError: " Check what the API key, its project and organization may do.",
    errors.NotFoundError: " Check the model's name ('{model}') and base_url.",
    errors.ContextLengthError: " Send less, or use a model with a longer context.",
    errors.QuotaError: " The account has no credit left: check its plan and billing. Waiting does not help.",
}


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


def _count(told: object, name: str) -> int:
    """What an endpoint says of ``name``; rubbish must not lose an answer that was paid for."""
    value = told.get(name) if isinstance(told, dict) else None
    return max(int(value), 0) if isinstance(value, (int, float)) and isfinite(value) else 0


def _kind(status: int, said: str, request: Request) -> type[APIStatusError]:
    if status in (400, 413, 422) and TOO_LONG.search(said):
        return errors.ContextLengthError
    if status in (400, 422) and "response_format" in request.body and NO_SCHEMA.search(said):
        return errors.UnsupportedFormatError
    if status == 429 and NO_CREDIT.search(said):
        return errors.QuotaError
    if status >= 500:
        return errors.InternalServerError
    return BY_STATUS.get(status, APIStatusError)


def _fault(body: object) -> object:
    return body.get("error", body) if isinstance(body, dict) else body


def _message(body: object) -> str:
    fault = _fault(body)
    said = fault.get("message") or fault.get("detail") if isinstance(fault, dict) else fault
    return _short(said or body)


def _codes(body: object) -> str:
    fault = _fault(body)
    return f"{fault.get('code')} {fault.get('type')} {fault.get('param')}" if isinstance(fault, dict) else ""


def _short(value: object) -> str:
    text = str(value).strip()
    return text if len(text) <= 500 else f"{text[:400]} ... {text[-80:]}"


def _why_empty(choice: Mapping[str, Any], message: Mapping[str, Any]) -> str:
    if message.get("refusal"):
        return f"The model refused: {_short(message['refusal'])}"
    reason = choice.get("finish_reason")
    if reason == "length":
        return "The answer was cut before its first word (finish_reason 'length'). Raise max_completion_tokens."
    return f"The answer has no text (finish_reason {reason!r})."


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: ``retry-after-ms``, ``retry-after`` in seconds or as a date."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers[name]) / unit
            return seconds if isfinite(seconds) else None
        except (KeyError, ValueError):
            continue
    told = headers.get("retry-after")
    if told is None:
        return None
    from email.utils import parsedate_to_datetime

    try:
        return max(parsedate_to_datetime(told).timestamp() - time(), 0.0)
    except (TypeError, ValueError):
        return None
