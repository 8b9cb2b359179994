"""What is known of a call: where it was made, by whom, in how many attempts."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import sys
import textwrap
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import aiohttp
import httpx2
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from ao.dialects import Dialect, register
from ao.intercept import install, not_recorded
from ao.intercept.seam import Live
from tests.ao.intercept.source import Answer, Source
from tests.ao.intercept.tape import Tape

BODY: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/chat/completions"
URL = "http://lm" + PATH


def told(status: int = 200, **headers: str) -> httpx2.MockTransport:
    return httpx2.MockTransport(lambda request: httpx2.Response(status, json={"choices": []}, headers=headers))


def here() -> int:
    """The line of the caller."""
    return sys._getframe(1).f_lineno


def test_the_statement_of_the_script(tape: Tape) -> None:
    with httpx2.Client(transport=told()) as client:
        client.post(URL, json=BODY)
        line = here() - 1
    exchange, _ = tape.only()
    assert exchange.location == (__file__, line)
    assert exchange.function == "test_the_statement_of_the_script"
    assert (exchange.thread, exchange.task) == ("MainThread", "")


def test_threads_and_tasks_have_names(tape: Tape) -> None:
    async def main() -> None:
        async with httpx2.AsyncClient(transport=told()) as client:
            await asyncio.create_task(_apost(client), name="my task")

    async def _apost(client: httpx2.AsyncClient) -> None:
        await client.post(URL, json=BODY)

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="my thread")
    thread.start()
    thread.join()
    exchange, _ = tape.only()
    assert (exchange.thread, exchange.task) == ("my thread", "my task")
    assert exchange.function.endswith("_apost")


def test_a_call_with_no_frame_of_the_script_has_no_place(tape: Tape) -> None:
    with httpx2.Client(transport=told()) as client, ThreadPoolExecutor(1, "pool") as pool:
        assert pool.submit(client.post, URL, json=BODY).result().status_code == 200
    exchange, _ = tape.only()
    assert exchange.location is None
    assert exchange.thread == "pool_0"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A library, as installed, that tries again by itself."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    source = """
        def ask(post, times):
            for _ in range(times):
                answer = post()
                if answer.status_code < 400:
                    break
            return answer

        async def aask(post, times):
            for _ in range(times):
                answer = await post()
                if answer.status_code < 400:
                    break
            return answer
    """
    (folder / "stubborn.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(folder)
    yield __import__("stubborn")
    sys.modules.pop("stubborn")


def failing(times: int) -> httpx2.MockTransport:
    left = [500] * times

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(left.pop() if left else 200, json={})

    return httpx2.MockTransport(answer)


def test_a_library_that_tries_again_makes_one_call(library: Any, tape: Tape) -> None:
    with httpx2.Client(transport=failing(2)) as client:
        library.ask(_poster(client), 5)
    assert [attempt.status for attempt in tape.only()[1].attempts] == [500, 500, 200]


def _poster(client: Any) -> Any:
    """A call of the client's without a frame of this file in between."""
    return functools.partial(client.post, URL, json=BODY)


def test_two_calls_of_that_library_are_two_calls(library: Any, tape: Tape) -> None:
    with httpx2.Client(transport=failing(3)) as client:
        for _ in range(2):
            library.ask(_poster(client), 2)
    assert [[attempt.status for attempt in outcome.attempts] for outcome in tape.outcomes] == [[500, 500], [500, 200]]


def test_it_is_so_in_async_code_with_others_in_between(library: Any, tape: Tape) -> None:
    async def main() -> None:
        async with httpx2.AsyncClient(transport=failing(6)) as client:
            await asyncio.gather(*(library.aask(_poster(client), 9) for _ in range(3)))

    asyncio.run(main())
    assert len(tape.exchanges) == 3
    assert sum(len(outcome.attempts) for outcome in tape.outcomes) == 9
    assert all(outcome.status == 200 for outcome in tape.outcomes)


def test_the_decision_holds_for_all_attempts(library: Any, tape: Tape) -> None:
    tape.edit = lambda exchange: Live(b'{"edited": true}')
    seen: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.content)
        return httpx2.Response(500 if len(seen) < 3 else 200, json={})

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
        library.ask(_poster(client), 5)
    assert seen == [b'{"edited": true}'] * 3
    assert len(tape.exchanges) == 1


def test_no_frame_is_kept_alive_by_its_marker(library: Any, tape: Tape) -> None:
    class Local:
        pass

    def script() -> weakref.ref[Local]:
        local = Local()
        with httpx2.Client(transport=failing(1)) as client:
            library.ask(_poster(client), 1)
        return weakref.ref(local)

    left = script()
    gc.collect()
    assert left() is None


def test_a_debugger_finds_its_trace_function_where_it_put_it(library: Any, tape: Tape) -> None:
    lines = []

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        if "stubborn" in frame.f_code.co_filename:
            lines.append((event, frame.f_trace))
            return trace
        return None

    before = sys.gettrace()
    with httpx2.Client(transport=failing(1)) as client:
        sys.settrace(trace)
        try:
            library.ask(_poster(client), 3)
        finally:
            sys.settrace(before)
    assert {function for event, function in lines if event == "line"} == {trace}
    assert len(tape.exchanges) in (1, 2)


