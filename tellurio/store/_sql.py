"""Statements as text, for the hot paths: what SQLAlchemy's Core costs to build and compile is most of a small write.

Parameters are marked ``?`` and always given apart from the text.  Only SQL that both SQLite and PostgreSQL understand.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult

__all__ = ["execute", "execute_many"]


def execute(c: Connection, statement: str, parameters: tuple[Any, ...] = ()) -> CursorResult[*tuple[Any, ...]]:
    """Run one statement."""
    return c.exec_driver_sql(_spelled(statement, c.dialect.paramstyle), parameters)


def execute_many(c: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run one statement for each of ``rows``; nothing for none."""
    if len(rows) == 1:
        execute(c, statement, rows[0])
    elif rows:
        c.exec_driver_sql(_spelled(statement, c.dialect.paramstyle), list(rows))


@functools.cache
def _spelled(statement: str, paramstyle: str) -> str:
    """``statement`` with the driver's mark; none of ours has a question mark or a percent sign in a text."""
    return statement if paramstyle == "qmark" else statement.replace("?", "%s")
