"""Live hints: what is stored is told, to who may see it; nothing is missed, or it is said that something was."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tellurio.server.live import KEPT, WHATS, Hub
from tellurio.server.models import What
from tests.tellurio.running import ServerProcess
from tests.tellurio.server.hints import Said, Stream
from tests.tellurio.server.lab import line, metric_line, record_of_a_call


class Place:
    """A project on a server process."""

    def __init__(self, server: ServerProcess) -> None:
        self.server, self.name = server, f"n{uuid.uuid4().hex}"
        self.client = server.client()
        self.base = f"/api/v1/namespaces/{self.name}/projects/p"
        self.post("/api/v1/namespaces", {"slug": self.name})
        self.post(f"/api/v1/namespaces/{self.name}/projects", {"display_name": "p"})
        self._lines: dict[str, int] = {}

    def post(self, path: str, body: Any) -> Any:
        answer = self.client.post(path, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def run(self, **fields: Any) -> str:
        """A new Run; nobody gives signs of life for it, however long a busy machine takes for a test."""
        return str(self.post(f"{self.base}/runs", {"id": str(uuid.uuid4()), "lease": 3600.0, **fields})["id"])

    def log(self, run_id: str, *records: tuple[str, dict[str, Any]]) -> None:
        """Append records to its journal."""
        first = self._lines.get(run_id, 0) + 1
        self._lines[run_id] = first + len(records) - 1
        content = b"".join(line(n, k, **fields) for n, (k, fields) in enumerate(records, first))
        answer = self.client.post(f"/api/v1/runs/{run_id}/journal?client=c-{run_id}&first={first}", content=content)
        assert answer.status_code == 200, answer.text

    @contextmanager
    def watch(self, path: str | None = None, last: str | None = None, key: str | None = None) -> Iterator[Stream]:
        """A stream, of the project by default."""
        headers = {} if last is None else {b"Last-Event-ID": last.encode("latin-1")}
        with (
            self.server.client(key) as client,
            client.stream("GET", path or f"{self.base}/live", headers=headers) as got,
        ):
            assert got.status_code == 200, got.read()
            assert got.headers["content-type"].startswith("text/event-stream")
            yield Stream(got)


@pytest.fixture
def place(server: ServerProcess) -> Iterator[Place]:
    """A project of a test's own."""
    made = Place(server)
    yield made
    made.client.close()


POINT = ("m", {"name": "loss", "v": 0.5, "step": None})
RECORDS: list[tuple[tuple[str, dict[str, Any]], set[str]]] = [
    (POINT, {"metrics"}),
    (("v", {"name": "note", "type": "text", "v": "x"}), {"texts"}),
    (("c", {"record": record_of_a_call()}), {"calls"}),
    (("e", {"kind": "whatever", "data": {}}), {"events"}),
    (("e", {"kind": "fit_start", "data": {"prompts": {"p": "one"}}}), {"events", "prompts"}),
    (("s", {"status": "COMPLETED"}), {"status"}),
]


def test_each_record_is_told_as_what_it_is(place: Place) -> None:
    run_id = place.run()
    with place.watch() as project, place.watch(f"/api/v1/runs/{run_id}/live") as run:
        for stream in (project, run):
            hello = stream.next()
            assert hello is not None
            assert hello.kind == "hello"
            assert hello.id.startswith(f"{hello.data['hub']}:")
            assert hello.data["resumed"] is False
        for record, what in RECORDS:
            place.log(run_id, record)
            for stream in (project, run):
                said = stream.next()
                assert said is not None
                expected = {"run_id": run_id, "what": [each for each in WHATS if each in what]}
                if "status" in what:
                    expected["status"] = "COMPLETED"
                assert (said.kind, said.data) == ("changed", expected)


def test_the_life_of_a_run_is_told(place: Place) -> None:
    with place.watch() as stream:
        assert stream.next()
        run_id = place.run()
        assert stream.until("status").data == {"run_id": run_id, "what": ["status"], "status": "RUNNING"}
        place.client.patch(f"/api/v1/runs/{run_id}", json={"notes": "seen"})
        assert stream.until("facts").data["run_id"] == run_id
        place.client.post(f"/api/v1/runs/{run_id}/beat")  # nothing new
        place.client.patch(f"/api/v1/runs/{run_id}", json={"status": "FAILED"})
        assert stream.next().data == {"run_id": run_id, "what": ["status"], "status": "FAILED"}  # type: ignore[union-attr]
        place.client.delete(f"/api/v1/runs/{run_id}")
        assert stream.until("deleted").data["run_id"] == run_id


