"""What worked examples in a prompt teach: a law that an example's input shows and its output follows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from afnio.models.lm_server.worlds.tickets.laws import Law
from afnio.models.lm_server.worlds.tickets.reading import shown_laws

__all__ = ["taught_laws", "without_examples"]

_EXAMPLES = re.compile(r"\n?<examples>.*?</examples>", re.DOTALL)
_EXAMPLE = re.compile(r"<example>\s*<input>(.*?)</input>\s*<output>(.*?)</output>\s*</example>", re.DOTALL)


def without_examples(text: str) -> tuple[str, list[tuple[str, str]]]:
    """``text`` without its blocks of examples, and the ``(input, output)`` pairs that were in them."""
    if "<examples>" not in text:
        return text, []
    return _EXAMPLES.sub("", text), [pair for block in _EXAMPLES.findall(text) for pair in _EXAMPLE.findall(block)]


def taught_laws(examples: Sequence[tuple[str, str]]) -> list[Law]:
    """The laws a reader of ``examples`` follows from then on."""
    return [law for ticket, answer in examples for law in shown_laws(ticket) if _says(answer, law.value)]


@lru_cache(maxsize=4096)
def _says(answer: str, value: str) -> bool:
    return re.search(rf"\b{value}\b", answer, re.IGNORECASE) is not None
