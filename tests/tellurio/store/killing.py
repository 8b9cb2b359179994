"""Kills writers, for test_kill: ``python -m tests.tellurio.store.killing FOLDER RUN_KEY N ...``.

For each N a process writes until its N-th write, and dies there.
Each number is acknowledged in a file once its future is resolved.  Where within the write it dies goes by N: in the
work, before the commit, or after it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from sqlalchemy import Connection, event, insert

from tellurio.store import Store
from tellurio.store import tables as t

THREADS = 3
EACH = 250


def write_until_killed(folder: Path, run_key: int, n: int, acknowledged: int) -> None:
    """Write numbered events from several threads; die at the n-th write."""
    store = Store.open(folder)
    place = ("in the work", "before the commit", "after the commit")[n % 3]
    done = {"in the work": 0, "before the commit": 0, "after the commit": 0}

    def reached(here: str) -> None:
        done[here] += 1
        if here == place and done[here] == n:
            os.kill(os.getpid(), signal.SIGKILL)

    def put(c: Connection, number: str) -> str:
        row = {"run_key": run_key, "kind": "kill", "time": 0.0, "data": number}
        c.execute(insert(t.events), row)
        reached("in the work")
        return number

    def write(thread: int) -> None:
        for i in range(EACH):
            future = store.submit(put, f"{n}.{thread}.{i}", durable=i % 5 == 0)
            future.add_done_callback(lambda _: reached("after the commit"))
            os.write(acknowledged, f"{future.result()}\n".encode())

    event.listen(store._writer._engine, "commit", lambda _: reached("before the commit"))
    threads = [threading.Thread(target=write, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def forked(folder: Path, run_key: int, n: int) -> int:
    """Let a child write until it is killed; returns its exit status.  What it acknowledged is in a file."""
    child = os.fork()
    if not child:
        try:
            acknowledged = os.open(folder / f"acknowledged.{n}", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            write_until_killed(folder, run_key, n, acknowledged)
        finally:
            os._exit(1)  # it should have been killed
    return os.waitpid(child, 0)[1]


if __name__ == "__main__":
    statuses = [forked(Path(sys.argv[1]), int(sys.argv[2]), int(n)) for n in sys.argv[3:]]
    print(statuses)
