"""Credentials never leave the interceptor: taken out of URLs, headers and the texts of errors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["public_body", "public_headers", "public_text", "public_url"]

_SECRET = re.compile(
    r"(?:.*[-_.])?(?:(?:api)?key|(?:access|auth|id|refresh|security)?[-_]?token|sig|signature|secret|password)",
    re.IGNORECASE,
)
_QUERY = re.compile(r"\?[^#\s'\"?]*=[^#\s'\"?]*")
_USER = re.compile(r"(://)[^/@\s'\"]+@")
_HEADER = re.compile(
    r"cookie|authori[sz]|authenticat|(?:^|-)(?:api-?)?key$|apikey|secret|credential|(?:access|auth|security|id)-?token",
    re.IGNORECASE,
)


def public_url(url: str) -> str:
    """``url`` without user, password, and the query arguments that hold keys (``?key=``, ``?api_key=``, ...)."""
    return public_text(url)


def public_text(text: str) -> str:
    """``text`` with the credentials of all URLs in it taken out."""
    if "@" in text:
        text = _USER.sub(r"\1", text)
    return _QUERY.sub(_without_keys, text) if "=" in text else text


def _without_keys(query: re.Match[str]) -> str:
    arguments = query[0][1:].split("&")
    kept = [each for each in arguments if not _SECRET.fullmatch(each.partition("=")[0])]
    if len(kept) == len(arguments):
        return query[0]
    return "?" + "&".join(kept) if kept else ""


def public_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The headers that hold no credentials and no cookies."""
    return tuple((name, value) for name, value in headers if not _HEADER.search(name))


def public_body(body: Any) -> Any:
    """A request's JSON without the keys that some proxies take in it: ``api_key``, and headers to be sent on."""
    if not isinstance(body, dict):
        return body
    found: dict[str, Any] = {}
    for name, value in body.items():
        if value and isinstance(value, str) and _SECRET.fullmatch(name):
            found[name] = HIDDEN
        elif isinstance(value, dict) and "headers" in name:
            found[name] = {each: HIDDEN if _HEADER.search(each) else told for each, told in value.items()}
    return body | found if found else body


HIDDEN = "[redacted]"
