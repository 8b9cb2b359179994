"""The recorder's own JSON, its ledger, its book and its journal, each by itself."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ao.cli.settling import ends
from ao.home import server_process
from ao.recording import journal as journal_module
from ao.recording.journal import Journal
from ao.recording.ledger import Ledger
from ao.recording.plain_json import dumps
from ao.recording.to_json import to_json
from ao.recording.writer import Writer
from ao.replay.book import Book
from tellurio.client import feeding
from tellurio.client.feeding import Feed
from tellurio.client.folders import remove_if_done
from tellurio.client.journal import lock_file
from tests.ao.lab import no_server

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_json_without_the_json_module_says_the_same(value: Any) -> None:
    assert json.loads(dumps(value)) == value


def test_what_is_no_json_becomes_a_text_and_half_characters_are_replaced() -> None:
    assert json.loads(dumps({1: Path("x"), "a": float("inf"), "b": "\ud800\udc80"})) == {
        "1": "x",
        "a": "inf",
        "b": "??",
    }


@settings(max_examples=40)
@given(st.dictionaries(st.text(), VALUES))
def test_records_are_json(fields: dict[str, Any]) -> None:
    said = json.loads(to_json(fields))
    if all(-(2**63) <= number < 2**64 for number in _numbers(fields)):
        assert said == fields


def _numbers(value: Any) -> list[int]:
    if isinstance(value, dict):
        return [number for each in value.values() for number in _numbers(each)]
    if isinstance(value, list):
        return [number for each in value for number in _numbers(each)]
    return [value] if isinstance(value, int) else []


def test_records_of_odd_values() -> None:
    loop: list[Any] = []
    loop.append(loop)
    said = json.loads(to_json({"half": "\ud800", "loop": loop, "set": {1}, "huge": 2**70, "nan": float("nan")}))
    assert (said["set"], said["huge"], said["nan"]) == ([1], str(2**70), None)
    assert b"sk-abcdefghijklmnop" not in to_json({"key": "sk-abcdefghijklmnop0123"})


def claim_all(path: str, found: Any) -> None:
    ledger = Ledger(path)
    found.put([number for number in range(200) if ledger.claim(number)])
    ledger.count("new")
    ledger.close()


def test_processes_claim_each_recorded_call_once(tmp_path: Path) -> None:
    path = str(tmp_path / "spool" / "ledger")
    context = multiprocessing.get_context("spawn")
    found = context.SimpleQueue()
    processes = [context.Process(target=claim_all, args=(path, found)) for _ in range(3)]
    for process in processes:
        process.start()
    claimed = [number for _ in processes for number in found.get()]
    for process in processes:
        process.join()
    assert sorted(claimed) == list(range(200))
    ledger = Ledger(path)
    assert ledger.totals() == {"live": 0, "replayed": 0, "edited": 0, "new": 3}
    ledger.close()


def line(call_id: str, lineage: str = "", key: str = "k", site: str = "s:1", occurrence: int = 0) -> bytes:
    told = {"call_id": call_id, "lineage": lineage, "key": key, "site": site, "occurrence": occurrence}
    return json.dumps(told).encode()


TAKES: list[tuple[list[bytes], list[tuple[str, str, str, int]], list[str | None]]] = [
    # the same turn at the same line, in any order
    ([line("a"), line("b", occurrence=1)], [("", "k", "s:1", 1), ("", "k", "s:1", 0)], ["b", "a"]),
    # each once
    ([line("a")], [("", "k", "s:1", 0), ("", "k", "s:1", 1)], ["a", None]),
    # another line
    ([line("a"), line("b", site="s:2")], [("", "k", "s:2", 0), ("", "k", "s:9", 0)], ["b", "a"]),
    # another request, another part
    ([line("a")], [("", "other", "s:1", 0), ("/part", "k", "s:1", 0)], [None, None]),
    # parts of one name that began in another order
    (
        [line("a", "/p", "one"), line("b", "/p#2", "two"), line("c", "/p#2", "same"), line("d", "/p", "same")],
        [("/p", "two", "s:1", 0), ("/p#2", "one", "s:1", 0), ("/p", "same", "s:1", 0), ("/p#2", "same", "s:1", 0)],
        ["b", "a", "c", "d"],
    ),
    # a task that another process has got this time
    ([line("a", "~1", "one"), line("b", "~2", "two")], [("~2", "one", "s:1", 0), ("~1", "two", "s:1", 0)], ["a", "b"]),
]


@pytest.mark.parametrize(("lines", "asked", "given"), TAKES)
def test_who_gets_which_answer(lines: list[bytes], asked: list[Any], given: list[str | None]) -> None:
    book = Book(lines)
    taken = [book.take(*each) for each in asked]
    assert [None if entry is None else entry.call_id for entry in taken] == given


def test_a_journal_mends_what_a_full_disk_tore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLURIO_HOME", str(tmp_path))
    journal = Journal("run", {"id": "run"}, first=True)
    full, write = [False], os.write

    def writing(fd: int, content: Any) -> int:
        if full[0]:
            write(fd, bytes(content)[:5])
            raise OSError(28, "No space left on device")
        return write(fd, content)

    monkeypatch.setattr(os, "write", writing)
    for number in range(6):
        full[0] = number in (2, 3)
        journal.append("e", b'{"number":%d}' % number)
    journal.close()
    (path,) = tmp_path.glob("journals/run/0-*.jsonl")
    records = [json.loads(each) for each in path.read_bytes().splitlines()]
    assert [record["n"] for record in records] == list(range(1, 8))
    assert [record["number"] for record in records[1:]] == list(range(6))
    assert journal.lost == 0


@pytest.mark.parametrize("when", ["the folder is there", "the file is there"])
def test_a_journal_is_made_again_if_a_server_tidies_away_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """A child that outlives its script may begin just when the server is done with the folder."""
    monkeypatch.setenv("TELLURIO_HOME", str(tmp_path))
    module, name = (os, "makedirs") if when == "the folder is there" else (journal_module, "_lock")
    folder, act = tmp_path / "journals" / "run", getattr(module, name)
    gone: list[bool] = []
    folder.parent.mkdir()

    def acting(*arguments: Any, **options: Any) -> None:
        if name == "makedirs":
            act(*arguments, **options)
        if len(gone) < 3:
            gone.append(remove_if_done(folder, {}))
        if name == "_lock":
            act(*arguments, **options)

    monkeypatch.setattr(module, name, acting)
    journal = Journal("run", {"id": "run"}, first=False)
    journal.append("e", b'{"number":1}')
    journal.close()
    assert gone == [True] * 3
    (path,) = folder.glob("1-*.jsonl")
    assert [json.loads(each)["n"] for each in path.read_bytes().splitlines()] == [1, 2]
    assert (folder / "meta.json").exists()


def test_a_journal_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLURIO_HOME", str(tmp_path))
    (tmp_path / "journals").mkdir()
    (tmp_path / "journals" / "run").write_text("")
    with pytest.raises(FileExistsError):
        Journal("run", {"id": "run"}, first=True)


def test_a_server_that_looks_at_a_journal_is_not_taken_for_its_recorder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else ``ao-tool`` would not wait for what has just ended, if it looked at the same moment."""
    monkeypatch.setenv("TELLURIO_HOME", str(tmp_path))
    journal = Journal("run", {"id": "run"}, first=True)
    folder = tmp_path / "journals" / "run"
    feed = Feed(folder, {"run_id": "run"}, cast("Any", None))
    seen: list[bool] = []

    def looking(fd: int, **options: bool) -> bool:
        locked = lock_file(fd, **options)
        seen.append(ends(str(folder)))
        return locked

    monkeypatch.setattr(feeding, "lock_file", looking)
    assert feed.alive()
    journal.close()
    assert not feed.alive()
    assert seen == [False, True]


