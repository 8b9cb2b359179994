"""What is logged is on disk when the call returns: whole lines, numbered without a gap, whatever comes between."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellurio.client import folders
from tellurio.client import journal as journals
from tellurio.client.journal import Journal, lock_file, number_of, said_of
from tellurio.schemas.records import number_out
from tests.tellurio.client.lab import script


def lines_of(journal: Journal) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.path.read_bytes().splitlines()]


def test_a_record_is_a_line_of_its_own(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run", "me")
    journal.metric("loss", 0.5, 3)
    journal.append("v", {"name": "text", "type": "text", "v": 'a "quoted"\nline', "step": None})
    journal.append("s", {"status": "COMPLETED"})
    journal.append("e", {})
    first, text, end, empty = lines_of(journal)
    assert first.pop("t") > 1e9
    assert first == {"n": 1, "k": "m", "name": "loss", "v": 0.5, "step": 3}
    assert (text["n"], text["v"]) == (2, 'a "quoted"\nline')
    assert (end["n"], end["status"], empty["n"], empty["k"]) == (3, "COMPLETED", 4, "e")
    assert journal.end == journal.path.stat().st_size
    assert journal.path.stat().st_mode & 0o077 == journal.folder.stat().st_mode & 0o077 == 0


def test_each_line_is_one_write_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, write = Journal(tmp_path / "run", "me"), os.write
    writes: list[bytes] = []

    def noted(fd: int, line: bytes) -> int:
        writes.append(bytes(line))
        return write(fd, line)

    monkeypatch.setattr(os, "write", noted)
    for step in range(10):
        journal.metric("loss", 0.5, step)
    journal.append("v", {"name": "x", "type": "text", "v": "long " * 100_000, "step": None})
    assert b"".join(writes) == journal.path.read_bytes()
    assert len(writes) == 11


@given(st.text(), st.one_of(st.none(), st.integers(-(2**53) + 1, 2**53 - 1)), st.floats())
def test_any_name_and_number_comes_back(name: str, step: int | None, value: float) -> None:
    line = b'{"n":1,"t":1.0,"k":"m",' + json.dumps({"name": name, "v": number_out(value), "step": step}).encode()[1:]
    said = said_of(line)
    assert said is not None
    assert said[0] == name
    assert float(said[1]) == value or value != value


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.characters() | st.text(), st.lists))
def test_whatever_is_logged_becomes_json(value: Any) -> None:
    everything: dict[Any, Any] = {"v": value, "half": "\ud83d", 7: 10**30}
    assert isinstance(json.loads(journals.to_json(everything)), dict)


def test_what_looks_like_a_key_is_not_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run", "me")
    for kind in ("v", "c", "e"):
        journal.append(kind, {"record": "my key is sk-abcdefghijklmnopqrstuvwxyz"})
    assert b"sk-" not in journal.path.read_bytes()
    assert journal.path.read_bytes().count(b"[redacted]") == 3


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run", "me")

    def work() -> None:
        for step in range(500):
            journal.metric("x", 1.0, step)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line["n"] for line in lines_of(journal)] == list(range(1, 4001))


def test_a_journal_is_locked_while_its_process_lives(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run", "me")
    other = os.open(journal.path, os.O_RDONLY)
    assert not lock_file(other)
    journal.close()
    assert lock_file(other)
    os.close(other)


@pytest.mark.parametrize("written", [0.0, 0.3, 1.0])
def test_ctrl_c_in_the_middle_of_a_write_leaves_no_gap_and_no_double(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: float
) -> None:
    journal, write = Journal(tmp_path / "run", "me"), os.write
    journal.metric("x", 1.0, 1)

    def interrupted(fd: int, line: bytes) -> int:
        write(fd, line[: int(len(line) * written)])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            journal.metric("x", 2.0, 2)
    journal.metric("x", 3.0, 3)
    journal.append("s", {"status": "CRASHED"})
    lines = lines_of(journal)
    assert [line["n"] for line in lines] == list(range(1, len(lines) + 1))
    assert [line.get("step") for line in lines] == [1, *([2] if written == 1 else []), 3, None]
    assert journal.end == journal.path.stat().st_size


@pytest.mark.parametrize("limit", [900, 1000, 1010, 1024])
def test_a_full_disk_keeps_lines_in_memory_until_there_is_space(tmp_path: Path, limit: int) -> None:
    code = """
    import json, logging, resource
    from pathlib import Path
    from tellurio.client import journal as journals
    logging.basicConfig()
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    journal = journals.Journal(Path("run"), "me")
    resource.setrlimit(resource.RLIMIT_FSIZE, (AT_MOST, most))
    for step in range(40):
        journal.metric("x", 0.5, step)
    assert journal.path.read_bytes().endswith(b"\\n")
    assert len(journal.in_memory()) + len(journal.path.read_bytes().splitlines()) == 40
    journal.forget(journals.number_of(journal.in_memory()[1]))  # two of them were sent
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    journals.RETRY = journal._retry_at = 0
    journal.metric("x", 0.5, 40)
    numbers = [json.loads(line)["n"] for line in journal.path.read_bytes().splitlines()]
    missing = set(range(1, 42)) - set(numbers)
    assert len(missing) == 2 and max(missing) - min(missing) == 1 and numbers == sorted(numbers), numbers
    assert not journal.in_memory() and journal.end == journal.path.stat().st_size
    """
    done = script(tmp_path / "home", code.replace("AT_MOST", str(limit)), tmp_path, "-B")
    assert done.stderr.count("cannot be written (") == 1
    assert "Training goes on" in done.stderr


def test_what_no_memory_is_left_for_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "run", "me")
    monkeypatch.setattr(journals, "MEMORY", 5)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        for step in range(8):
            journal.metric("x", 0.5, step)
    assert (len(journal.in_memory()), journal.lost) == (5, 3)
    journal._retry_at = 0
    journal.metric("x", 0.5, 8)
    assert [line["step"] for line in lines_of(journal)] == [0, 1, 2, 3, 4, 8]
    assert [line["n"] for line in lines_of(journal)] == [1, 2, 3, 4, 5, 6]


def test_every_line_that_was_written_before_a_kill_is_there(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tellurio.client.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]), 'me')\n"
        "for step in range(10**9):\n    journal.metric('x', 0.5, step)\n    print(step, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [int(process.stdout.readline()) for _ in range(2000)][-1]
    process.send_signal(signal.SIGKILL)
    said = max([said, *(int(line) for line in process.communicate()[0].split("\n")[:-1])])
    lines = (tmp_path / "run" / "me.jsonl").read_bytes().splitlines(keepends=True)
    assert len([line for line in lines if line.endswith(b"\n")]) >= said + 1
    assert [number_of(line) for line in lines[: said + 1]] == list(range(1, said + 2))


def test_who_tidies_up_never_takes_the_file_of_a_process_that_begins(tmp_path: Path) -> None:
    """An empty journal is open, and not locked yet, for a moment."""
    over = threading.Event()

    def tidy() -> None:
        while not over.is_set():
            folders.remove_if_done(tmp_path / "run", {})

    tidying = threading.Thread(target=tidy)
    tidying.start()
    try:
        for number in range(300):
            journal = folders.open_journal(tmp_path / "run", f"client{number}", {"run_id": "x"})
            journal.metric("x", 1.0, number)
            assert len(lines_of(journal)) == 1
            journal.close()
            journal.path.unlink()
    finally:
        over.set()
        tidying.join()


def test_a_folder_goes_though_somebody_looks_at_it_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks whether it is held makes its lock anew."""
    rmdir = Path.rmdir
    looked: list[bool] = []

    def seen(folder: Path) -> None:
        if not looked:
            with folders.held(folder) as free:
                looked.append(free)
        rmdir(folder)

    monkeypatch.setattr(Path, "rmdir", seen)
    folders.write_meta(tmp_path / "run", {"run_id": "x"})
    assert folders.remove_if_done(tmp_path / "run", {})
    assert looked == [True]
    assert not (tmp_path / "run").exists()


def test_what_is_logged_after_closing_goes_into_no_other_file(tmp_path: Path) -> None:
    with (tmp_path / "other").open("wb") as other:
        taken = -1
        for number in range(100):  # another thread of this process may take the number first
            journal = Journal(tmp_path / "run", f"me{number}")
            fd = journal.fd
            journal.close()
            taken = fcntl.fcntl(other, fcntl.F_DUPFD_CLOEXEC, fd)
            if taken == fd:
                break
            os.close(taken)
        assert taken == fd
        journal.metric("x", 1.0, 1)
        os.close(taken)
    assert (tmp_path / "other").read_bytes() == b""
    assert len(journal.in_memory()) == 1
