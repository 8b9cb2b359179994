"""Sentences, and what of a sentence is claimed rather than denied."""

from __future__ import annotations

import re

__all__ = ["claim", "normal", "sentences"]

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")
_DENIED = re.compile(
    r"\b(?:do|does|should|must|shall|will|can|is|are)(?:n't| not|not)\b[^,;:]*?(?=,|;|:|\bbut\b|$)"
    r"|\bnever\b[^,;:]*?(?=,|;|:|\bbut\b|$)"
    r"|\b(?:not|instead of|rather than|no longer|however|even if|even when|even without|although|though)\b"
    r"(?:(?!\bbut\b)[^,;:])*",
    re.IGNORECASE,
)


def sentences(text: str) -> list[str]:
    """The sentences and lines of ``text``, without the empty ones."""
    return [part for part in _SENTENCE_END.split(text) if part.strip()]


def claim(sentence: str) -> str:
    """``sentence`` without what it denies ("not technical", "never by hand", "rather than high")."""
    return _DENIED.sub(" ", sentence)


def normal(text: str) -> str:
    """``text`` with single blanks, to compare texts by."""
    return " ".join(text.split())
