"""A journal is kept exactly once and in order, however often its keeper fails, forgets or refuses."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.errors import ServerError, ServerUnreachableError
from tellurio.client import sender as sender_module
from tellurio.client import shipping
from tellurio.client.http import Client
from tellurio.client.journal import Journal
from tellurio.client.sender import Sender, Wake
from tellurio.client.shipping import NoSuchRun, Refused, Tail, Unordered, catch_up, ship


class Kept:
    """Keeps lines as a server does; fails as it is told to."""

    def __init__(self, faults: dict[int, str] | None = None, refused: frozenset[int] = frozenset()) -> None:
        self.lines: list[bytes] = []
        self.blobs: dict[str, bytes] = {}
        self.asked = 0
        self._faults, self._refused = faults or {}, refused

    def ingest(self, run_id: str, client_id: str, first: int, lines: list[bytes]) -> int:
        self.asked += 1
        fault = self._faults.get(self.asked)
        if fault == "away":
            raise ServerUnreachableError("away")
        if fault == "put back":
            del self.lines[len(self.lines) // 2 :]
        numbers = [orjson.loads(line)["n"] for line in lines]
        assert numbers == list(range(first, first + len(lines)))
        if first > len(self.lines) + 1:
            raise Unordered(len(self.lines))
        if len(lines) > 40:
            raise shipping.TooLarge
        for line in lines:
            if orjson.loads(line)["n"] in self._refused and b'"refused"' not in line:
                raise Refused(orjson.loads(line)["n"], "it is no good")
        self.lines += lines[len(self.lines) + 1 - first :]
        if fault == "answer lost":
            raise ServerUnreachableError("answer lost")
        return len(self.lines)

    def put_blob(self, run_id: str, sha256: str, path: Path) -> None:
        self.blobs.setdefault(sha256, path.read_bytes())

    def steps(self) -> list[int | None]:
        return [orjson.loads(line).get("step") for line in self.lines]


def send(tail: Tail, keeper: Kept) -> None:
    for _ in range(1000):
        try:
            if not ship(tail, "run", keeper):
                return
        except ServerUnreachableError:
            continue
    raise AssertionError("it never ends")


FAULTS = st.dictionaries(st.integers(1, 40), st.sampled_from(["away", "answer lost", "put back"]))


@given(FAULTS, st.frozensets(st.integers(1, 100), max_size=5), st.lists(st.integers(0, 30), min_size=1, max_size=6))
def test_whatever_the_server_does_every_record_is_kept_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, faults: dict[int, str], refused: frozenset[int], bursts: list[int]
) -> None:
    journal = Journal(tmp_path_factory.mktemp("law") / "run", "me")
    tail, keeper, step = Tail(journal.path, journal), Kept(faults, refused), 0
    for burst in bursts:
        for _ in range(burst):
            step += 1
            journal.metric("x", random.random(), step)
        send(tail, keeper)
    if keeper.asked in faults and faults[keeper.asked] == "put back":
        return
    journal.metric("x", 1.0, step + 1)  # what was put back is noticed now
    send(tail, keeper)
    expected = [None if number in refused else number for number in range(1, step + 2)]
    assert keeper.steps() == expected
    assert not tail.pending
    assert not ship(tail, "run", keeper)
    tail.close()
    journal.close()


def test_what_a_full_disk_did_not_take_is_sent_from_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, keeper = Journal(tmp_path / "run", "me"), Kept()
    tail = Tail(journal.path, journal)
    journal.metric("x", 0.0, 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        for step in range(2, 30):
            journal.metric("x", 0.0, step)
    send(tail, keeper)
    assert keeper.steps() == list(range(1, 30))
    assert not journal.in_memory()
    journal.metric("x", 0.0, 30)  # there is space again
    send(tail, keeper)
    assert keeper.steps() == list(range(1, 31))
    again = Tail(journal.path)  # another process, which has the file only
    catch_up(again, "run", keeper)
    assert again.acknowledged == 30
    assert not ship(again, "run", keeper)
    forgetful = Kept()
    send(Tail(journal.path), forgetful)
    assert forgetful.steps() == [1, *[None] * 28, 30]
    assert orjson.loads(forgetful.lines[1])["kind"] == "lost"


@pytest.mark.parametrize("there", [0, 1, 50, 99, 100])
def test_another_process_goes_on_where_the_first_was_killed(tmp_path: Path, there: int) -> None:
    journal = Journal(tmp_path / "run", "me")
    for step in range(1, 101):
        journal.metric("x", 0.0, step)
    keeper = Kept()
    keeper.lines = journal.path.read_bytes().splitlines()[:there]
    with journal.path.open("ab") as file:
        file.write(b'{"n":101,"t":1.0,"k":"m","na')  # cut by the kill
    tail = Tail(journal.path)
    catch_up(tail, "run", keeper)
    assert tail.acknowledged in (there, 100)
    send(tail, keeper)
    assert keeper.steps() == list(range(1, 101))
    assert not tail.pending


def test_a_record_that_is_refused_is_put_aside_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal, keeper = Journal(tmp_path / "run", "me"), Kept(refused=frozenset({2}))
    for step in range(1, 4):
        journal.metric("x", 0.0, step)
    send(Tail(journal.path, journal), keeper)
    (aside,) = (tmp_path / "refused").iterdir()
    assert orjson.loads(aside.read_bytes())["step"] == 2
    assert orjson.loads(keeper.lines[1])["data"] == {"reason": "it is no good"}
    assert "it is no good" in caplog.text
    assert str(aside) in caplog.text


def test_lines_longer_than_a_batch_are_sent(tmp_path: Path) -> None:
    journal, keeper = Journal(tmp_path / "run", "me"), Kept()
    for _ in range(3):
        journal.append("v", {"v": "x" * 3_000_000})
        journal.metric("x", 0.0, 1)
    tail = Tail(journal.path)
    assert tail.last() == journal.path.read_bytes().splitlines()[-1]
    send(tail, keeper)
    assert keeper.lines == journal.path.read_bytes().splitlines()


def test_zeros_that_a_power_cut_left_are_passed_over(tmp_path: Path) -> None:
    journal, keeper = Journal(tmp_path / "run", "me"), Kept()
    journal.metric("x", 0.0, 1)
    journal.close()
    with journal.path.open("ab") as file:
        file.write(b"\0" * 500 + b"\n" + b"\0" * 100)
    tail = Tail(journal.path)
    catch_up(tail, "run", keeper)
    send(tail, keeper)
    assert keeper.steps() == [1]
    assert not tail.pending


def test_a_deleted_run_is_told_apart_from_a_fault(tmp_path: Path) -> None:
    assert not issubclass(NoSuchRun, LookupError)  # a KeyError of ours must not end the sending


def test_a_server_that_refuses_for_hours_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[int] = []
    clock = itertools.count(1)

    class Full:
        """Its disk is full, and each of its refusals has another number."""

        def post(self, path: str, **_: Any) -> Any:
            number = len(asked)
            asked.append(number)
            raise ServerError(f"the disk is full. [request {number}]", status_code=503, request_id=str(number))

    def client() -> Client:
        return cast(Client, Full())

    monkeypatch.setattr(sender_module, "BACK_OFF", (1.0, 1.0))  # a server that is back sooner is worth no line
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    journal = Journal(tmp_path / "run", "me")
    journal.metric("x", 0.0, 1)
    sender = Sender(tmp_path / "run", "run", "name", client(), client, 5.0, lambda: None)
    sender.start()
    sender.add(journal)
    while len(asked) < 10:
        sender.wake()
        time.sleep(0.01)
    sender.leave()
    sender.gone = True
    sender.stop()
    (warning,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert f"What is logged waits in {tmp_path / 'run'}; it is tried again." in warning
    journal.close()


def sending(folder: Path) -> Sender:
    """A sender whose server is away."""

    class Away:
        def post(self, path: str, **_: Any) -> Any:
            raise ServerUnreachableError("away")

    client = cast(Client, Away())
    return Sender(folder, "run", "name", client, lambda: client, 5.0, lambda: None)


def test_a_journal_of_files_that_is_found_before_it_is_told_of_has_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two would upload it side by side, and lose their place in it."""
    monkeypatch.setattr(sender_module, "SCAN", 0.01)
    sender = sending(tmp_path / "run")
    sender.start()
    journal = Journal(tmp_path / "run", f"me{shipping.FILES}")
    while journal.path not in sender._tails:
        time.sleep(0.01)
    sender.add(journal)
    while sender._tails[journal.path].journal is not journal:
        time.sleep(0.01)
    assert [thread.name for thread in sender._threads] == ["tellurio-sender", "tellurio-uploader"]
    sender.stop()
    journal.close()


