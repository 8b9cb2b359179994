"""Texts as tokens: words, numbers, single characters of scripts without spaces; the same however they are written.

Case, whitespace, punctuation, markup, width (NFKC), escapes (``\\n``, ``\\"``, ``\\u00e9``, at any depth), HTML
entities and the ways to write a number do not matter.  Every token knows its place in the text as it was.
"""

from __future__ import annotations

import html
import re
from array import array
from bisect import bisect_right
from itertools import pairwise
from operator import itemgetter, sub
from typing import Any
from unicodedata import normalize

from tellurio.dataflow.words import COMMON

__all__ = ["ANSWERED", "ASKED", "STRONG_TOKEN", "UNIT", "Tokens", "Vocabulary"]

UNIT = 4
"""Weight of an ordinary word; weights are whole numbers."""
STRONG_TOKEN = 2 * UNIT
"""From this weight on a token says something by itself: an order number, a hash, a long number."""

ANSWERED, ASKED = 1, 2
"""An answer had the token first; a prompt had, so that it is the program's."""
FEW_PLACES = 10
"""So many tokens' places are looked for one by one."""

# Scripts written without spaces, and Hangul, whose particles stick to the words.
_SOLID = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
_SOLID += "\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
_NUMBER = (
    r"(?<![\d.])\d{1,3}(?:[,'\u2019\u202f\u00a0]\d{3})+(?!\d)(?:\.\d+)?"  # 1,234.50
    r"|(?<![\d.])\d{1,30}\.\d{1,30}(?![\d.]{0,30}\d)"  # 3.14, but neither 1.2.3 nor 05.03.2024
)
# Vowel signs and points of Indic scripts, Hebrew and Arabic, which `\\w` does not know as parts of words.
_SIGNS = "\u0591-\u05bd\u05bf-\u05c7\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
_TOKEN = re.compile(
    rf"[^\W\d_{_SOLID}](?:[^\W_{_SOLID}]|[{_SIGNS}])*|{_NUMBER}|[{_SOLID}]|(?:[^\W_{_SOLID}]|[{_SIGNS}])+"
)
_TOKEN_OF_ASCII = re.compile(rf"[A-Za-z][A-Za-z0-9]*|{_NUMBER}|[A-Za-z0-9]+")
_NUMBER_WITH_MARKS = re.compile(r"\d[.,']\d")
_SPACES = "".join(chr(code) if chr(code).isalnum() else " " for code in range(128))
_INVISIBLE = "\u00ad\u200b-\u200d\u2060\ufeff"
_MARKS = "\u0300-\u036f\u3099\u309a"
_SUSPECT = re.compile(rf"[\\&%{_INVISIBLE}{_MARKS}]")
_WRITTEN = re.compile(
    r"\\+(?:u[0-9a-fA-F]{4}|[nrtbf\"'/])?"
    r"|&(?:amp;)*(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,31}\d{0,2});"
    r"|(?:%[89A-F][0-9A-F]|%[2-7][0-9A-F])+"
    rf"|[{_INVISIBLE}]+|\w[{_MARKS}]+"
)