def test_what_is_put_while_a_writer_is_closed_goes_into_another_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread may end a call just when the block ends that it is recorded in."""
    monkeypatch.setenv("TELLURIO_HOME", str(tmp_path))
    journal, said = Journal("run", {"id": "run"}, first=True), list[str]()
    writer = Writer(lambda: Journal("run", {"id": "run"}, first=False), said.append, journal, inline=False)
    close = journal.close

    def closing() -> None:
        thread = threading.Thread(target=writer.put, args=("e", lambda: {"number": 1}))
        thread.start()
        thread.join()
        close()

    monkeypatch.setattr(journal, "close", closing)
    writer.put("e", lambda: {"number": 0})
    writer.close(1.0)
    writer.put("e", lambda: {"number": 2})
    writer.close(1.0)
    first, second = sorted(tmp_path.glob("journals/run/*.jsonl"))
    assert [json.loads(each).get("number") for each in first.read_bytes().splitlines()] == [None, 0]
    assert [json.loads(each).get("number") for each in second.read_bytes().splitlines()] == [None, 1, 2]
    assert (said, writer.failed) == ([], 0)


@pytest.mark.parametrize(
    ("content", "pid"), [('{"pid": 57, "url": "x"}', 57), ('{"url":"x","pid":8}', 8), ("{}", 0), ("x", 0)]
)
def test_the_servers_process_is_read_without_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, pid: int
) -> None:
    monkeypatch.setenv("TELLURIO_HOME", str(tmp_path))
    assert server_process() == 0
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "server.json").write_text(content)
    assert server_process() == pid


def test_a_script_that_calls_nobody_imports_nothing_heavy(tmp_path: Path) -> None:
    """What makes the start fast, told by counting: modules that plain Python does not load."""
    import subprocess
    import sys

    script = tmp_path / "script.py"
    script.write_text("import sys; print(*sorted(sys.modules))")
    run = "import sys; sys.argv = ['ao-record', 'script.py']; from ao.runner.record import main; main()"
    env = {**os.environ, "TELLURIO_HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path(__file__).parents[2])}
    (tmp_path / "home" / "server").mkdir(parents=True)
    (tmp_path / "home" / "server" / "server.json").write_text(json.dumps({"pid": no_server()}))
    command = [sys.executable, "-S", "-c", run]
    out = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True).stdout
    heavy = {"typing", "re", "json", "dataclasses", "threading", "pathlib", "inspect", "socket", "orjson", "afnio"}
    assert heavy & set(out.split()) == set()
