"""Jobs that are cancelled, or whose clients go away; and what a server remembers of jobs that are over."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from afnio.calls import loop
from afnio.models.lm_server import LMServer
from tellurio.engine import running
from tellurio.engine.jobs import Jobs
from tellurio.engine.log import JobLog
from tellurio.engine.running import RunningJob
from tellurio.store import jobs as table
from tellurio.store import projects, runs, users
from tellurio.store.store import Store
from tests.autodiff import job
from tests.autodiff.lab import Served, open_lab, texts
from tests.tellurio.engine.place import Place, a_loss, eventually
from tests.tellurio.running import PATIENCE, ServerProcess


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that waits 0.3 s for a client that is gone."""
    home = tmp_path_factory.mktemp("impatient") / "home"
    running = ServerProcess(home, module="tests.tellurio.engine.impatient")
    yield running
    running.stop()


@pytest.fixture
def moody(impatient: ServerProcess, world: tuple[LMServer, Served], monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("ALLOW_API_KEY_SHARING", "true")
    return Place(impatient, *world)


def vanish(place: Place, body: Any, job_id: str) -> None:
    """Send a job, and go away without a word as soon as it has begun."""
    content = json.dumps(body).encode()
    head = f"POST /api/v1/runs/{place.run_id}/jobs/{job_id} HTTP/1.1\r\nHost: 127.0.0.1:{place.server.port}\r\n"
    head += f"Authorization: Bearer {place.server.key}\r\nContent-Length: {len(content)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", place.server.port)) as line:
        line.sendall(head.encode() + content)
        got = b""
        while b"event: begun" not in got:
            got += line.recv(65536)


def state(place: Place, job_id: str) -> str:
    with place.server.client() as client:
        answer = client.get(f"/api/v1/runs/{place.run_id}/jobs/{job_id}")
    return str(answer.json().get("state"))


def test_a_job_that_needs_its_client_waits_for_it_then_is_put_aside_and_goes_on(
    moody: Place, sent: dict[str, Any]
) -> None:
    """A stream whose client vanished is closed: else the job would not be put aside."""
    job_id = uuid.uuid4().hex
    vanish(moody, sent["backward"], job_id)
    eventually(lambda: state(moody, job_id) == "waiting")
    before = moody.asked()
    node = next(n for n, form in enumerate(sent["backward"]["payload"]["nodes"]) if form.get("op", "") is None)
    url = f"/api/v1/runs/{moody.run_id}/jobs/{job_id}"
    with moody.server.client() as client, client.stream("POST", url, json=sent["backward"]) as answer:
        said = answer.iter_lines()
        assert next(line for line in said if line.startswith("data: ")) == 'data: {"fence":2}'
        asked = next(json.loads(line[6:]) for line in said if line.startswith("data: ") and f"backward:{node}" in line)
        back = {"edges": [asked["outputs"][0]], "told": {}}
        posted = client.post(url + "/answers", json={"fence": 2, "answers": [{"id": asked["id"], "answer": back}]})
        assert posted.status_code == 204
        assert [line for line in said if line.startswith("event: ")][-1] == "event: done"
    eventually(lambda: state(moody, job_id) == "done")  # it is told first, then stored
    assert moody.cost()["calls"] == 3
    assert moody.asked() - before <= 3


def test_a_job_is_taken_up_with_a_higher_fence_than_its_client_has_heard_of(moody: Place, sent: dict[str, Any]) -> None:
    """After a power cut the store may have forgotten who held it last."""
    job_id = uuid.uuid4().hex
    vanish(moody, sent["backward"], job_id)
    eventually(lambda: state(moody, job_id) == "waiting")
    url, heard = f"/api/v1/runs/{moody.run_id}/jobs/{job_id}", {"Last-Event-ID": "7:2"}
    with moody.server.client() as client:
        with client.stream("POST", url, json=sent["backward"], headers=heard) as answer:
            said = answer.iter_lines()
            assert next(line for line in said if line.startswith("data: ")) == 'data: {"fence":8}'
        assert client.delete(url).status_code == 204


def test_a_job_that_needs_no_client_goes_on_without_it(moody: Place, sent: dict[str, Any]) -> None:
    job_id, before = uuid.uuid4().hex, moody.asked()
    vanish(moody, sent["step"], job_id)
    eventually(lambda: state(moody, job_id) == "done")
    status, events = moody.send(sent["step"], job_id)
    assert (status, [kind for kind, _ in events]) == (200, ["begun", "call", "call", "done"])
    assert len(events[-1][1]["values"]) == 2
    assert moody.asked() - before == 2