def test_whether_something_waits_can_be_looked_at_by_two_threads(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run", "me")
    for step in range(1, 4):
        journal.metric("x", 0.0, step)
    tail = Tail(journal.path)
    tail.acknowledged = 3  # the other thread is about to move on
    assert not tail.pending
    assert tail.offset == 0
    tail.acknowledge(3)
    assert tail.offset == journal.end
    tail.close()
    journal.close()


def test_a_journal_that_is_read_at_the_end_is_not_let_go_of_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`finish` says what was logged, while the other thread tidies up after a child process."""
    journal = Journal(tmp_path / "run", "child")
    journal.metric("x", 0.0, 1)
    journal.close()
    sender = sending(tmp_path / "run")
    sender._scan()
    (tail,) = sender._tails.values()
    tail.offset = sender._said[tail.path] = tail.end
    say = sender._say

    def meanwhile(tail: Tail) -> None:
        scanning = threading.Thread(target=sender._scan)
        scanning.start()
        scanning.join()
        say(tail)

    monkeypatch.setattr(sender, "_say", meanwhile)
    sender.say()
    sender._scan()
    assert not sender._tails
    assert not tail.path.exists()


def test_what_a_child_goes_on_to_log_is_no_progress_of_a_drain(tmp_path: Path) -> None:
    """The server refuses this process's records, and takes the child's."""

    class Half:
        def post(self, path: str, *, params: Any = None, content: bytes = b"", **_: Any) -> Any:
            if params is not None and params["client"] == "me":
                raise ServerUnreachableError("away")
            return {"acknowledged": params["first"] + content.count(b"\n") - 1} if params is not None else None

    client = cast(Client, Half())
    sender = Sender(tmp_path / "run", "run", "name", client, lambda: client, 5.0, lambda: None)
    mine, child, over = Journal(tmp_path / "run", "me"), Journal(tmp_path / "run", "child"), threading.Event()
    mine.metric("x", 0.0, 1)

    def work() -> None:
        while not over.wait(0.001):
            child.metric("x", 0.0, 1)

    logging = threading.Thread(target=work)
    logging.start()
    sender.add(mine)
    sender.start()
    assert not sender.drain(0.5)  # longer than between two tries
    over.set()
    logging.join()
    sender.stop()
    child.close()


def test_waking_counts_once() -> None:
    wake = Wake()
    assert not wake.wait(0)
    wake()
    wake()
    assert wake.wait(0)
    assert not wake.wait(0)
