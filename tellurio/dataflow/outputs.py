"""The texts that models answered, findable by any stretch of them.

An inverted index of grams of three tokens.  Of a long text only some grams are entered, by winnowing (Schleimer,
Wilkerson and Aiken 2003): the smallest of each window, so that of any `GUARANTEE` tokens in a row at least one gram is
there; and the first and last gram of each unit.  What is looked up is every gram, so one entered is enough.  Values of
one or two tokens have a table of their own.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import compress, count
from operator import itemgetter

from tellurio.dataflow.tokens import ANSWERED, STRONG_TOKEN, UNIT, Tokens, Vocabulary
from tellurio.dataflow.units import LISTED, NAME, SOFT, VALUE, keys, units

__all__ = ["GRAM", "GUARANTEE", "Outputs", "Text", "grams"]

GRAM = 3
WINDOW = 4
GUARANTEE = GRAM + WINDOW - 1
LONG = 48
"""Tokens from which on a text is winnowed."""
CARRIERS, FEW_CARRIERS = 8, 3
"""The most recent carriers of a gram that are kept: older ones lose every tie.  Of a word by itself fewer are."""

COPIES, MENTIONS = 64, 4
"""So many times a gram, and a short value, is looked for in one text."""

_PLACE_BITS = 24
_MOST_TOKENS = 1 << _PLACE_BITS


@dataclass(slots=True)
class Text:
    """A leaf of an answer.

    Attributes:
        call: number of the call.
        path: JSON pointer of the leaf.
        data: the tokens' numbers, four bytes each.
        starts, ends: place of each token in the leaf's text.
        units: token ranges ``(start, end, grade)``, in order.
        rewritten: whether it is another way to write a value of the leaf.
        light: how much less the tokens before each place weigh, as they are keys of JSON; None: there are none.
    """

    call: int
    path: str
    data: bytes
    starts: array[int]
    ends: array[int]
    units: list[tuple[int, int, int]]
    light: array[int] | None
    rewritten: bool = False


def grams(ids: list[int]) -> list[int]:
    """A number for each three tokens in a row; beyond a million different tokens, two may share one."""
    return [(a << 20 | b) << 20 | c for a, b, c in zip(ids, ids[1:], ids[2:], strict=False)]


class Outputs:
    """The stored texts and the tables to find them by."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.texts: list[Text] = []
        self.entries: dict[int, int | list[int]] = {}  # gram -> carrier and place, the most recent last
        self.values: dict[int, list[int]] = {}  # token, or pair of tokens -> the same
        self._vocabulary = vocabulary

    def add(self, call: int, path: str, tokens: Tokens) -> tuple[Text, list[tuple[int, int]]]:
        """Store a leaf.  Returns it, with the grams to enter and their places."""
        starts, ends = tokens.places()
        marked = _ranges(tokens.text, starts, ends)
        light = _light(tokens, starts, ends, self._vocabulary)
        text = Text(call, path, tokens.data, array("I", starts), array("I", ends), marked, light)
        self.texts.append(text)
        seen = self._vocabulary.seen
        for token in set(tokens.ids):
            seen[token] = seen[token] or ANSWERED
        self._enter_values(tokens.ids, marked)
        found = grams(tokens.ids[:_MOST_TOKENS])
        chosen = self._chosen(tokens.ids, len(found), marked)
        return text, [(found[place], place) for place in chosen if self._telling(tokens.ids, place)]

    def enter(self, gram: int, place: int) -> None:
        """The last text added has ``gram`` at ``place``."""
        carrier = len(self.texts) - 1
        entry = carrier << _PLACE_BITS | place
        before = self.entries.get(gram)
        if before is None:
            self.entries[gram] = entry
        elif isinstance(before, int):
            if before >> _PLACE_BITS != carrier:
                self.entries[gram] = [before, entry]
        elif before[-1] >> _PLACE_BITS != carrier:
            before.append(entry)
            del before[:-CARRIERS]

    def carriers(self, gram: int) -> Iterator[int]:
        """Calls that carry ``gram``; none if it is not entered."""
        found = self.entries.get(gram)
        for entry in () if found is None else (found,) if isinstance(found, int) else found:
            yield self.texts[entry >> _PLACE_BITS].call

    def known(self, looked_up: list[int]) -> set[int]:
        """Those of the grams that some answer carries."""
        return self.entries.keys() & looked_up

    def seeds(self, looked_up: list[int], known: set[int]) -> Iterator[tuple[int, int, int]]:
        """Of the ``known`` grams of a prompt: place, carrier, place in it; in order of the place, the latest first."""
        entries = self.entries
        times: dict[int, int] = {}
        for place in compress(count(), map(known.__contains__, looked_up)) if known else ():
            gram = looked_up[place]
            times[gram] = times.get(gram, 0) + 1
            if times[gram] > COPIES:
                continue
            found = entries[gram]
            for entry in (found,) if isinstance(found, int) else reversed(found):
                yield place, entry >> _PLACE_BITS, entry & (_MOST_TOKENS - 1)

    def short_seeds(self, ids: list[int]) -> Iterator[tuple[int, int, int, int]]:
        """Values of one or two tokens in a prompt: place, number of tokens, carrier, place in it."""
        at = _marked(ids, self._vocabulary.anchors)
        times: dict[int, int] = {}
        pairs = sorted({place for anchor in at for place in (anchor - 1, anchor) if 0 <= place < len(ids) - 1})
        stretches = [(place, 2, _pair(ids[place], ids[place + 1])) for place in pairs]
        for place, length, value in stretches + [(place, 1, ids[place]) for place in at]:
            found = self.values.get(value)
            if found is None or times.get(value, 0) >= MENTIONS:
                continue
            times[value] = times.get(value, 0) + 1
            for entry in found[-self._worth(ids[place : place + length]) :]:
                yield place, length, entry >> _PLACE_BITS, entry & (_MOST_TOKENS - 1)

    def _worth(self, value: list[int]) -> int:
        """How many carriers of a value to look at: it is an id; a word; or may be anything."""
        weight = sum(map(self._vocabulary.weights.__getitem__, value))
        return 1 if weight < UNIT else CARRIERS if weight >= STRONG_TOKEN else FEW_CARRIERS

    def _chosen(self, ids: list[int], count: int, marked: list[tuple[int, int, int]]) -> Iterable[int]:
        if count <= LONG:
            return range(count)
        chosen = set(_winnowed(self._hashes(ids, count)))
        for start, end, _ in marked:
            if end - start >= GRAM:
                chosen |= {start, end - GRAM}
        return sorted(place for place in chosen if place < count)

    def _hashes(self, ids: list[int], count: int) -> list[int]:
        """What decides among grams: those that say much come first, those of frequent words last."""
        weights = [self._vocabulary.weights[token] for token in ids]
        heavy = map(sum, zip(weights, weights[1:], weights[2:], strict=False))
        return [
            ((a * 0x9E3779B1 ^ b * 0x85EBCA77 ^ c * 0xC2B2AE3D) * 0x27D4EB2F) >> 7 & 0xFFFFFFFF
            | (0 if weight > 2 * UNIT else 1 << 32 if weight > GRAM else 1 << 33)
            for _, a, b, c, weight in zip(range(count), ids, ids[1:], ids[2:], heavy, strict=False)
        ]

    def _telling(self, ids: list[int], place: int) -> bool:
        """Whether there is more than frequent words in the gram at ``place``: those would be found everywhere."""
        weights = self._vocabulary.plain  # the words of a form letter that comes again and again still tell where it is
        return weights[ids[place]] + weights[ids[place + 1]] + weights[ids[place + 2]] > GRAM

    def _enter_values(self, ids: list[int], marked: list[tuple[int, int, int]]) -> None:
        weights = self._vocabulary.weights
        carrier = (len(self.texts) - 1) << _PLACE_BITS
        # Two frequent words say nothing, nor does what a sentence of two words has, if one of them is frequent.
        least = {VALUE: UNIT // 2, LISTED: UNIT // 2, SOFT: STRONG_TOKEN, NAME: UNIT}
        pairs = [
            start
            for start, end, grade in marked
            if end - start == 2 and weights[ids[start]] + weights[ids[start + 1]] >= least[grade]
        ]
        values = {_pair(ids[start], ids[start + 1]): start for start in pairs}
        values |= {ids[start]: start for start, end, grade in marked if end - start == 1 and grade <= LISTED}
        values |= {token: place for place, token in enumerate(ids) if weights[token] >= STRONG_TOKEN}
        for value, place in values.items():
            if place < _MOST_TOKENS:
                anchor = value if value < 1 << 20 else max(ids[place : place + 2], key=weights.__getitem__)
                self._vocabulary.anchors[anchor] = 1
                entries = self.values.setdefault(value, [])
                entries.append(carrier | place)
                del entries[:-CARRIERS]


def _marked(ids: list[int], marks: bytearray) -> list[int]:
    """The places of tokens that have a mark.  Gathered and searched in C: almost no token has one."""
    if len(ids) < 2:
        return [0] if ids and marks[ids[0]] else []
    found, places = bytes(itemgetter(*ids)(marks)), []
    place = found.find(1)
    while place >= 0:
        places.append(place)
        place = found.find(1, place + 1)
    return places


def _pair(first: int, second: int) -> int:
    return first << 20 | second


def _winnowed(hashes: list[int]) -> Iterator[int]:
    """The rightmost smallest of each window of `WINDOW`, each once."""
    last = -1
    for start in range(len(hashes) - WINDOW + 1):
        if last < start:
            window = hashes[start : start + WINDOW]
            last = start + WINDOW - 1 - window[::-1].index(min(window))
            yield last
        elif hashes[start + WINDOW - 1] <= hashes[last]:
            last = start + WINDOW - 1
            yield last


def _ranges(text: str, starts: list[int], ends: list[int]) -> list[tuple[int, int, int]]:
    found: dict[tuple[int, int], int] = {}
    for unit in units(text):
        place = bisect_left(starts, unit.start), bisect_right(ends, unit.end)
        if place[0] < place[1]:
            found[place] = min(found.get(place, unit.grade), unit.grade)
    return sorted((start, end, grade) for (start, end), grade in found.items())


def _light(tokens: Tokens, starts: list[int], ends: list[int], vocabulary: Vocabulary) -> array[int] | None:
    places = keys(tokens.text)
    if not places:
        return None
    less = [0] * len(tokens.ids)
    for start, end in places:
        for place in range(bisect_left(starts, start), bisect_right(ends, end)):
            less[place] = max(vocabulary.weights[tokens.ids[place]] - UNIT // 4, 0)
    sums = array("I", [0])
    for value in less:
        sums.append(sums[-1] + value)
    return sums
