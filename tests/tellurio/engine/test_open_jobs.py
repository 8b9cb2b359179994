"""What a server recorded for a job whose script is gone is fetched into the script's call log, once."""

from __future__ import annotations

import json
import logging
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from afnio.calls import CallLog, Session
from afnio.models.lm_server import LMServer
from tellurio.client.http import Client
from tellurio.client.open_jobs import close_job, fetch_open_jobs, open_job
from tests.autodiff.lab import Served
from tests.tellurio.client.odd import Answer, Asked, serving
from tests.tellurio.engine.place import Place, a_loss
from tests.tellurio.engine.test_leases import state, vanish
from tests.tellurio.running import ServerProcess


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that waits 0.3 s for a client that is gone."""
    running = ServerProcess(tmp_path_factory.mktemp("impatient") / "home", module="tests.tellurio.engine.impatient")
    yield running
    running.stop()


@pytest.fixture
def moody(impatient: ServerProcess, world: tuple[LMServer, Served], monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("ALLOW_API_KEY_SHARING", "true")
    return Place(impatient, *world)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[CallLog]:
    with CallLog(tmp_path / "calls.jsonl") as log:
        yield log


def notes(log: CallLog) -> list[Path]:
    return sorted(log.path.parent.glob("*.open"))


def lines(log: CallLog) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.path.read_bytes().splitlines()]


def test_a_job_that_ends_leaves_no_note(place: Place, log: CallLog) -> None:
    with place.lab(session=Session(log=log)) as lab:
        _, loss = a_loss(lab)
        lab.backward(loss)
        assert notes(log) == []
        assert any(line["role"] == "backward" for line in lines(log))
        assert fetch_open_jobs(log, place.client()) == 0


def test_a_job_that_went_on_alone(moody: Place, sent: dict[str, Any], log: CallLog) -> None:
    job_id = uuid.uuid4().hex
    note = open_job(log, moody.client(), moody.run_id, job_id)
    vanish(moody, sent["step"], job_id)
    added = fetch_open_jobs(log, moody.client())  # it is waited for
    assert added == len(lines(log)) > 0
    assert {(line["job"], line["role"]) for line in lines(log)} == {(job_id, "optimizer")}
    assert all(line["request"] and line["response"] for line in lines(log))
    assert log.state() == []  # nobody used them yet
    assert len(list(log.unused("optimizer"))) == added
    assert notes(log) == []
    assert note is not None
    open_job(log, moody.client(), moody.run_id, job_id)
    assert fetch_open_jobs(log, moody.client()) == 0  # they are there
    assert len(lines(log)) == added


def test_a_job_that_needs_its_client_is_cancelled(moody: Place, sent: dict[str, Any], log: CallLog) -> None:
    job_id = uuid.uuid4().hex
    open_job(log, moody.client(), moody.run_id, job_id)
    vanish(moody, sent["backward"], job_id)
    added = fetch_open_jobs(log, moody.client())
    assert state(moody, job_id) in ("cancelled", "done")
    assert added == len([call for call in moody.get("/calls") if call["job_id"] == job_id])
    assert notes(log) == []


def test_the_end_of_a_job_that_is_cancelled_is_waited_for(log: CallLog) -> None:
    """A call that has just come in is stored before it."""
    states = ["waiting", "waiting", "running", "cancelled"]
    record = {"v": 1, "key": "k", "role": "optimizer", "request": {}, "response": {}}

    def script(asked: Asked) -> Answer:
        if asked.method == "DELETE":
            return Answer(204, b"")
        if "/jobs/" in asked.path:
            return Answer(body={"state": states.pop(0)})
        if "/calls/" in asked.path:
            return Answer(body={"record": record})
        return Answer(body=[] if states else [{"key": 1, "job_id": "j", "source": "live"}])

    with serving(script) as server:
        client = Client(server.url, "key")
        open_job(log, client, "r", "j")
        assert fetch_open_jobs(log, client) == 1
    assert notes(log) == []


def test_many_calls_of_a_run_are_read_page_by_page(
    moody: Place, sent: dict[str, Any], log: CallLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tellurio.client.open_jobs.PAGE", 1)
    ids = [uuid.uuid4().hex for _ in range(3)]
    for job_id in ids:
        moody.send(sent["step"], job_id)
    open_job(log, moody.client(), moody.run_id, ids[1])
    open_job(log, moody.client(), moody.run_id, ids[2])
    fetch_open_jobs(log, moody.client())
    each = len(lines(log)) // 2
    assert Counter(line["job"] for line in lines(log)) == {ids[1]: each, ids[2]: each}


def test_what_was_told_before_the_kill_is_not_written_twice(moody: Place, sent: dict[str, Any], log: CallLog) -> None:
    job_id = uuid.uuid4().hex
    _, events = moody.send({**sent["step"], "whole": True}, job_id)
    told = [data["record"] for kind, data in events if kind == "call"]
    log.adopt(job_id, told[:1])
    open_job(log, moody.client(), moody.run_id, job_id)
    assert fetch_open_jobs(log, moody.client()) == len(told) - 1
    assert Counter(line["key"] for line in lines(log)) == Counter(record["key"] for record in told)


def test_a_job_that_never_came(place: Place, log: CallLog) -> None:
    open_job(log, place.client(), place.run_id, uuid.uuid4().hex)
    assert fetch_open_jobs(log, place.client()) == 0
    assert notes(log) == []


def test_a_run_that_is_gone(place: Place, log: CallLog, caplog: pytest.LogCaptureFixture) -> None:
    open_job(log, place.client(), str(uuid.uuid4()), uuid.uuid4().hex)
    assert fetch_open_jobs(log, place.client()) == 0
    assert notes(log) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"server": "x"}'])
def test_a_note_that_is_cut_short(place: Place, log: CallLog, content: bytes) -> None:
    log.path.with_name(f"{log.path.name}.x.open").write_bytes(content)
    assert fetch_open_jobs(log, place.client()) == 0
    assert notes(log) == []


def test_another_server_and_one_that_is_away(place: Place, log: CallLog, caplog: pytest.LogCaptureFixture) -> None:
    away = Client("http://127.0.0.1:9", "key")
    note = open_job(log, away, place.run_id, uuid.uuid4().hex)
    with caplog.at_level(logging.WARNING):
        assert fetch_open_jobs(log, place.client()) == 0
        assert f"it ran on http://127.0.0.1:9, and this Run is on {place.url}" in caplog.text
        caplog.clear()
        assert fetch_open_jobs(log, away) == 0
        assert "cannot be fetched, and may be paid for again" in caplog.text
    assert notes(log) == [note]
    close_job(note)
    assert notes(log) == []


def test_a_folder_that_takes_no_note_is_no_error(place: Place, tmp_path: Path) -> None:
    with CallLog(tmp_path / "gone" / "calls.jsonl") as log:
        (tmp_path / "gone").rename(tmp_path / "away")
        assert open_job(log, place.client(), place.run_id, "x") is None
        close_job(None)
