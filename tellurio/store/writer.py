"""The writer: one thread, one connection, one transaction for all that waits (group commit)."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from afnio.errors import StoreError
from tellurio.store.database import as_store_error

__all__ = ["Writer"]

T = TypeVar("T")

LARGEST_GROUP = 1000
"""Pieces of work in one transaction: so that the first of them does not wait for the last of very many."""


@dataclass(slots=True)
class _Piece:
    work: Callable[..., Any]
    args: tuple[Any, ...]
    durable: bool
    future: Future[Any]


@dataclass(slots=True)
class _Failed:
    error: BaseException


class Writer:
    """Runs work that changes the database, in the order it came.

    There is no timer: what has queued up while the last transaction was committed goes into the next one.
    """

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine, self._path = engine, path
        self._queue: deque[_Piece] = deque()
        self._change = threading.Condition(threading.Lock())
        self._closed = self._idle = False
        self._connection: Connection | None = engine.connect()
        self._full_sync = False
        self._thread = threading.Thread(target=self._run, name="tellurio-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many pieces of work wait: what back-pressure goes by."""
        return len(self._queue)

    def submit(self, work: Callable[..., T], *args: Any, durable: bool = False) -> Future[T]:
        """Run ``work(connection, *args)``; the future has its result when it is committed."""
        future: Future[T] = Future()
        piece = _Piece(work, args, durable, future)
        with self._change:
            if self._closed:
                raise StoreError(f"The database {self._path} was closed: nothing can be stored any more.")
            self._queue.append(piece)
            if self._idle:
                self._idle = False
                self._change.notify()
        return future

    def close(self) -> None:
        """Commit what waits, then end."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            self._commit(group)
        if self._connection is not None:
            self._connection.close()

    def _next_group(self) -> list[_Piece]:
        queue = self._queue
        with self._change:
            while not queue and not self._closed:
                self._idle = True
                self._change.wait()
            return [queue.popleft() for _ in range(min(len(queue), LARGEST_GROUP))]

    def _commit(self, group: list[_Piece]) -> None:
        group = [piece for piece in group if piece.future.set_running_or_notify_cancel()]
        if not group:
            return
        try:
            connection = self._connected()
            self._sync(connection, full=any(piece.durable for piece in group))
            with connection.begin():
                outcomes = _together(connection, group) if len(group) > 1 else [_alone(connection, group[0])]
        except BaseException as error:  # noqa: BLE001  the thread outlives all that can fail in it
            self._recover()
            for piece in group:
                piece.future.set_exception(as_store_error(error, self._path))
            return
        for piece, outcome in zip(group, outcomes, strict=True):
            if type(outcome) is _Failed:
                piece.future.set_exception(as_store_error(outcome.error, self._path))
            else:
                piece.future.set_result(outcome)

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection, self._full_sync = self._engine.connect(), False
        return self._connection

    def _sync(self, connection: Connection, *, full: bool) -> None:
        if full != self._full_sync:  # SQLite knows no other level within a transaction: it is set before
            _execute(connection, f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
            self._full_sync = full

    def _recover(self) -> None:
        """After a failure: a connection that is still in a transaction, or cannot leave it, is not used again."""
        connection = self._connection
        if connection is not None and (connection.in_transaction() or _in_transaction(connection)):
            self._connection = None
            with contextlib.suppress(Exception):
                connection.invalidate()
            with contextlib.suppress(Exception):
                connection.close()


def _alone(connection: Connection, piece: _Piece) -> Any:
    return piece.work(connection, *piece.args)


def _together(connection: Connection, group: list[_Piece]) -> list[Any]:
    """Run each in a savepoint of its own, so that one that fails fails alone."""
    outcomes: list[Any] = []
    for piece in group:
        _execute(connection, "SAVEPOINT piece")
        try:
            outcome = piece.work(connection, *piece.args)
        except Exception as error:
            if not _in_transaction(connection):  # a full disk: SQLite has rolled all of it back by itself
                raise
            _execute(connection, "ROLLBACK TO SAVEPOINT piece")
            outcome = _Failed(error)
        _execute(connection, "RELEASE SAVEPOINT piece")
        outcomes.append(outcome)
    return outcomes


def _execute(connection: Connection, statement: str) -> None:
    """Past SQLAlchemy: it would cost ten times the statement."""
    cursor = connection.connection.cursor()
    cursor.execute(statement)
    cursor.close()


def _in_transaction(connection: Connection) -> bool:
    return bool(getattr(connection.connection.driver_connection, "in_transaction", True))