class Vocabulary(dict[str, int]):
    """Spelling -> number of the token; a new one is entered when it is asked for.

    What is known of each token is a byte by its number: a text has hundreds, and bytes stay in the processor's cache.

    Attributes:
        weights: of each token, by its number: what finding it twice says.  They change as a Run goes on.
        plain: the same as they were in the beginning.
        seen: of each token, who used it first, `ANSWERED` or `ASKED`; 0: nobody yet.
        anchors: of each token, whether some short value of an answer is found by it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights = bytearray(1)  # no token has the number 0
        self.plain = bytearray(1)
        self.seen = bytearray(1)
        self.anchors = bytearray(1)

    def __missing__(self, spelling: str) -> int:
        standard = spelling.lower() if spelling.isascii() and spelling.isalpha() else _standard(spelling)
        number = self.get(standard) if standard != spelling else None
        if number is None:
            number = self[standard] = len(self.weights)
            self.weights.append(_weight(standard))
            self.plain.append(self.weights[-1])
            self.seen.append(0)
            self.anchors.append(0)
        self[spelling] = number
        return number

    def __reduce__(self) -> tuple[Any, ...]:
        return Vocabulary, (), self.__dict__, None, iter(self.items())


class Tokens:
    """A text's tokens.

    Attributes:
        text: the text as it was.
        spellings: of the tokens.
        ids: their numbers in the vocabulary.
        data: the numbers as bytes, four each, so that stretches compare at once.
    """

    __slots__ = ("_asked", "_clean", "_ends", "_starts", "_words", "data", "ids", "spellings", "text")

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self.text = text
        self._clean = _Clean(text) if _suspect(text) else None
        self._words, self.spellings = _split(self._clean.text if self._clean else text)
        self.ids = list(map(vocabulary.__getitem__, self.spellings))
        self.data = array("I", self.ids).tobytes()
        self._asked = 0
        self._starts: list[int] = []
        self._ends: list[int] = []

    def new(self, seen: bytearray) -> set[int]:
        """The tokens that nobody used before."""
        if len(self.ids) < 2 or 0 in itemgetter(*self.ids)(seen):
            return {token for token in self.ids if not seen[token]}
        return set()

    def start(self, token: int) -> int:
        """Where a token begins in the text as it was."""
        if not self._starts:
            if self._words and self._clean is None and self._asked < FEW_PLACES:
                # A few places are found faster by splitting again up to the token, which is all done in C.
                self._asked += 1
                return len(self._words) - len(self._words.split(None, token)[token])
            self.places()
        return self._starts[token]

    def end(self, token: int) -> int:
        """Where it ends."""
        if self._clean:
            return self.places()[1][token]
        return self._ends[token] if self._starts else self.start(token) + len(self.spellings[token])

    def places(self) -> tuple[list[int], list[int]]:
        """Start and end of each token in the text as it was."""
        if not self._starts:
            self._starts, self._ends = self._places()
        return self._starts, self._ends

    def _places(self) -> tuple[list[int], list[int]]:
        clean = self._clean.text if self._clean else self.text
        ends, end, lengths = [], 0, list(map(len, self.spellings))
        for spelling, length in zip(self.spellings, lengths, strict=True):
            # Between tokens there is nothing that could begin one.
            end = clean.index(spelling, end) + length
            ends.append(end)
        starts = list(map(sub, ends, lengths))
        if self._clean:
            return list(map(self._clean.start, starts)), list(map(self._clean.end, ends))
        return starts, ends


class _Clean:
    """A text without escapes, and the way back: the pieces that were replaced."""

    __slots__ = ("ends", "starts", "text", "was_ends", "was_starts")

    def __init__(self, text: str) -> None:
        self.starts: list[int] = []  # of the replacements, in the clean text
        self.ends: list[int] = []
        self.was_starts: list[int] = []  # of what they replaced, in the text as it was
        self.was_ends: list[int] = []
        parts, done, length = [], 0, 0
        for found in _WRITTEN.finditer(text):
            meant = _meant(found.group())
            parts += [text[done : found.start()], meant]
            length += found.start() - done
            self.starts.append(length)
            length += len(meant)
            self.ends.append(length)
            self.was_starts.append(found.start())
            self.was_ends.append(found.end())
            done = found.end()
        self.text = "".join([*parts, text[done:]])

    def start(self, place: int) -> int:
        """Where the character at ``place`` was."""
        before = bisect_right(self.starts, place) - 1
        # An empty replacement begins where the next character does.
        if before < 0:
            return place
        if place < self.ends[before]:
            return self.was_starts[before]
        return self.was_ends[before] + place - self.ends[before]

    def end(self, place: int) -> int:
        """Where the text that ends before ``place`` ended."""
        before = bisect_right(self.starts, place - 1) - 1
        if before < 0:
            return place
        if place <= self.ends[before]:
            return self.was_ends[before]
        return self.was_ends[before] + place - self.ends[before]


def _suspect(text: str) -> bool:
    if text.isascii():
        return "\\" in text or "&" in text or "%" in text
    return _SUSPECT.search(text) is not None


def _split(text: str) -> tuple[str, list[str]]:
    """The tokens; and the text with nothing but spaces between them, if that is all it takes."""
    if not text.isascii():
        return "", _TOKEN.findall(text)
    if any(map(text.__contains__, "0123456789")) and _NUMBER_WITH_MARKS.search(text):
        return "", _TOKEN_OF_ASCII.findall(text)
    words = text.translate(_SPACES)
    return words, words.split()  # the same, faster


def _meant(written: str) -> str:
    if written[0] == "\\":
        escape = written.lstrip("\\")
        if escape[:1] == "u":
            return chr(int(escape[1:], 16))
        return escape if escape in ("'", '"', "/") else " "
    if written[0] == "&":
        return html.unescape("&" + written[1:].replace("amp;", "")) if written != "&amp;" else "&"
    if written[0] == "%":
        return _unquoted(written)
    return normalize("NFC", written) if written[0].isalnum() else ""


def _unquoted(written: str) -> str:
    """What is percent-encoded, if that is letters beyond ASCII; of ASCII it is what stands between words."""
    try:
        text = bytes.fromhex(written.replace("%", "")).decode()
    except UnicodeDecodeError:
        return written
    return "".join(c if c.isalnum() and not c.isascii() else " " for c in text)


def _standard(spelling: str) -> str:
    text = normalize("NFKC", spelling).casefold()
    if not text.isascii():
        text = _plain(text)
    if not text[:1].isdigit() or not all(c.isdecimal() or c in ".,'\u2019 " for c in text):
        return text
    whole, _, part = "".join(c for c in text if c.isdecimal() or c == ".").partition(".")
    return (whole.lstrip("0") or "0") + ("." + part if (part := part.rstrip("0")) else "")


def _plain(text: str) -> str:
    """Latin letters without their accents, as programs write names for addresses and file names."""
    parts = normalize("NFD", text)
    return "".join(
        c
        for before, c in zip(" " + parts, parts, strict=False)
        if not ("\u0300" <= c <= "\u036f" and before < "\u0370")
    )


def _weight(word: str) -> int:
    if word in COMMON:
        return 1
    if len(word) > 2 and word.isalpha():
        return UNIT
    if word.replace(".", "").isdecimal():
        return _weight_of_number(word)
    if len(word) == 1:
        return 3 if word >= "\u3400" else 2 if word >= "\u0e00" else 1
    if any(c.isdecimal() for c in word):
        return _weight_of_code(word)
    return 2 if len(word) == 2 and word.isascii() else UNIT


def _weight_of_code(token: str) -> int:
    changes = sum(a.isdecimal() != b.isdecimal() for a, b in pairwise(token))
    digits = "".join(c for c in token if c.isdecimal())
    return STRONG_TOKEN if changes >= 3 or _weight_of_number(digits) >= STRONG_TOKEN else UNIT


def _weight_of_number(token: str) -> int:
    telling = len(token.replace(".", "").strip("0"))
    if telling >= 4 and len(token) == 4 and token[:2] in ("19", "20"):
        return UNIT - 1  # a year, as it seems
    return (1, 1, 2, UNIT)[telling] if telling < 4 else STRONG_TOKEN
