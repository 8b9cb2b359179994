"""Critic and reducer: name the laws that the failing samples in the request show, each to the text it is about."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from afnio.models.lm_server.ask import Ask, Image
from afnio.models.lm_server.roles import task_turn
from afnio.models.lm_server.worlds.shop.conversation import kind_of
from afnio.models.lm_server.worlds.shop.laws import BOOKS, TEXTS, stated, wrong_rules
from afnio.models.lm_server.worlds.shop.picture import code_in
from afnio.models.lm_server.worlds.shop.pricing import BULK_FROM
from afnio.models.lm_server.worlds.shop.reading import Order, read
from afnio.models.lm_server.worlds.training.advice import Advice, advice_in, advice_of, feedback_reply
from afnio.models.lm_server.worlds.training.request import (
    Sample,
    Variable,
    asked_variables,
    samples,
    variables,
)

__all__ = ["about", "criticize", "reduce"]

_CALL = re.compile(r"<call>(.*?)</call>", re.DOTALL)
_TOOL = re.compile(r'<tool name="([^"]*)">(.*?)</tool>', re.DOTALL)
_ASKED = re.compile(r'<message role="user">(.*?)</message>', re.DOTALL)
_ID = re.compile(r'<variable\b[^>]*\bid="([^"]*)"')
_CALLED = re.compile(r'<tool_call\b[^>]*\bname="([^"]*)"[^>]*>(.*?)</tool_call>', re.DOTALL)
_PICTURE = re.compile(r"^image (\d+):$", re.MULTILINE)
_SEEN = re.compile(r"\(see image (\d+)\)")
_PROMPT = re.compile(r"prompt|instruct|system|template", re.IGNORECASE)
_DESCRIPTION = re.compile(r"\bdescription of\b|^tool\b", re.IGNORECASE)
_SAID = re.compile(r"answer\b|tool result\b|turn\b|feedback\b", re.IGNORECASE)
"""Roles of what came of a prompt: answers, results."""
_FIELD = re.compile(r"\b(product|quantity|total)\b")
_TAGS = re.compile(r"<[^<>]*>")


@dataclass(slots=True)
class _Case:
    """What the request shows: the texts the model was told, its pictures by number, which text each variable is."""

    texts: dict[str, str]
    known: frozenset[str]
    kinds: dict[str, str]
    pictures: dict[str, Image] = field(default_factory=dict)

    def advice_on(self, variable: Variable, advice: Advice) -> str:
        """What of ``advice`` is about ``variable``; to what is no text of ours, such as an earlier turn, all of it."""
        kind = self.kinds.get(variable.name, about(variable.role, variable.value))
        book = BOOKS[kind]
        remove = [rule for rule in advice.remove if not kind or rule in self.texts[kind]]
        hints = advice.hints if kind == "system" and not advice.laws and not advice.remove else []
        return Advice(advice.laws & set(book.laws), remove, hints).text(book)


def about(role: str, value: str) -> str:
    """Which text a variable is, by its role and, of a tool's description, by what it says; ``""``: none of ours."""
    if _SAID.match(role):
        return ""
    if _DESCRIPTION.search(role):
        return kind_of(role, value)
    return "system" if _PROMPT.search(role) else ""


def criticize(ask: Ask) -> str:
    """The reply to a critic request: ``afnio_feedback`` JSON with one entry for each variable asked for.

    A variable that is one sample's own, such as an earlier turn of it, is told of that sample only.
    """
    turn = task_turn(ask)
    case, advice = _case(turn.text, turn.images), Advice()
    call = _plain("\n".join(_ASKED.findall(turn.text)))
    of_one: dict[str, Advice] = {}
    for sample in samples(turn.text):
        found = _diagnose(sample, case, call)
        of_one |= dict.fromkeys(_ID.findall(sample.text), found)
        advice.add(found)
    asked = asked_variables(turn.text)
    return feedback_reply([(one.name, case.advice_on(one, of_one.get(one.name, advice))) for one in asked])


def reduce(task: str) -> str:
    """The reply to a reducer request: the union of what its feedback texts say."""
    text = advice_in(task, BOOKS[""]).text(BOOKS[""])
    return feedback_reply([(variable.name, text) for variable in variables(task)])


