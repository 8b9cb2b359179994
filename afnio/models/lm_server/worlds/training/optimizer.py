"""Optimizer: write the laws the feedback names into the text it was given; sometimes, badly.

A bad update (``bad_share`` of all, drawn by a hash of the seed and the request) drops a rule, adds a wrong one, or
grows wordy.  A proposal that the request's history calls undone is never made again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator

from afnio.models.lm_server.worlds.training.advice import Advice, advice_in
from afnio.models.lm_server.worlds.training.lawbook import Lawbook
from afnio.models.lm_server.worlds.training.request import undone, variables
from afnio.models.lm_server.worlds.training.wording import normal, sentences

__all__ = ["destroy", "optimize", "write"]

_WORDY = """\
Please take all the time you need to think very carefully and thoroughly about each and every aspect of what the customer wrote before you decide.
Always bear in mind how very important it is, for us and for the people we serve, that the answer which you give is as accurate, as helpful and as well considered as it can possibly be.
It goes without saying that quality matters a great deal, and that careful attention to detail is something we value above nearly everything else in our daily work together.
""".splitlines()  # noqa: E501 - prose
_PLACEHOLDER = re.compile(r"\{[A-Za-z_]\w*\}")


def optimize(task: str, book: Lawbook, *, seed: int, bad_share: float) -> str:
    """The reply to an optimizer request: ``afnio_update`` JSON."""
    value = next((variable.value for variable in variables(task)), "")
    advice = advice_in(task, book)
    draw = hashlib.sha256(f"{seed}\n{task}".encode()).digest()
    bad = int.from_bytes(draw[:4], "big") < bad_share * 2**32
    tried = {normal(text) for text in undone(task)}
    if book.openings:  # an update without effect would be asked for again by the same request, and made again
        tried.add(normal(value))
    proposals = _proposals(value, advice, book, bad_kind=draw[4] % 3 if bad else None, pick=draw[5])
    new = next((text for text in proposals if normal(text) not in tried), value)
    return _reply(new, _reasoning(value, new, book))


def destroy(task: str, book: Lawbook) -> str:
    """The reply of a destructive update: every rule gone, placeholders kept, wrong rules in their place."""
    value = next((variable.value for variable in variables(task)), "")
    kept = dict.fromkeys(_PLACEHOLDER.findall(value))
    return _reply("\n".join([*book.wrong_rules, *kept]), "Simplifies the prompt.")


def write(value: str, advice: Advice, book: Lawbook, opening: str = "") -> str:
    """``value`` with the named laws it lacks, without the rules to remove; its other text and placeholders stay.

    ``opening`` is put before each law that is added.
    """
    for rule in advice.remove:
        value = _drop(value, rule)
    known = set(book.stated(value))
    lines = [f"{opening}{text}" for name, text in book.laws.items() if name in advice.laws and name not in known]
    if not advice.laws and not advice.remove:
        hints = [book.hint.format(name) for name in advice.hints]
        lines = [hint for hint in hints if hint not in value]
    return _insert(value, lines)


def _proposals(value: str, advice: Advice, book: Lawbook, *, bad_kind: int | None, pick: int) -> Iterator[str]:
    """Proposals, best guess first: perhaps a bad one, the whole advice, in other words, without one law each."""
    good = write(value, advice, book)
    if bad_kind is not None:
        yield _spoil(value, good, book, bad_kind, pick)
    yield good
    for opening in book.openings:
        yield write(value, advice, book, opening)
    for name in sorted(advice.laws):
        yield write(value, Advice(advice.laws - {name}, advice.remove, advice.hints), book)


def _spoil(value: str, good: str, book: Lawbook, kind: int, pick: int) -> str:
    if kind == 0 and (rules := [part for part in sentences(good) if any(book.stated(part))]):
        return _drop(value if pick % 2 else good, rules[pick % len(rules)])
    if kind == 1:
        return _insert(good, list(_WORDY))
    return _insert(good, [book.wrong_rules[pick % len(book.wrong_rules)]])


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


def _reasoning(old: str, new: str, book: Lawbook) -> str:
    added = len(set(book.stated(new))) - len(set(book.stated(old)))
    return f"Adds {added} of the rules the feedback names." if added > 0 else "Rewords the prompt after the feedback."


def _reply(value: str, reasoning: str) -> str:
    return json.dumps({"reasoning": reasoning, "value": value}, ensure_ascii=False)
