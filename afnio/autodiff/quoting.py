"""Texts of samples inside our tags: what looks like one of the tags is no longer one.

Samples are what strangers wrote.  A ticket that holds ``</sample>`` or ``<variable id="v1">`` must not be able to
speak in our place.
"""

from __future__ import annotations

import re

__all__ = ["quoted"]

_OURS = re.compile(
    r"<(?=/?(?:argument|call|constraint|fault|feedback|goal|input|message|other|output|parameters|sample|thinking"
    r"|tool|tool_call|tool_result|variable)\b)"
)


def quoted(text: str) -> str:
    """``text`` with the ``<`` of every tag of ours turned into an angle quotation mark."""
    return _OURS.sub("\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", text) if "<" in text else text
