"""Laws of the call log."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afnio.calls import Budget, CallLog, Cost, Reply, Session, Usage, run_sync, send
from afnio.calls.record import record_of
from afnio.errors import BudgetExceeded, CallLogError, ReplayMissError
from tests.calls.fakes import Inline, ask, send_inline

texts = st.text(st.characters(codec="utf-8"), max_size=30)
FEW = settings(max_examples=40, deadline=None)


def record(log: CallLog, *contents: str, role: str = "forward") -> list[str]:
    """Make one call for each content and return the answers."""
    transport = Inline()
    with Session(log=log).activate():
        return [send_inline(ask(content, role), transport).text for content in contents]


def replies_of(path: Path, *contents: str, mode: Any = "replay") -> list[str]:
    transport = Inline(lambda n: "not recorded")
    with CallLog(path, mode) as log, Session(log=log).activate():
        answers = [send_inline(ask(content), transport).text for content in contents]
    assert mode != "replay" or transport.calls == 0
    return answers


@FEW
@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_replay_of_a_recorded_sequence_gives_the_same_replies(tmp_path_factory: Any, contents: list[str]) -> None:
    path = tmp_path_factory.mktemp("log") / "calls.jsonl"
    with CallLog(path) as log:
        answers = record(log, *contents)
    assert replies_of(path, *contents) == answers
    assert replies_of(path, *contents, mode="cache") == answers


@FEW
@given(st.lists(texts, min_size=1, max_size=6), st.floats(0, 1))
def test_any_prefix_of_a_log_opens_and_holds_exactly_its_complete_records(
    tmp_path_factory: Any, contents: list[str], where: float
) -> None:
    path = tmp_path_factory.mktemp("log") / "calls.jsonl"
    with CallLog(path) as log:
        record(log, *contents)
    whole = path.read_bytes()
    cut = round(where * len(whole))
    path.write_bytes(whole[:cut])
    complete = whole[:cut].count(b"\n")
    with CallLog(path, "replay") as log:
        assert len(log) == complete
    assert path.read_bytes() == whole[:cut], "replay never writes"
    with CallLog(path) as log:
        assert len(log) == complete
        assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:complete])
        record(log, "one more")
    with CallLog(path, "replay") as log:
        assert len(log) == complete + 1


counts = st.integers(0, 10**9)
money = st.none() | st.decimals(0, 10**4, allow_nan=False, places=8)


@FEW
@given(st.builds(Usage, counts, counts, counts, counts, counts, counts, counts, counts, st.booleans()))
def test_usage_survives_encoding(usage: Usage) -> None:
    assert Usage.from_dict(usage.as_dict()) == usage


@FEW
@given(st.builds(Cost, money, money, money, money, texts))
def test_cost_survives_encoding(cost: Cost) -> None:
    assert Cost.from_dict(cost.as_dict()) == cost


@FEW
@given(texts, texts, texts, st.builds(Usage, counts, counts), st.builds(Cost, money), st.floats(0, 1e6))
def test_encode_then_decode_is_identity(
    tmp_path_factory: Any, content: str, text: str, node: str, usage: Usage, cost: Cost, seconds: float
) -> None:
    body = {"choices": [{"message": {"content": text}}]}
    reply = Reply(ask(content, node=node), text, body, usage, cost, attempts=3, started=1.5, seconds=seconds)
    with CallLog(tmp_path_factory.mktemp("log") / "calls.jsonl") as log:
        run_sync(log.append(record_of(reply, "gate", "job-1")))
        (read,) = log.replies()
    names = ("text", "body", "usage", "cost", "attempts", "started", "seconds")
    assert [getattr(read, name) for name in names] == [getattr(reply, name) for name in names]
    names = ("provider", "path", "model", "body", "role", "node", "key")
    assert [getattr(read.request, name) for name in names] == [getattr(reply.request, name) for name in names]


@FEW
@given(st.lists(st.sampled_from("abc"), max_size=10), st.lists(st.sampled_from("abcd"), max_size=10))
def test_rewind_of_state_is_identity(tmp_path_factory: Any, before: list[str], after: list[str]) -> None:
    path = tmp_path_factory.mktemp("log") / "calls.jsonl"
    with CallLog(path) as log:
        record(log, *before)
    with CallLog(path) as log:
        record(log, *before[: len(before) // 2])
        state = json.loads(json.dumps(log.state()))
        log.rewind(state)
        assert log.state() == state
        first = record(log, *after)
        log.rewind(state)
        assert log.state() == state
        assert record(log, *after) == first, "what was read after the checkpoint is read again"


def test_lines_outside_a_state_are_unread_again(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with CallLog(path) as log:
        record(log, "a", "a", "a")
        assert log.state() == [[1, 4]]
    with CallLog(path) as log:
        log.rewind([[1, 2], [3, 4]])
        assert record(log, "a") == ["answer 2"]
        assert log.state() == [[1, 4]]


def test_a_state_of_a_longer_log_is_refused(tmp_path: Path) -> None:
    with CallLog(tmp_path / "calls.jsonl") as log:
        record(log, "a")
        with pytest.raises(CallLogError, match="has 1 lines"):
            log.rewind([[1, 9]])


def test_replies_are_the_used_ones_by_role(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with CallLog(path) as log:
        record(log, "a", role="forward")
        record(log, "b", role="optimizer")
        assert [reply.request.role for reply in log.replies()] == ["forward", "optimizer"]
        assert [reply.text for reply in log.replies("optimizer")] == ["answer 1"]
    with CallLog(path) as log:
        assert list(log.replies()) == []


def test_joined_calls_replay(tmp_path: Path) -> None:
    path, started = tmp_path / "calls.jsonl", []

    class Slow:
        inline = False

        async def send(self, request: Any, timeout: Any) -> Any:
            started.append(request)
            await asyncio.sleep(0)
            return await Inline(lambda n: f"answer {len(started)}").send(request, timeout)

    async def wave(transport: Any) -> list[tuple[str, str]]:
        replies = await asyncio.gather(*[send(ask(), transport) for _ in range(5)])
        return [(reply.text, reply.source) for reply in replies]

    with CallLog(path) as log, Session(log=log).activate() as session:
        live = run_sync(wave(Slow()))
        assert live == [("answer 1", "live")] + [("answer 1", "joined")] * 4
        assert (session.ledger.total().calls, session.ledger.total().reused) == (1, 4)
        assert run_sync(wave(Slow()))[0] == ("answer 2", "live"), "the next wave is another call"
    with CallLog(path, "replay") as log, Session(log=log).activate():
        assert run_sync(wave(Slow())) == [("answer 1", "log")] * 5
        assert run_sync(wave(Slow())) == [("answer 2", "log")] * 5
        assert run_sync(wave(Slow())) == [("answer 2", "log")] * 5, "exhausted: the last answer again"
    assert len(started) == 2


def test_memo_answers_replay(tmp_path: Path) -> None:
    path, transport = tmp_path / "calls.jsonl", Inline()
    for mode, calls in (("cache", 2), ("cache", 2), ("replay", 2)):
        with CallLog(path, mode) as log, Session(log=log, memo={}).activate():  # type: ignore[arg-type]
            sources = []
            for role in ("forward", "forward", "optimizer", "forward"):
                reply = send_inline(ask("hi", role), transport)
                sources.append(reply.text)
        assert sources == ["answer 1", "answer 1", "answer 2", "answer 1"], "an optimizer call is never memoised"
        assert transport.calls == calls
    assert path.read_text().count('"ref":1') == 2


def test_a_request_that_was_never_recorded_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with CallLog(path) as log:
        record(log, "a")
    with CallLog(path, "replay") as log, Session(log=log).activate(), pytest.raises(ReplayMissError, match="at prompt"):
        send_inline(ask("b", "optimizer", "prompt"), Inline())


def test_live_mode_asks_although_the_log_knows(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with CallLog(path) as log:
        record(log, "a")
    assert replies_of(path, "a", mode="live") == ["not recorded"]
    assert path.read_bytes().count(b"\n") == 2


def test_only_live_calls_cost(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with CallLog(path) as log:
        record(log, "a", "b")
    with CallLog(path) as log, Session(log=log, budget=Budget(calls=1)).activate() as session:
        for content in ("a", "b", "c"):
            send_inline(ask(content), Inline())
        with pytest.raises(BudgetExceeded):
            send_inline(ask("d"), Inline())
        total = session.ledger.total()
        assert (total.calls, total.reused, total.tokens) == (1, 2, 12)


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with CallLog(path) as log:
        record(log, "a", "b", "c")
    lines = path.read_bytes().splitlines(keepends=True)
    broken = lines[0] + lines[1][:30] + b"\n" + lines[2]
    path.write_bytes(broken)
    with pytest.raises(CallLogError, match="line 2"):
        CallLog(path)
    assert path.read_bytes() == broken


@pytest.mark.parametrize("content", [b"notes of mine", b"notes of mine\n", b"{}\n", b"[1]\nx", b'{"v":1}\n'])
def test_a_file_that_is_no_log_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(CallLogError, match="line 1"):
        CallLog(path)
    assert path.read_bytes() == content
    with pytest.raises(CallLogError):
        CallLog(path)  # and it is not left locked


def test_zeros_after_a_power_cut_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with CallLog(path) as log:
        record(log, "a")
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 100)
    with CallLog(path) as log:
        assert len(log) == 1
    assert path.read_bytes() == whole


def test_a_newer_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_bytes(b'{"v":2,"key":"x","response":{}}\n')
    with pytest.raises(CallLogError, match="version 2"):
        CallLog(path)


def test_two_writers_are_refused_and_a_reader_is_not(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with CallLog(path) as log:
        record(log, "a")
        with pytest.raises(CallLogError, match="in use"):
            CallLog(path)
        with CallLog(path, "replay") as reader:
            assert len(reader) == 1
    CallLog(path).close()


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "calls.jsonl"
    with CallLog(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mode="):
        CallLog(tmp_path / "x", "fast")  # type: ignore[arg-type]
    with pytest.raises(CallLogError, match="cannot be opened"):
        CallLog(tmp_path / "x", "replay")
    with pytest.raises(CallLogError, match="cannot be opened"):
        CallLog(tmp_path)


def test_a_closed_or_read_only_log_takes_no_calls(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "x")
    log.close()
    log.close()
    with pytest.raises(CallLogError, match="closed"):
        record(log, "a")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_full_disk_is_an_error_and_the_answer_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.symlink_to("/dev/full")
    budget = Budget(calls=9)
    with CallLog(path) as log, Session(log=log, budget=budget).activate() as session:
        with pytest.raises(CallLogError, match="could not be recorded"):
            send_inline(ask(), Inline())
        assert session.ledger.total().calls == 1, "it was paid for, and is counted"
        assert budget.spent["calls"] == 1


def test_a_quota_met_in_the_middle_of_a_line_leaves_no_trace(tmp_path: Path) -> None:
    """A child whose files may grow to 2,000 bytes: the line that does not fit is cut off again.

    It must write no bytecode (-B): that would be cut off too, and stay.
    """
    path = tmp_path / "calls.jsonl"
    script = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
from afnio.calls import CallLog
from afnio.errors import CallLogError
from tests.calls.test_log import record
log = CallLog({str(path)!r})
for n in range(50):
    try:
        record(log, str(n))
    except CallLogError as error:
        print(n, len(log)); break
"""
    done, kept = map(int, subprocess.check_output([sys.executable, "-B", "-c", script], text=True).split())
    assert done == kept > 0
    with CallLog(path) as log:
        assert len(log) == kept
        record(log, "room again")