def test_a_crash_is_told_and_a_sign_of_life_after_it(place: Place) -> None:
    with place.watch() as stream:
        assert stream.next()
        run_id = place.run(lease=1.0)
        assert stream.until("status").data["status"] == "RUNNING"
        assert stream.until("status").data["status"] == "CRASHED"
        place.client.post(f"/api/v1/runs/{run_id}/beat")
        assert stream.until("status").data == {"run_id": run_id, "what": ["status"], "status": "RUNNING"}


def test_a_run_hears_of_itself_only(place: Place) -> None:
    run_id, other = place.run(), place.run()
    with place.watch(f"/api/v1/runs/{run_id}/live") as stream:
        assert stream.next()
        place.log(other, POINT)
        place.log(run_id, POINT)
        assert stream.until("metrics").data["run_id"] == run_id
    elsewhere = Place(place.server)
    with elsewhere.watch() as stream:
        assert stream.next()
        place.log(run_id, POINT)
        mine = elsewhere.run()
        assert stream.until("status").data["run_id"] == mine
    elsewhere.client.close()


def test_hints_of_a_run_are_gathered(place: Place) -> None:
    run_id = place.run()
    with place.watch() as stream:
        assert stream.next()
        batches = 100
        for _ in range(batches):
            place.log(run_id, POINT)
        place.client.patch(f"/api/v1/runs/{run_id}", json={"status": "COMPLETED"})
        hints = 0
        while (said := stream.next()) is not None:
            hints += 1
            if "status" in said.data["what"]:
                break
        assert said is not None
        assert said.data["status"] == "COMPLETED"
        assert hints < batches


def test_who_comes_back_gets_what_they_missed(place: Place) -> None:
    run_id = place.run()
    with place.watch() as stream:
        hello = stream.next()
        assert hello is not None
        place.log(run_id, POINT)
        last = stream.until("metrics").id
    place.client.patch(f"/api/v1/runs/{run_id}", json={"notes": "while nobody looked"})
    for way in ({"last": last}, {"path": f"{place.base}/live?last={last}"}):
        with place.watch(**way) as stream:
            again = stream.next()
            assert again is not None
            assert (again.kind, again.id) == ("hello", last)
            assert again.data == {"hub": hello.data["hub"], "resumed": True}
            assert stream.until("facts").data["run_id"] == run_id


@pytest.mark.parametrize("last", ["", "x", "0:0", "{hub}:", "{hub}:x", "{hub}:-1", "{hub}:99999999999", "{hub}:²", ":"])
def test_who_was_elsewhere_is_told_to_read_all_again(place: Place, last: str) -> None:
    with place.watch() as stream:
        hello = stream.next()
        assert hello is not None
    with place.watch(last=last.format(hub=hello.data["hub"])) as stream:
        said = stream.next()
        assert said is not None
        assert (said.kind, said.data["resumed"]) == ("hello", False)
        place.run()
        following = [stream.next()]
        if last:
            assert following[0] == Said("reset", said.id, {})
            following.append(stream.next())
        assert following[-1] is not None
        assert following[-1].kind == "changed"


def test_a_restart_ends_the_stream_and_the_next_server_says_so(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "home")
    place = Place(server)
    run_id = place.run()
    with place.watch() as stream:
        hello = stream.next()
        assert hello is not None
        place.log(run_id, POINT)
        last = stream.until("metrics").id
        place.client.close()
        assert server.stop() == 0
        assert stream.next() is None
    server.start()
    place.client = server.client()
    try:
        with place.watch(last=last) as stream:
            again, reset = stream.next(), stream.next()
            assert again is not None
            assert again.data["hub"] != hello.data["hub"]
            assert reset is not None
            assert reset.kind == "reset"
            place.log(run_id, POINT)
            assert stream.until("metrics").data["run_id"] == run_id
    finally:
        place.client.close()
        server.stop()


def test_what_a_killed_process_left_is_told(tmp_path: Path) -> None:
    """The server collects it by itself."""
    server = ServerProcess(tmp_path / "home")
    place = Place(server)
    run_id = place.run()
    try:
        with place.watch() as stream:
            assert stream.next()
            left = tmp_path / "left"
            left.mkdir()
            facts = {"url": server.url, "server_id": place.client.get("/healthz").json()["server_id"], "run_id": run_id}
            facts["name"] = "left"
            (left / "meta.json").write_bytes(orjson.dumps(facts))
            (left / f"{uuid.uuid4()}.jsonl").write_bytes(metric_line(1))
            (server.home / "journals").mkdir(exist_ok=True)
            left.rename(server.home / "journals" / run_id)  # at once: a folder without journals is tidied away
            assert stream.until("metrics").data["run_id"] == run_id
    finally:
        place.client.close()
        server.stop()


