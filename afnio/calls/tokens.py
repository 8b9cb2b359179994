"""How many tokens a text has, when the provider does not say."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["encoding_at_hand", "estimate", "estimate_body"]

LETTERS_PER_TOKEN = 4  # English prose and JSON, o200k_base
WIDE = 0x2E80  # from here on (CJK, kana, hangul) a character is about one token

BLOBS = "https://openaipublic.blob.core.windows.net/encodings/"
TABLES = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
"""tiktoken's tables, the better one first, with the SHA-256 tiktoken expects of each."""


@lru_cache(1)
def encoding_at_hand() -> Any:
    """The tiktoken encoding whose table is on this disk already, or None.

    tiktoken downloads a table it does not find whole in its cache; so we look there first.
    """
    import hashlib

    for name, digest in TABLES.items():
        table = _cache() / hashlib.sha1(f"{BLOBS}{name}.tiktoken".encode(), usedforsecurity=False).hexdigest()
        try:
            if hashlib.sha256(table.read_bytes()).hexdigest() != digest:
                continue
            import tiktoken

            return tiktoken.get_encoding(name)
        except (OSError, ImportError):
            continue
    return None


def _cache() -> Path:
    import tempfile

    named = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    return Path(named) if named else Path(tempfile.gettempdir(), "data-gym-cache")


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


ATTACHED = {"image": 1000, "image_url": 1000, "file": 3000, "document": 3000, "input_audio": 1000}
"""Tokens of a part that is no text, about; its bytes say nothing of them."""


def _is_attached(part: dict[str, Any]) -> bool:
    source = part.get("source")
    return not (isinstance(source, dict) and source.get("type") == "text") and len(part) > 1


def estimate_body(value: object, encoding: Any = None) -> int:
    """Tokens of all texts in a request body or in parts of it, pictures and documents included."""
    if isinstance(value, str):
        return estimate(value, encoding)
    if isinstance(value, dict):
        if value.get("type") in ATTACHED and _is_attached(value):
            return ATTACHED[value["type"]]
        return sum(estimate_body(each, encoding) for each in value.values())
    if isinstance(value, (list, tuple)):
        return sum(estimate_body(each, encoding) for each in value)
    return 0
