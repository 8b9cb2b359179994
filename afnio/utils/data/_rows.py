"""Rows out of files: lists of column -> value, and where each one stands, for error messages."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from afnio.errors import DatasetError

__all__ = ["Rows", "csv_rows", "file_path", "json_rows", "list_rows"]

Row = Mapping[str, Any]


class Rows(NamedTuple):
    """Rows, the columns they have, and ``place(index)``: where row ``index`` stands, in words."""

    rows: Sequence[Row]
    columns: Sequence[str]
    place: Callable[[int], str]


def list_rows(rows: Sequence[Any], source: str = "the list") -> Rows:
    """A list of dicts.

    Raises:
        DatasetError: an item is no dict.
    """
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DatasetError(
                f"{source}, sample {index}: expected a dict of column -> value, got {type(row).__name__}."
            )
    columns = dict.fromkeys(column for row in rows for column in row)
    return Rows(rows, list(columns), lambda index: f"{source}, sample {index}")


# CSV


def csv_rows(path: Path, delimiter: str, encoding: str) -> Rows:
    """The rows of a CSV file whose first line names the columns; all values are text.

    Raises:
        DatasetError: no header, a column without a name or named twice, a row of another length, quotes that do
            not match, bytes that are no text in ``encoding``.
        OSError: the file cannot be read.
    """
    records = _records(path, delimiter, _text(path, encoding))
    first = next(records, None)
    if first is None:
        raise DatasetError(f"{path} is empty: its first line must name the columns.")
    _, header = first
    _check_header(path, header)
    rows, lines = [], []
    for line, record in records:
        if len(record) != len(header):
            raise DatasetError(
                f"{path}, line {line}: it has {_values(len(record))} and the header names {len(header)} columns "
                f"({', '.join(header)}). Put quotes around values that hold {delimiter!r} or a line break."
            )
        rows.append(dict(zip(header, record, strict=True)))
        lines.append(line)
    return Rows(rows, header, lambda index: f"{path}, line {lines[index]}")


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _check_header(path: Path, header: list[str]) -> None:
    for number, name in enumerate(header, 1):
        if not name:
            raise DatasetError(f"{path}, line 1: column {number} has no name. The first line must name the columns.")
        if header.index(name) != number - 1:
            raise DatasetError(f"{path}, line 1: two columns are named {name!r}. Rename one of them.")


def _records(path: Path, delimiter: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """``(line it begins on, values)`` of each record that is not a blank line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        begin = reader.line_num + 1
        try:
            with _cells_of_any_length():
                record = next(reader, None)
        except csv.Error as error:
            raise DatasetError(f"{path}, line {begin}: {error}.") from None
        if record is None:
            return
        if record:
            yield begin, record


_limit = threading.Lock()


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    """csv refuses cells beyond a limit that belongs to the whole process: lifted for one record, then as before."""
    with _limit:
        before = csv.field_size_limit(2**31 - 1)
        try:
            yield
        finally:
            csv.field_size_limit(before)


# JSON


def json_rows(path: Path, field: str | None, encoding: str) -> Rows:
    """The rows of a JSON file (a list of objects) or of JSON lines (one object a line); ``field`` holds the list.

    Raises:
        DatasetError: it is not JSON, or not a list of objects.
        OSError: the file cannot be read.
    """
    text = _text(path, encoding)
    if field is None and not text.lstrip().startswith("["):
        return _json_lines(path, text)
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}.") from None
    except RecursionError:
        raise DatasetError(f"{path} is nested too deeply.") from None
    if field is not None:
        if not isinstance(document, dict) or field not in document:
            has = f"its keys are {', '.join(map(repr, document))}" if isinstance(document, dict) else "it is a list"
            raise DatasetError(f"{path} has no field {field!r}: {has}.")
        document = document[field]
    if not isinstance(document, list):
        raise DatasetError(f"{path}: expected a list of objects under {field!r}, got {type(document).__name__}.")
    return list_rows(document, str(path))


def _json_lines(path: Path, text: str) -> Rows:
    rows: list[Row] = []
    lines: list[int] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if not rows and (whole := _one_object(text)) is not None:
                return _not_a_list(path, whole)
            raise DatasetError(
                f"{path}, line {number}, column {error.colno}: not JSON: {error.msg}. Expected one object a line, or "
                "one list of objects."
            ) from None
        except RecursionError:
            raise DatasetError(f"{path}, line {number} is nested too deeply.") from None
        if not isinstance(row, dict):
            raise DatasetError(f"{path}, line {number}: expected an object, got {type(row).__name__}.")
        rows.append(row)
        lines.append(number)
    columns = dict.fromkeys(column for row in rows for column in row)
    return Rows(rows, list(columns), lambda index: f"{path}, line {lines[index]}")


def _one_object(text: str) -> dict[str, Any] | None:
    try:
        whole = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return None
    return whole if isinstance(whole, dict) else None


def _not_a_list(path: Path, whole: dict[str, Any]) -> Rows:
    """One object over several lines: a row, unless a list in it looks like what is meant."""
    lists = [key for key, value in whole.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if lists:
        raise DatasetError(f"{path} holds one object, not a list of them. If the list is in it: field={lists[0]!r}.")
    return Rows([whole], list(whole), lambda _: f"{path}, line 1")


def _text(path: Path, encoding: str) -> str:
    content = path.read_bytes()
    try:
        # A byte order mark, as spreadsheets write it, is no part of the first column's name.
        return content.decode("utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DatasetError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is no text in {encoding}. "
            "Give the file's encoding: encoding='cp1252', for example."
        ) from None
    except LookupError:
        raise DatasetError(
            f"There is no encoding {encoding!r}. Known ones are 'utf-8', 'cp1252', 'latin-1', ..."
        ) from None


def file_path(path: str | os.PathLike[str]) -> Path:
    """``path``, with ``~`` spelled out."""
    return Path(path).expanduser()