@pytest.mark.parametrize("lm_calls", ["server", "client"])
def test_ctrl_c_ends_the_job_and_the_next_one_works(place: Place, lm_calls: Any) -> None:
    with open_lab() as lab:
        expected = job.run(lab)
    with place.lab(lm_calls=lm_calls) as lab:
        _, loss = a_loss(lab, 3)

        with unanswered(place, 3, lambda: os.kill(os.getpid(), signal.SIGINT)), pytest.raises(KeyboardInterrupt):
            lab.backward(loss)
        (known,) = _jobs(place)
        assert known == "cancelled"
        eventually(lambda: not place.lm.stats(rows=False)["open"])
        asked = place.asked()
        time.sleep(0.2)
        assert place.asked() == asked
        assert job.run(lab) == expected


@contextlib.contextmanager
def unanswered(place: Place, calls: int, then: Callable[[], Any]) -> Iterator[None]:
    """The model leaves critics without an answer; ``then`` is called when so many wait for one."""

    def strike() -> None:
        eventually(lambda: place.lm.stats(rows=False)["open"] == calls)
        then()

    eventually(lambda: not place.lm.stats(rows=False)["open"])  # those of other tests
    place.lm.faults = [f"timeout@1x{calls}:role=backward"]
    striking = threading.Thread(target=strike)
    striking.start()
    try:
        yield
    finally:
        striking.join()
        place.lm.faults = []


def _jobs(place: Place) -> list[str]:
    import sqlite3

    def states() -> list[str]:
        with sqlite3.connect(place.server.folder / "tellurio.db", timeout=60) as database:
            query = "select state from jobs where run_key = (select key from runs where id = ?)"
            found = [row[0] for row in database.execute(query, (place.run_id,))]
        database.close()
        return found

    eventually(lambda: states() and "running" not in states())
    return states()


def test_an_abackward_that_is_cancelled(place: Place) -> None:
    with place.lab() as lab:
        prompts, loss = a_loss(lab, 3)
        asked = asyncio.Event()

        async def run() -> None:
            loop = asyncio.get_running_loop()
            with unanswered(place, 3, lambda: loop.call_soon_threadsafe(asked.set)):
                task = asyncio.ensure_future(loss.abackward())
                await asked.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

        asyncio.run(run())
        assert _jobs(place) == ["cancelled"]
        assert not any(prompt.grad for prompt in prompts)
        asyncio.run(loss.abackward())
        assert all(texts(prompt) for prompt in prompts)


# ------------------------------------------------------------------------------------- in this process


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "store")
    yield store
    store.close()


def a_run(store: Store) -> int:
    def make(c: Any) -> int:
        user = users.make_user(c, "ann", "ann@localhost", is_admin=True)
        projects.make_namespace(c, "lab", "Lab", user["id"])
        project = projects.make_project(c, "lab", "Lab", "RESTRICTED", user["id"])
        return int(runs.make_run(c, project["id"], user["id"], id=str(uuid.uuid4()))["key"])

    return store.write(make)


async def to_its_end(jobs: Jobs, run_key: int, body: Any, job_id: str = "") -> list[bytes]:
    channel = await jobs.open(run_key, job_id or uuid.uuid4().hex, body["kind"], body)
    return [each async for each in channel.stream()]


def test_300_jobs_leave_nothing_behind(store: Store, sent: dict[str, Any]) -> None:
    run_key = a_run(store)

    async def run() -> Jobs:
        jobs = Jobs(store)
        for _ in range(300):
            (*_, end) = await to_its_end(jobs, run_key, {**sent["step"], "filling": "x" * 10_000})
            assert b"event: done" in end
        await store.awrite(lambda c: None)
        while jobs._held:
            await asyncio.sleep(0.01)
        assert not jobs._opening
        assert not list(jobs._budgets)
        return jobs

    jobs = asyncio.run(run())
    gc.collect()
    assert len([each for each in gc.get_objects() if isinstance(each, RunningJob)]) <= 1  # the writer's last piece
    assert len(jobs._models._known) <= 2


