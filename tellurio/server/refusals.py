"""Answers that say no: each with a code for programs and a sentence for people.

``{"error": {"code": "not_found", "message": "..."}}``; a page gets the same sentence as a page.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["Refused", "invalid", "refusal", "refused", "unknown"]

CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    422: "invalid",
    426: "upgrade_required",
    429: "busy",
    503: "unavailable",
}


class Refused(HTTPException):
    """A request that is not done.

    Args:
        status: the HTTP status.
        message: what was given, what was expected, what to do next.
        code: the word for programs; by default that of the status.
        headers: further headers of the answer.
        more: further entries of ``error``.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(status, message, headers)
        self.code, self.message, self.more = code or CODES.get(status, "error"), message, more


def unknown(what: str, name: str) -> Refused:
    """404: there is no such thing, or the caller may not know that there is."""
    return Refused(404, f"There is no {what} {name!r} that you can see.")


def refusal(error: HTTPException, path: str) -> Response:
    """The answer that says ``error``."""
    refused = error if isinstance(error, Refused) else Refused(error.status_code, _sentence(error, path))
    headers = dict(error.headers or {})
    if path.startswith("/api/") or path == "/healthz":
        body = {"error": {"code": refused.code, "message": refused.message, **refused.more}}
        return Response(orjson.dumps(body), error.status_code, headers, "application/json")
    return Response(_page(error.status_code, refused.message), error.status_code, headers, "text/html")


def _sentence(error: HTTPException, path: str) -> str:
    if error.status_code == 404:
        return f"There is nothing at {path!r}."
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return f"This method is not allowed here; allowed: {allowed}."
    return str(error.detail)


def _page(status: int, message: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tellurio</title></head>'
        f"<body><h1>{status}</h1><p>{html.escape(message)}</p></body></html>"
    )


async def refused(request: Request, error: Exception) -> Response:
    """Starlette's handler of `HTTPException`."""
    assert isinstance(error, HTTPException)
    return refusal(error, request.scope["path"])


async def invalid(request: Request, error: Exception) -> Response:
    """FastAPI's handler of input that does not fit the schema.  What was given is not repeated: it may be a secret."""
    assert isinstance(error, RequestValidationError)
    faults = [f"{'.'.join(str(part) for part in e['loc'])[:200]}: {e['msg'][:500]}" for e in error.errors()[:10]]
    return refusal(Refused(422, "; ".join(faults)), request.scope["path"])
