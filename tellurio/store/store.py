"""The store: one folder, one process, one writer."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, insert, select

from afnio.errors import StoreError
from tellurio.store import tables as t
from tellurio.store.blobs import Blobs
from tellurio.store.database import as_store_error, engine_of
from tellurio.store.migrate import migrate
from tellurio.store.writer import Writer

__all__ = ["Store"]

T = TypeVar("T")

READERS_KEPT = 8
ASYNC_READERS = 4


class Store:
    """What the server keeps, in one folder: ``tellurio.db``, ``blobs/``, and ``tellurio.lock``.  For any thread.

    Work is a function that takes a connection first.  `write` and its kin run it in the writer's thread, in a
    transaction that it shares with other work; what it raises undoes its own changes only, and comes out of the call.
    What a call has returned for is stored: it survives a kill of the process, and with ``durable`` a power cut.

    Attributes:
        server_id: the database's own id.
        blobs: the files of artifacts.
        folder: where all of it is.
    """

    folder: Path
    server_id: str
    blobs: Blobs

    def __init__(self, folder: Path, lock: int) -> None:
        path = folder / "tellurio.db"
        try:
            engine = engine_of(path)
            migrate(engine, path)
            with engine.begin() as connection:
                self.server_id = _server_id(connection)
            self.folder, self._lock, self._path = folder, lock, path
            self.blobs = Blobs(folder / "blobs")
            self._read_engine = engine_of(path, read_only=True)
            self._writer = Writer(engine, path)
        except Exception as error:  # noqa: BLE001  as it is, or in words
            raise as_store_error(error, path) from None
        self._idle: deque[Connection] = deque()
        self._pool = ThreadPoolExecutor(ASYNC_READERS, thread_name_prefix="tellurio-reader")  # threads come with work
        self._closed = False

    @classmethod
    def open(cls, folder: Path) -> Store:
        """Open the store in ``folder``, made if it is not there, and bring it to this release's schema.

        Raises:
            StoreError: another process has it open, or the database is damaged, a newer release's, or not ours.
        """
        folder = Path(folder)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _locked(folder / "tellurio.lock")
            try:
                return cls(folder, lock)
            except BaseException:
                os.close(lock)
                raise
        except OSError as error:
            raise StoreError(
                f"The store's folder {folder} cannot be used ({error.strerror or error}). "
                "Name one that this user may write, with --home or TELLURIO_HOME."
            ) from error

    def submit(self, work: Callable[..., T], *args: Any, durable: bool = False, **kwargs: Any) -> Future[T]:
        """Queue ``work(connection, *args, **kwargs)`` for the writer; the future is done when it is stored."""
        return self._writer.submit(partial(work, **kwargs) if kwargs else work, *args, durable=durable)

    def write(self, work: Callable[..., T], *args: Any, durable: bool = False, **kwargs: Any) -> T:
        """Run ``work(connection, *args, **kwargs)`` in the writer, and wait until it is stored."""
        return self.submit(work, *args, durable=durable, **kwargs).result()

    async def awrite(self, work: Callable[..., T], *args: Any, durable: bool = False, **kwargs: Any) -> T:
        """`write`, awaited.  Work that has begun is not undone by a cancellation."""
        return await asyncio.wrap_future(self.submit(work, *args, durable=durable, **kwargs))

    def read(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run ``work(connection, *args, **kwargs)`` here, where only reading is possible: one state of all tables."""
        with self._reader() as connection:
            return work(connection, *args, **kwargs)

    async def aread(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """`read`, awaited: it runs in one of a few threads of the store's own."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(self.read, work, *args, **kwargs))

    @property
    def waiting(self) -> int:
        """How much work waits for the writer: what back-pressure goes by."""
        return self._writer.waiting

    def close(self) -> None:
        """Store what waits, then let go of the folder.  Twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._pool.shutdown()
        self._let_go()
        self._writer.close()  # the last connection to go: SQLite then empties the write-ahead log
        fcntl.flock(self._lock, fcntl.LOCK_UN)  # a process that is just being started may have the handle for a moment
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _reader(self) -> Iterator[Connection]:
        if self._closed:
            raise StoreError(f"The database {self._path} was closed: nothing can be read any more.")
        connection: Connection | None = None
        try:
            connection = self._take()
            with connection.begin():
                yield connection
        except Exception as error:
            known = as_store_error(error, self._path)
            if known is error:
                raise
            raise known from error
        finally:
            if connection is not None:
                self._give(connection)

    def _take(self) -> Connection:
        try:
            return self._idle.pop()  # the last one used: its cache is warm
        except IndexError:
            return self._read_engine.connect()

    def _give(self, connection: Connection) -> None:
        if connection.invalidated or len(self._idle) >= READERS_KEPT:
            connection.close()
        else:
            self._idle.append(connection)
        if self._closed:  # looked at last: `close` may have seen the others just before this one
            self._let_go()

    def _let_go(self) -> None:
        with contextlib.suppress(IndexError):  # another thread does the same
            while True:
                self._idle.pop().close()


def _locked(path: Path) -> int:
    """Take the lock, which goes when this process does; its file says who has it."""
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
        os.close(lock)
        raise StoreError(
            f"The store in {path.parent} is in use by {f'process {holder}' if holder else 'another process'}: expected "
            "to be the only one. Stop it with `tellurio down`."
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _server_id(connection: Connection) -> str:
    query = select(t.settings.c.value).where(t.settings.c.name == "server_id")
    known: str | None = connection.scalar(query)
    if known is None:
        known = str(uuid.uuid4())
        connection.execute(insert(t.settings).values(name="server_id", value=known))
    return known
