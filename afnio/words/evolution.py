"""The evolutionary search: what each of several proposals is to try, and how two versions are merged."""

from __future__ import annotations

from afnio.words import Part, Words

__all__ = ["DIRECTIONS", "EVOLUTION_USER", "MERGE", "SETTINGS"]

DIRECTIONS = Words(
    "evolution",
    "1",
    (
        Part(
            "Change as little as the feedback allows: add what is missing, leave the rest word by word.",
            "The safest step; most of what a prompt knows was paid for.",
        ),
        Part(
            "Write it anew from what the feedback teaches: general rules first, then special cases, no rule twice.",
            "Long edited prompts drift into lists of patches; a rewrite finds the rule behind them (GEPA, "
            "arXiv:2507.19457).",
        ),
        Part(
            "Say how to decide, step by step, in the order in which somebody would have to look.",
            "A procedure fixes other failures than a list of rules does, so that proposals differ.",
        ),
        Part(
            "Make it as short as it can be without losing a rule.",
            "Short prompts are cheaper at every call, and one that keeps its score may replace a long one.",
        ),
    ),
)
"""Proposals written side by side take these in turn: equal requests would get equal answers."""

SETTINGS = Words(
    "evolution-settings",
    "1",
    (
        Part("Take the value that the feedback speaks for most.", "The step a single proposal would make."),
        Part(
            "Take a value that is far from the present one and was not tried before.",
            "A search that only follows the feedback stays where it began.",
        ),
        Part("Take a value close to the present one that was not tried before.", "The other end of the same search."),
    ),
)
"""The same for a `Choice` or a `Number`."""

EVOLUTION_USER = "{variable}{feedback}{momentum}{history}{direction}{constraints}"
"""The user message; ``{direction}`` stands before the constraints, which win over everything else."""

MERGE = Words(
    "merge",
    "1",
    (
        Part(
            "Another version of this text does better on other samples. Take over every rule that it has and this one "
            "lacks; where the two contradict each other, keep what is more specific. The other version:\n<other>",
            "Two candidates that are each best somewhere know different things (the merge of GEPA, arXiv:2507.19457).",
        ),
    ),
)
"""Given as feedback.  ``<other>`` is filled in."""
