"""How the simulated model reads a ticket: naive by keywords, corrected by the laws its prompt states."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from afnio.models.lm_server.worlds.tickets.laws import LAWS, Law
from afnio.models.lm_server.worlds.tickets.wording import blanket_rules, stated_laws

__all__ = ["follow", "naive", "read", "shown_laws", "truth"]

Fields = dict[str, str]

# All patterns here are for lower-case text: without IGNORECASE a search takes a third of the time.
_QUEUE_WORDS: dict[str, re.Pattern[str]] = {
    queue: re.compile(rf"\b(?:{words})")
    for queue, words in {
        "billing": r"invoic|charged?\b|charges\b|payment|credit card|bank|vat\b|billed"
        r"|fee\b|fees\b|overcharg|receipt",
        "technical": r"error|crash|bug\b|freez|froze|fails?\b|failed|failing|app\b|software|sync|screen|device"
        r"|firmware|not working|stopped working|won't start|does(?:n't| not) work|wifi|battery"
        r"|printer|server|loads?\b|loading"
        r"|slow\b|update\b|dashboard|export|install|offline|button|settings",
        "account": r"my account|our account|profile|e-?mail address|user name|username|subscription|membership|plan\b"
        r"|contact details|permission|administrator|seats?\b",
        "shipping": r"parcel|deliver|courier|shipment|shipped|tracking|package|postal|customs|doorstep|in the post",
        "sales": r"quote|demo\b|discount|brochure|bulk order|before (?:we|i) buy|trial|interested in|pricing|catalogue"
        r"|purchas|licen[sc]es?\b|buying",
    }.items()
}
_HIGH = re.compile(
    r"(?<!not )(?<!nothing )(?<!isn't )\burgent|\basap\b|\bimmediately\b|\bemergency\b|\bat once\b|\bcritical\b"
    r"|\bright away\b|\bas soon as possible\b",
)
_LOW = re.compile(
    r"\bno (?:rush|hurry)\b|\bwhenever\b|\bnot urgent\b|\bnothing urgent\b|\bisn't urgent\b"
    r"|\bwhen you (?:have|find) (?:the |a )?(?:time|moment|minute)\b|\bjust (?:wondering|curious)\b"
    r"|\btake your time\b|\bcan wait\b|\bin no hurry\b",
)
_POSITIVE = re.compile(
    r"\b(?:love[ds]?|great|excellent|fantastic|happy|wonderful|lovely|delightful|impressed|perfect|amazing|delighted|pleased"
    r"|brilliant|superb|enjoy\w*|favou?rite|thrilled|well done|bravo|congratulations|grateful|outstanding)\b",
)
_NEGATIVE = re.compile(
    r"\b(?:frustrat\w+|angry|terrible|unacceptable|disappoint\w+|annoy\w+|awful|worst|ridiculous|fed up|useless|furious"
    r"|outrag\w+|hate[ds]?|upset|unhappy|appall\w+|sick of|shame\w*|nightmare|poor service|lost patience)\b",
)


@lru_cache(maxsize=16384)
def _naive(ticket: str) -> tuple[str, str, str]:
    ticket = ticket.lower()
    good, bad = len(_POSITIVE.findall(ticket)), len(_NEGATIVE.findall(ticket))
    sentiment = "negative" if bad > good else "positive" if good > bad else "neutral"
    urgency = "high" if _HIGH.search(ticket) else "low" if _LOW.search(ticket) else "medium"
    hits = {queue: len(pattern.findall(ticket)) for queue, pattern in _QUEUE_WORDS.items()}
    queue = max(hits, key=lambda name: hits[name]) if any(hits.values()) else "technical"
    return sentiment, urgency, queue


def naive(ticket: str) -> Fields:
    """The reading without any law: mood words, urgency words, and the queue most of whose words occur."""
    return dict(zip(("sentiment", "urgency", "queue"), _naive(ticket), strict=True))


@lru_cache(maxsize=16384)
def shown_laws(ticket: str) -> tuple[Law, ...]:
    """The laws that apply to ``ticket``, in the order of the laws."""
    ticket = ticket.lower()
    return tuple([law for law in LAWS if law.shown.search(ticket)])


def follow(ticket: str, laws: Iterable[Law]) -> Fields:
    """The naive reading, corrected by those of ``laws`` that apply; of two for one field the first wins."""
    fields, known = naive(ticket), {law.name for law in laws}
    for law in reversed(shown_laws(ticket)):
        if law.name in known:
            fields[law.field] = law.value
    return fields


def truth(ticket: str) -> Fields:
    """The right answer: the naive reading, corrected by every law of the world."""
    return follow(ticket, LAWS)


def read(ticket: str, prompt: str, taught: Iterable[Law] = ()) -> Fields:
    """What a model answers that was told ``prompt``: its laws count, and its blanket rules overrule them.

    ``taught`` are laws that it learned from examples.
    """
    fields = follow(ticket, [*stated_laws(prompt), *taught])
    for _, field, value in blanket_rules(prompt):
        fields[field] = value
    return fields
