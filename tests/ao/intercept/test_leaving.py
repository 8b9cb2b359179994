"""What a script left early is left again, and what failed without an answer fails again; for all libraries."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
import urllib3

from ao.intercept import install
from ao.intercept.faults import LEFT, can_raise, fault_of, raised
from tests.ao.intercept.source import Answer, Source, endless, events
from tests.ao.intercept.tape import Tape

BODY: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
PATH = "/v1/chat/completions"
SSE = {"content-type": "text/event-stream"}
Read = Callable[..., list[bytes]]


def _httpx(library: Any, url: str, lines: int) -> list[bytes]:
    with library.Client(timeout=TIMEOUT) as client, client.stream("POST", url, json=BODY) as answer:
        return _some((line.encode() for line in answer.iter_lines()), lines)


async def _ahttpx(library: Any, url: str, lines: int) -> list[bytes]:
    found: list[bytes] = []
    async with library.AsyncClient(timeout=TIMEOUT) as client, client.stream("POST", url, json=BODY) as answer:
        async for line in answer.aiter_lines():
            found.append(line.encode())
            if len(found) == lines:
                break
    return found


def _requests(url: str, lines: int) -> list[bytes]:
    with requests.post(url, json=BODY, stream=True, timeout=TIMEOUT) as answer:
        return _some(answer.iter_lines(), lines)


def _urllib3(url: str, lines: int) -> list[bytes]:
    with urllib3.PoolManager(retries=False, timeout=TIMEOUT) as pool:
        answer = pool.request("POST", url, json=BODY, preload_content=False)
        found = _some((line.rstrip() for line in answer), lines)
        answer.close()
        return found


def _urllib3_tens(url: str, lines: int) -> list[bytes]:
    with urllib3.PoolManager(retries=1, timeout=TIMEOUT) as pool:
        answer = pool.request("POST", url, json=BODY, preload_content=False)
        found = _some(iter(lambda: answer.read(10), b""), lines)
        answer.close()
        return found


async def _aiohttp(url: str, lines: int) -> list[bytes]:
    found: list[bytes] = []
    timeout = aiohttp.ClientTimeout(sock_read=TIMEOUT, sock_connect=TIMEOUT)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, json=BODY) as answer:
        async for line in answer.content:
            found.append(line.rstrip())
            if len(found) == lines:
                break
    return found


def _some(lines: Iterator[bytes], number: int) -> list[bytes]:
    found = []
    for line in lines:
        found.append(line)
        if len(found) == number:
            break
    return found


TIMEOUT = 150.0
WAYS: dict[str, Read] = {
    "httpx": lambda url, lines: _httpx(httpx, url, lines),
    "httpx2": lambda url, lines: _httpx(httpx2, url, lines),
    "httpx async": lambda url, lines: asyncio.run(_ahttpx(httpx, url, lines)),
    "httpx2 async": lambda url, lines: asyncio.run(_ahttpx(httpx2, url, lines)),
    "requests": _requests,
    "urllib3": _urllib3,
    "urllib3 tens": _urllib3_tens,
    "aiohttp": lambda url, lines: asyncio.run(_aiohttp(url, lines)),
}
BROKEN: dict[str, type[Exception]] = {
    "httpx": httpx.ReadError,
    "httpx2": httpx2.ReadError,
    "requests": requests.exceptions.ChunkedEncodingError,
    "urllib3": urllib3.exceptions.ProtocolError,
    "aiohttp": aiohttp.ClientPayloadError,
}
"""What each raises to a script that reads on where the recording does not."""


@pytest.fixture(params=list(WAYS))
def way(request: Any) -> str:
    return str(request.param)


def _number(number: int) -> bytes:
    return b"data: %d\n" % number


@pytest.mark.parametrize("lines", [1, 5])
def test_a_stream_left_early_is_left_again_and_ends_in_an_error_where_it_is_read_further(
    way: str, lines: int, tape: Tape
) -> None:
    with Source(Answer(chunks=endless(_number), headers=SSE)) as source:
        recorded = WAYS[way](source.url + PATH, lines)
        assert len(recorded) == lines
        _, outcome = tape.only()
        assert (outcome.complete, outcome.left, outcome.error) == (False, True, None)
        for _ in range(2):
            tape.edit = lambda exchange: outcome.replay()
            assert WAYS[way](source.url + PATH, lines) == recorded
            with pytest.raises(BROKEN[way.split()[0]], match=r"left here.*--no-cache"):
                WAYS[way](source.url + PATH, 10**9)
        assert len(source.asked) == 1
    assert tape.notices == []


def test_a_stream_with_a_length_that_is_left_early(way: str, tape: Tape) -> None:
    with Source(Answer(b"data: 1\n\n" * 50_000, headers=SSE)) as source:
        recorded = WAYS[way](source.url + PATH, 1)
        _, outcome = tape.only()
        if outcome.complete:  # the library had got all of it
            return
        tape.replaying = True
        assert WAYS[way](source.url + PATH, 1) == recorded
        tape._given.clear()
        with pytest.raises(BROKEN[way.split()[0]], match="--no-cache"):
            WAYS[way](source.url + PATH, 10**9)
        assert len(source.asked) == 1


def test_a_stream_left_after_all_that_it_means_is_whole(way: str, tape: Tape) -> None:
    said = events({"choices": [{"index": 0, "delta": {"content": "one"}}]})
    with Source(Answer(chunks=[*said, *[b": bye\n\n"] * 99_999], headers=SSE)) as source:
        recorded = WAYS[way](source.url + PATH, 3 if "tens" not in way else 8)
        _, outcome = tape.only()
        assert b"[DONE]" in b"".join(recorded)
        if not outcome.body.rstrip().endswith(b"[DONE]"):  # more was received than was read
            return
        assert (outcome.complete, outcome.left) == (True, False)
        tape.replaying = True
        assert b"".join(WAYS[way](source.url + PATH, 10**9)).startswith(b"".join(recorded))
        assert len(source.asked) == 1


def test_an_answer_that_is_not_streamed_is_whole_when_its_json_is(tape: Tape) -> None:
    asked = BODY | {"stream": False}
    with (
        Source(Answer(chunks=[b'{"choices": []}', *[b" "] * 99_999])) as source,
        httpx2.Client() as client,
        client.stream("POST", source.url + PATH, json=asked) as answer,
    ):
        assert next(answer.iter_bytes()) == b'{"choices": []}'
    _, outcome = tape.only()
    assert (outcome.complete, outcome.left) == (True, False)


# errors


def _closed_port() -> Iterator[str]:
    with socket.socket() as bound:  # bound, not listening: nobody else gets it, and it refuses
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def _nowhere() -> Iterator[str]:
    yield "http://model.invalid"


def _silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def _hanging_up() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    taken, _ = server.accept()
                except OSError:
                    return
                taken.recv(65536)
                taken.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _no_tls() -> Iterator[str]:
    with Source(Answer(b"{}")) as source:
        yield source.url.replace("http:", "https:")


def _cut() -> Iterator[str]:
    with Source(Answer(chunks=[b"data: 1\n\n", b"data: 2\n\n"], headers=SSE, cut=True)) as source:
        yield source.url


TROUBLES = {
    "refused": _closed_port,
    "no such name": _nowhere,
    "timeout": _silent,
    "hung up": _hanging_up,
    "no tls": _no_tls,
    "cut": _cut,
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_failed_fails_again_as_it_did(way: str, trouble: str, tape: Tape, monkeypatch: pytest.MonkeyPatch) -> None:
    if trouble == "timeout":
        monkeypatch.setattr(f"{__name__}.TIMEOUT", 0.01)
    place = TROUBLES[trouble]()
    url = next(place) + PATH
    recorded = _failure(way, url)
    list(place)  # nobody is there any more
    assert tape.outcomes[-1].error
    calls = len(tape.exchanges)
    tape.replaying = True
    for _ in range(2):
        tape._given.clear()
        assert _failure(way, url) == recorded
    assert len(tape.exchanges) == calls
    assert tape.notices == []


def _failure(way: str, url: str) -> list[tuple[type, str]]:
    """The classes and texts of the error and of those that it holds."""
    with pytest.raises(Exception) as caught:
        WAYS[way](url, 10**9)
    return list(_told(caught.value))


def _told(error: BaseException) -> Iterator[tuple[type, str]]:
    yield type(error), str(error)
    if error.__cause__ is not None:
        yield from _told(error.__cause__)
    for name in ("reason", "os_error"):
        inner = getattr(error, name, None)
        if isinstance(inner, BaseException):
            yield from _told(inner)
    for inner in error.args:
        if isinstance(inner, BaseException):
            yield from _told(inner)


def test_the_time_for_a_whole_request_of_aiohttp(tape: Tape) -> None:
    place = _silent()
    url = next(place) + PATH

    async def ask() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.01)) as session:
            await session.post(url, json=BODY)

    with pytest.raises(TimeoutError):
        asyncio.run(ask())
    list(place)
    assert tape.only()[1].error == "TimeoutError"
    tape.replaying = True
    with pytest.raises(TimeoutError):
        asyncio.run(ask())
    assert len(tape.exchanges) == 1


def test_a_call_that_was_cancelled_or_interrupted_is_not_given_again(tape: Tape) -> None:
    place = _silent()
    url = next(place) + PATH

    async def ask(library: Any) -> None:
        async with library.AsyncClient() as client:
            await client.post(url, json=BODY)

    async def cancelled(asking: Any) -> None:
        task = asyncio.create_task(asking)
        while not tape.exchanges:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled(ask(httpx2)))
    assert tape.only()[1].replay() is None

    def interrupt(request: Any) -> Any:
        raise KeyboardInterrupt

    with httpx2.Client(transport=httpx2.MockTransport(interrupt)) as client, pytest.raises(KeyboardInterrupt):
        client.post(url, json=BODY)
    assert tape.outcomes[-1].replay() is None
    list(place)


@pytest.mark.parametrize("why", [KeyboardInterrupt, asyncio.CancelledError, ValueError, SystemExit])
def test_a_stream_is_left_by_the_script_and_not_by_who_stops_it(why: type[BaseException], tape: Tape) -> None:
    with (
        Source(Answer(chunks=endless(_number), headers=SSE)) as source,
        httpx2.Client() as client,
        pytest.raises(why),
        client.stream("POST", source.url + PATH, json=BODY) as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        raise why
    _, outcome = tape.only()
    assert (outcome.complete, outcome.left) == (False, why in (ValueError, SystemExit))
    assert (outcome.replay() is None) == (why in (KeyboardInterrupt, asyncio.CancelledError))


@pytest.mark.parametrize("over", [True, False])
def test_what_is_open_when_a_script_has_come_to_its_end_was_left(over: bool) -> None:
    tape = Tape()
    undo = install(tape)
    with (
        Source(Answer(chunks=endless(_number), headers=SSE)) as source,
        httpx2.Client() as client,
        client.stream("POST", source.url + PATH, json=BODY) as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        undo(over=over)
    _, outcome = tape.only()
    assert (outcome.left, outcome.error is None, outcome.replay() is not None) == (over, over, over)


def test_a_library_that_tries_again_after_a_replayed_error_makes_no_other_call(tape: Tape) -> None:
    import openai

    place = _closed_port()
    url = next(place) + "/v1"

    def ask() -> str:
        client = openai.OpenAI(api_key="k", base_url=url, max_retries=1)
        with client, pytest.raises(openai.APIConnectionError) as caught:
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        return repr(caught.value.__cause__)

    recorded = ask()
    assert len(tape.only()[1].attempts) == 2
    tape.edit = lambda exchange: tape.outcomes[0].replay()
    assert ask() == recorded
    assert len(tape.exchanges) == 2  # and no third one for the second attempt
    list(place)


def test_the_attempts_of_a_script_are_found_one_by_one(tape: Tape) -> None:
    """Two refused, then an answer."""
    answers = iter([httpx2.ConnectError("no"), httpx2.ReadTimeout("slow"), httpx2.Response(200, json={"choices": []})])

    def answer(request: Any) -> Any:
        told = next(answers)
        if isinstance(told, Exception):
            raise told
        return told

    def ask() -> list[Any]:
        told: list[Any] = []
        with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
            for _ in range(3):
                try:
                    told.append(client.post("http://lm" + PATH, json=BODY).json())
                except httpx2.TransportError as error:
                    told.append((type(error), str(error), str(error.request.url)))
        return told

    recorded = ask()
    assert [len(tape.exchanges), recorded[2]] == [3, {"choices": []}]
    tape.replaying = True
    assert ask() == recorded


# faults


def test_faults_are_json_and_tell_no_keys() -> None:
    url = "/v1beta/models/g:generateContent?key=sk-secret&alt=sse"
    pool = urllib3.HTTPConnectionPool("h")
    error = urllib3.exceptions.MaxRetryError(pool, url, OSError(104, "Connection reset by peer"))
    told = fault_of(error)
    assert told is not None
    assert "secret" not in json.dumps(told)
    again = raised(json.loads(json.dumps(told)), "urllib3", {"pool": pool})
    assert isinstance(again, urllib3.exceptions.MaxRetryError)
    assert (again.pool, again.url) == (pool, url.replace("key=sk-secret&", ""))
    assert isinstance(again.reason, ConnectionResetError)
    assert (again.reason.errno, again.reason.strerror) == (104, "Connection reset by peer")


def test_a_fault_that_does_not_fit_its_class_any_more_is_an_error_all_the_same() -> None:
    odd: list[dict[str, Any]] = [{}, {"args": None, "state": {}}, {"args": [], "state": None}]
    for told in [*odd, {"args": [], "state": {"errno": "x"}}]:
        assert isinstance(raised({"kind": "builtins.ConnectionResetError", **told}, "httpx2", {}), ConnectionError)


def test_what_is_no_error_of_a_transport_is_none() -> None:
    for error in (ValueError("x"), KeyError("x"), asyncio.CancelledError(), KeyboardInterrupt(), EOFError(), None):
        assert fault_of(error) is None


def test_only_errors_of_the_same_library_are_raised_and_httpx2_for_httpx() -> None:
    told = fault_of(httpx.ConnectError("no"))
    assert told is not None
    assert type(raised(told, "httpx2", {})) is httpx2.ConnectError
    assert type(raised(told, "httpx", {})) is httpx.ConnectError
    assert not can_raise(told, "aiohttp")
    assert can_raise(LEFT, "aiohttp")
    assert not can_raise(LEFT, "mcp")
    for kind in ("os.system", "builtins.SystemExit", "builtins.KeyboardInterrupt", "httpx2.Client", "no.such", "x", ""):
        assert not can_raise({"kind": kind, "args": [], "state": {}}, "httpx2")
