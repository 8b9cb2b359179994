"""The form a prompt asks for: tags, or a fence."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["in_form"]

_FENCE = re.compile(r"```|\bfenced?\b|\bcode block\b", re.IGNORECASE)
_TAGS = re.compile(r"<(json|answer|result|output|response|reply|classification|label|final_answer|afnio_\w+)>")


def in_form(text: str, prompt: str, *, fence: bool = True) -> str:
    """``text`` in the tags or the fence that ``prompt`` asks for."""
    tag, fenced = _form(prompt)
    if tag:
        return f"<{tag}>{text}</{tag}>"
    return f"```json\n{text}\n```" if fence and fenced else text


@lru_cache(maxsize=4096)
def _form(prompt: str) -> tuple[str, bool]:
    """The tag ``prompt`` asks for, or ``""``, and whether it asks for a fence."""
    tag = _TAGS.search(prompt)
    return tag.group(1) if tag else "", bool(_FENCE.search(prompt))
