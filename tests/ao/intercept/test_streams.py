"""Streams are listened to, never read ahead, and what a script leaves, we leave."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import httpx2
import pytest
import requests
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st

from ao.intercept import install
from tests.ao.intercept.source import Answer, Source, endless
from tests.ao.intercept.tape import Tape

BODY: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
PATH = "/v1/chat/completions"
SSE = {"content-type": "text/event-stream"}


def _waiting(go_on: threading.Event) -> Iterator[bytes]:
    yield b"data: 1\n\n"
    assert go_on.wait(150)
    yield b"data: 2\n\n"


def _httpx(url: str, go_on: threading.Event) -> list[bytes]:
    with httpx2.Client() as client, client.stream("POST", url, json=BODY) as answer:
        pieces = answer.iter_raw()
        first = next(pieces)
        go_on.set()
        return [first, *pieces]


def _requests(url: str, go_on: threading.Event) -> list[bytes]:
    with requests.post(url, json=BODY, stream=True) as answer:
        pieces = answer.iter_content(None)
        first = next(pieces)
        go_on.set()
        return [first, *pieces]


def _urllib3(url: str, go_on: threading.Event) -> list[bytes]:
    with urllib3.PoolManager() as pool:
        answer = pool.request("POST", url, json=BODY, preload_content=False)
        first = answer.read1()
        go_on.set()
        return [first, answer.read()]


def _aiohttp(url: str, go_on: threading.Event) -> list[bytes]:
    async def main() -> list[bytes]:
        async with aiohttp.ClientSession() as session, session.post(url, json=BODY) as answer:
            first = await answer.content.readany()
            go_on.set()
            return [first, await answer.content.read()]

    return asyncio.run(main())


@pytest.mark.parametrize("ask", [_httpx, _requests, _urllib3, _aiohttp])
def test_the_first_piece_is_there_before_the_second_is_made(ask: Callable[..., list[bytes]], tape: Tape) -> None:
    go_on = threading.Event()
    with Source(Answer(chunks=_waiting(go_on), headers=SSE)) as source:
        assert ask(source.url + PATH, go_on) == [b"data: 1\n\n", b"data: 2\n\n"]
        _, outcome = tape.only()
        assert outcome.complete
        assert [size for _, size in outcome.chunks] == [9, 9]
        assert outcome.chunks[0][0] <= outcome.chunks[1][0]
        tape.replaying = True
        assert ask(source.url + PATH, threading.Event()) == [b"data: 1\n\n", b"data: 2\n\n"]
        assert len(source.asked) == 1


def _leave_httpx(url: str) -> None:
    with httpx2.Client() as client, client.stream("POST", url, json=BODY) as answer:
        assert next(answer.iter_lines())


async def _leave_ahttpx(url: str) -> None:
    async with httpx2.AsyncClient() as client, client.stream("POST", url, json=BODY) as answer:
        assert await anext(answer.aiter_lines())


def _leave_requests(url: str) -> None:
    with requests.post(url, json=BODY, stream=True) as answer:
        assert next(answer.iter_lines())


async def _leave_aiohttp(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.post(url, json=BODY) as answer:
        assert await answer.content.readline()


@pytest.mark.parametrize("leave", [_leave_httpx, _leave_ahttpx, _leave_requests, _leave_aiohttp])
def test_a_stream_without_end_that_is_left(leave: Callable[[str], Any], tape: Tape) -> None:
    with Source(Answer(chunks=endless(lambda number: b"data: %d\n\n" % number), headers=SSE)) as source:
        for _ in range(2):
            asked = leave(source.url + PATH)
            if asked is not None:
                asyncio.run(asked)
            tape.replaying = True
        assert len(source.asked) == 1
    _, outcome = tape.only()
    assert outcome.body.startswith(b"data: 0\n")
    assert (outcome.complete, outcome.error) == (False, None)


def test_what_is_beyond_the_limit_is_counted_not_kept() -> None:
    tape = Tape()
    undo = install(tape, notice=tape.notices.append, limit=1000)
    try:
        with Source(Answer(chunks=[b"x" * 600] * 5, headers=SSE)) as source:
            assert len(requests.post(source.url + PATH, json=BODY).content) == 3000
    finally:
        undo()
    _, outcome = tape.only()
    assert len(outcome.body) <= 1000
    assert len(outcome.body) + outcome.omitted == 3000
    assert sum(size for _, size in outcome.chunks) == len(outcome.body)
    assert (outcome.complete, outcome.replay()) == (True, None)
    assert "1,000 bytes" in tape.notices[0]


def test_pieces_count_towards_the_limit_too() -> None:
    tape = Tape()
    undo = install(tape, limit=6500)
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, stream=_Pieces([b"x"] * 1000)))
    with httpx2.Client(transport=transport) as client:
        client.post("http://lm" + PATH, json=BODY)
    undo()
    assert len(tape.only()[1].chunks) == 100


def test_fifty_megabytes(tape: Tape) -> None:
    big = os.urandom(1024) * 1024 * 50
    with Source(Answer(big, headers={"content-type": "application/octet-stream"})) as source:
        body, headers = json.dumps(BODY), {"content-type": "application/json"}
        assert requests.post(source.url + PATH, data=body, headers=headers).content == big
        assert tape.only()[1].body == big
        tape.replaying = True
        with httpx2.Client() as client:
            assert client.post(source.url + PATH, content=body, headers=headers).content == big
        assert len(source.asked) == 1


@pytest.mark.parametrize("library", ["httpx2", "requests", "urllib3", "aiohttp"])
def test_an_answer_that_is_never_read(library: str, tape: Tape) -> None:
    async def over_aiohttp(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            answer = await session.post(url, json=BODY)
            answer.release()

    with Source(Answer(chunks=[b"data: 1\n\n"] * 3, headers=SSE)) as source:
        url = source.url + PATH
        if library == "httpx2":
            with httpx2.Client() as client:
                client.send(client.build_request("POST", url, json=BODY), stream=True).close()
        elif library == "requests":
            with requests.Session() as session:
                session.post(url, json=BODY, stream=True).close()
        elif library == "urllib3":
            with urllib3.PoolManager() as pool:
                pool.request("POST", url, json=BODY, preload_content=False).drain_conn()
        else:
            asyncio.run(over_aiohttp(url))
    _, outcome = tape.only()
    assert (outcome.status, outcome.error) == (200, None)
    if library == "aiohttp":  # which may have got some of it, or all, without being asked
        assert (b"data: 1\n\n" * 3).startswith(outcome.body)
        assert outcome.complete != outcome.left
    else:
        assert (outcome.body, outcome.first_byte, outcome.complete, outcome.left) == (b"", None, False, True)


def test_an_answer_that_is_dropped_is_told_when_it_is_gone(tape: Tape) -> None:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, stream=_Pieces([b"a", b"b"])))
    with httpx2.Client(transport=transport) as client:
        answer = client.send(client.build_request("POST", "http://lm" + PATH, json=BODY), stream=True)
        pieces = answer.iter_bytes()
        assert next(pieces) == b"a"
        assert tape.ends == []
        del answer, pieces
        gc.collect()
    assert (tape.only()[1].body, tape.only()[1].complete) == (b"a", False)


def test_taking_the_recorder_away_tells_what_is_still_being_read() -> None:
    tape = Tape()
    undo = install(tape)
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, stream=_Pieces([b"a", b"b"])))
    with httpx2.Client(transport=transport) as client, client.stream("POST", "http://lm" + PATH, json=BODY) as answer:
        pieces = answer.iter_bytes()
        assert next(pieces) == b"a"
        undo()
        _, outcome = tape.only()
        assert (outcome.body, outcome.complete, outcome.replay()) == (b"a", False, None)
        assert "recording ended" in str(outcome.error)
        assert list(pieces) == [b"b"]
    assert len(tape.ends) == 1


class _Pieces(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            await asyncio.sleep(0)
            yield piece


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(200, 599))
def test_replay_gives_the_pieces_of_the_record(pieces: list[bytes], status: int) -> None:
    """Law: record, then replay, is the same status and the same bytes in the same pieces, sync and async."""
    tape = Tape()
    undo = install(tape)
    transport = httpx2.MockTransport(lambda request: httpx2.Response(status, stream=_Pieces(pieces)))

    def sync() -> Any:
        with httpx2.Client(transport=transport) as client, client.stream("POST", "http://lm" + PATH, json=BODY) as told:
            return told.status_code, list(told.iter_bytes())

    async def main() -> Any:
        client = httpx2.AsyncClient(transport=transport)
        async with client, client.stream("POST", "http://lm" + PATH, json=BODY) as told:
            return told.status_code, [piece async for piece in told.aiter_bytes()]

    try:
        recorded = sync()
        assert recorded == (status, [piece for piece in pieces if piece])
        tape.replaying = True
        assert sync() == recorded
        tape._given.clear()
        assert asyncio.run(main()) == recorded
        assert len(tape.exchanges) == 1
    finally:
        undo()


def test_the_event_loop_goes_on_while_an_answer_is_replayed(tape: Tape) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main() -> None:
        nonlocal turns
        transport = httpx2.MockTransport(lambda request: httpx2.Response(200, stream=_Pieces([b"x"] * 20)))
        async with httpx2.AsyncClient(transport=transport) as client:
            await client.post("http://lm" + PATH, json=BODY)
            tape.replaying = True
            task = asyncio.create_task(others())
            await asyncio.sleep(0)
            turns = 0
            await client.post("http://lm" + PATH, json=BODY)
            task.cancel()

    asyncio.run(main())
    assert turns >= 20
