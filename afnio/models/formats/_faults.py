"""What the errors of all APIs have in common: kinds by status, what was said, how long to wait."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from time import time

from afnio import errors
from afnio.calls.aio import public_url
from afnio.calls.request import Request
from afnio.calls.transport import request_id_of
from afnio.errors import APIStatusError

__all__ = ["count", "fault_of", "short", "status_error"]

BY_STATUS: dict[int, type[APIStatusError]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    422: errors.UnprocessableEntityError,
    429: errors.RateLimitError,
}

TOO_LONG = (
    r"context_length_exceeded|maximum context length|context (?:length|window|size)|max_model_len|prompt is too long"
    r"|input is too long|too many (?:input )?tokens|input length and .?max_tokens"
    r"|reduce the length of the (?:messages|prompt)"
)
NO_SCHEMA = (
    r"response_format|json_schema|json_object|structured.?output|output_config|output_format|guided.?(?:json|decoding)"
    r"|grammar"
)
NO_CREDIT = r"insufficient_quota|billing_hard_limit|exceeded your current quota|credit balance is too low"
SCHEMA_FIELDS = frozenset({"response_format", "output_config", "output_format"})
"""Where a request asks for structured outputs."""

HINTS: dict[type[APIStatusError], str] = {
    errors.AuthenticationError: " Check the API key: {key_env} or api_key=...",
    errors.PermissionDeniedError: " Check what the API key, its project and organization may do.",
    errors.NotFoundError: " Check the model's name ('{model}') and base_url.",
    errors.ContextLengthError: " Send less, or use a model with a longer context.",
    errors.QuotaError: " The account has no credit left: check its plan and billing. Waiting does not help.",
    errors.OverloadedError: " The provider is overloaded: try later, or another model.",
}


def status_error(
    status: int,
    headers: Mapping[str, str],
    body: object,
    request: Request,
    key_env: str,
    by_status: Mapping[int, type[APIStatusError]] = BY_STATUS,
) -> APIStatusError:
    """The typed error: what was asked of whom, what was answered, what to do about it.

    Args:
        key_env: the environment variable that holds the API key.
        by_status: which error a status stands for, where what was said decides nothing.
    """
    said = _message(body)
    kind = _said_kind(status, f"{_codes(body)} {said}", request)
    if kind is None:
        kind = by_status.get(status, errors.InternalServerError if status >= 500 else APIStatusError)
    where = public_url(request.endpoint)
    hint = HINTS.get(kind, "").format(model=request.model, key_env=key_env)
    return kind(
        f"{request.provider} answered {status} for model '{request.model}' at {where}: {said.rstrip('. ')}.{hint}",
        status_code=status,
        body=body,
        retry_after=_retry_after(headers),
        provider=request.provider,
        model=request.model,
        request_id=request_id_of(headers) or _told_id(body),
    )


def _says(pattern: str, said: str) -> bool:
    """Whether it says so.  The pattern is compiled at the first error, and not by whoever imports this."""
    return re.search(pattern, said, re.IGNORECASE) is not None


def _said_kind(status: int, said: str, request: Request) -> type[APIStatusError] | None:
    if status in (400, 413, 422) and _says(TOO_LONG, said):
        return errors.ContextLengthError
    if status in (400, 422) and not SCHEMA_FIELDS.isdisjoint(request.body) and _says(NO_SCHEMA, said):
        return errors.UnsupportedFormatError
    if status == 429 and _says(NO_CREDIT, said):
        return errors.QuotaError
    return None


def fault_of(body: object) -> object:
    """What is under ``error``, where there is such a thing."""
    return body.get("error", body) if isinstance(body, dict) else body


def _message(body: object) -> str:
    fault = fault_of(body)
    said = fault.get("message") or fault.get("detail") if isinstance(fault, dict) else fault
    return short(said or body)


def _codes(body: object) -> str:
    fault = fault_of(body)
    return f"{fault.get('code')} {fault.get('type')} {fault.get('param')}" if isinstance(fault, dict) else ""


def _told_id(body: object) -> str | None:
    told = body.get("request_id") if isinstance(body, dict) else None
    return told if isinstance(told, str) else None


def count(told: object, name: str) -> int:
    """What an endpoint says of ``name``; rubbish must not lose an answer that was paid for."""
    value = told.get(name) if isinstance(told, dict) else None
    if type(value) is int and value >= 0:
        return value
    return max(int(value), 0) if isinstance(value, (int, float)) and isfinite(value) else 0


def short(value: object) -> str:
    """A text for a message, cut in its middle."""
    text = str(value).strip()
    return text if len(text) <= 500 else f"{text[:400]} ... {text[-80:]}"


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
