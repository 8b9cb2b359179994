"""How much a run says: evidence in weights of words, and whether that is enough for an edge that is shown."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import NamedTuple

from tellurio.dataflow.cover import Run
from tellurio.dataflow.outputs import GRAM, Text
from tellurio.dataflow.program import Program
from tellurio.dataflow.slots import OWN, UNKNOWN
from tellurio.dataflow.tokens import STRONG_TOKEN, UNIT, Tokens
from tellurio.dataflow.units import LISTED, NAME, SOFT, VALUE, units
from tellurio.dataflow.words import FAMILIAR

__all__ = ["ENOUGH", "Judge", "Verdict"]

ENOUGH = 5 * UNIT
"""What a stretch of running text has to weigh."""
ENOUGH_AT_AN_END = 7 * UNIT // 2
"""The same, where it is the beginning or the end of an answer."""
ENOUGH_UNIT = {VALUE: 2 * UNIT, LISTED: 2 * UNIT, SOFT: 3 * UNIT, NAME: ENOUGH}
"""A whole unit, by how sure it is that it is one: its ends are evidence as well."""
ENOUGH_ON_BOTH_SIDES = 3 * UNIT // 2
"""A unit of the answer, of three words or more, that is a unit of the prompt."""
ENOUGH_SET_OFF = 5 * UNIT // 2
"""A stretch of the answer that the prompt sets off from all around it."""
ENOUGH_WHOLE = 3 * UNIT // 2
"""A whole answer."""
ENOUGH_VALUES = 4 * UNIT
"""Several values of one answer together, and values side by side."""
LONG_WORD, RARE_WORD = 10, 5
"""Letters of a single word that is a whole answer, and of one that is not familiar."""
JUST, NEAR = 2, 3
"""A label is linked to one of so many latest answers; a single word amid a sentence to one of some more."""
FEW_WORDS = 12
"""So many new words a text may have, for one amid a sentence to be no chance."""
MOST_ASKED = 12
"""For so many values of a text it is asked what stood in their place before: more of them are a list."""
LONG_UNIT, LONG_SENTENCE = 8, 12
"""Tokens of a whole answer, and of a sentence, whose words need not weigh anything: chance does not write the same."""
A_LITTLE = UNIT


_AMID = re.compile(r"[ \t]*\w")
_BEGINS = re.compile(r"(?:^|[:\n\"'“«「`|>\[(])[ \t]*$")
_ENDS = re.compile(r"[.!?…]*(?:[ \t]*$|[\"'”»」`|<\])]|[ \t]*\n)")


class Verdict(NamedTuple):
    """Of a run: its weight; whether that is strong; whether it is a whole unit, so that several add up."""

    weight: int
    strong: bool
    unit: bool


NOTHING = Verdict(0, False, False)


class _Value(NamedTuple):
    """A short run: its weight, its grade in the answer, and in the prompt; whether the program knows a word of it."""

    weight: int
    grade: int
    both: int
    known: bool
    age: int


class Judge:
    """Judges the runs of one text of a prompt."""

    def __init__(self, tokens: Tokens, looked_up: list[int], runs: list[Run], program: Program) -> None:
        self._tokens, self._looked_up, self._runs, self._program = tokens, looked_up, runs, program
        self._sums: list[int] = []
        self._new: int | None = None
        self._asked = 0
        self._units: dict[tuple[int, int], int] | None = None

    def verdict(self, run: Run, text: Text, age: int) -> Verdict:
        """What ``run`` through ``text`` says; ``age``: 1 for the latest answer, 2 for the one before, ..."""
        return self._of_value(run, text, age) if run.end - run.start < GRAM else self._of_run(run, text)

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
        shares, shift = [], run.start - run.origin
        for start, stop, grade in self._inside(run.origin, end, text):
            share = self._weight(run, text, start, stop)
            if share >= ENOUGH_UNIT[grade] or (share >= ENOUGH_WHOLE and stop - start == len(text.starts)):
                return Verdict(weight, True, True)
            if (
                share >= ENOUGH_ON_BOTH_SIDES
                and stop - start >= GRAM
                and self._grade(start + shift, stop + shift) <= LISTED
            ):
                return Verdict(weight, True, True)
            shares.append(share if grade <= LISTED else 0)
        beside = len(shares) > 1 and sum(shares) >= ENOUGH_VALUES * 3 // 4
        strong = (
            beside
            or (bool(shares) and weight >= ENOUGH_ON_BOTH_SIDES and self._grade(run.start, run.end) <= LISTED)
            or (weight >= ENOUGH_SET_OFF and self._is_set_off(run))
            or self._has_id(run)
        )
        return Verdict(weight, strong, any(share >= A_LITTLE for share in shares))

    def _has_id(self, run: Run) -> bool:
        """Whether an id or a long number is in it that would say enough by itself."""
        return any(
            self._program.weight(token) >= STRONG_TOKEN and not self._program.knows(token)
            for token in self._tokens.ids[run.start : run.end]
        )

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
            self._sums = self._evidence()
        shift = run.start - run.origin
        weight = self._sums[end + shift] - self._sums[start + shift]
        if text.light is not None:
            weight -= min(text.light[end] - text.light[start], weight)
        return weight

    def _evidence(self) -> list[int]:
        """What the tokens up to each place say, all together; right for places in one run only."""
        sums = [0] * (len(self._tokens.ids) + 1)
        done = 0
        for run in sorted(self._runs):
            start = max(run.start, done)
            if start < run.end:
                says = self._program.evidence(self._tokens.ids, self._looked_up, start, run.end)
                sums[start : run.end + 1] = accumulate(says, initial=sums[start])
                done = run.end
        return sums

    def _of_value(self, run: Run, text: Text, age: int) -> Verdict:
        size = run.end - run.start
        ids = self._tokens.ids[run.start : run.end]
        weights = [self._program.weight(token) for token in ids]
        known = list(map(self._program.knows, ids))
        weight = sum(w // 2 if k else w for w, k in zip(weights, known, strict=True))
        at = bisect_left(text.units, (run.origin, run.origin + size, 0))
        exact = at < len(text.units) and text.units[at][:2] == (run.origin, run.origin + size)
        grade = text.units[at][2] if exact else NAME
        telling = max(weights) >= STRONG_TOKEN or (size > 1 and weight >= STRONG_TOKEN and grade <= LISTED)
        if telling and not all(known):
            return Verdict(weight, True, True)
        both = self._grade(run.start, run.end)
        if grade <= LISTED and self._is_value(run, text, _Value(weight, grade, both, any(known), age)):
            return Verdict(max(weight, UNIT), True, True)
        if both <= LISTED or (weight >= UNIT // 2 and len(text.starts) == size):
            return Verdict(weight, False, weight >= UNIT and not all(known))
        if grade == NAME and size > 1 and weight >= UNIT:
            return Verdict(weight, False, not all(known))
        return NOTHING

    def _is_value(self, run: Run, text: Text, value: _Value) -> bool:
        """Whether the program took this short value out of that answer, as far as anybody can tell."""
        around = self._looked_up[max(run.start - GRAM + 1, 0) : run.end]
        ours = self._program.ours(around)
        if value.known:
            return self._is_label(run, value) and self._filled(run) > (UNKNOWN if ours else OWN)
        if around and ours == len(around):
            return False
        least = UNIT // 2 if value.age <= NEAR and value.grade == VALUE else UNIT
        # A word that is one of a list here and there is in many lists; a pair of words, or a field, is not.
        lists = value.both == value.grade == LISTED and run.end - run.start == 1
        twice = value.both <= LISTED and value.weight >= least and not lists
        says = twice or self._stands_alone(run, value, whole=len(text.starts) == run.end - run.start)
        return value.weight >= UNIT // 2 and self._filled(run) > (OWN if says else UNKNOWN)

    def _is_label(self, run: Run, value: _Value) -> bool:
        """Whether it is one of the words that a prompt offered: all of a field of this prompt, just answered."""
        plain = sum(map(self._program.plain_weight, self._tokens.ids[run.start : run.end]))
        enough = UNIT if run.end - run.start == 1 else UNIT // 2
        return value.grade == value.both == VALUE and value.age <= JUST and plain >= enough

    def _stands_alone(self, run: Run, value: _Value, *, whole: bool) -> bool:
        """Whether a single word may be a value amid a sentence: a name, a rare or a long word, a number."""
        if run.end - run.start > 1 or value.weight < UNIT:
            return False
        word = self._tokens.spellings[run.start]
        if self._is_part_of_a_name(run.start):
            return False
        stands_out = self._is_name(run.start) or (whole and (len(word) >= LONG_WORD or word.isdecimal()))
        if value.age <= NEAR and value.grade == VALUE and stands_out:
            return True
        if value.age > NEAR or len(word) < RARE_WORD or not self._is_rare(run.start):
            return False
        return self._new_words() <= FEW_WORDS

    def _is_rare(self, place: int) -> bool:
        word = self._tokens.spellings[place]
        plain = self._program.plain_weight(self._tokens.ids[place])
        return word.isalpha() and plain >= UNIT and word.lower() not in FAMILIAR

    def _is_part_of_a_name(self, place: int) -> bool:
        """Whether a rare word stands directly beside it that no answer has: the value would be more than this word."""
        starts, ends = self._tokens.places()
        spellings = self._tokens.spellings
        for one, other in ((place - 1, place), (place, place + 1)):
            beside = one if one != place else other
            if (
                0 <= beside < len(starts)
                and self._tokens.text[ends[one] : starts[other]] in (" ", "-")
                and self._is_rare(beside)
                and (not self._program.knows(self._tokens.ids[beside]) or spellings[beside].istitle())
                and not any(run.start <= beside < run.end for run in self._runs)
            ):
                return True
        return False

    def _new_words(self) -> int:
        """How many words the text has that are neither frequent nor known of the program: chances to be the same."""
        if self._new is None:
            weight, knows = self._program.weight, self._program.knows
            self._new = sum(weight(token) >= UNIT and not knows(token) for token in set(self._tokens.ids))
        return self._new

    def _filled(self, run: Run) -> int:
        self._asked += 1
        return (
            self._program.slots.filled(self._tokens.ids, run.start, run.end) if self._asked <= MOST_ASKED else UNKNOWN
        )

    def _grade(self, first: int, last: int) -> int:
        """How sure the prompt has these tokens as a value too, `NAME` if not; what is beside them says so mostly."""
        tokens, text = self._tokens, self._tokens.text
        start = tokens.start(first)
        if _AMID.match(text, tokens.end(last - 1)) or text[max(start - 2, 0) : start].strip().isalnum():
            return NAME
        if self._units is None:
            self._units, (starts, ends) = {}, tokens.places()
            for start, end, grade in units(text):
                place = bisect_left(starts, start), bisect_right(ends, end)
                self._units[place] = min(grade, self._units.get(place, NAME))
        return self._units.get((first, last), NAME)

    def _is_set_off(self, run: Run) -> bool:
        """Whether the prompt puts it between quotes, after a colon, in a line or field of its own."""
        text, start = self._tokens.text, self._tokens.start(run.start)
        before = text[max(start - 8, 0) : start] if start <= 8 else "." + text[start - 8 : start]
        return bool(_BEGINS.search(before) and _ENDS.match(text, self._tokens.end(run.end - 1)))

    def _is_name(self, place: int) -> bool:
        """Whether the word has a capital that no beginning of a sentence explains."""
        word = self._tokens.spellings[place]
        if not (word[:1].isupper() and word[1:].islower() and len(word) >= 4):
            return False
        before = self._tokens.text[: self._tokens.start(place)].rstrip(" \t\"'“‘(*_")
        return bool(before) and before[-1] not in ".!?:\n-#•>"