KILLED = """
import asyncio, sys
from afnio.calls import CallLog, Session, run_sync, send
from tests.calls.fakes import Inline, ask
class Live(Inline):
    inline = False
transport = Live()
async def worker(first, step):
    for n in range(first, 10**6, step):
        print(n, (await send(ask(str(n)), transport)).text, flush=True)
async def main(workers):
    await asyncio.gather(*[worker(n, workers) for n in range(workers)])
with Session(log=CallLog(sys.argv[1])).activate():
    run_sync(main(int(sys.argv[2])))
"""


@pytest.mark.parametrize("workers", [1, 16])
def test_kill_at_any_point_loses_no_recorded_call(tmp_path: Path, workers: int) -> None:
    path = tmp_path / "calls.jsonl"
    command = [sys.executable, "-c", KILLED, str(path), str(workers)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    printed = [child.stdout.readline() for _ in range(200)]
    child.send_signal(signal.SIGKILL)
    printed += child.stdout.readlines()
    child.wait()
    child.stdout.close()
    used = dict(line.strip().split(" ", 1) for line in printed if line.endswith("\n"))
    assert len(used) >= 200
    assert replies_of(path, *used) == list(used.values())


def test_no_key_and_no_header_is_stored(tmp_path: Path) -> None:
    request = ask()
    request.headers = {"Authorization": "Bearer sk-secret"}
    request.query = {"sig": "sk-secret"}
    with CallLog(tmp_path / "x") as log, Session(log=log).activate():
        send_inline(request, Inline())
    assert "secret" not in (tmp_path / "x").read_text()
    assert "secret" not in repr(request)


def test_a_log_closed_under_a_waiting_call_is_an_error_not_a_hang(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "x")

    async def main() -> None:
        reply = await send(ask(), Inline())
        first = asyncio.create_task(log.append(record_of(reply, "", "")))
        await first
        second = asyncio.create_task(log.append(record_of(reply, "", "")))
        await asyncio.sleep(0)
        log._sync.close()
        with pytest.raises(CallLogError, match="the log was closed"):
            await second

    run_sync(main())
    log.close()


def test_a_child_process_does_not_write_its_parents_log(tmp_path: Path) -> None:
    with CallLog(tmp_path / "x") as log:
        log._pid += 1  # as a fork would see it
        with pytest.raises(CallLogError, match="a log of its own"):
            record(log, "a")
