"""Connections to the database, and its failures in words.  What is special to SQLite is in this file and the writer."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from afnio.errors import StoreError

__all__ = ["as_store_error", "engine_of"]

_SHARED = ("PRAGMA foreign_keys=ON",)
_WRITER = (
    *_SHARED,
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",  # survives kill -9; a durable piece raises it to FULL for its transaction
    "PRAGMA cache_size=-16000",  # KiB
    "PRAGMA wal_autocheckpoint=4000",  # pages: 16 MB; each checkpoint is an fsync
    "PRAGMA journal_size_limit=67108864",
)
_READER = (*_SHARED, "PRAGMA query_only=ON", "PRAGMA cache_size=-4000")


def engine_of(path: Path, *, read_only: bool = False) -> Engine:
    """The engine of the SQLite file ``path``, made (0600) if it is not there.  Its connections are the caller's."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "timeout": 30.0},
    )
    pragmas, begin = (_READER, "BEGIN") if read_only else (_WRITER, "BEGIN IMMEDIATE")

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN: the driver would leave DDL and savepoints outside
        for pragma in pragmas:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


_BACKUP = "Stop the server with `tellurio down` and put a backup in its place"
_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full. Nothing of this was stored; make space and send it again",
    sqlite3.SQLITE_IOERR: "it cannot be written or read ({error}). Nothing was stored. Perhaps the disk is full",
    sqlite3.SQLITE_READONLY: "it is read-only. Give this user the right to write it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened ({error}). Check that the folder exists and is this user's",
    sqlite3.SQLITE_PERM: "it cannot be opened ({error}). Check that the folder is this user's",
    sqlite3.SQLITE_BUSY: "another program has locked it. Close what has it open (sqlite3, a backup), then try again",
    sqlite3.SQLITE_LOCKED: "it is locked. Close what has it open (sqlite3, a backup), then try again",
    sqlite3.SQLITE_CORRUPT: f"it is damaged ({{error}}). {_BACKUP}",
    sqlite3.SQLITE_NOTADB: f"it is no SQLite database ({{error}}). {_BACKUP}, or move the file away to start anew",
}


def as_store_error(error: BaseException, path: Path) -> BaseException:
    """``error``, as a `StoreError` that says what to do if the database failed; else as it is."""
    driver = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(driver, sqlite3.Error):
        advice = _ADVICE.get(getattr(driver, "sqlite_errorcode", 0) & 0xFF)
        if advice is not None:
            known = StoreError(f"The database {path}: {advice.format(error=driver)}.")
            known.__cause__ = error
            return known
    return error
