"""The laws of the world ``tickets``: what overrides a naive reading, and how a prompt states it.

A law has three patterns: ``shown`` finds it in a ticket, ``subject`` finds what it is about in a prompt's
sentence, and its field and value must be asserted by that sentence (``wording.asserts``). So the law's own
``text`` counts as a statement of it, and so does any sentence that says the same in other words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["FIELDS", "LAWS", "LAWS_BY_NAME", "Law"]

FIELDS: dict[str, tuple[str, ...]] = {
    "sentiment": ("positive", "neutral", "negative"),
    "urgency": ("low", "medium", "high"),
    "queue": ("billing", "technical", "account", "shipping", "sales"),
}


@dataclass(frozen=True, slots=True)
class Law:
    """One law: a ticket that ``shown`` matches has ``value`` for ``field``, whatever a naive reading says.

    ``shown`` is made for lower-case text: without IGNORECASE a search takes a third of the time.
    """

    name: str
    field: str
    value: str
    text: str
    shown: re.Pattern[str]
    subject: re.Pattern[str]


def _law(name: str, field: str, value: str, text: str, shown: str, subject: str) -> Law:
    return Law(name, field, value, text, re.compile(shown), re.compile(subject, re.IGNORECASE))


_SIGN_IN = r"\b(?:sign|log)(?:ging|ning|ing|ged|ned|s)?[- ]?(?:in|on)s?\b|\bpasswords?\b|\btwo[- ]factor\b|\b2fa\b"

LAWS: tuple[Law, ...] = (
    _law(
        "refund",
        "queue",
        "billing",
        "Refund requests go to the billing queue, even when a fault or a late parcel caused them.",
        r"\brefund|\bmoney back\b|\breimburse",
        r"\brefund|\bmoney[- ]back\b|\breimburse|\bwants? (?:their|the) money\b",
    ),
    _law(
        "cancel",
        "queue",
        "sales",
        "Customers who want to cancel or to change to another provider go to the sales queue.",
        r"\bcancel|\b(?:switch|mov|chang)(?:e|ing) to (?:another|a different|a competing|your competitor)",
        r"\bcancel|\bchurn|\bterminat|\bcompetitor|\b(?:another|other|different|rival) (?:provider|vendor|supplier)"
        r"|\bleav(?:e|ing) us\b",
    ),
    _law(
        "damaged",
        "queue",
        "shipping",
        "Goods that arrived damaged or incomplete go to the shipping queue, not to technical.",
        r"\barrived (?:\w+ )?(?:damaged|broken|cracked|dented|bent|scratched|incomplete|without)\b"
        r"|\bdamaged in transit\b|\bmissing from the (?:box|parcel|package)\b",
        r"\bdamag|\bincomplete|\bcracked\b|\bbroken (?:on|at|upon|in) (?:arrival|delivery|transit)|\bmissing parts?\b"
        r"|\barriv\w+ broken\b",
    ),
    _law(
        "sign_in",
        "queue",
        "account",
        "Sign-in, password and two-factor problems go to the account queue, not to technical.",
        _SIGN_IN + r"|\blocked out\b|\bverification code\b",
        _SIGN_IN + r"|\blocked[- ]out\b|\block-?outs?\b|\bverification codes?\b|\bauthenticat|\bcredentials?\b",
    ),
    _law(
        "outage",
        "urgency",
        "high",
        "A fault that keeps several people or a whole team from working has high urgency.",
        r"\b(?:whole|entire) (?:team|office|department|crew|warehouse|shop|staff)\b|\bnone of us\b|\ball of us\b"
        r"|\bnobody (?:here )?(?:can|is able)\b"
        r"|\b(?:all|both|\d+|ten|twelve|twenty|thirty|forty) (?:of us|of my|people|colleagues|users|agents"
        r"|employees)\b",
        r"\b(?:several|many|multiple|more than one|all) (?:people|users|customers|colleagues|employees|staff)\b"
        r"|\boutage"
        r"|\b(?:whole|entire) (?:team|office|department|compan|organi[sz]ation|group)"
        r"|\bteam-?wide\b|\beveryone\b|\bnobody\b",
    ),
    _law(
        "deadline",
        "urgency",
        "high",
        "A deadline today or tomorrow means high urgency, even without the word urgent.",
        r"\b(?:by|before|until|for|due|on|from) (?:\w+ )?(?:today|tonight|tomorrow|noon|this (?:afternoon|evening))\b"
        r"|\b(?:today|tonight|tomorrow)(?:'s| (?:morning|afternoon|evening|at))",
        r"\bdeadlines?\b|\bdue (?:date|today|tomorrow)"
        r"|\b(?:by|before|until|within|for) (?:\w+ )?(?:today|tomorrow|tonight|24 hours"
        r"|the same day|the next day|one day|a day)\b|\btoday or tomorrow\b|\bsame[- ]day\b",
    ),
    _law(
        "fraud",
        "urgency",
        "high",
        "Signs of fraud, phishing or a stranger's access mean high urgency, however calm the customer sounds.",
        r"\bphishing\b|\bfraud|\bhacked\b|\bstranger\b|\bsomeone else (?:has|is|was|had|changed|used|placed)\b"
        r"|\bi (?:did not|didn't|never) (?:make|order|place|request|change|approve)\b|\bpretending to be\b",
        r"\bfraud|\bphishing\b|\bhack|\bstrangers?\b|\bstolen\b|\bsecurity (?:incident|breach|issue|problem|concern)"
        r"|\bsuspicious\b|\bunauthori[sz]ed\b|\bcompromised\b|\bidentity theft\b|\bscam",
    ),
    _law(
        "wish",
        "urgency",
        "low",
        "Feature wishes and suggestions have low urgency, even if the customer calls them urgent.",
        r"\bfeature (?:request|idea|wish)|\bmy suggestion\b|\bi(?:'d| would)? suggest\b|\b(?:please|could you) add\b"
        r"|\bit would (?:help|be \w+) if you (?:added|offered|built)\b|\bmy wish\b|\bwish list\b",
        r"\bfeature (?:requests?|ideas?|wish|suggest)|\bwish(?:es|list)?\b|\bsuggest|\bimprovement (?:ideas?|requests?)"
        r"|\bideas? for (?:new )?features?\b|\bnew features?\b",
    ),
    _law(
        "sarcasm",
        "sentiment",
        "negative",
        "Sarcastic praise for a fault, such as 'great job' or 'well done', is negative sentiment.",
        r"\b(?:great|brilliant|fantastic|excellent|wonderful|amazing) (?:job|work|timing|start)\b|\bwell done\b"
        r"|\bbravo\b|\bthanks for nothing\b|\bhow (?:wonderful|lovely|delightful)\b|\bcongratulations\b"
        r"|\bjust (?:perfect|wonderful|great)\b",
        r"\bsarcas|\biron(?:y|ic)|\bmock|\b(?:fake|false|insincere|feigned) praise\b|\bthanks for nothing\b",
    ),
    _law(
        "again",
        "sentiment",
        "negative",
        "Customers who write again about an unsolved problem are negative, even if they stay polite.",
        r"\b(?:second|third|fourth|fifth) (?:time|message|e-?mail|ticket|request|attempt)\b"
        r"|\balready (?:wrote|written|reported|contacted|asked|called)\b|\bfollowing up\b|\bonce more\b|\bonce again\b"
        r"|\bno reply to my\b",
        r"\b(?:writ\w+|ask\w*|contact\w*|report\w*|complain\w*|com\w+ back|reach\w* out) (?:\w+ )?"
        r"(?:again|back|repeatedly|twice)\b|\brepeat(?:ed|edly|s)?\b|\bfollow(?:ing)?[- ]?ups?\b"
        r"|\b(?:second|third|2nd|3rd) (?:or third )?(?:time|message|contact|ticket|e-?mail|request)\b|\bunanswered\b",
    ),
)

LAWS_BY_NAME: dict[str, Law] = {law.name: law for law in LAWS}
