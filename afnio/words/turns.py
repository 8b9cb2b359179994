"""What the critic is told besides, where a call is a turn with tools, content blocks or learnable settings."""

from __future__ import annotations

from afnio.words import Part, Words

__all__ = ["TURNS"]

TURNS = Words(
    "turns",
    "2",
    (
        Part(
            "- The call may be one turn of a conversation in which the model calls tools. <tool> is a tool it could "
            "call, <tool_call> a call it made, <tool_result> what the tool answered, <output> what it said or called "
            "in this turn; stop says why it ended. Later turns are not shown: the feedback tells what came of them.",
            "Each turn is criticised by itself, with the whole conversation up to there; feedback carries the rest.",
        ),
        Part(
            "- A tool's description is what tells the model when to call it and with what. If it called the wrong "
            "tool, gave wrong arguments, or called none where it should have, say what the description lacks. Feedback "
            "on an earlier turn or a result says what that turn should have said or called instead.",
            "Blame goes to where the mistake was made: the prompt, a description, an earlier turn.",
        ),
        Part(
            "- <argument> is a setting of the call. Say which value it should have, and why; nothing else can be "
            "changed there.",
            "A number or a choice takes a value, not an instruction.",
        ),
        Part(
            "- Where a variable needs no change, give it an empty text.",
            "A long conversation has many turns and results, of which few are at fault: the rest costs no words.",
        ),
        Part(
            "- Images and documents stand after the text, under the numbers by which it refers to them.",
            "Several pictures in one request are told apart by their numbers.",
        ),
    ),
)
"""Sent only with calls that have something of all this: others do not pay for it."""