def test_a_redirect_is_an_attempt_of_the_same_call(tape: Tape) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "lm":
            return httpx2.Response(307, headers={"location": "http://other" + PATH})
        return httpx2.Response(200, json={"choices": [1]})

    with httpx2.Client(transport=httpx2.MockTransport(answer), follow_redirects=True) as client:
        assert client.post(URL, json=BODY).json() == {"choices": [1]}
    assert [attempt.status for attempt in tape.only()[1].attempts] == [307, 200]


def test_retries_of_urllib3_are_attempts(tape: Tape) -> None:
    retry = Retry(total=3, status_forcelist=[500], allowed_methods=None, backoff_factor=0)
    for how in ("urllib3", "requests"):
        with Source(Answer(b"{}", status=500), Answer(b"{}", status=500), Answer(b'{"choices": []}')) as source:
            if how == "urllib3":
                with urllib3.PoolManager(retries=retry) as pool:
                    assert pool.request("POST", source.url + PATH, json=BODY).status == 200
            else:
                with requests.Session() as session:
                    session.mount("http://", HTTPAdapter(max_retries=retry))
                    assert session.post(source.url + PATH, json=BODY).status_code == 200
    assert [[a.status for a in outcome.attempts] for outcome in tape.outcomes] == [[500, 500, 200]] * 2


def test_clients_with_mounts_asgi_and_hooks(tape: Tape) -> None:
    hooked: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"set-cookie", b"a=secret")]})
        await send({"type": "http.response.body", "body": b'{"choices": []}'})

    async def main() -> None:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app)) as client:
            assert (await client.post(URL, json=BODY)).json() == {"choices": []}
            assert client.cookies["a"] == "secret"

    asyncio.run(main())
    with httpx2.Client(mounts={"http://": told()}, event_hooks={"response": [hooked.append]}) as client:
        client.post(URL, json=BODY)
    assert len(tape.exchanges) == 2
    assert len(hooked) == 1
    assert "secret" not in repr(tape.outcomes)


def test_a_call_under_a_library_that_is_recorded_is_not_recorded_twice(tape: Tape) -> None:
    class OverRequests(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            answer = requests.post(str(request.url), data=request.read(), headers=dict(request.headers))
            return httpx2.Response(answer.status_code, content=answer.content)

    with Source(Answer(b'{"choices": []}')) as source, httpx2.Client(transport=OverRequests()) as client:
        client.post(source.url + PATH, json=BODY)
    assert tape.only()[0].library == "httpx2"


def test_what_is_marked_as_not_recorded_is_not(tape: Tape) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            with not_recorded():
                async with session.post(source.url + PATH, json=BODY) as answer:
                    await answer.read()
            async with session.post(source.url + PATH, json=BODY) as answer:
                await answer.read()

    with Source(Answer(b"{}")) as source:
        asyncio.run(main())
    assert tape.only()[0].library == "aiohttp"


def test_bodies_that_can_be_read_only_once_are_left_alone(tape: Tape) -> None:
    body = httpx2.Request("POST", URL, json=BODY).content

    async def pieces() -> Any:
        yield body

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            await (await session.post(source.url + PATH, data=pieces())).read()

    with Source(Answer(b"{}")) as source, httpx2.Client() as client:
        client.post(source.url + "/x", content=iter([body]))
        requests.post(source.url + "/x", data=iter([body]))
        requests.post(source.url + PATH, files={"messages": b"[]"})
    assert tape.exchanges == []


def test_a_dialect_of_the_users_own_comes_first(tape: Tape) -> None:
    class House(Dialect):
        name = "house"

        def matches(self, asked: Any) -> bool:
            return bool(asked.path == "/ask" and asked.has("question", str))

        def label(self, asked: Any) -> str:
            return "the house"

    undo = register(House())
    try:
        with httpx2.Client(transport=told()) as client:
            client.post("http://lm/ask", json={"question": "why?"})
            client.post("http://lm/ask", json={"question": 1})
    finally:
        undo()
    exchange, _ = tape.only()
    assert (exchange.dialect, exchange.label, exchange.model) == ("house", "the house", "")


def test_a_dialect_that_fails_does_not_harm_the_script(tape: Tape) -> None:
    class Broken(Dialect):
        name = "broken"

        def matches(self, asked: Any) -> bool:
            raise ZeroDivisionError

    undo = register(Broken())
    try:
        with httpx2.Client(transport=told()) as client:
            assert client.post(URL, json=BODY).status_code == 200
    finally:
        undo()
    assert tape.exchanges == []
    assert "ZeroDivisionError" in tape.notices[0]


def test_threads_at_once(tape: Tape) -> None:
    with httpx2.Client(transport=told()) as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: client.post(URL, json=BODY | {"n": number}), range(200)))
    assert sorted(exchange.json["n"] for exchange in tape.exchanges) == list(range(200))
    assert len(tape.ends) == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_does_not_tell_of_its_parents_calls() -> None:
    tape = Tape()
    undo = install(tape)
    with httpx2.Client(transport=told()) as client:
        answer = client.send(client.build_request("POST", URL, json=BODY), stream=True)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                answer.read()
                os.write(writer, b"%d" % len(tape.ends))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        answer.read()
    undo()
    assert os.read(reader, 10) in (b"0", b"1")
    os.close(reader)
    os.close(writer)
    assert len(tape.ends) == 1
