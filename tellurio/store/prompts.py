"""Every version of every parameter, put together from what optimizers and the Trainer tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection

from tellurio.schemas.records import number_in, number_out
from tellurio.store._sql import execute

__all__ = ["NOTED", "note", "prompts"]

_COLUMNS = (
    *("key", "parameter", "role", "version", "value", "status", "reasoning", "gradients"),
    *("score_before", "score_after", "step", "time"),
)


def note(c: Connection, run_key: int, kind: str, data: Any, time: float) -> None:
    """Take from an event what it says of prompts; other events, and other data under these names, say nothing.

    - ``fit_start``: the values training starts from. A value the parameter does not have yet is a version.
    - ``prompt``: a proposal, the next version, whatever became of the same value before.
    - ``gate``: the newest proposal of that value was kept or undone.
    """
    handler = _HANDLERS.get(kind)
    if handler is not None and isinstance(data, dict):
        handler(c, run_key, data, time)


def _fit_start(c: Connection, run_key: int, data: Mapping[str, Any], time: float) -> None:
    started, roles = data.get("prompts"), data.get("roles")
    for parameter, value in started.items() if isinstance(started, dict) else ():
        role = roles.get(parameter) if isinstance(roles, dict) else ""
        _start(c, run_key, _clean(parameter), _text(role), value, data, time)


def _prompt(c: Connection, run_key: int, data: Mapping[str, Any], time: float) -> None:
    parameter, role = _names(data)
    if parameter is None or "after" not in data:
        return
    if role:
        execute(
            c,
            "UPDATE prompts SET role = ? WHERE run_key = ? AND parameter = ? AND role = ''",
            (role, run_key, parameter),
        )
    if "before" in data:
        if data["after"] == data["before"]:
            return
        _start(c, run_key, parameter, role, data["before"], data, time)
    _add(c, run_key, parameter, role, data["after"], "proposed", data, time)


def _gate(c: Connection, run_key: int, data: Mapping[str, Any], time: float) -> None:
    status, updates = data.get("status"), data.get("updates")
    if status not in ("kept", "undone") or not isinstance(updates, list):
        return
    scores = (_number(data.get("before")), _number(data.get("after")))
    for update in updates:
        parameter = _names(update)[0] if isinstance(update, dict) else None
        if parameter is not None and "after" in update:
            execute(c, _JUDGE, (status, *scores, run_key, run_key, parameter, _json(update["after"])))


_HANDLERS = {"fit_start": _fit_start, "prompt": _prompt, "gate": _gate}
NOTED = frozenset(_HANDLERS)
"""The kinds of events that change prompts."""

_JUDGE = """
UPDATE prompts SET status = ?, score_before = ?, score_after = ? WHERE run_key = ? AND key = (
    SELECT max(key) FROM prompts
    WHERE run_key = ? AND parameter = ? AND value = ? AND status = 'proposed')
"""


def _start(
    c: Connection, run_key: int, parameter: str, role: str, value: Any, data: Mapping[str, Any], time: float
) -> None:
    """See that ``value`` is a version of the parameter."""
    known = execute(
        c,
        "SELECT 1 FROM prompts WHERE run_key = ? AND parameter = ? AND value = ? LIMIT 1",
        (run_key, parameter, _json(value)),
    ).first()
    if known is None:
        _add(c, run_key, parameter, role, value, "initial", {"step": data.get("step")}, time)


def _add(
    c: Connection,
    run_key: int,
    parameter: str,
    role: str,
    value: Any,
    status: str,
    data: Mapping[str, Any],
    time: float,
) -> None:
    reasoning, gradients = data.get("reasoning"), data.get("gradients")
    step = data.get("step")
    execute(
        c,
        _INSERT,
        (
            *(run_key, parameter, role, _json(value), status),
            _text(reasoning),
            _json(gradients if isinstance(gradients, list) else []),
            step if isinstance(step, int) and abs(step) < 2**53 else None,
            time,
            *(run_key, parameter),
        ),
    )


_INSERT = """
INSERT INTO prompts (run_key, parameter, role, value, status, reasoning, gradients, step, time, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?,
    (SELECT coalesce(max(version) + 1, 0) FROM prompts WHERE run_key = ? AND parameter = ?))
"""


def _names(data: Mapping[str, Any]) -> tuple[str | None, str]:
    """Name and role of a parameter; one outside of any agent has its role as its name."""
    parameter, role = data.get("parameter"), data.get("role")
    role = _text(role)
    return (_clean(parameter) if isinstance(parameter, str) and parameter else role or None), role


def _text(text: Any) -> str:
    return _clean(text) if isinstance(text, str) else ""


def _clean(text: str) -> str:
    return text.replace("\0", "\ufffd")


def _number(value: Any) -> float | None:
    try:
        return float(number_in(value))
    except ValueError:
        return None


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def prompts(c: Connection, run_key: int) -> list[dict[str, Any]]:
    """All versions of a Run's parameters, by parameter (in the order they appeared) and version."""
    found = execute(
        c,
        f"SELECT {', '.join(_COLUMNS)} FROM prompts WHERE run_key = ? ORDER BY key",  # noqa: S608
        (run_key,),
    )
    by: dict[str, list[dict[str, Any]]] = {}
    for row in found:
        version = dict(zip(_COLUMNS, row, strict=True))
        for name in ("value", "gradients"):
            version[name] = orjson.loads(version[name])
        for name in ("score_before", "score_after"):
            version[name] = None if version[name] is None else number_out(version[name])
        by.setdefault(version["parameter"], []).append(version)
    return [version for versions in by.values() for version in versions]
