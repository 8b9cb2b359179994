"""The reply contract in words: how JSON is asked for without structured outputs, how a faulty reply is sent back."""

from __future__ import annotations

from afnio.words import Part, Words

__all__ = ["FENCE", "REPAIR"]

FENCE = Words(
    "fence",
    "1",
    (
        Part(
            "Answer with nothing but one JSON object in a ```json fence. "
            "It must match this JSON schema (<name>):\n<schema>",
            "For endpoints without structured outputs only; the schema itself says more than a description of it.",
        ),
    ),
)
"""``<name>`` and ``<schema>`` are filled in."""

REPAIR = Words(
    "repair",
    "1",
    (
        Part(
            "This reply cannot be used: <fault>. Reply again in full, with that mended.",
            "The fault is quoted, so that the model mends it and not something else; in full, because code cannot join "
            "a part of a reply to the first one.",
        ),
    ),
)
"""``<fault>`` is filled in."""
