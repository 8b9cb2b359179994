"""Credentials never leave the interceptor: taken out of URLs, headers and the texts of errors."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["public_headers", "public_text", "public_url"]

_NAMES = r"(?:api[-_]?)?key|(?:access|auth|id|refresh|security)[-_]?token|token|sig(?:nature)?|secret|password"
_QUERY = re.compile(rf"([?&])(?:[\w.-]*[-_.])?(?:{_NAMES})=[^&#\s'\"]*", re.IGNORECASE)
_USER = re.compile(r"(://)[^/@\s'\"]+@")
_EMPTY = re.compile(r"\?&+|[?&]+(?=$|[#\s'\"])|(?<=&)&+")
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
    if "=" in text:
        text, found = _QUERY.subn(r"\1", text)
        if found:
            text = _EMPTY.sub(lambda match: "?" if match[0].startswith("?&") else "", text)
    return text


def public_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The headers that hold no credentials and no cookies."""
    return tuple((name, value) for name, value in headers if not _HEADER.search(name))
