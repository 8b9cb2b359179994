"""Optimizer: write the laws the feedback names into the prompt it was given; sometimes, badly.

A bad update (``bad_share`` of all, drawn by a hash of the seed and the request) drops a rule, adds a wrong one, or
grows wordy.  A proposal that the request's history calls undone is never made again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator

from afnio.models.lm_server.worlds.tickets.critic import Advice, advice_of
from afnio.models.lm_server.worlds.tickets.laws import LAWS
from afnio.models.lm_server.worlds.tickets.request import feedback_texts, undone, variables
from afnio.models.lm_server.worlds.tickets.wording import sentences, stated, stated_laws

__all__ = ["WRONG_RULES", "destroy", "optimize", "write"]

WRONG_RULES = (
    "Treat every ticket as high urgency.",
    "Send every ticket to the technical queue.",
    "Every message has neutral sentiment.",
)
_WORDY = """\
Please take all the time you need to think very carefully and thoroughly about each and every aspect of what the customer wrote before you decide.
Always bear in mind how very important it is, for us and for the people we serve, that the answer which you give is as accurate, as helpful and as well considered as it can possibly be.
It goes without saying that quality matters a great deal, and that careful attention to detail is something we value above nearly everything else in our daily work together.
""".splitlines()  # noqa: E501 - prose
_PLACEHOLDER = re.compile(r"\{[A-Za-z_]\w*\}")


def optimize(task: str, *, seed: int, bad_share: float) -> str:
    """The reply to an optimizer request: ``afnio_update`` JSON."""
    value = next((variable.value for variable in variables(task)), "")
    advice = Advice()
    for text in feedback_texts(task):
        advice.add(advice_of(text))
    draw = hashlib.sha256(f"{seed}\n{task}".encode()).digest()
    bad = int.from_bytes(draw[:4], "big") < bad_share * 2**32
    tried = {_normal(text) for text in undone(task)}
    proposals = _proposals(value, advice, bad_kind=draw[4] % 3 if bad else None, pick=draw[5])
    new = next((text for text in proposals if _normal(text) not in tried), value)
    return _reply(new, _reasoning(value, new))


def destroy(task: str) -> str:
    """The reply of a destructive update: every rule gone, placeholders kept, three wrong rules in their place."""
    value = next((variable.value for variable in variables(task)), "")
    kept = dict.fromkeys(_PLACEHOLDER.findall(value))
    return _reply("\n".join([*WRONG_RULES, *kept]), "Simplifies the prompt.")


def write(value: str, advice: Advice) -> str:
    """``value`` with the named laws it lacks, without the rules to remove; its other text and placeholders stay."""
    for rule in advice.remove:
        value = _drop(value, rule)
    known = {law.name for law in stated_laws(value)}
    lines = [law.text for law in LAWS if law.name in advice.laws and law.name not in known]
    if not advice.laws and not advice.remove:
        hints = [f"Read the whole message before deciding the {name}." for name in advice.hints]
        lines = [hint for hint in hints if hint not in value]
    return _insert(value, lines)


def _proposals(value: str, advice: Advice, *, bad_kind: int | None, pick: int) -> Iterator[str]:
    """Proposals, best guess first: perhaps a bad one, then the whole advice, then the advice without one law each."""
    good = write(value, advice)
    if bad_kind is not None:
        yield _spoil(value, good, bad_kind, pick)
    yield good
    for name in sorted(advice.laws):
        yield write(value, Advice(advice.laws - {name}, advice.remove, advice.hints))


def _spoil(value: str, good: str, kind: int, pick: int) -> str:
    if kind == 0 and (rules := [part for part in sentences(good) if stated(part)]):
        return _drop(value if pick % 2 else good, rules[pick % len(rules)])
    if kind == 1:
        return _insert(good, list(_WORDY))
    return _insert(good, [WRONG_RULES[pick % len(WRONG_RULES)]])


def _insert(value: str, rules: list[str]) -> str:
    """The rules as a list at the end, or before the first line with a placeholder (what is read comes last)."""
    if not rules:
        return value
    added = [f"- {rule}" for rule in rules]
    lines = value.split("\n")
    first = next((index for index, line in enumerate(lines) if _PLACEHOLDER.search(line)), None)
    if first is None:
        return "\n".join([value.rstrip("\n"), *added])
    return "\n".join([*lines[:first], *added, *lines[first:]])


def _drop(value: str, rule: str) -> str:
    """``value`` without ``rule``: its whole line when it is alone on it."""
    bare = rule.strip().removeprefix("- ").strip()
    lines = value.split("\n")
    kept = [line for line in lines if line.strip().removeprefix("- ").strip() != bare]
    return "\n".join(kept) if len(kept) < len(lines) else value.replace(bare, "").rstrip(" ")


def _reasoning(old: str, new: str) -> str:
    added = len(stated_laws(new)) - len(stated_laws(old))
    return f"Adds {added} of the rules the feedback names." if added > 0 else "Rewords the prompt after the feedback."


def _reply(value: str, reasoning: str) -> str:
    return json.dumps({"reasoning": reasoning, "value": value}, ensure_ascii=False)


def _normal(text: str) -> str:
    return " ".join(text.split())
