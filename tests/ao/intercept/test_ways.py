"""A script sees the same without us, recorded, and replayed, however it asks and reads."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from typing import Any

import pytest

from ao.intercept import not_recorded
from ao.intercept.seam import Live, Replay
from tests.ao.intercept.source import Answer, Source, events
from tests.ao.intercept.tape import Tape
from tests.ao.intercept.ways import WAYS, Seen

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/chat/completions"
REPLY = json.dumps({"choices": [{"message": {"content": "héllo " * 40}}]}).encode()
BY_THE_NETWORK = ("aiohttp any", "aiohttp tens", "aiohttp chunks", *(way for way in WAYS if way.endswith("bytes")))
"""Ways whose pieces depend on what the network has brought by then."""
SSE = {"content-type": "text/event-stream; charset=utf-8"}
JSON = {"content-type": "application/json"}


def _brotli(text: bytes) -> bytes:
    import brotli  # type: ignore[import-untyped]

    packed: bytes = brotli.compress(text)
    return packed


def _zstd(text: bytes) -> bytes:
    from backports import zstd

    packed: bytes = zstd.compress(text)
    return packed


def _halves(text: bytes) -> list[bytes]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def answers() -> dict[str, Answer]:
    return {
        "json": Answer(REPLY),
        "error": Answer(b'{"error": {"message": "no"}}', status=400),
        "sse": Answer(chunks=events(*[{"choices": [{"delta": {"content": f"w{n} "}}]} for n in range(5)]), headers=SSE),
        "ndjson": Answer(chunks=[b'{"a": 1}\n', b'{"a": 2}\n{"a"', b": 3}\n"], headers=JSON),
        "empty": Answer(b""),
        "no chunks": Answer(chunks=[]),
        "binary": Answer(bytes(range(256)) * 20, headers={"content-type": "application/octet-stream"}),
        "invalid UTF-8": Answer(chunks=[b"\xff\xfe\n", b"caf\xe9\n"], headers=SSE),
        "gzip": Answer(gzip.compress(REPLY), headers=JSON | {"content-encoding": "gzip"}),
        "gzip in chunks": Answer(chunks=_halves(gzip.compress(REPLY)), headers=JSON | {"content-encoding": "gzip"}),
        "deflate": Answer(zlib.compress(REPLY), headers=JSON | {"content-encoding": "deflate"}),
    }


def _pieces(seen: Seen) -> Any:
    """What must be the same each time: all of it, and the pieces where the way of reading makes them."""
    return seen[0], seen[1], b"".join(seen[2])


def _all() -> list[tuple[str, str]]:
    """Every way with every kind; but httpx is httpx2 once more, so some kinds do; and a read of 7 compressed bytes may
    give none, which is how "requests raw" sees the end."""
    some = ("json", "sse", "gzip in chunks", "binary")
    pairs = [(way, kind) for way in WAYS for kind in answers()]
    pairs = [(way, kind) for way, kind in pairs if kind in some or not way.startswith("httpx ")]
    return [(way, kind) for way, kind in pairs if not (way == "requests raw" and "gzip" in kind)]


@pytest.mark.parametrize(("way", "kind"), _all())
def test_recorded_and_replayed_are_as_without_us(way: str, kind: str, tape: Tape) -> None:
    ask = WAYS[way]
    with Source(answers()[kind]) as source:
        url = f"{source.url}{PATH}?api-version=1"
        with not_recorded():
            plain = ask(url, BODY)
        assert tape.exchanges == []
        recorded = ask(url, BODY)
        exchange, outcome = tape.only()
        tape.replaying = True
        replayed = ask(url, BODY)
        assert len(source.asked) == 2
    assert _pieces(recorded) == _pieces(plain)
    assert _pieces(replayed) == _pieces(plain)
    assert replayed[2] == recorded[2]
    if way not in BY_THE_NETWORK:
        assert recorded[2] == plain[2]
    assert outcome.complete
    assert outcome.error is None
    assert outcome.status == plain[0]
    if not way.endswith("lines") or way.startswith(("urllib3", "aiohttp")):
        assert outcome.body == b"".join(plain[2])
    assert sum(size for _, size in outcome.chunks) == len(outcome.body)
    assert exchange.url == f"{source.url}{PATH}?api-version=1"
    assert (exchange.dialect, exchange.model, exchange.streaming) == ("openai.chat", "m", False)
    assert exchange.json == BODY
    assert b"sk-secret" not in repr((exchange, outcome)).encode()


@pytest.mark.parametrize("way", ["httpx whole", "httpx2 async bytes", "httpx2 tens", "requests bytes", "aiohttp lines"])
@pytest.mark.parametrize(("encoding", "pack"), [("br", _brotli), ("zstd", _zstd)])
def test_other_compressions(way: str, encoding: str, pack: Any, tape: Tape) -> None:
    """Kept decompressed when the library decompresses; with what is installed, not every library does."""
    with Source(Answer(chunks=_halves(pack(REPLY)), headers=JSON | {"content-encoding": encoding})) as source:
        recorded = WAYS[way](source.url + PATH, BODY)
        _, outcome = tape.only()
        tape.replaying = True
        replayed = WAYS[way](source.url + PATH, BODY)
    read = b"".join(recorded[2])
    assert (replayed[:2], b"".join(replayed[2])) == (recorded[:2], read)
    assert outcome.body == read
    assert read in (REPLY, pack(REPLY))
    assert ("content-encoding" in dict(outcome.headers)) == (read != REPLY)


def test_an_encoding_that_nobody_can_read_is_kept_as_it_came(tape: Tape) -> None:
    with Source(Answer(b"???", headers=JSON | {"content-encoding": "rot13"})) as source:
        recorded = WAYS["httpx2 whole"](source.url + PATH, BODY)
        tape.replaying = True
        assert WAYS["httpx2 whole"](source.url + PATH, BODY) == recorded
    _, outcome = tape.only()
    assert (outcome.body, dict(outcome.headers)["content-encoding"]) == (b"???", "rot13")


@pytest.mark.parametrize("way", WAYS)
def test_another_body_is_sent_when_the_recorder_says_so(way: str, tape: Tape) -> None:
    edited = json.dumps(BODY | {"messages": [{"role": "user", "content": "a longer one, edited"}]}).encode()
    tape.edit = lambda exchange: Live(edited)
    with Source(Answer(REPLY)) as source:
        seen = WAYS[way](source.url + PATH, BODY)
    _, headers, body = source.asked[0]
    assert body == edited
    assert {name.lower(): value for name, value in headers.items()}["content-type"] == "application/json"
    assert b"".join(seen[2]) == REPLY
    assert tape.only()[0].json == BODY


@pytest.mark.parametrize("way", [way for way in WAYS if way.endswith("whole")])
def test_an_edited_answer_has_the_length_it_has(way: str, tape: Tape) -> None:
    edited = b'{"choices": []}'
    headers = (("content-type", "application/json"), ("Content-Length", "1000"))
    tape.edit = lambda exchange: Replay(200, headers, edited)
    assert WAYS[way]("http://127.0.0.1:9" + PATH, BODY) == (200, "application/json", [edited])


@pytest.mark.parametrize("way", [way for way in WAYS if "whole" not in way and "read" not in way])
@pytest.mark.parametrize("chunked", [True, False])
def test_an_answer_that_breaks_fails_as_without_us(way: str, chunked: bool, tape: Tape) -> None:
    def broken() -> Answer:
        pieces = [b"data: {}\n\n", b"data: [1]\n\n"]
        return Answer(chunks=pieces, cut=True, headers=SSE) if chunked else Answer(b"".join(pieces), cut=True)

    failures = []
    with Source(broken()) as source:
        with not_recorded():
            failures.append(_failure(way, source))
        failures.append(_failure(way, source))
        _, outcome = tape.only()
        tape.replaying = True
        failures.append(_failure(way, source))
        assert len(source.asked) == 2
    assert len(set(failures)) == 1
    assert not outcome.complete
    if failures[1]:
        assert outcome.error
        assert outcome.error.startswith(str(failures[1]).partition(":")[0]) or "requests" in way
    assert outcome.attempts[-1].status == 200


def _failure(way: str, source: Source) -> str:
    try:
        WAYS[way](source.url + PATH, BODY)
    except Exception as error:
        return type(error).__name__
    return ""


@pytest.mark.parametrize("way", [way for way in WAYS if not way.startswith("httpx")])
def test_redirects_are_attempts_of_one_call(way: str, tape: Tape) -> None:
    elsewhere = Answer(b"{}", status=307, headers={"location": "/v2/chat/completions"})
    with Source(elsewhere, Answer(REPLY)) as source:
        assert b"".join(WAYS[way](source.url + PATH, BODY)[2]) == REPLY
        assert [path for path, _, _ in source.asked] == [PATH, "/v2/chat/completions"]
    _, outcome = tape.only()
    assert [attempt.status for attempt in outcome.attempts] == [307, 200]
    assert outcome.body == REPLY


@pytest.mark.parametrize("way", WAYS)
def test_nobody_there_fails_as_without_us(way: str, tape: Tape) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # and so nobody else can listen there
        with pytest.raises(Exception) as failure:
            WAYS[way](f"http://127.0.0.1:{deaf.getsockname()[1]}{PATH}", BODY)
    _, outcome = tape.only()
    assert outcome.status is None
    assert outcome.error
    if not way.startswith("requests"):
        assert outcome.error.startswith(type(failure.value).__name__)
    assert outcome.attempts[-1].error == outcome.error


@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_lm_call_is_let_pass(way: str, tape: Tape) -> None:
    with Source(Answer(REPLY)) as source:
        assert b"".join(WAYS[way](source.url + "/search", BODY)[2]) == REPLY
        assert b"".join(WAYS[way](source.url + PATH, {"model": "m"})[2]) == REPLY
        assert b"".join(WAYS[way](source.url + PATH, ["messages"])[2]) == REPLY
    assert tape.exchanges == []
    assert len(source.asked) == 3
