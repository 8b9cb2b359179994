"""LM calls: each stored once, whoever sends it how often, and added up in whole picodollars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context
from typing import Any

import orjson
from sqlalchemy import Connection

from afnio.calls import _json
from afnio.calls.redact import redacted
from afnio.calls.request import Usage
from afnio.models.prices import price
from tellurio.store._sql import execute

__all__ = ["call", "calls", "check_call", "cost", "insert_calls", "pico_of", "priced", "sum_of", "usd_of"]

MOST_USD = 1_000_000
"""What one call may cost.  More is a mistake, and sums of it would leave a column's range."""

_EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN)  # not the thread's: that is the user's
_MOST_SUM = 2**63 - 1
_MOST_INT = 2**31 - 1
_LONGEST_PLACE = 2000

_TEXTS = ("key", "role", "phase", "node", "words", "provider", "host", "model", "source")
_TOKENS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
_PLACE = ("call_id", "label", "location", "error")
"""What a recorder says of a call besides: see `tellurio.schemas.records`."""

_COLUMNS = (
    *("origin", "job_id", "request_key", *_TEXTS[1:], "attempts", "started", "seconds"),
    *(*_TOKENS, "estimated", "usd_pico", *_PLACE, "record"),
)
_INSERT = (
    f"INSERT INTO calls (run_key, {', '.join(_COLUMNS)}) VALUES (?{', ?' * len(_COLUMNS)}) "  # noqa: S608
    "ON CONFLICT (run_key, origin) DO NOTHING RETURNING key"
)


def pico_of(usd: object) -> int | None:
    """Dollars (a decimal string, or None) as whole picodollars, halves to even.

    Raises:
        ValueError: it is no amount of money, negative, or more than any call costs.
    """
    if usd is None:
        return None
    if not isinstance(usd, str) or len(usd) > 100:
        raise ValueError(f"expected dollars as a decimal string, got {str(usd)[:100]!r}")
    try:
        amount = _EXACT.create_decimal(usd)
    except ArithmeticError:
        raise ValueError(f"expected dollars as a decimal string, got {usd!r}") from None
    if not (amount.is_finite() and 0 <= amount <= MOST_USD):
        raise ValueError(f"expected dollars from 0 to {MOST_USD:,}, got {usd!r}")
    return int(_EXACT.to_integral_value(_EXACT.scaleb(amount, 12)))


def usd_of(pico: int | None) -> str | None:
    """The inverse of `pico_of`: the exact decimal, without zeros at its end."""
    if pico is None:
        return None
    whole, part = divmod(pico, 10**12)
    return f"{whole}.{part:012d}".rstrip("0").rstrip(".")


def sum_of(pico: int, calls: int, unpriced: int) -> str | None:
    """What ``calls`` calls cost, ``unpriced`` of which have no known price: None, never 0, if that is all of them."""
    return None if unpriced and unpriced >= calls else usd_of(pico)


def check_call(record: object) -> None:
    """See that ``record`` can be stored.

    Raises:
        ValueError: it cannot; the message says what is wrong.
    """
    if not isinstance(record, dict):
        raise ValueError(f"expected the record of a call, a JSON object, got {type(record).__name__}")
    _row(record)
    try:
        _json.dumps(record)
    except TypeError:
        raise ValueError("the record of a call is nested too deeply") from None


def insert_calls(
    c: Connection, run_key: int, entries: Sequence[tuple[str, str | None, Mapping[str, Any]]]
) -> list[int | None]:
    """Store calls that are not there yet, and add them to the Run's sums.

    Args:
        entries: ``(origin, job_id, record)``; the origin says who recorded it and as which: a second one of the same
            Run is not stored.  But a recorder tells of a call after each attempt: the record with more attempts wins.

    Returns:
        the key of each call; None for one that was there.

    Raises:
        ValueError: a record cannot be stored; roll back.
    """
    keys: list[int | None] = []
    new = []
    for origin, job_id, record in entries:
        content = _json.dumps(record)
        clean = redacted(content)
        row = _row(record if clean == content else orjson.loads(clean))
        values = (run_key, origin, job_id, *row, *_place(record), clean)
        key = execute(c, _INSERT, values).scalar()
        if key is None and record.get("call_id") and _take_back(c, run_key, origin, row):
            key = execute(c, _INSERT, values).scalar()
        keys.append(key)
        if key is not None:
            new.append(row)
    if new:
        _add_up(c, run_key, new)
    return keys


