"""Other ways in which programs write an answer's values.

Dates by the month's name, rounded numbers, percent; long numbers in groups (telephones, accounts, cards) without.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["variants"]

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DATE = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)")
_WRITTEN_DATE = re.compile(
    rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?\.? )?({'|'.join(_MONTHS)})(?: (\d{{1,2}})(?:st|nd|rd|th)?)?,? (\d{{4}})\b"
)
_LONG_NUMBER = re.compile(r"(?<![\d.,\w])\d{1,30}\.\d{3,30}(?![\d.]{0,30}\d)")
_GROUPS = re.compile(r"(?<![\w.,])\+?\(?(?:[A-Z]{2})?\d{1,5}\)?(?:[ /()-]{1,2}\d{2,5}){2,8}(?!\w)")
_JOINED = re.compile(r"(?<![\w.,])(?:[A-Z]{2}\d{10,32}|\d{12,19})(?!\w|\.\d)")
MOST = 64
"""So many values of a text are written in other ways; what follows is found as it is."""


def variants(text: str) -> list[tuple[int, int, str]]:
    """Of each date and each long number: where it is, and another way to write it."""
    found = [*_of_dates(text), *_of_written_dates(text), *_of_numbers(text), *_of_groups(text)]
    return found[: 4 * MOST]


def _of_dates(text: str) -> Iterator[tuple[int, int, str]]:
    for date in _DATE.finditer(text):
        year, month, day = date[1], int(date[2]), int(date[3])
        if 1 <= month <= 12:
            yield *date.span(), f"{day} {_MONTHS[month - 1]} {year}"
            yield *date.span(), f"{_MONTHS[month - 1]} {day} {year}"
            yield *date.span(), f"{day} {month} {year}"
            yield *date.span(), f"{month} {day} {year}"


def _of_written_dates(text: str) -> Iterator[tuple[int, int, str]]:
    for date in _WRITTEN_DATE.finditer(text):
        if day := date[1] or date[3]:
            month = _MONTHS.index(date[2]) + 1
            yield *date.span(), f"{date[4]} {month} {day}"
            yield *date.span(), f"{day} {month} {date[4]}"
            yield *date.span(), f"{day} {date[2]} {date[4]}" if date[3] else f"{date[2]} {day} {date[4]}"


def _of_numbers(text: str) -> Iterator[tuple[int, int, str]]:
    for number in _LONG_NUMBER.finditer(text):
        value = float(number.group())
        for digits in (1, 2, 3):
            yield *number.span(), f"{value:.{digits}f}"
        if value < 1:
            yield *number.span(), f"{100 * value:.1f}"
            yield *number.span(), f"{100 * value:.2f}"


def _of_groups(text: str) -> Iterator[tuple[int, int, str]]:
    for number in _GROUPS.finditer(text):
        joined = "".join(c for c in number.group() if c.isalnum())
        if sum(c.isdecimal() for c in joined) >= 7 and not _DATE.fullmatch(number.group()):
            yield *number.span(), joined
    for number in _JOINED.finditer(text):
        yield *number.span(), " ".join(number.group()[place : place + 4] for place in range(0, len(number.group()), 4))
