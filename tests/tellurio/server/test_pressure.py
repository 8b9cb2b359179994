"""What is done when more comes than can be stored, when the disk is full, and when the server ends."""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from afnio.errors import StoreError
from tellurio.server.doors import Permission, PlainDoor, Resource
from tellurio.server.hooks import Hooks
from tellurio.server.live import Hub
from tellurio.server.pressure import Pressure
from tellurio.server.refusals import Refused
from tellurio.server.resources import blobs
from tellurio.server.resources.journal import Journal
from tellurio.server.streams import event, event_stream
from tellurio.server.sweeps import expiry
from tellurio.store import runs
from tests.tellurio.server.lab import PORT, House, Visitor, files_in, full_run, house, metric_line


def test_requests_that_wait_are_bounded() -> None:
    pressure = Pressure(2, 100)
    pressure.enter()
    pressure.enter()
    with pytest.raises(Refused) as refused:
        pressure.enter()
    assert (refused.value.status_code, (refused.value.headers or {})["Retry-After"]) == (429, "1")
    pressure.leave(0)
    pressure.enter()


def test_bytes_that_wait_are_bounded_but_a_single_request_gets_through() -> None:
    pressure = Pressure(10, 100)
    pressure.enter()
    pressure.hold(1000)
    pressure.enter()
    with pytest.raises(Refused):
        pressure.hold(1)
    pressure.leave(0)
    pressure.leave(1000)
    assert (pressure.requests, pressure.size) == (0, 0)


def test_a_server_that_cannot_keep_up_says_when_to_come_back(tmp_path: Path) -> None:
    with house(tmp_path / "server", waiting_requests=1) as home:
        owner = home.user("olga")
        owner.json("POST", "/api/v1/namespaces", json={"slug": "n"})
        owner.json("POST", "/api/v1/namespaces/n/projects", json={"display_name": "p"})
        run = owner.json("POST", "/api/v1/namespaces/n/projects/p/runs", json={"id": "0" * 32})
        path = f"/api/v1/runs/{run['id']}/journal?client=c&first="
        busy, free = threading.Event(), threading.Event()

        def hold(_connection: Any) -> None:
            busy.set()
            free.wait(60)

        home.store.submit(hold)
        assert busy.wait(60)
        answers: list[int] = []
        waiting = threading.Thread(
            target=lambda: answers.append(owner("POST", path + "1", content=metric_line(1)).status_code)
        )
        waiting.start()
        door = next(route for route in home.app.routes if isinstance(route, PlainDoor))
        assert isinstance(door.endpoint, Journal)
        while not door.endpoint.pressure.requests:
            time.sleep(0.001)
        refused = owner("POST", path + "2", content=metric_line(2))
        free.set()
        waiting.join(60)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "busy")
        assert refused.headers["retry-after"] == "1"
        assert answers == [200]
        assert owner.json("POST", path + "2", content=metric_line(2))["acknowledged"] == 2


def test_a_full_disk_is_said_and_passes(home: House, owner: Visitor, run: dict[str, Any], monkeypatch: Any) -> None:
    path = f"/api/v1/runs/{run['id']}/journal?client=disk&first=1"
    submit = home.store.submit

    def full(*_: Any, **__: Any) -> Any:
        raise StoreError("The database: the disk is full.") from OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(home.store, "submit", full)
    refused = owner("POST", path, content=metric_line(1))
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_failed")
    assert "full" in refused.json()["error"]["message"]
    assert "retry-after" in refused.headers
    monkeypatch.setattr(home.store, "submit", submit)
    assert owner.json("POST", path, content=metric_line(1))["acknowledged"] == 1


def test_only_so_many_files_are_received_at_once(tmp_path: Path) -> None:
    with house(tmp_path / "server", blob_uploads=1) as home:
        owner = home.user("olga")
        owner.json("POST", "/api/v1/namespaces", json={"slug": "n"})
        owner.json("POST", "/api/v1/namespaces/n/projects", json={"display_name": "p"})
        run = owner.json("POST", "/api/v1/namespaces/n/projects/p/runs", json={"id": "0" * 32})
        begun, free = threading.Event(), threading.Event()
        put = home.store.blobs.put

        def slowly(*arguments: Any, **options: Any) -> int:
            begun.set()
            free.wait(60)
            return put(*arguments, **options)

        home.store.blobs.put = slowly  # type: ignore[method-assign]
        path = f"/api/v1/runs/{run['id']}/blobs/"
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        answers: list[int] = []
        first = threading.Thread(target=lambda: answers.append(owner("PUT", path + empty, content=b"").status_code))
        first.start()
        assert begun.wait(60)
        refused = owner("PUT", path + empty, content=b"")
        free.set()
        first.join(60)
        assert (refused.status_code, answers) == (429, [200])


