"""The forward answer: the fields that were asked for, in the form that was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from afnio.models.lm_server.ask import Ask
from afnio.models.lm_server.filling import fill
from afnio.models.lm_server.worlds.tickets.examples import taught_laws, without_examples
from afnio.models.lm_server.worlds.tickets.laws import FIELDS
from afnio.models.lm_server.worlds.tickets.locating import prompt_and_ticket
from afnio.models.lm_server.worlds.tickets.reading import read
from afnio.models.lm_server.worlds.training.form import in_form

__all__ = ["asked_fields", "classify"]

_FIELD_WORDS = {
    "sentiment": re.compile(r"\b(sentiment|tone|mood|polarity)\b", re.IGNORECASE),
    "urgency": re.compile(r"\b(urgency|priority|severity)\b", re.IGNORECASE),
    "queue": re.compile(r"\b(queue|department|category|topic)\b", re.IGNORECASE),
}
_JSON = re.compile(r"\bjson\b", re.IGNORECASE)


def classify(ask: Ask) -> str:
    """The answer to a request that shows a ticket (or any other message) and a prompt."""
    system, shown = without_examples(ask.system)
    user, more = without_examples(ask.user)
    prompt, ticket = prompt_and_ticket(system, user)
    fields = read(ticket, prompt, taught_laws([*shown, *more]))
    if ask.schema is not None:
        return _dump(fill(ask.schema, lambda name, allowed: _value(name, allowed, fields, ticket)))
    if ask.tool_results and not _names_fields(prompt):
        return "\n".join(ask.tool_results)
    named = {word: fields[field] for field, word in asked_fields(prompt)}
    if len(named) == 1 and not ask.json_mode and not _wants_json(prompt):
        return in_form(next(iter(named.values())), prompt, fence=False)
    return in_form(_dump(named), prompt)


@lru_cache(maxsize=4096)
def _wants_json(prompt: str) -> bool:
    return bool(_JSON.search(prompt))


@lru_cache(maxsize=4096)
def asked_fields(prompt: str) -> tuple[tuple[str, str], ...]:
    """``(field, the prompt's word for it)`` of each field the prompt speaks of; all three when of none."""
    matches = [(field, words.search(prompt)) for field, words in _FIELD_WORDS.items()]
    found = [(field, match.group(1).lower()) for field, match in matches if match]
    return tuple(found or [(field, field) for field in FIELDS])


def _names_fields(prompt: str) -> bool:
    return any(words.search(prompt) for words in _FIELD_WORDS.values())


def _value(name: str, allowed: Sequence[Any], fields: dict[str, str], ticket: str) -> Any:
    for field, words in _FIELD_WORDS.items():
        if words.search(name.replace("_", " ")):
            return fields[field]
    said = next((value for value in fields.values() if value in allowed), None)
    if said is not None or allowed:
        return said
    return _mentions(name, ticket)


def _mentions(name: str, ticket: str) -> bool | None:
    """Whether a flag such as ``cleaning_services`` is named by the text: two of its words (or its only one) occur."""
    words = [word for word in re.split(r"[\W_]+", name.lower()) if len(word) > 3]
    if not words:
        return None
    text = ticket.lower()
    return sum([word.rstrip("s") in text for word in words]) >= min(2, len(words))


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
