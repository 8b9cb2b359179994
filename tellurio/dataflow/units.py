"""The units of a text: what a program would take out of it as one value.

Values in JSON (bare, fenced, in lines), lines, list items, ``Key: value``, tags, table cells, short lists between
commas, what is quoted or bold, paths, addresses and ids, sentences, and names.  Keys of JSON are units if they are
data themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["LISTED", "NAME", "SOFT", "VALUE", "Unit", "keys", "units"]


VALUE, LISTED, SOFT, NAME = range(4)
"""How sure it is that a program takes it out: a value by itself, one of a list, prose set off, a name by capitals."""


class Unit(NamedTuple):
    """Characters ``[start, end)`` of a text; how sure it is that they are one, `VALUE`, `LISTED`, `SOFT` or `NAME`."""

    start: int
    end: int
    grade: int = VALUE


_LINE = re.compile(r"^[ \t>]*(?:(?:[-*•+–]|#{1,6}|\(?\d{1,3}[.):]|\[[ xX]?\])[ \t]+)*(\S.*)$", re.MULTILINE)
_FIELD = re.compile(r"^[^\S\n]*[^:：\n]{1,48}?(?::[*_]*[ \t]+|：)(\S[^\n]*)$", re.MULTILINE)
_ASSIGNED = re.compile(r"[\w\]] ?= ?([^\s,;=<>]{1,80})")
_QUOTED = re.compile(
    r'"(?:[^"\\]|\\.)*"\s*:|"((?:[^"\\]|\\.)*)"|“([^”]{0,2000})”|«([^»]{0,2000})»|「([^」]{0,2000})」|`([^`\n]{1,500})`|\*\*([^*\n]{1,500})\*\*|__([^_\n]{1,500})__'
    r"|(?<!\w)'([^'\n]{1,200})'(?!\w)|\\boxed\{([^{}]{0,500})\}",
    re.DOTALL,
)
_KEY = re.compile(r'"((?:[^"\\\n]|\\.){0,80})"\s*:')
_NUMBER = re.compile(r"[:\[,]\s*(-?\d[\d.eE+-]*)\s*(?=[,}\]\n]|$)")
_TAGGED = re.compile(r"<[A-Za-z][\w:.-]*(?:\s[^<>]*)?>([^<>]+)</")
_CELL = re.compile(r"\|[ \t]*([^|\n]*?)[ \t]*(?=\|)")
_COMMAS = re.compile(r"^[^.,;\n]{1,60}(?:[,;][^.,;\n]{1,60})+[.]?$", re.MULTILINE)
_PIECE = re.compile(r"[^,;:\n]+")
_NAME = re.compile(
    r"\b(?!(?:The|A|An|In|On|At|By|For|To|Of|And|But|Or|If|It|He|She|We|They|This|That|These|Those|When|As|From|With|Is|Are"
    r"|Was|My|Your|Our|Their|His|Her|There|Here|What|Who|How|Why|Dear|Mr|Mrs|Ms|Dr) )"
    r"[A-Z][\w'’-]+(?: (?:of|de|van|von|del|da|la|[A-Z][\w'’.-]*))* [A-Z][\w'’-]+"
)
_FIRST = re.compile(r"(?:[^\n.,;]|[.,;](?! |\n|$))*")
_SENTENCE = re.compile(r"[^.!?\n。！？，、；]+")
_COMPOUND = re.compile(r"[^\W_]++(?:[./@_:#\\~-]++[^\W_]++)++(?![\"']\s*:)")
_ARGUMENT = re.compile(r"\w\[([^\[\]\n]{4,300})\]")
_STRUCTURE = re.compile(r"[:,\[{]\s*$")
_EDGES = " \t\r\n\"'`*_.,;:!?()[]{}<>“”«»"


def units(text: str) -> list[Unit]:
    """The units of ``text``, each place once with its surest grade, in order."""
    found: dict[tuple[int, int], int] = {}
    names = set(keys(text))
    for start, end, grade in _found(text):
        while start < end and text[start] in _EDGES:
            start += 1
        while end > start and text[end - 1] in _EDGES:
            end -= 1
        if start < end and (start, end) not in names:
            found[start, end] = min(found.get((start, end), grade), grade)
    return sorted(Unit(start, end, grade) for (start, end), grade in found.items())


def keys(text: str) -> list[tuple[int, int]]:
    """Where the keys of JSON are in ``text`` that are a program's names; a name of somebody is data, key or not."""
    return [found.span(1) for found in _keys(text) if not _is_data(found[1])]