def _take_back(c: Connection, run_key: int, origin: str, row: tuple[Any, ...]) -> bool:
    """Remove what was stored of a call of which ``row`` tells more; whether it does."""
    columns = "key, attempts, source, input_tokens, output_tokens, usd_pico"
    old = execute(c, f"SELECT {columns} FROM calls WHERE run_key = ? AND origin = ?", (run_key, origin)).one()  # noqa: S608
    if old.attempts >= row[_ATTEMPTS]:
        return False
    execute(c, "DELETE FROM edges WHERE run_key = ? AND to_call = ?", (run_key, old.key))
    execute(c, "DELETE FROM calls WHERE key = ?", (old.key,))
    if old.source != "live":
        execute(c, "UPDATE runs SET reused = reused - 1 WHERE key = ?", (run_key,))
    else:
        less = "calls = calls - 1, input_tokens = input_tokens - ?, output_tokens = output_tokens - ?"
        paid = "usd_pico = usd_pico - ?, unpriced = unpriced - ?"
        sums = (old.input_tokens, old.output_tokens, old.usd_pico or 0, int(old.usd_pico is None), run_key)
        execute(c, f"UPDATE runs SET {less}, {paid} WHERE key = ?", sums)  # noqa: S608
    return True


_ATTEMPTS = 9
"""Where in a row the attempts are."""