def in_pieces(size: int) -> Iterator[bytes]:
    for _ in range(size // 1000):
        yield b"x" * 1000


def test_a_file_that_is_too_long_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with house(tmp_path / "server", blob_limit=5000) as home:
        owner = home.user("olga")
        run = full_run(owner)
        path = f"/api/v1/runs/{run['id']}/blobs/{'0' * 64}"
        folder = tmp_path / "server" / "blobs"
        before = files_in(folder)
        for content in (b"x" * 6000, in_pieces(6000)):
            refused = owner("PUT", path, content=content)
            assert (refused.status_code, refused.headers["connection"]) == (413, "close")
        assert files_in(folder) == before


def test_a_file_that_stops_coming_is_given_up(
    home: House, owner: Visitor, run: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "STALLED", 0.01)
    pieces, sent = [b"x"], list[Any]()

    async def receive() -> dict[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(), "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    path = f"/api/v1/runs/{run['id']}/blobs/{'0' * 64}"
    headers = [(b"host", f"localhost:{PORT}".encode()), (b"authorization", f"Bearer {owner.key}".encode())]
    scope = {"type": "http", "method": "PUT", "path": path, "raw_path": path.encode(), "query_string": b""}
    assert home.client.portal is not None
    home.client.portal.call(home.app, scope | {"headers": headers, "client": ("x", 1)}, receive, send)
    assert sent[0]["status"] == 408


async def _events(sent: list[str]) -> AsyncIterator[bytes]:
    try:
        yield event(1, b'{"a":1}')
        yield event(2, b"{}", "kind")
        await asyncio.Event().wait()
    finally:
        sent.append("closed")


def test_an_open_stream_ends_with_the_server(tmp_path: Path) -> None:
    resource = Resource("stream")
    sent: list[str] = []

    @resource.route("GET", "/stream", permission=Permission.USER)
    async def stream(request: Request) -> Response:
        response = event_stream(request, _events(sent), ping=0.01)
        response.body_iterator = ends_at_the_first_ping(response.body_iterator, request.app.state.hooks)
        return response

    async def ends_at_the_first_ping(pieces: Any, hooks: Hooks) -> AsyncIterator[Any]:
        async for piece in pieces:
            yield piece
            if b"still here" in piece:
                hooks.closing.set()

    with house(tmp_path / "server") as home:
        home.app.router.routes.extend(resource.routes)
        answer = home.user("olga")("GET", "/api/v1/stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == 'id: 1\ndata: {"a":1}\n\nid: 2\nevent: kind\ndata: {}\n\n: still here\n\n'
    assert sent == ["closed"]


def test_hooks_run_in_order_and_one_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    def hook(name: str, *, fails: bool = False) -> Any:
        async def run() -> None:
            done.append(name)
            if fails:
                raise RuntimeError("no")

        return run

    async def life() -> None:
        hooks = Hooks(
            startup=[hook("up")], sweep=[hook("a", fails=True), hook("b")], shutdown=[hook("first"), hook("last")]
        )
        hooks.shutdown.insert(1, hook("bad", fails=True))
        await hooks.start()
        sweeping = asyncio.create_task(hooks.sweep_for_ever(0.001))
        while done.count("b") < 2:
            await asyncio.sleep(0)
        hooks.closing.set()
        await sweeping
        await hooks.stop()

    with caplog.at_level(logging.ERROR, logger="tellurio.server"):
        asyncio.run(life())
    assert done[:5] == ["up", "a", "b", "a", "b"]
    assert done[-3:] == ["last", "bad", "first"]
    assert {record.getMessage() for record in caplog.records} == {"sweep_failed", "shutdown_failed"}


def test_a_silent_run_is_taken_for_crashed(tmp_path: Path) -> None:
    with house(tmp_path / "server", sweep_seconds=0.01) as home:
        owner = home.user("olga")
        owner.json("POST", "/api/v1/namespaces", json={"slug": "n"})
        owner.json("POST", "/api/v1/namespaces/n/projects", json={"display_name": "p"})
        run = owner.json("POST", "/api/v1/namespaces/n/projects/p/runs", json={"id": "0" * 32, "lease": 1.0})
        one = f"/api/v1/runs/{run['id']}"
        while owner.json("GET", one)["status"] == "RUNNING":
            pass
        assert "no sign of life" in owner.json("GET", one)["reason"]
        assert owner.json("POST", f"{one}/beat") == {"status": "RUNNING"}


def test_silence_while_no_server_listened_does_not_count(tmp_path: Path) -> None:
    with house(tmp_path / "server") as home:
        owner = home.user("olga")
        run = full_run(owner)
        home.store.write(runs.beat, run["id"], time.time() - 3600.0)  # an hour ago, when the last server ended

        async def sweep() -> None:
            await expiry(home.store, Hub())()

        asyncio.run(sweep())
        assert owner.json("GET", f"/api/v1/runs/{run['id']}")["status"] == "RUNNING"