def test_a_project_that_changed_or_went_ends_its_streams(place: Place) -> None:
    with place.watch() as stream:
        hello = stream.next()
        assert hello is not None
        place.client.patch(place.base, json={"visibility": "PUBLIC"})
        assert stream.next() is None
    with place.watch(last=hello.id) as stream:
        assert stream.next()
        place.client.delete(place.base)
        while (said := stream.next()) is not None:
            assert said.kind == "reset"
    assert place.client.get(f"{place.base}/live").status_code == 404


def test_only_who_may_see_it_may_watch_it(place: Place) -> None:
    run_id = place.run()
    for path in (f"{place.base}/live", f"/api/v1/runs/{run_id}/live"):
        with place.server.client("") as nobody:
            assert nobody.get(path).status_code == 401
        with place.server.client("tel_wrong") as nobody:
            assert nobody.get(path).status_code == 401


def test_many_watch_at_once(place: Place) -> None:
    """And each hears of each Run that begins, once."""
    streams, runs = 100, 5
    heard: list[list[str]] = []
    there = threading.Barrier(streams + 1)

    def watch() -> None:
        with place.watch() as stream:
            assert stream.next()
            there.wait()
            heard.append([stream.until("status").data["run_id"] for _ in range(runs)])

    threads = [threading.Thread(target=watch) for _ in range(streams)]
    for thread in threads:
        thread.start()
    there.wait()
    begun = [place.run() for _ in range(runs)]
    for thread in threads:
        thread.join()
    assert heard == [begun] * streams


# The hub by itself.


def test_the_words_are_those_of_the_description() -> None:
    assert set(TypeAdapter(What).json_schema()["enum"]) == set(WHATS)


def test_what_nobody_watches_is_not_noted() -> None:
    hub = Hub()
    for _ in range(10):
        hub.tell("p", "r", ["metrics"])
    assert hub.number == 0


def test_who_is_too_slow_is_told_so() -> None:
    async def slow() -> None:
        hub = Hub()
        stream = hub.watch("p")
        await anext(stream)
        runs = [str(n) for n in range(KEPT + 1)]
        fast = hub.watch("p")
        await anext(fast)
        got = b""
        for start in range(0, len(runs), 100):
            for run in runs[start : start + 100]:
                hub.tell("p", run, ["metrics"])
            while b'"run_id":"%d"' % min(start + 99, KEPT) not in got:
                got += await anext(fast)
        assert got.count(b"event: changed") == KEPT + 1
        late = await anext(stream)
        assert b"event: reset" in late
        hub.tell("p", "last", ["metrics"])
        assert b'"run_id":"last"' in await anext(stream)
        await stream.aclose()
        await fast.aclose()

    asyncio.run(slow())


def test_telling_from_another_thread() -> None:
    async def watched() -> bytes:
        hub = Hub()
        stream = hub.watch("p")
        await anext(stream)
        thread = threading.Thread(target=hub.tell, args=("p", "r", iter(["calls"]), None))
        thread.start()
        said = await anext(stream)
        thread.join()
        await stream.aclose()
        return said

    assert b'"what":["calls"]' in asyncio.run(watched())


told = st.tuples(st.sampled_from("ab"), st.sets(st.sampled_from(WHATS), min_size=1), st.sampled_from([None, "X", "Y"]))


@settings(max_examples=30, deadline=None)
@given(changes=st.lists(told, min_size=1, max_size=20))
def test_nothing_told_is_lost_and_the_last_status_counts(changes: list[tuple[str, set[str], str | None]]) -> None:
    async def all_of_it() -> list[dict[str, Any]]:
        hub = Hub()
        stream = hub.watch("p")
        await anext(stream)
        for run, what, status in changes:
            hub.tell("p", run, what, status)
        hub.tell("p", "end", ["facts"])
        got = b""
        while b'"run_id":"end"' not in got:
            got += await anext(stream)
        await stream.aclose()
        return [orjson.loads(each.rpartition(b"data: ")[2]) for each in got.strip().split(b"\n\n")]

    hints = {hint["run_id"]: hint for hint in asyncio.run(all_of_it())}
    for run in {run for run, _, _ in changes}:
        mine = [(what, status) for name, what, status in changes if name == run]
        assert set(hints[run]["what"]) == set().union(*(what for what, _ in mine))
        statuses = [status for _, status in mine if status is not None]
        assert hints[run].get("status") == (statuses[-1] if statuses else None)
