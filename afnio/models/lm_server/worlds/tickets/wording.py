"""Which laws a text states: the patterns that let differently worded statements count.

A text is cut into sentences (lines and bullets count as sentences).  A sentence states a law when it is about
the law's subject and asserts the law's value for the law's field.  What a sentence denies ("not technical",
"do not send them to billing", "rather than high") is taken out before the value is looked for.
"""

from __future__ import annotations

import re
from functools import lru_cache

from afnio.models.lm_server.worlds.tickets.laws import FIELDS, LAWS, LAWS_BY_NAME, Law
from afnio.models.lm_server.worlds.training.wording import claim, sentences

__all__ = ["asserts", "blanket_rules", "stated", "stated_laws"]

_EVERY_TICKET = re.compile(
    r"\b(?:every|each|all|any)(?: of the)?(?: incoming| support| customer)? "
    r"(?:ticket|message|request|customer|e-?mail)s?\b"
    r"(?! (?:that|which|who|whose|with|about|from|where|asking|mention))",
    re.IGNORECASE,
)
_LEVELS = {
    "sentiment": re.compile(r"\b(positive|neutral|negative)(?:ly)?\b", re.IGNORECASE),
    "urgency": re.compile(r"\b(low|medium|high)(?:est|er)?\b", re.IGNORECASE),
}
_CLAUSE_END = re.compile(r"[,;]\s+(?![^()]*\))|\)[,;]?\s*")
_QUEUE = re.compile(rf"\b({'|'.join(FIELDS['queue'])})\b", re.IGNORECASE)
_URGENT = re.compile(r"\b(?:urgent|critical|top[- ]priority|immediate)\b", re.IGNORECASE)
_TO_QUEUE = (
    r"(?:->|→|=>|=|:|\b(?:go(?:es)?|going|rout\w+|sen[dt]\w*|assign\w*|belong\w*|forward\w*|direct\w*|handled|treat\w*"
    r"|label\w*|mark\w*|put|queue|is|are|as|to|into|under|by|use|choose|pick"
    r"|select|tag\w*|file[ds]?|counts?|means?|with|for))"
    r"[\W_]+(?:(?:the|a|an|our|be|to|as|under|queue|team|category)[\W_]+){0,3}"
)
_NAMES_QUEUE = {
    value: re.compile(
        rf"{_TO_QUEUE}{value}s?\b|\b{value}s?\b[\W_]+(?:queue|team|department|desk|category|matter|issue|ticket)"
        rf"|^\W*{value}s?\b\W*(?:queue\W*)?[:=(–-]",
        re.IGNORECASE,
    )
    for value in FIELDS["queue"]
}


def asserts(sentence: str, field: str, value: str) -> bool:
    """Whether ``sentence`` says that ``field`` is ``value`` (what it denies does not count)."""
    claimed = claim(sentence)
    if field == "queue":
        return bool(_NAMES_QUEUE[value].search(claimed))
    named = {match.lower() for match in _LEVELS[field].findall(claimed)}
    if not named and field == "urgency" and _URGENT.search(claimed):
        named = {"high"}
    return named == {value}


def stated(sentence: str) -> list[Law]:
    """The laws one sentence states, in the order of the laws.

    A sentence that lists several queues ("billing for refunds, account for passwords") is read clause by clause.
    """
    several = len(_queues(claim(sentence))) > 1
    clauses = _CLAUSE_END.split(sentence) if several else [sentence]
    return [law for law in LAWS if any(_states(clause, law) for clause in clauses)]


def _states(clause: str, law: Law) -> bool:
    return bool(law.subject.search(clause)) and asserts(clause, law.field, law.value)


def _queues(sentence: str) -> set[str]:
    return {match.lower() for match in _QUEUE.findall(sentence)}


@lru_cache(maxsize=4096)
def stated_laws(text: str) -> tuple[Law, ...]:
    """The laws ``text`` states anywhere, in the order of the laws."""
    names = {law.name for sentence in sentences(text) for law in stated(sentence)}
    return tuple([law for name, law in LAWS_BY_NAME.items() if name in names])


@lru_cache(maxsize=4096)
def blanket_rules(text: str) -> tuple[tuple[str, str, str], ...]:
    """Rules such as "Treat every ticket as high urgency": ``(sentence, field, value)`` of each.

    They are how a prompt goes wrong in this world: each overrides every law on its field.
    """
    return tuple([rule for sentence in sentences(text) for rule in _blanket(sentence)])


def _blanket(sentence: str) -> list[tuple[str, str, str]]:
    rules: list[tuple[str, str, str]] = []
    if not _EVERY_TICKET.search(sentence):
        return rules
    for field, values in FIELDS.items():
        asserted = [value for value in values if asserts(sentence, field, value)]
        if len(asserted) == 1 and not (field == "queue" and len(_queues(sentence)) > 1):
            rules.append((sentence.strip(), field, asserted[0]))
    return rules
