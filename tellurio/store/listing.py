"""The listing of Runs: filters, sorting, pages.

What a user names is looked up in a table or bound as a value; none of it is ever a part of a statement.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Text, and_, cast, exists, func, not_, or_, select
from sqlalchemy.sql.functions import coalesce

from tellurio.schemas.records import KINDS, STATUSES
from tellurio.store import tables as t
from tellurio.store.calls import pico_of

__all__ = ["FIELDS", "OPERATORS", "Filter", "page_of"]

Filter = tuple[str, str, Any]
"""What, operator, value: ``("metrics.accuracy", ">", 0.5)``."""

OPERATORS = ("=", "!=", "<=", ">=", "<", ">", "~")
"""``~``: contains, in any case.  ``!=`` holds for a Run that has no such value too."""

LARGEST_PAGE = 1000
_MOST_FILTERS = 50
_LONGEST_VALUE = 1000

Expression = ColumnElement[Any]


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number):
        raise ValueError(f"expected a number, got {_short(value)}")
    return number


def _time(value: Any) -> float:
    """A Unix time, or a date and time as ISO 8601 has it (UTC where it says nothing else)."""
    if not isinstance(value, str):
        return _number(value)
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        try:
            return _number(value)
        except ValueError:
            raise ValueError(f"expected a date like 2026-01-31 or a Unix time, got {_short(value)}") from None


def _money(value: Any) -> int:
    amount = pico_of(value if isinstance(value, str) else str(value))
    assert amount is not None
    return amount


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {_short(value)}")
    return value


def _status(value: Any) -> str:
    if value not in STATUSES:
        raise ValueError(f"expected a status, {', '.join(STATUSES)}, got {_short(value)}")
    return str(value)


def _kind(value: Any) -> str:
    if value not in KINDS:
        raise ValueError(f"expected a kind of Run, {', '.join(KINDS)}, got {_short(value)}")
    return str(value)


class _Field(NamedTuple):
    expression: Expression
    parse: Callable[[Any], Any]


_username = select(t.users.c.username).where(t.users.c.id == t.runs.c.user_id).scalar_subquery()
_COLUMNS = {
    "status": _Field(t.runs.c.status, _status),
    "name": _Field(t.runs.c.name, _text),
    "description": _Field(t.runs.c.description, _text),
    "notes": _Field(t.runs.c.notes, _text),
    "user": _Field(_username, _text),
    "created": _Field(t.runs.c.created, _time),
    "updated": _Field(t.runs.c.updated, _time),
    "ended": _Field(t.runs.c.ended, _time),
    "duration": _Field(coalesce(t.runs.c.ended, t.runs.c.heartbeat) - t.runs.c.created, _number),
    "cost": _Field(t.runs.c.usd_pico, _money),
    "calls": _Field(t.runs.c.calls, _number),
    "kind": _Field(t.runs.c.kind, _kind),
}
FIELDS = (*_COLUMNS, "tags", "metrics.<name>", "config.<dotted name>")
"""What Runs can be filtered by; they can be sorted by all but tags."""


def page_of(
    c: Connection,
    where: Expression,
    search: str | None,
    filters: Sequence[Filter],
    sort: str,
    limit: int,
    cursor: str | None,
) -> tuple[list[int], str | None, int]:
    """The keys of a page of Runs, the cursor of the next page or None, and how many Runs there are on all pages.

    Raises:
        ValueError: something is asked for that there is not; says what there is.
    """
    if not 1 <= limit <= LARGEST_PAGE:
        raise ValueError(f"expected a limit of 1 to {LARGEST_PAGE}, got {limit}")
    if len(filters) > _MOST_FILTERS:
        raise ValueError(f"expected at most {_MOST_FILTERS} filters, got {len(filters)}")
    where = and_(where, *_search(search), *(_condition(*each) for each in filters))
    total = c.scalar(select(func.count()).select_from(t.runs).where(where)) or 0
    value, key, descending = _sort(sort), t.runs.c.key, sort.startswith("-")
    query = select(key, value.label("value")).where(where)
    if cursor is not None:
        query = query.where(_after(value, key, descending, _decoded(cursor, sort)))
    order = (value.desc(), key.desc()) if descending else (value.asc(), key.asc())
    rows = c.execute(query.order_by(value.is_(None), *order).limit(limit + 1)).all()
    page = rows[:limit]
    more = len(rows) > limit
    return [row.key for row in page], _encoded(sort, page[-1].value, page[-1].key) if more else None, total


def _search(search: str | None) -> list[Expression]:
    words = (search or "").split()
    if len(words) > _MOST_FILTERS:
        raise ValueError(f"expected at most {_MOST_FILTERS} words to search for, got {len(words)}")
    columns = (t.runs.c.name, t.runs.c.description, t.runs.c.notes, t.runs.c.tags)
    return [or_(*(_contains(column, word) for column in columns)) for word in words]


def _contains(expression: Expression, value: Any) -> Expression:
    if not isinstance(value, str) or len(value) > _LONGEST_VALUE:
        raise ValueError(f"expected a text of at most {_LONGEST_VALUE} characters to look for, got {_short(value)}")
    return expression.icontains(value, autoescape=True)


def _condition(what: str, operator: str, value: Any) -> Expression:
    if operator not in OPERATORS:
        raise ValueError(f"expected an operator, {' '.join(OPERATORS)}, got {_short(operator)}")
    try:
        if operator == "!=":
            return not_(_condition(what, "=", value))
        kind, _, name = what.partition(".")
        if name and kind == "metrics":
            return _metric_condition(name, operator, _number(value))
        if name and kind == "config":
            return _config_condition(_config(name), operator, value)
        if what == "tags":
            return _tags_condition(operator, value)
        field = _COLUMNS.get(what)
        if field is None:
            raise ValueError(_unknown(what, FIELDS))
        return _compared(field.expression, operator, value if operator == "~" else field.parse(value), field.parse)
    except ValueError as error:
        known = str(error)
        raise ValueError(
            known if known.startswith("the filter") else f"the filter on {_short(what)}: {known}"
        ) from None


def _compared(expression: Expression, operator: str, value: Any, parse: Callable[[Any], Any]) -> Expression:
    """True or false, never NULL: a Run without the value is not equal, and not below or above anything."""
    if operator == "~":
        if parse not in (_text, _status, _kind):
            raise ValueError("~ (contains) looks into texts, and this is a number: use = != < <= > >=")
        return coalesce(_contains(expression, value), False)
    return coalesce(_OPERATIONS[operator](expression, value), False)


_OPERATIONS: dict[str, Callable[[Expression, Any], Expression]] = {
    "=": lambda left, right: left == right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def _metric_condition(name: str, operator: str, value: float) -> Expression:
    if operator == "~":
        raise ValueError("~ (contains) looks into texts, and a metric is a number: use = != < <= > >=")
    metric = t.metrics.alias()
    this = and_(metric.c.run_key == t.runs.c.key, metric.c.name == name)
    return exists(select(1).where(this, _OPERATIONS[operator](metric.c.last, value)))


def _tags_condition(operator: str, value: Any) -> Expression:
    tag = func.json_each(t.runs.c.tags).table_valued("value", name="tag")
    if operator == "=":
        return exists(select(1).select_from(tag).where(tag.c.value == _text(value)))
    if operator == "~":
        return exists(select(1).select_from(tag).where(_contains(tag.c.value, value)))
    raise ValueError("tags know =, != and ~ (contains)")


def _config(name: str) -> Expression:
    """The value at a dotted name: nested, or of a key that has the dots in it."""
    if '"' in name or "\\" in name or not name.isprintable() or len(name) > _LONGEST_VALUE:
        raise ValueError(f"expected config.<name> without quotes and backslashes, got {_short(name)}")
    parts = name.split(".")
    paths = ["$" + "".join(f'."{part}"' for part in parts)] + ([f'$."{name}"'] if len(parts) > 1 else [])
    found: list[Expression] = [func.json_extract(t.runs.c.config, path) for path in paths]
    return found[0] if len(found) == 1 else coalesce(*found)


def _config_condition(expression: Expression, operator: str, value: Any) -> Expression:
    """What is written as a number or true or false may be meant as that or as text: it is compared as both."""
    if operator == "~":
        return coalesce(_contains(cast(expression, Text), value if isinstance(value, str) else str(value)), False)
    meant = _meant(value)
    alike = [and_(func.typeof(expression).in_(types), _OPERATIONS[operator](expression, v)) for types, v in meant]
    if operator != "=" and len(alike) > 1:
        alike = alike[:1]  # 10 is not below 9, as the texts are
    return coalesce(or_(*alike), False)


_NUMBERS, _TEXTS = ("integer", "real"), ("text",)


def _meant(value: Any) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, (bool, int, float)):
        return [(_NUMBERS, _number(value))]
    text = _text(value)
    if text in ("true", "false"):
        return [(_NUMBERS, float(text == "true")), (_TEXTS, text)]
    try:
        return [(_NUMBERS, _number(text)), (_TEXTS, text)]
    except ValueError:
        return [(_TEXTS, text)]


def _sort(sort: str) -> Expression:
    what = sort.removeprefix("-")
    kind, _, name = what.partition(".")
    if name and kind == "metrics":
        metric = t.metrics.alias()
        this = and_(metric.c.run_key == t.runs.c.key, metric.c.name == name)
        return select(metric.c.last).where(this).scalar_subquery()
    if name and kind == "config":
        return _config(name)
    if what not in _COLUMNS:
        raise ValueError(f"the sort: {_unknown(what, [field for field in FIELDS if field != 'tags'])}")
    return _COLUMNS[what].expression


def _unknown(what: str, known: Sequence[str]) -> str:
    return f"{_short(what)} is nothing that Runs have; expected {', '.join(known)}"


def _after(value: Expression, key: Expression, descending: bool, place: tuple[Any, int]) -> Expression:
    """What comes after a place in the order; those without a value come last, whichever way it is sorted."""
    last_value, last_key = place
    later_key = key < last_key if descending else key > last_key
    if last_value is None:
        return and_(value.is_(None), later_key)
    further = value < last_value if descending else value > last_value
    return or_(value.is_(None), further, and_(value == last_value, later_key))


def _encoded(sort: str, value: Any, key: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([sort, value, key]).encode()).decode()


def _decoded(cursor: str, sort: str) -> tuple[Any, int]:
    try:
        of, value, key = json.loads(base64.urlsafe_b64decode(cursor))
        fits = of == sort and type(key) is int and isinstance(value, (int, float, str, type(None)))
        if not fits or abs(key) >= 2**63 or (isinstance(value, int) and abs(value) >= 2**63):
            raise ValueError
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise ValueError("the cursor is not one of this listing and sort: ask for the first page again") from None
    return value, key


def _short(value: Any) -> str:
    return repr(value)[:100]
