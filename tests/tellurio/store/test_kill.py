"""kill -9 of a writing process, at its first write and at its 200th: what it acknowledged is stored, and once."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tellurio.store import Store
from tellurio.store import tables as t
from tests.tellurio.store.killing import THREADS

REPO = Path(__file__).parents[3]


def numbers(store: Store) -> Counter[str]:
    return Counter(store.read(lambda c: list(c.scalars(select(t.events.c.data).where(t.events.c.kind == "kill")))))


@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_no_acknowledged_write_is_lost_or_doubled(first: int, store: Store, run: dict[str, Any]) -> None:
    store.close()
    kills = range(first, 201, 4)
    # One process forks them all, each on the database as the one before it left it.
    script = [sys.executable, "-B", "-m", "tests.tellurio.store.killing", str(store.folder), str(run["key"])]
    done = subprocess.run([*script, *map(str, kills)], cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(ast.literal_eval(done.stdout)) == {signal.SIGKILL}
    acknowledged: set[str] = set()
    for n in kills:
        acknowledged.update((store.folder / f"acknowledged.{n}").read_text().split())
    with Store.open(store.folder) as again:
        stored = numbers(again)
        assert again.read(lambda c: c.exec_driver_sql("PRAGMA integrity_check").scalar()) == "ok"
    assert max(stored.values()) == 1
    assert acknowledged <= set(stored)
    # What is stored beyond it was on its way: at most one write a thread.
    beyond = Counter(number.split(".")[0] for number in set(stored) - acknowledged)
    assert all(count <= THREADS for count in beyond.values())
    assert len(acknowledged) > len(kills)
