"""The judge: the only words of ours in a judge's call; the rest is the user's."""

from __future__ import annotations

from afnio.words import Part, Words

__all__ = ["JUDGE"]

JUDGE = Words(
    "judge",
    "1",
    (
        Part(
            'Reply with JSON: {"explanation": "...", "score": ...}: first why, in one or two sentences, then the '
            "score as a number.",
            "Added only where the endpoint has no structured outputs; explaining before scoring makes scores "
            "steadier (G-Eval, "
            "arXiv:2303.16634).",
        ),
    ),
)