def _keys(text: str) -> Iterable[re.Match[str]]:
    return _KEY.finditer(text) if '"' in text and ":" in text else ()


def _is_data(key: str) -> bool:
    """Programs read keys by name, and those names are identifiers; words with spaces or capitals were made up."""
    return " " in key.strip() or not key.isascii() or key[:1].isupper()


def _found(text: str) -> Iterator[tuple[int, int, int]]:
    yield 0, len(text), VALUE
    if "\n" in text or text[:1] in "-*•+#>0123456789([ ":
        yield from ((*found.span(1), LISTED) for found in _LINE.finditer(text))
    if ": " in text or ":*" in text or "：" in text:
        for found in _FIELD.finditer(text):
            yield *found.span(1), VALUE
            yield *_FIRST.match(text, found.start(1)).span(), VALUE  # type: ignore[union-attr]
    if "=" in text:
        yield from ((*found.span(1), VALUE) for found in _ASSIGNED.finditer(text))
    yield from ((*found.span(1), LISTED) for found in _keys(text) if _is_data(found[1]))
    if any(mark in text for mark in "/@_#\\.-:"):
        yield from ((*found.span(), VALUE) for found in _COMPOUND.finditer(text) if _is_compound(found[0]))
    if any(mark in text for mark in "\"'`*_“«「\\"):
        yield from _set_off(text)
    if "[" in text:
        yield from ((*found.span(1), VALUE) for found in _ARGUMENT.finditer(text))
    if "{" in text or "[" in text:
        yield from ((*found.span(1), VALUE) for found in _NUMBER.finditer(text))
    if "</" in text:
        yield from ((*found.span(1), VALUE) for found in _TAGGED.finditer(text))
    if "|" in text:
        yield from ((*found.span(1), LISTED) for found in _CELL.finditer(text))
    if "," in text or ";" in text:
        yield from ((*found.span(), LISTED) for line in _listed(text) for found in _PIECE.finditer(text, *line))
    yield from ((*found.span(), SOFT) for found in _SENTENCE.finditer(text))
    yield from ((*found.span(), NAME) for found in _NAME.finditer(text))


def _is_compound(word: str) -> bool:
    """Whether it is an address, a path, an id or an identifier: not a word with a hyphen, nor a number or a date."""
    if word.replace("-", "").isalpha():
        return False
    return _mixed(word) or (any(mark in word for mark in "/@_#\\.") and not word.replace(".", "").isdecimal())


def _mixed(word: str) -> bool:
    return any(c.isdecimal() for c in word) and any(c.isalpha() for c in word)


def _listed(text: str) -> list[tuple[int, int]]:
    """The lines that are short pieces between commas: several lines, or several commas."""
    lines = [found.span() for found in _COMMAS.finditer(text)]
    return lines if len(lines) > 1 else [line for line in lines if len(re.findall("[,;]", text[slice(*line)])) > 1]


def _set_off(text: str) -> Iterator[tuple[int, int, int]]:
    for found in _QUOTED.finditer(text):
        if found.lastindex is None:
            continue  # a key
        place = found.span(found.lastindex)
        quoted = text[found.start()] in "\"'“«「"
        inside = quoted and not _STRUCTURE.search(text, max(found.start() - 40, 0), found.start())
        yield *place, SOFT if inside else VALUE