def test_a_job_that_is_over_before_it_is_waited_for_is_not_remembered(
    store: Store, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_key, submit = a_run(store), loop.submit

    def slow(*arguments: Any) -> Any:
        started = submit(*arguments)
        started.ended.wait()
        store.write(lambda c: None)  # its end is stored, too
        return started

    monkeypatch.setattr(running, "submit", slow)

    async def run() -> None:
        jobs = Jobs(store)
        assert b"event: done" in (await to_its_end(jobs, run_key, sent["step"]))[-1]
        assert not jobs._held

    asyncio.run(run())


def test_a_result_without_a_json_form_is_an_end_too(
    store: Store, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "pack_values", lambda *_: {"values": [object()]})
    run_key = a_run(store)

    async def run() -> None:
        (*_, end) = await to_its_end(Jobs(store), run_key, sent["step"])
        assert b"event: failed" in end
        assert b"JSON form" in end

    asyncio.run(run())


def test_a_paid_call_is_stored_also_when_its_job_is_cancelled_meanwhile(
    store: Store, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer is busy when the answers come, and the job is cancelled before it gets to them."""
    run_key, job_id = a_run(store), uuid.uuid4().hex
    free, waiting = threading.Event(), threading.Event()
    append = JobLog.append

    async def appended(self: JobLog, *arguments: Any, **options: Any) -> int:
        waiting.set()
        return await append(self, *arguments, **options)

    monkeypatch.setattr(JobLog, "append", appended)

    async def run() -> None:
        jobs = Jobs(store)
        channel = await jobs.open(run_key, job_id, "step", sent["step"])
        await store.awrite(lambda c: None)
        store.submit(lambda c: free.wait())
        try:
            await asyncio.to_thread(waiting.wait)
            assert await jobs.cancel(run_key, job_id)
            assert b"event: cancelled" in [each async for each in channel.stream()][-1]
        finally:
            free.set()
        async with asyncio.timeout(PATIENCE):
            while not (recorded := await store.aread(table.job_records, job_id)):
                await asyncio.sleep(0.01)
        assert recorded[0]["source"] == "live"

    asyncio.run(run())


@pytest.mark.parametrize("pages", [0, 1])
def test_a_full_disk_in_the_middle_of_a_job(store: Store, sent: dict[str, Any], place: Place, pages: int) -> None:
    """The error says so, no answer is used that could not be recorded; with space again the same job goes on."""
    run_key, job_id = a_run(store), uuid.uuid4().hex
    body = sent["step"]

    def space(c: Any, more: int) -> None:
        used = c.exec_driver_sql("PRAGMA page_count").scalar()
        c.exec_driver_sql(f"PRAGMA max_page_count={used + more}")

    async def run() -> None:
        jobs = Jobs(store)
        # As many pages as the job's row takes, or one more: it is the first call that finds no place.
        await store.awrite(space, pages)
        (*_, end) = await to_its_end(jobs, run_key, body, job_id)
        assert b"event: failed" in end
        assert b'"type":"StoreError"' in end
        assert b"full" in end
        await store.awrite(space, 100_000)
        before = place.asked()
        (*_, end) = await to_its_end(jobs, run_key, body)
        assert b"event: done" in end
        assert place.asked() - before == 2

    asyncio.run(run())


def test_a_job_lost_to_another_server_goes_on_there(store: Store, sent: dict[str, Any]) -> None:
    """The streams end without an end of the job: who listens asks again."""
    run_key, job_id = a_run(store), uuid.uuid4().hex

    async def run() -> None:
        here, there = Jobs(store), Jobs(store)
        channel = await here.open(run_key, job_id, "backward", sent["backward"])
        said: list[bytes] = []

        async def listen() -> None:
            said.extend([each async for each in channel.stream()])

        listening = asyncio.ensure_future(listen())
        while not channel.waits:
            await asyncio.sleep(0.01)
        later = time.time() + 1_000
        assert await store.awrite(table.take_job, job_id, there.owner, later + 1_000, later) == 2
        await here.sweep()
        await listening
        assert b"event: cancelled" not in b"".join(said)
        known = await store.aread(table.job, job_id)
        assert known is not None
        assert (known["state"], known["owner"]) == ("running", there.owner)

    asyncio.run(run())


def test_a_job_cancelled_before_it_began_has_an_end(store: Store, sent: dict[str, Any]) -> None:
    run_key = a_run(store)

    async def run() -> None:
        jobs = Jobs(store)
        for _ in range(50):
            job_id = uuid.uuid4().hex
            channel = await jobs.open(run_key, job_id, "step", sent["step"])
            assert await jobs.cancel(run_key, job_id)
            (*_, end) = [each async for each in channel.stream()]
            assert b"event: cancelled" in end or b"event: done" in end

    asyncio.run(run())
