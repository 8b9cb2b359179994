"""The optimizer: rewrites one variable from the feedback on it."""

from __future__ import annotations

from afnio.words import Part, Words

__all__ = ["KIND", "LIMIT", "OPTIMIZER", "OPTIMIZER_USER", "PLACES"]

OPTIMIZER = Words(
    "optimizer",
    "1",
    (
        Part(
            "You are the optimizer in a system that improves prompts by feedback in words. You see a variable, "
            "its role, "
            "and feedback from failing samples. Write the variable's new text.",
            "The role tells the model what it is writing (TextGrad, arXiv:2406.07496).",
        ),
        Part(
            "- Follow all of the feedback. Turn it into instructions that hold for inputs nobody has seen yet.",
            "Generalise rather than memorise (GEPA, arXiv:2507.19457).",
        ),
        Part(
            "- Keep every instruction the feedback does not question, and every {{placeholder}} exactly as it is.",
            "The commonest way an update destroys a prompt is by forgetting what it knew.",
        ),
        Part(
            "- Never copy a sample's input or answer into the text.",
            "Checked by code as well.",
        ),
        Part(
            "- Versions that were tried before come with their scores: do not write again what scored worse or "
            "was undone.",
            "Past proposals with scores keep failures from being repeated (OPRO, arXiv:2309.03409; AdalFlow, "
            "arXiv:2501.16673).",
        ),
        Part(
            "- Constraints, if any, come last and win over everything else.",
            "What stands last is followed best.",
        ),
        Part(
            'Reply with JSON: {"reasoning": "...", "value": "..."}; reasoning in one or two sentences, value the '
            "whole new text.",
            "Reasoning first lets the model think before it writes; short, because it is paid for.",
        ),
    ),
)

LIMIT = "The value has at most <limit> <unit>; the present one has <now>."
"""A constraint, where a length is set: the present length tells the model how much there is to cut."""

KIND = "The value is <kind>."
"""A constraint, for a variable that is no text; the schema says it too, where the endpoint has schemas."""

PLACES = ("variable", "feedback", "momentum", "history", "constraints")
"""What messages may hold in braces besides the optimizer's ``inputs``; the first two they must hold."""

OPTIMIZER_USER = "{variable}{feedback}{momentum}{history}{constraints}"
"""The user message.  Each place holds a whole section, or nothing; ``afnio.optim.update`` writes them."""