def _row(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """The columns from ``request_key`` to ``usd_pico``."""
    usage, paid = record.get("usage") or {}, record.get("cost") or {}
    if not isinstance(usage, dict) or not isinstance(paid, dict):
        raise ValueError("expected a call's usage and cost to be JSON objects")
    texts = tuple(_text(record, name) for name in _TEXTS)
    tokens = tuple(_count(usage, name) for name in _TOKENS)
    numbers = (_count(record, "attempts"), _seconds(record, "started"), _seconds(record, "seconds"))
    # What an earlier call answered costs nothing, whatever the earlier one did.
    pico = pico_of(paid.get("usd")) if texts[-1] == "live" else 0
    return (*texts, *numbers, *tokens, bool(usage.get("estimated")), pico)


def priced(record: Any) -> Any:
    """``record`` with its cost, where who made the call left that to us: a recorder has no price list."""
    if not isinstance(record, dict) or "cost" in record or "usage" not in record:
        return record
    usage = record["usage"]
    provider, url, model = (record.get(name) or "" for name in ("provider", "url", "model"))
    if not (isinstance(provider, str) and isinstance(url, str) and isinstance(model, str) and isinstance(usage, dict)):
        return record  # it is refused
    return {**record, "cost": price(provider, url, model, Usage.from_dict(usage)).as_dict()}


def _place(record: Mapping[str, Any]) -> tuple[str | None, ...]:
    values = (record.get(name) for name in _PLACE)
    return tuple(value[:_LONGEST_PLACE] if isinstance(value, str) else None for value in values)


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if value is None:
        value = "live" if name == "source" else ""
    if not isinstance(value, str):
        raise ValueError(f"expected a call's {name} to be a text, got {str(value)[:100]!r}")
    return value.replace("\0", "\ufffd")


def _count(record: Mapping[str, Any], name: str) -> int:
    value = record.get(name) or 0
    if not isinstance(value, int) or not 0 <= value <= _MOST_INT:
        raise ValueError(
            f"expected a call's {name} to be a whole number from 0 to {_MOST_INT}, got {str(value)[:100]!r}"
        )
    return int(value)


def _seconds(record: Mapping[str, Any], name: str) -> float:
    value = record.get(name) or 0.0
    if not isinstance(value, (int, float)):
        raise ValueError(f"expected a call's {name} to be a number, got {str(value)[:100]!r}")
    return float(value)


def _add_up(c: Connection, run_key: int, rows: Sequence[tuple[Any, ...]]) -> None:
    live = [row for row in rows if row[8] == "live"]
    usd = sum(row[-1] or 0 for row in live)
    unpriced = sum(row[-1] is None for row in live)
    columns = ("calls", "reused", "input_tokens", "output_tokens", "usd_pico", "unpriced")
    sums = (len(live), len(rows) - len(live), sum(row[12] for row in live), sum(row[13] for row in live), usd, unpriced)
    before = execute(c, "SELECT usd_pico FROM runs WHERE key = ?", (run_key,)).scalar() or 0
    if before + usd > _MOST_SUM:
        raise ValueError(f"the Run's calls would cost more than {usd_of(_MOST_SUM)} dollars")
    more = ", ".join(f"{name} = {name} + ?" for name in columns)
    execute(c, f"UPDATE runs SET {more} WHERE key = ?", (*sums, run_key))  # noqa: S608


_LISTED = (
    *("key", "job_id", "request_key", "role", "phase", "node", "words", "provider", "host", "model", "source"),
    *("attempts", "started", "seconds", *_TOKENS, "estimated", "usd_pico", *_PLACE),
)


def calls(
    c: Connection,
    run_key: int,
    *,
    after: int = 0,
    before: int | None = None,
    newest: bool = False,
    limit: int = 100,
    role: str | None = None,
    model: str | None = None,
) -> list[dict[str, Any]]:
    """The calls of a Run in the order they came, or the newest first; without request and response.

    Only those with a ``key`` above ``after`` and below ``before``: the last key of a page leads to the next.
    ``usd`` is an exact decimal string, None where no price is known; a call that an earlier one answered (its
    ``source`` is not ``"live"``) cost nothing.
    """
    wanted = [(name, value) for name, value in (("role", role), ("model", model)) if value is not None]
    only = "".join(f" AND {name} = ?" for name, _ in wanted)
    until = "" if before is None else " AND key < ?"
    order = "DESC" if newest else "ASC"
    # Only in a rerun may a call be edited: the records of other Runs, which may be long, are not read for that.
    again = execute(c, "SELECT kind FROM runs WHERE key = ?", (run_key,)).scalar() == "rerun"
    found = execute(
        c,
        f"SELECT {', '.join(_LISTED)}, {'record' if again else 'NULL'} FROM calls "  # noqa: S608
        f"WHERE run_key = ?{only} AND key > ?{until} "
        f"ORDER BY key {order} LIMIT ?",
        (run_key, *(value for _, value in wanted), after, *(() if before is None else (before,)), limit),
    )
    return [_listed(row[:-1]) | {"edited": row[-1] is not None and _edited(row[-1])} for row in found]


def _edited(record: bytes) -> bool:
    return bool(orjson.loads(bytes(record)).get("edited"))


def call(c: Connection, run_key: int, key: int) -> dict[str, Any] | None:
    """One call with its whole ``record``, request and response in it; None if the Run has no such call."""
    found = execute(
        c,
        f"SELECT {', '.join(_LISTED)}, record FROM calls WHERE run_key = ? AND key = ?",  # noqa: S608
        (run_key, key),
    ).first()
    if found is None:
        return None
    record = orjson.loads(bytes(found[-1]))
    about = {"edited": bool(record.get("edited")), "record": record}
    return _listed(found[:-1]) | {name: record.get(name) for name in _DETAILS} | about


_DETAILS = ("format", "path", "status", "request", "response", "usage", "cost", "request_id")


def _listed(row: Iterable[Any]) -> dict[str, Any]:
    listed = dict(zip(_LISTED, row, strict=True))
    listed["estimated"] = bool(listed["estimated"])
    listed["usd"] = usd_of(listed.pop("usd_pico"))
    return listed


_SUMS = ("calls", "reused", *_TOKENS, "usd_pico", "unpriced", "estimated", "seconds")
_COST = f"""
SELECT role, phase, model, sum(live), sum(1 - live), {", ".join(f"sum({name} * live)" for name in _TOKENS)},
    sum(usd_pico), sum(CASE WHEN usd_pico IS NULL THEN 1 ELSE 0 END),
    sum(CASE WHEN estimated THEN live ELSE 0 END), sum(seconds * live)
FROM (SELECT calls.*, CASE WHEN source = 'live' THEN 1 ELSE 0 END AS live FROM calls WHERE run_key = ?) AS counted
GROUP BY role, phase, model ORDER BY role, phase, model
"""  # noqa: S608


def cost(c: Connection, run_key: int) -> dict[str, Any]:
    """What a Run's calls add up to: in ``"total"``, and ``"by"`` role, phase and model.

    As in a ledger, ``calls``, tokens, ``usd`` and ``seconds`` are those of live calls, ``reused`` counts the others.
    ``usd`` is the exact sum over calls with a known price, None where there are only others; ``unpriced`` counts those.
    """
    total: dict[str, Any] = dict.fromkeys(_SUMS, 0)
    by = []
    for role, phase, model, *sums in execute(c, _COST, (run_key,)):
        row = {
            name: float(value) if name == "seconds" else int(value or 0)
            for name, value in zip(_SUMS, sums, strict=True)
        }
        total = {name: total[name] + row[name] for name in _SUMS}
        by.append({"role": role, "phase": phase, "model": model, **_priced(row)})
    return {"total": _priced(total), "by": by}


def _priced(row: Mapping[str, Any]) -> dict[str, Any]:
    usd = sum_of(row["usd_pico"], row["calls"], row["unpriced"])
    return {"usd" if name == "usd_pico" else name: usd if name == "usd_pico" else row[name] for name in row}
