"""Critic and reducer: name the laws that the failing samples in the request show."""

from __future__ import annotations

import re
from collections.abc import Iterable

from afnio.models.lm_server.worlds.tickets.book import BOOK
from afnio.models.lm_server.worlds.tickets.laws import FIELDS, Law
from afnio.models.lm_server.worlds.tickets.reading import shown_laws
from afnio.models.lm_server.worlds.tickets.wording import blanket_rules, stated_laws
from afnio.models.lm_server.worlds.training.advice import NOTHING, Advice, advice_in, advice_of, feedback_reply
from afnio.models.lm_server.worlds.training.request import (
    Sample,
    Variable,
    asked_variables,
    call_text,
    samples,
    variables,
)

__all__ = ["criticize", "reduce"]

_PAIR = re.compile(r"(sentiment|urgency|queue|tone|mood|priority|department|category)\W+([a-z]+)", re.IGNORECASE)
_ALIASES = {"tone": "sentiment", "mood": "sentiment", "priority": "urgency", "department": "queue", "category": "queue"}
_FIELD_OF = {value: name for name, values in FIELDS.items() for value in values}
_VALUE = re.compile(rf"\b({'|'.join(_FIELD_OF)})\b", re.IGNORECASE)
_TARGET = re.compile(r"\b(?:target|expected|correct answer|should (?:be|have been)|reference)\b", re.IGNORECASE)


def criticize(task: str) -> str:
    """The reply to a critic request: ``afnio_feedback`` JSON with one entry for each variable asked for."""
    prompt, advice = call_text(task), Advice()
    asked = asked_variables(task)
    prompt = prompt or "\n".join([variable.value for variable in asked])
    for sample in samples(task):
        for feedback in sample.feedback or [""]:
            advice.add(_diagnose(sample, feedback, prompt))
    if advice.laws or advice.remove:
        advice.hints.clear()
    return _reply(asked, advice)


def reduce(task: str) -> str:
    """The reply to a reducer request: the union of what its feedback texts say."""
    return _reply(variables(task), advice_in(task, BOOK))


def _reply(asked: list[Variable], advice: Advice) -> str:
    """Of several prompts only one is told, so that no rule is written twice; values that are no prompt all are."""
    prompts = [variable for variable in asked if re.search(r"prompt|instruct|template", variable.role, re.IGNORECASE)]
    system = [variable for variable in prompts if "system" in variable.role.lower()]
    silent = {variable.name for variable in prompts} - {variable.name for variable in (system or prompts)[:1]}
    text = advice.text(BOOK)
    return feedback_reply([(variable.name, NOTHING if variable.name in silent else text) for variable in asked])


def _diagnose(sample: Sample, feedback: str, prompt: str) -> Advice:
    """What one failing sample shows: laws its prompt lacks, blanket rules that misled it."""
    said = _values(sample.output)
    right = _target(feedback, said)
    wrong = [name for name in right if said.get(name) != right[name]] if right else list(said)
    known = {law.name for law in stated_laws(prompt)}
    missing = {law.name for law in shown_laws(sample.ticket) if law.name not in known and _explains(law, said, right)}
    remove = [rule for rule, name, value in blanket_rules(prompt) if name in wrong and said.get(name) == value]
    passed_on = advice_of(feedback, BOOK)
    passed_on.laws -= known
    advice = Advice(missing, remove, [] if missing or remove else wrong)
    advice.add(passed_on)
    return advice


def _explains(law: Law, said: dict[str, str], right: dict[str, str]) -> bool:
    if right:
        return right.get(law.field) == law.value != said.get(law.field)
    return law.field in said and said[law.field] != law.value


def _target(feedback: str, said: dict[str, str]) -> dict[str, str]:
    """The right values a feedback names: those after its last word for "target" that are not what was said."""
    after = [_values(feedback[match.end() :]) for match in _TARGET.finditer(feedback)]
    return next((values for values in reversed(after) if values and not values.items() <= said.items()), {})


def _values(text: str) -> dict[str, str]:
    """Field values in a text: named ones (JSON or prose), else the first bare value of each field."""
    named = {_ALIASES.get(name.lower(), name.lower()): value.lower() for name, value in _PAIR.findall(text)}
    named = {name: value for name, value in named.items() if value in FIELDS[name]}
    return named or _bare(_VALUE.findall(text))


def _bare(values: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values:
        found.setdefault(_FIELD_OF[value.lower()], value.lower())
    return found
