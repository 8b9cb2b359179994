"""What a feedback advises: the one thing critic, reducer and optimizer tell each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from afnio.models.lm_server.worlds.training.lawbook import Lawbook
from afnio.models.lm_server.worlds.training.request import feedback_texts

__all__ = ["NOTHING", "Advice", "advice_in", "advice_of", "feedback_reply"]

NOTHING = "No change is needed here."
_REMOVE = re.compile(r'Remove the rule "([^"]+)"')


@dataclass(slots=True)
class Advice:
    """What a feedback says: names of laws to state, rules to remove, fields to read with more care."""

    laws: set[str] = field(default_factory=set)
    remove: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def add(self, other: Advice) -> None:
        """Take over what ``other`` says and this does not say yet."""
        self.laws |= other.laws
        self.remove += [rule for rule in other.remove if rule not in self.remove]
        self.hints += [name for name in other.hints if name not in self.hints]

    def text(self, book: Lawbook) -> str:
        """The advice as sentences; "No change is needed here." when there is none."""
        parts = [f'Remove the rule "{rule}"' for rule in self.remove]
        laws = [text for name, text in book.laws.items() if name in self.laws]
        if laws:
            parts.append("State these rules: " + " ".join(laws))
        if not parts:
            parts = [book.hint.format(name) for name in self.hints]
        return " ".join(parts) or NOTHING


def advice_of(text: str, book: Lawbook) -> Advice:
    """The advice a feedback text gives, whoever wrote it."""
    remove = _REMOVE.findall(text)
    return Advice(set(book.stated(_REMOVE.sub("", text))), remove, _hints(book.hint).findall(text))


@lru_cache(maxsize=64)
def _hints(hint: str) -> re.Pattern[str]:
    return re.compile(re.escape(hint).replace(r"\{\}", r"(\w+)"))


def advice_in(task: str, book: Lawbook) -> Advice:
    """The union of what the feedback texts of a reducer's or an optimizer's request say."""
    advice = Advice()
    for text in feedback_texts(task):
        advice.add(advice_of(text, book))
    return advice


def feedback_reply(texts: Iterable[tuple[str, str]]) -> str:
    """``afnio_feedback`` JSON: (name of a variable, text on it) of each."""
    entries = [{"variable": name, "text": text} for name, text in texts]
    return json.dumps({"feedback": entries}, ensure_ascii=False)
