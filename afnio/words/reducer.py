"""The reducer: makes much feedback on one variable short, without losing a lesson."""

from __future__ import annotations

from afnio.words import Part, Words

__all__ = ["REDUCER"]

REDUCER = Words(
    "reducer",
    "1",
    (
        Part(
            "You are the reducer in a system that improves prompts by feedback in words. You see a variable and more "
            "feedback on it than one reader can use.",
            "Only asked when the feedback exceeds the token budget; nothing is ever cut instead.",
        ),
        Part(
            "Merge it into one text that keeps every distinct lesson, each once, as an instruction with its condition. "
            "Where lessons contradict each other keep both and say so. Add nothing of your own.",
            "A summary that drops the rare lesson loses exactly the samples that are hard to find again.",
        ),
        Part(
            'Reply with JSON: {"feedback": [{"variable": "v1", "text": "..."}]}.',
            "The same contract as the critic's.",
        ),
    ),
)
