"""How the chat completions API is read: answers, usage, errors of many servers."""

from __future__ import annotations

from email.utils import formatdate
from time import time
from typing import Any

import pytest

from afnio.calls import Request, Usage
from afnio.errors import (
    APIResponseError,
    APIStatusError,
    BadRequestError,
    ContextLengthError,
    InternalServerError,
    NotFoundError,
    QuotaError,
    RateLimitError,
    UnprocessableEntityError,
    UnsupportedFormatError,
)
from afnio.models.formats.openai_chat import OPENAI_CHAT, PATH


def request(**body: Any) -> Request:
    return Request("openai", "http://user:pw@h:1/v1", PATH, "m", {"model": "m", **body}, OPENAI_CHAT)


def error_of(code: int, said: object, headers: dict[str, str] | None = None, **body: Any) -> APIStatusError:
    content = {"error": said} if isinstance(said, dict) else said
    return OPENAI_CHAT.error(code, headers or {}, content, request(**body))


def choice(**message: Any) -> dict[str, Any]:
    return {"choices": [{"finish_reason": message.pop("finish_reason", "stop"), "message": message}]}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (choice(content="hi"), "hi"),
        (choice(content=""), ""),
        (choice(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), "ab"),
        (choice(content=None, tool_calls=[{"id": "1"}]), ""),
    ],
)
def test_text(body: dict[str, Any], text: str) -> None:
    assert OPENAI_CHAT.text(body) == text


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "no choices"),
        ({"choices": []}, "no choices"),
        ({"choices": None}, "no choices"),
        ({"choices": [{"message": None}]}, "no choices"),
        ({"error": {"message": "upstream"}}, "upstream"),
        (choice(content=None, refusal="I cannot"), "refused: I cannot"),
        (choice(content=None, finish_reason="length"), "max_completion_tokens"),
        (choice(content=None, finish_reason="content_filter"), "content_filter"),
    ],
)
def test_an_answer_without_text_says_why(body: dict[str, Any], why: str) -> None:
    with pytest.raises(APIResponseError, match=why):
        OPENAI_CHAT.text(body)


@pytest.mark.parametrize("told", [None, {}, {"prompt_tokens": None}, "many"])
def test_usage_that_is_not_told(told: Any) -> None:
    assert OPENAI_CHAT.usage({"usage": told}) is None
    assert OPENAI_CHAT.usage({}) is None


def test_usage_with_holes() -> None:
    told = {"prompt_tokens": 5, "completion_tokens": None, "prompt_tokens_details": None}
    assert OPENAI_CHAT.usage({"usage": told}) == Usage(5, 0)


TOO_LONG = [
    (400, {"message": "x", "code": "context_length_exceeded"}),  # OpenAI
    (
        400,
        {"message": "This model's maximum context length is 8192 tokens. However, you requested 9000"},
    ),  # vLLM
    (400, {"message": "the request exceeds the available context size, try increasing it"}),  # llama.cpp
    (400, {"message": "the input length exceeds the context length"}),  # Ollama
    (400, {"message": "prompt is too long: 210000 tokens > 200000 maximum"}),  # Anthropic
    (413, {"message": "Request too large: reduce the length of the messages"}),  # Groq
    (422, {"message": "Input validation error: too many tokens"}),
    (400, "The decoder prompt (length 9000) is longer than the maximum model length; see max_model_len"),
]


@pytest.mark.parametrize(("code", "said"), TOO_LONG)
def test_context_overflow(code: int, said: Any) -> None:
    error = error_of(code, said)
    assert type(error) is ContextLengthError
    assert error.status_code == code


@pytest.mark.parametrize(
    "said",
    [
        {"message": "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."},
        {"message": "Unrecognized request argument supplied", "param": "response_format"},
        {"message": "guided_json is not supported by this engine"},
        {"message": "This model does not support structured outputs"},
        "response_format.type must be one of text, json_object",
    ],
)
def test_an_unsupported_format_needs_that_one_was_asked_for(said: Any) -> None:
    assert type(error_of(400, said, response_format={})) is UnsupportedFormatError
    assert type(error_of(422, said, response_format={})) is UnsupportedFormatError
    assert type(error_of(400, said)) is BadRequestError


def test_no_credit_is_no_rate_limit_that_heals() -> None:
    said = {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}
    assert type(error_of(429, said)) is QuotaError
    assert type(error_of(429, {"message": "Rate limit reached"})) is RateLimitError


def test_an_unknown_model_is_named() -> None:
    error = error_of(404, {"message": "The model `m` does not exist", "code": "model_not_found"})
    assert type(error) is NotFoundError
    assert str(error) == (
        "openai answered 404 for model 'm' at http://h:1/v1: The model `m` does not exist. "
        "Check the model's name ('m') and base_url."
    )


@pytest.mark.parametrize(
    "said", [None, "", "<html>", {"message": None}, [1], {"message": {"deep": 1}}, {"detail": "d"}]
)
def test_any_body_makes_an_error(said: Any) -> None:
    assert type(error_of(500, said)) is InternalServerError
    assert type(error_of(422, said)) is UnprocessableEntityError


def test_a_long_body_is_shortened_in_the_message_and_kept_whole() -> None:
    error = error_of(500, "x" * 5000)
    assert len(str(error)) < 800
    assert error.body == "x" * 5000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert error_of(429, "no", headers).retry_after == seconds


def test_retry_after_as_a_date() -> None:
    told = error_of(429, "no", {"retry-after": formatdate(time() + 30, usegmt=True)}).retry_after
    assert told is not None
    assert 20 < told <= 30
    assert error_of(429, "no", {"retry-after": formatdate(time() - 30, usegmt=True)}).retry_after == 0