def _case(task: str, images: Sequence[Image]) -> _Case:
    call, texts = "\n".join(_CALL.findall(task)), dict.fromkeys(TEXTS, "")
    kinds: dict[str, str] = {}
    for name, inner in _TOOL.findall(call):
        description = _TAGS.sub("", inner.partition("<parameters>")[0])
        kind = kind_of(name, description)
        if kind:
            texts[kind] = description
            kinds |= dict.fromkeys(_ID.findall(inner), kind)
    texts["system"] = _TAGS.sub("\n", _TOOL.sub("", call))
    laws = [stated(text, kind) for kind, text in texts.items()]
    pictures = dict(zip(_PICTURE.findall(task), images, strict=False))
    return _Case(texts, frozenset().union(*laws), kinds, pictures)


def _diagnose(sample: Sample, case: _Case, call: str) -> Advice:
    """What one failing sample shows: laws that its texts lack, wrong rules they hold."""
    order = _order(_plain(sample.text.partition("<output")[0])) or _order(call) or Order(())
    feedback = "\n".join(sample.feedback)
    missing = {*_shown(order), *_seen_in(sample.text), *_told_by(feedback, sample.output)}
    if any(item.shown for item in order.items) and _sees_a_code(sample.text, case):
        missing.add("picture")
    remove = [rule for kind, text in case.texts.items() for rule, _ in wrong_rules(text, kind)]
    passed_on = advice_of(feedback, BOOKS[""])
    advice = Advice((missing | passed_on.laws) - case.known, remove, [])
    advice.add(Advice(set(), passed_on.remove, passed_on.hints))
    if not advice.laws and not advice.remove and "score" in feedback:
        advice.hints = advice.hints or ["total"]
    return advice


def _order(text: str) -> Order | None:
    """The first order that a line of ``text`` asks for."""
    orders = [read(line) for line in text.split("\n")]
    return next((order for order in orders if order.items), None)


def _shown(order: Order) -> Iterable[str]:
    """The laws that an order is a case of."""
    if len(order.items) > 1:
        yield "lookup"
    if order.items:
        yield "calculator"
    if order.club:
        yield "club"
    if order.delivered:
        yield "shipping"
    if any(item.count >= BULK_FROM for item in order.items):
        yield "bulk"


def _seen_in(text: str) -> Iterable[str]:
    """The laws on tools that the calls in a sample's conversation break."""
    for name, inside in _CALLED.findall(text):
        kind, given = kind_of(name, ""), _argument(inside)
        if kind == "search" and re.match(r"\d+ \w", given):
            yield "single"
        if kind == "search" and re.search(r"[a-z]s$", given):
            yield "singular"
        if kind == "calculator" and "%" in given:
            yield "factors"


def _argument(inside: str) -> str:
    try:
        values = json.loads(inside)
    except ValueError:
        return inside
    texts = [value for value in values.values() if isinstance(value, str)] if isinstance(values, dict) else []
    return texts[0] if texts else ""


def _told_by(feedback: str, output: str) -> Iterable[str]:
    """The laws that the feedback on an answer shows: its form, and its fields."""
    said, target = _amounts(feedback)
    if said is not None and target is not None and _decimals(said) < 2 <= _decimals(target):
        yield "decimals"
    fields = set(_FIELD.findall(feedback))
    if "quantity" in fields:
        yield "pieces"
    if "product" in fields and re.search(r"\btarget\b|\bexpected\b", feedback):
        yield "naming"
    if "EUR" in output and '"total"' in output:
        yield "bare"


def _amounts(feedback: str) -> tuple[str | None, str | None]:
    """The amounts that were predicted and that were expected, where both are numbers."""
    found = re.findall(r"[\"'(](-?\d+(?:\.\d+)?)[\"')]", feedback)
    return (found[0], found[1]) if len(found) >= 2 else (None, None)


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def _sees_a_code(text: str, case: _Case) -> bool:
    return any(code_in(case.pictures[number].data) for number in _SEEN.findall(text) if number in case.pictures)


def _plain(text: str) -> str:
    return _TAGS.sub("\n", text)
