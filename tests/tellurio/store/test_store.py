"""The store: what it acknowledges is stored, what fails fails alone, and one process has it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, event, func, insert, select

from afnio.errors import StoreError
from tellurio.store import Store
from tellurio.store import tables as t


def put(c: Connection, name: str, value: str = "") -> str:
    c.execute(insert(t.settings), {"name": name, "value": value})
    return name


def names(c: Connection) -> list[str]:
    query = select(t.settings.c.name).where(t.settings.c.name != "server_id").order_by(t.settings.c.name)
    return list(c.scalars(query))


def put_and_fail(c: Connection, name: str) -> str:
    put(c, name)
    raise KeyError(name)


@contextlib.contextmanager
def busy(store: Store) -> Iterator[None]:
    """Within it the writer is busy with something else."""
    begun, go = threading.Event(), threading.Event()

    def hold(c: Connection) -> None:
        begun.set()
        assert go.wait(60)

    held = store.submit(hold)
    assert begun.wait(60)
    yield
    go.set()
    held.result(60)


def queued(store: Store, *pieces: tuple[Callable[..., Any], str]) -> list[Future[Any]]:
    """Submit them so that they are one group."""
    with busy(store):
        return [store.submit(work, name) for work, name in pieces]


def test_what_was_written_is_read_and_is_there_when_opened_again(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a" / "b") as store:
        assert store.write(put, "x") == "x"
        assert store.read(names) == ["x"]
        server = store.server_id
    with Store.open(tmp_path / "a" / "b") as store:
        assert store.read(names) == ["x"]
        assert store.server_id == server


def test_nobody_else_can_read_its_files(store: Store) -> None:
    store.write(put, "x")
    modes = {path.name: path.stat().st_mode & 0o777 for path in store.folder.iterdir()}
    assert modes.pop("blobs") == store.folder.stat().st_mode & 0o777 == 0o700
    assert modes.keys() == {"tellurio.db", "tellurio.db-wal", "tellurio.db-shm", "tellurio.lock"}
    assert set(modes.values()) == {0o600}


def test_a_failing_piece_undoes_its_own_changes_and_raises_its_error(store: Store) -> None:
    with pytest.raises(KeyError, match="x"):
        store.write(put_and_fail, "x")
    assert store.read(names) == []
    assert store.write(put, "y") == "y"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Store.open(tmp_path_factory.mktemp("shared") / "store") as store:
        yield store


@given(st.lists(st.booleans(), min_size=2, max_size=12))
def test_in_a_group_each_piece_stands_for_itself(shared: Store, good: list[bool]) -> None:
    shared.write(lambda c: c.execute(t.settings.delete().where(t.settings.c.name != "server_id")) and None)
    works = {True: put, False: put_and_fail}
    futures = queued(shared, *((works[fine], f"{i:02}") for i, fine in enumerate(good)))
    for i, (fine, future) in enumerate(zip(good, futures, strict=True)):
        assert future.exception(60) is None if fine else isinstance(future.exception(60), KeyError)
        assert not fine or future.result() == f"{i:02}"
    assert shared.read(names) == [f"{i:02}" for i, fine in enumerate(good) if fine]


def test_what_waits_is_one_transaction(store: Store) -> None:
    commits = []
    event.listen(store._writer._engine, "commit", lambda connection: commits.append(1))
    futures = queued(store, *((put, f"{i:03}") for i in range(100)))
    assert [future.result(60) for future in futures] == store.read(names)
    assert len(commits) == 2  # the one that held the writer up, and all the others


def test_a_group_with_a_durable_piece_is_synced(store: Store) -> None:
    def level(c: Connection) -> int:
        return int(c.exec_driver_sql("PRAGMA synchronous").scalar_one())

    assert [store.write(level, durable=durable) for durable in (False, True, True, False)] == [1, 2, 2, 1]
    with busy(store):
        group = [store.submit(level, durable=durable) for durable in (False, True, False)]
    assert [future.result(60) for future in group] == [2, 2, 2]


def test_when_the_whole_transaction_is_gone_nothing_of_the_group_is_acknowledged(store: Store) -> None:
    """SQLite rolls all of it back by itself at some failures (a full disk), whichever piece met them."""

    def lose_it(c: Connection, name: str) -> None:
        put(c, name)
        c.exec_driver_sql("ROLLBACK")
        raise KeyError(name)

    futures = queued(store, (put, "a"), (lose_it, "b"), (put, "c"))
    assert [type(future.exception(60)) for future in futures] == [KeyError] * 3
    assert store.read(names) == []
    assert store.write(put, "d") == "d"
    assert store.read(names) == ["d"]


def test_work_that_was_cancelled_in_the_queue_is_not_done(store: Store) -> None:
    with busy(store):
        cancelled, other = store.submit(put, "cancelled"), store.submit(put, "other")
        assert cancelled.cancel()
    assert other.result(60) == "other"
    with pytest.raises(CancelledError):
        cancelled.result(60)
    assert store.read(names) == ["other"]


def test_waiting_counts_what_waits(store: Store) -> None:
    with busy(store):
        last = [store.submit(put, str(i)) for i in range(3)][-1]
        assert store.waiting == 3
    last.result(60)
    assert store.waiting == 0


def test_closing_stores_what_waits_and_then_nothing_more(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    futures = [store.submit(put, f"{i:02}") for i in range(20)]
    store.close()
    store.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(StoreError, match="closed"):
        store.write(put, "x")
    with pytest.raises(StoreError, match="closed"):
        store.read(names)
    assert not (tmp_path / "tellurio.db-wal").exists()
    with Store.open(tmp_path) as again:
        assert len(again.read(names)) == 20


def test_a_reader_that_is_done_just_when_the_store_closes_leaves_no_connection(tmp_path: Path) -> None:
    store = Store.open(tmp_path)

    class Idle(deque[Connection]):
        def append(self, connection: Connection) -> None:
            store.close()  # by another thread, when the reader has seen that it is open
            super().append(connection)

    store._idle = Idle()
    assert store.read(names) == []
    assert len(store._idle) == 0


def test_the_folder_is_free_at_once_although_a_child_has_the_handle_still(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    child = os.dup(store._lock)  # as between fork and exec of a child that another thread starts
    store.close()
    Store.open(tmp_path).close()
    os.close(child)


def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError, match="read-only"):
        store.read(put, "x")
    assert store.read(names) == []


def test_a_reader_sees_one_state_of_all_tables(store: Store) -> None:
    def look_twice(c: Connection) -> tuple[int, int]:
        query = select(func.count()).select_from(t.settings)
        before = c.scalar(query)
        store.write(put, "meanwhile")
        return before or 0, c.scalar(query) or 0

    assert store.read(look_twice) == (1, 1)
    assert store.read(names) == ["meanwhile"]


def test_a_reader_that_fails_leaves_its_connection_usable(store: Store) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            store.read(lambda c: 1 // 0)
    store.write(put, "x")
    assert store.read(names) == ["x"]
    assert len(store._idle) == 1


def test_reading_and_writing_from_coroutines(store: Store) -> None:
    async def main() -> list[str]:
        await asyncio.gather(*(store.awrite(put, f"{i:02}", durable=i % 2 == 0) for i in range(50)))
        with pytest.raises(KeyError):
            await store.awrite(put_and_fail, "bad")
        many = await asyncio.gather(*(store.aread(names) for _ in range(20)))
        assert all(each == many[0] for each in many)
        return many[0]

    assert asyncio.run(main()) == [f"{i:02}" for i in range(50)]


def test_a_cancelled_coroutine_leaves_the_writer_alive(store: Store) -> None:
    async def main() -> None:
        with busy(store):
            task = asyncio.ensure_future(store.awrite(put, "x"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await store.awrite(put, "y") == "y"

    asyncio.run(main())
    assert store.read(names) == ["y"]


def test_many_threads(store: Store) -> None:
    def many(thread: int) -> None:
        for i in range(50):
            store.write(put, f"{thread}.{i}")
            assert f"{thread}.{i}" in store.read(names)

    threads = [threading.Thread(target=many, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.read(names)) == 300


def test_a_second_store_on_the_folder_is_refused_and_told_who_has_it(store: Store) -> None:
    with pytest.raises(StoreError, match=rf"in use by process {os.getpid()}: .*`tellurio down`"):
        Store.open(store.folder)
    script = f"from tellurio.store import Store\nfrom pathlib import Path\nStore.open(Path({str(store.folder)!r}))"
    other = subprocess.run([sys.executable, "-B", "-c", script], capture_output=True, text=True, check=False)
    assert f"in use by process {os.getpid()}" in other.stderr


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "tellurio.db").write_bytes(b"something else " * 1000)
    with pytest.raises(StoreError, match=r"no SQLite database .*`tellurio down`.*backup"):
        Store.open(tmp_path)
    (tmp_path / "tellurio.db").unlink()
    Store.open(tmp_path).close()  # the lock is free again


def test_a_damaged_database(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.write(lambda c: [put(c, f"{i:05}", "x" * 500) for i in range(500)])
    path = tmp_path / "tellurio.db"
    whole = bytearray(path.read_bytes())
    for page in range(4096 * 70, len(whole), 4096):  # beyond what an empty database has
        if b"x" * 500 in whole[page : page + 4096]:  # rows, not their index
            whole[page : page + 64] = b"\xff" * 64
    path.write_bytes(whole)
    with Store.open(tmp_path) as store:
        with pytest.raises(StoreError, match=r"damaged .*`tellurio down`.*backup"):
            store.read(lambda c: c.exec_driver_sql("SELECT sum(length(value)) FROM settings").scalar())
        with pytest.raises(StoreError, match="damaged"):
            store.write(lambda c: [put(c, f"{i:05}x", "x" * 500) for i in range(500)])


def test_somebody_elses_database(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "tellurio.db") as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    with pytest.raises(StoreError, match="no Tellurio database.*recipes"):
        Store.open(tmp_path)


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        Store.open(tmp_path / "file" / "store")
    (tmp_path / "store" / "tellurio.db").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be used"):
        Store.open(tmp_path / "store")


FULL_DISK = """
    import resource, sys
    from pathlib import Path
    from sqlalchemy import insert, select
    from afnio.errors import StoreError
    from tellurio.store import Store, tables as t

    def put(c, name):
        c.execute(insert(t.settings), {"name": name, "value": "x" * 20_000})

    def names(c):
        return set(c.scalars(select(t.settings.c.name))) - {"server_id"}

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    folder = Path(sys.argv[1])
    store = Store.open(folder)
    store.write(lambda c: c.exec_driver_sql(f"PRAGMA cache_size={sys.argv[2]}").close())
    stored, refused = set(), []
    limit(1_000_000)
    for i in range(100):
        futures = {f"{i}.{j}": store.submit(put, f"{i}.{j}") for j in range(3)}
        for name, future in futures.items():
            try:
                future.result()
                stored.add(name)
            except StoreError as error:
                refused.append(name)
                assert "Nothing was stored" in str(error), error
    assert refused and stored, (len(refused), len(stored))
    assert store.read(names) == stored
    limit(resource.RLIM_INFINITY)
    for name in refused:
        store.write(put, name)
    assert store.read(names) == stored | set(refused)
    store.close()
    with Store.open(folder) as store:
        assert store.read(names) == stored | set(refused)
    print(len(stored), "stored", len(refused), "refused")
"""


@pytest.mark.parametrize("cache", [-16000, 5], ids=["at the commit", "in the middle of a piece"])
def test_a_full_disk_loses_nothing_and_the_store_goes_on_when_there_is_space(cache: int, tmp_path: Path) -> None:
    script = [sys.executable, "-B", "-c", textwrap.dedent(FULL_DISK), str(tmp_path), str(cache)]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("refused\n")
