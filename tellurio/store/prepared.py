"""Core statements that are asked at every request: compiled once, then given to the driver as text."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select

from tellurio.store._sql import execute

__all__ = ["Prepared"]


class Prepared:
    """A query with the parameters ``names`` (`sqlalchemy.bindparam`), each of them in it once.

    To build a statement and find it in SQLAlchemy's cache takes ten times as long as to run it.  The values pass no
    type of SQLAlchemy's: SQLite gives a boolean back as 0 or 1.
    """

    def __init__(self, query: Select[Any], *names: str) -> None:
        self._query, self._names = query, names
        self._columns = tuple(column.name for column in query.selected_columns)
        self._spelled: dict[str, tuple[str, tuple[int, ...]]] = {}

    def first(self, c: Connection, *values: Any) -> dict[str, Any] | None:
        """The first row, or None."""
        text, order = self._text(c)
        row = execute(c, text, tuple([values[i] for i in order])).first()
        return None if row is None else dict(zip(self._columns, row, strict=True))

    def _text(self, c: Connection) -> tuple[str, tuple[int, ...]]:
        found = self._spelled.get(c.dialect.name)
        if found is None:
            compiled = self._query.compile(dialect=type(c.dialect)(paramstyle="qmark"))  # type: ignore[call-arg]
            order = tuple(self._names.index(name) for name in compiled.positiontup or ())
            found = self._spelled[c.dialect.name] = (str(compiled), order)
        return found
