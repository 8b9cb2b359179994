"""How many tokens a text has, when the provider does not say."""

from __future__ import annotations

from typing import Any

__all__ = ["estimate", "estimate_body"]

LETTERS_PER_TOKEN = 4  # English prose and JSON, o200k_base
WIDE = 0x2E80  # from here on (CJK, kana, hangul) a character is about one token


def estimate(text: str, encoding: Any = None) -> int:
    """Tokens of ``text``, at least 1 for a text that is not empty.

    ``encoding`` is a ``tiktoken.Encoding`` to count with; without one the length decides. Never uses the network.
    """
    if not text:
        return 0
    if encoding is not None:
        return len(encoding.encode(text, disallowed_special=()))
    if text.isascii():
        return 1 + len(text) // LETTERS_PER_TOKEN
    wide = sum(map(WIDE.__le__, map(ord, text)))
    return 1 + wide + (len(text) - wide) // LETTERS_PER_TOKEN


def estimate_body(value: object, encoding: Any = None) -> int:
    """Tokens of all texts in a request body or in parts of it."""
    if isinstance(value, str):
        return estimate(value, encoding)
    if isinstance(value, dict):
        return sum(estimate_body(each, encoding) for each in value.values())
    if isinstance(value, (list, tuple)):
        return sum(estimate_body(each, encoding) for each in value)
    return 0
