"""The laws of the world ``shop``: each holds only if the text it is about states it.

``about`` names that text: the agent's ``system`` prompt, or the description of its ``search`` or ``calculator`` tool.
A sentence states a law when every pattern of the law is found in what the sentence claims.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from afnio.models.lm_server.worlds.training.lawbook import Lawbook
from afnio.models.lm_server.worlds.training.wording import claim, sentences

__all__ = ["BOOKS", "LAWS", "TEXTS", "WHOLE", "WRONG", "Law", "stated", "wrong_rules"]

TEXTS = ("system", "search", "calculator")


@dataclass(frozen=True, slots=True)
class Law:
    """One law, or one wrong rule: a sentence, and the patterns by which other words for it are known."""

    name: str
    about: str
    text: str
    patterns: tuple[re.Pattern[str], ...]

    def in_sentence(self, sentence: str) -> bool:
        """Whether ``sentence`` says it."""
        claimed = claim(sentence)
        return all(pattern.search(claimed) for pattern in self.patterns)


def _law(name: str, about: str, text: str, *patterns: str) -> Law:
    return Law(name, about, text, tuple([re.compile(pattern, re.IGNORECASE) for pattern in patterns]))


_FIVE, _TEN = r"\b(?:5 ?%|(?:5|five) percent)", r"\b(?:10 ?%|(?:10|ten) percent)"

LAWS: tuple[Law, ...] = (
    _law(
        "lookup",
        "system",
        "Look up every product of the question with the search tool before you calculate.",
        r"\b(?:look\w*|search\w*|find\w*|fetch\w*|retriev\w*)\b",
        r"\b(?:every|each|all)(?: of)?(?: the)?(?: \w+)? (?:products?|items?|articles?|prices?)\b",
    ),
    _law(
        "calculator",
        "system",
        "Work out every total with the calculator.",
        r"\bcalculator\b",
    ),
    _law(
        "decimals",
        "system",
        "Give every amount with exactly two decimals, such as 8.40.",
        r"\b(?:two|2) (?:decimals?|digits|places|decimal places|fractional digits)\b",
    ),
    _law(
        "shipping",
        "system",
        "Add 4.90 EUR for shipping when an order is delivered and its goods cost less than 50 EUR.",
        r"\b(?:shipping|deliver\w*|postage)\b",
        r"\b4\.90?\b",
        r"\b50\b",
    ),
    _law(
        "bulk",
        "system",
        "Take 10 percent off the price of a product of which ten or more pieces are ordered.",
        _TEN,
        r"\b(?:ten|10) or more\b|\b(?:at least|from) (?:ten|10)\b|\b10\+|\bmore than (?:nine|9)\b",
    ),
    _law(
        "club",
        "system",
        "Members of the club pay 5 percent less for all goods.",
        r"\b(?:members?|club)\b",
        _FIVE,
    ),
    _law(
        "picture",
        "system",
        "When the customer shows a picture, read the code in it and search for that code.",
        r"\b(?:pictures?|images?|photos?)\b",
        r"\bcodes?\b",
    ),
    _law(
        "pieces",
        "system",
        "The quantity is the number of all pieces of the order together.",
        r"\bquantity\b",
        r"\b(?:all|total|every|together|sum)\b",
    ),
    _law(
        "naming",
        "system",
        "Name the first product as the catalogue does.",
        r"\bproducts?\b",
        r"\bcatalog(?:ue)?(?:'s)?\b",
        r"\b(?:nam\w+|call\w*|spell\w*|writ\w*)\b",
    ),
    _law(
        "bare",
        "system",
        "Write an amount as a bare number, without its currency.",
        r"\b(?:bare|plain) (?:number|amount|figure)s?\b|\bwithout (?:\w+ )?currenc",
    ),
    _law(
        "single",
        "search",
        "The query is one product name alone, without quantities.",
        r"\b(?:one|single) (?:(?:product|item|article) (?:name\b|per\b|at a time)|name\b)"
        r"|\bwithout (?:any |the )?(?:quantit|number|count|amount)"
        r"|\bno (?:quantit|number|count|amount)",
    ),
    _law(
        "singular",
        "search",
        "Names are in the singular.",
        r"\bsingular\b",
    ),
    _law(
        "factors",
        "calculator",
        "A percentage is written as a factor, such as * 0.90, for there is no percent sign.",
        r"\bfactors?\b|\* ?0\.\d|\bmultipl",
        r"\bpercent|%|\bdiscount",
    ),
)

WRONG: tuple[Law, ...] = (
    _law(
        "first_only",
        "system",
        "The first product of a question is enough to look up.",
        r"\bfirst product\b",
        r"\benough\b|\bonly\b",
    ),
    _law(
        "whole_euros",
        "system",
        "Round every amount to whole euros.",
        r"\bround\b",
        r"\bwhole\b",
    ),
    _law(
        "sentence",
        "search",
        "The query is the customer's whole sentence.",
        r"\bwhole (?:sentence|question|message)\b",
    ),
    _law(
        "with_currency",
        "calculator",
        "Each amount in the expression has its currency, such as 4.20 EUR.",
        r"\bcurrency\b|\bEUR\b",
        r"\bhas\b|\bwith\b|\bwrite\b",
    ),
)
"""What a bad update adds: each of them makes the model do the wrong thing, whatever else the text says."""

WHOLE = "Work out the {} with more care."
OPENINGS = ("Note: ", "Remember: ", "Always: ")


@lru_cache(maxsize=4096)
def stated(text: str, about: str) -> frozenset[str]:
    """The names of the laws on ``about`` that ``text`` states."""
    laws = [law for law in LAWS if law.about == about]
    return frozenset([law.name for sentence in sentences(text) for law in laws if law.in_sentence(sentence)])


@lru_cache(maxsize=4096)
def wrong_rules(text: str, about: str) -> tuple[tuple[str, str], ...]:
    """``(sentence, name)`` of each wrong rule on ``about`` that ``text`` holds."""
    rules = [rule for rule in WRONG if rule.about == about]
    found = [(sentence, rule.name) for sentence in sentences(text) for rule in rules if rule.in_sentence(sentence)]
    return tuple([(sentence.strip().removeprefix("- "), name) for sentence, name in found])


def _book(*about: str) -> Lawbook:
    def names(text: str) -> Iterable[str]:
        return frozenset().union(*[stated(text, one) for one in about])

    laws = {law.name: law.text for law in LAWS if law.about in about}
    return Lawbook(laws, names, tuple([rule.text for rule in WRONG if rule.about in about]), WHOLE, OPENINGS)


BOOKS: dict[str, Lawbook] = {"": _book(*TEXTS), **{about: _book(about) for about in TEXTS}}
"""The laws on each text; those on any text under ``""``."""
