"""How much a run says: evidence in weights of words, and whether that is enough for an edge that is shown."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import NamedTuple

from tellurio.dataflow.cover import Run
from tellurio.dataflow.outputs import GRAM, Text
from tellurio.dataflow.program import Program
from tellurio.dataflow.tokens import STRONG_TOKEN, UNIT, Tokens
from tellurio.dataflow.units import LISTED, NAME, SOFT, VALUE, units

__all__ = ["ENOUGH", "Judge", "Verdict"]

ENOUGH = 5 * UNIT
"""What a stretch of running text has to weigh."""
ENOUGH_AT_AN_END = 7 * UNIT // 2
"""The same, where it is the beginning or the end of an answer."""
ENOUGH_UNIT = {VALUE: 2 * UNIT, LISTED: 2 * UNIT, SOFT: 3 * UNIT, NAME: ENOUGH}
"""A whole unit, by how sure it is that it is one: its ends are evidence as well."""
ENOUGH_ON_BOTH_SIDES = 2 * UNIT
"""A unit of the answer that is a unit of the prompt."""
ENOUGH_WHOLE = 3 * UNIT // 2
"""A whole answer."""
ENOUGH_VALUES = 4 * UNIT
"""Several values of one answer together, and values side by side."""
LONG_WORD = 10
LONG_UNIT, LONG_SENTENCE = 8, 12
"""Tokens of a whole answer, and of a sentence, whose words need not weigh anything: chance does not write the same."""
A_LITTLE = UNIT


_AMID = re.compile(r"[ \t]*\w")


class Verdict(NamedTuple):
    """Of a run: its weight; whether that is strong; whether it is a whole unit, so that several add up."""

    weight: int
    strong: bool
    unit: bool


NOTHING = Verdict(0, False, False)


class Judge:
    """Judges the runs of one text of a prompt."""

    def __init__(self, tokens: Tokens, looked_up: list[int], runs: list[Run], program: Program) -> None:
        self._tokens, self._looked_up, self._runs, self._program = tokens, looked_up, runs, program
        self._sums: list[int] = []
        self._places: tuple[list[int], list[int]] | None = None
        self._units: set[tuple[int, int]] | None = None

    def places(self) -> tuple[list[int], list[int]]:
        """Start and end of each token in the prompt's text."""
        if self._places is None:
            self._places = self._tokens.places()
        return self._places

    def verdict(self, run: Run, text: Text, *, near: bool) -> Verdict:
        """What ``run`` through ``text`` says; ``near``: whether ``text`` is one of the latest answers."""
        return self._of_value(run, text, near=near) if run.end - run.start < GRAM else self._of_run(run, text)

    def _of_run(self, run: Run, text: Text) -> Verdict:
        end = run.origin + run.end - run.start
        weight = self._weight(run, text, run.origin, end)
        long = end - run.origin >= LONG_UNIT or (text.rewritten and end - run.origin == len(text.starts))
        if long and self._is_long_unit(run, text, end):
            return Verdict(max(weight, ENOUGH), True, True)
        if weight < A_LITTLE:
            return NOTHING
        if weight >= (ENOUGH if run.origin and end < len(text.starts) else ENOUGH_AT_AN_END):
            return Verdict(weight, True, True)
        shares = []
        for start, stop, grade in self._inside(run.origin, end, text):
            share = self._weight(run, text, start, stop)
            if share >= ENOUGH_UNIT[grade] or (share >= ENOUGH_WHOLE and stop - start == len(text.starts)):
                return Verdict(weight, True, True)
            shares.append(share if grade <= LISTED else 0)
        beside = len(shares) > 1 and sum(shares) >= ENOUGH_VALUES * 3 // 4
        strong = beside or (bool(shares) and weight >= ENOUGH_ON_BOTH_SIDES and self._is_unit(run))
        return Verdict(weight, strong, any(share >= A_LITTLE for share in shares))

    def _is_long_unit(self, run: Run, text: Text, end: int) -> bool:
        """A whole answer, or date, that is not the program's; or a sentence of frequent words that is new."""
        shift = run.start - run.origin
        if end - run.origin == len(text.starts):
            grams = self._looked_up[run.start : run.end - GRAM + 1]
            return 2 * self._program.ours(grams) < len(grams)
        longest = max(
            ((stop - start, start) for start, stop, grade in self._inside(run.origin, end, text) if grade != NAME),
            default=(0, 0),
        )
        grams = self._looked_up[longest[1] + shift : longest[1] + longest[0] + shift - GRAM + 1]
        return longest[0] >= LONG_SENTENCE and self._program.novel(grams) >= LONG_SENTENCE - GRAM

    def _inside(self, start: int, end: int, text: Text) -> list[tuple[int, int, int]]:
        first = bisect_left(text.units, (start, 0, 0))
        return [unit for unit in text.units[first : first + 24] if unit[1] <= end]

    def _weight(self, run: Run, text: Text, start: int, end: int) -> int:
        if not self._sums:
            through = (self._looked_up[max(run.start - GRAM + 1, 0) : run.end] for run in self._runs)
            evidence = self._program.evidence(self._tokens.ids, self._looked_up, set().union(*through))
            self._sums = list(accumulate(evidence, initial=0))
        shift = run.start - run.origin
        weight = self._sums[end + shift] - self._sums[start + shift]
        if text.light is not None:
            weight -= min(text.light[end] - text.light[start], weight)
        return weight

    def _of_value(self, run: Run, text: Text, *, near: bool) -> Verdict:
        size = run.end - run.start
        ids = self._tokens.ids[run.start : run.end]
        weights = [self._program.weight(token) for token in ids]
        known = [token in self._program.words for token in ids]
        weight = sum(w // 2 if k else w for w, k in zip(weights, known, strict=True))
        grade = next(
            (unit[2] for unit in self._inside(run.origin, run.origin + size, text) if unit[1] == run.origin + size),
            NAME,
        )
        telling = max(weights) >= STRONG_TOKEN or (size > 1 and weight >= STRONG_TOKEN and grade <= LISTED)
        if telling and not all(known):
            return Verdict(weight, True, True)
        both = self._is_unit(run)
        whole = len(text.starts) == size
        alone = near and size == 1 and grade == VALUE and self._stands_alone(run.start, whole=whole)
        twice = both and weight >= (UNIT // 2 if near and grade == VALUE else UNIT)
        if not any(known) and (twice or (alone and weight >= UNIT)):
            return Verdict(weight, True, True)
        if both or (weight >= UNIT // 2 and whole) or (grade == NAME and size > 1 and weight >= UNIT):
            return Verdict(weight, False, weight >= UNIT and not all(known))
        return NOTHING

    def _is_unit(self, run: Run) -> bool:
        """Whether the prompt has it as a value too; what stands beside it says so in most cases."""
        text, (starts, ends) = self._tokens.text, self.places()
        if (
            _AMID.match(text, ends[run.end - 1])
            or text[max(starts[run.start] - 2, 0) : starts[run.start]].strip().isalnum()
        ):
            return False
        if self._units is None:
            starts, ends = self.places()
            self._units = {
                (bisect_left(starts, unit.start), bisect_right(ends, unit.end))
                for unit in units(self._tokens.text)
                if unit.grade <= LISTED
            }
        return (run.start, run.end) in self._units

    def _stands_alone(self, place: int, *, whole: bool) -> bool:
        """Whether a single word may be a value amid a sentence: a name; or a whole answer that is long, or a number."""
        word = self._tokens.spellings[place]
        return self._is_name(place) or (whole and (len(word) >= LONG_WORD or word.isdecimal()))

    def _is_name(self, place: int) -> bool:
        """Whether the word has a capital that no beginning of a sentence explains."""
        word = self._tokens.spellings[place]
        if not (word[:1].isupper() and word[1:].islower() and len(word) >= 4):
            return False
        before = self._tokens.text[: self.places()[0][place]].rstrip(" \t\"'“‘(*_")
        return bool(before) and before[-1] not in ".!?:\n-#•>"
