"""Critic and reducer: name the laws that the failing samples in the request show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from afnio.models.lm_server.worlds.tickets.laws import FIELDS, LAWS, Law
from afnio.models.lm_server.worlds.tickets.reading import shown_laws
from afnio.models.lm_server.worlds.tickets.request import (
    Sample,
    Variable,
    asked_variables,
    call_text,
    feedback_texts,
    samples,
    variables,
)
from afnio.models.lm_server.worlds.tickets.wording import blanket_rules, stated_laws

__all__ = ["Advice", "advice_of", "criticize", "reduce"]

NOTHING = "No change is needed here."
_REMOVE = re.compile(r'Remove the rule "([^"]+)"')
_HINT = re.compile(r"Read the whole message before deciding the (\w+)\.")
_PAIR = re.compile(r"(sentiment|urgency|queue|tone|mood|priority|department|category)\W+([a-z]+)", re.IGNORECASE)
_ALIASES = {"tone": "sentiment", "mood": "sentiment", "priority": "urgency", "department": "queue", "category": "queue"}
_FIELD_OF = {value: name for name, values in FIELDS.items() for value in values}
_VALUE = re.compile(rf"\b({'|'.join(_FIELD_OF)})\b", re.IGNORECASE)
_TARGET = re.compile(r"\b(?:target|expected|correct answer|should (?:be|have been)|reference)\b", re.IGNORECASE)


@dataclass(slots=True)
class Advice:
    """What a feedback says: rules to state, rules to remove, fields to read with more care."""

    laws: set[str] = field(default_factory=set)
    remove: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def add(self, other: Advice) -> None:
        """Take over what ``other`` says and this does not say yet."""
        self.laws |= other.laws
        self.remove += [rule for rule in other.remove if rule not in self.remove]
        self.hints += [name for name in other.hints if name not in self.hints]

    def text(self) -> str:
        """The advice as sentences; "No change is needed here." when there is none."""
        parts = [f'Remove the rule "{rule}"' for rule in self.remove]
        laws = [law.text for law in LAWS if law.name in self.laws]
        if laws:
            parts.append("State these rules: " + " ".join(laws))
        if not parts:
            parts = [f"Read the whole message before deciding the {name}." for name in self.hints]
        return " ".join(parts) or NOTHING


def advice_of(text: str) -> Advice:
    """The advice a feedback text gives, whoever wrote it."""
    remove = _REMOVE.findall(text)
    return Advice({law.name for law in stated_laws(_REMOVE.sub("", text))}, remove, _HINT.findall(text))


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
    advice = Advice()
    for text in feedback_texts(task):
        advice.add(advice_of(text))
    return _reply(variables(task), advice)


def _reply(asked: list[Variable], advice: Advice) -> str:
    """Of several prompts only one is told, so that no rule is written twice; values that are no prompt all are."""
    prompts = [variable for variable in asked if re.search(r"prompt|instruct|template", variable.role, re.IGNORECASE)]
    system = [variable for variable in prompts if "system" in variable.role.lower()]
    silent = {variable.name for variable in prompts} - {variable.name for variable in (system or prompts)[:1]}
    entries = [
        {"variable": variable.name, "text": NOTHING if variable.name in silent else advice.text()} for variable in asked
    ]
    return json.dumps({"feedback": entries}, ensure_ascii=False)


def _diagnose(sample: Sample, feedback: str, prompt: str) -> Advice:
    """What one failing sample shows: laws its prompt lacks, blanket rules that misled it."""
    said = _values(sample.output)
    right = _target(feedback, said)
    wrong = [name for name in right if said.get(name) != right[name]] if right else list(said)
    known = {law.name for law in stated_laws(prompt)}
    missing = {law.name for law in shown_laws(sample.ticket) if law.name not in known and _explains(law, said, right)}
    remove = [rule for rule, name, value in blanket_rules(prompt) if name in wrong and said.get(name) == value]
    passed_on = advice_of(feedback)
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
