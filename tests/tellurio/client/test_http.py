"""One server, spoken to: what is sent again and what is not, and what an error says."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import types
from collections.abc import Callable, Iterator

import httpx2
import pytest

from afnio.errors import InvalidAPIKeyError, ServerError, ServerUnreachableError, ServerVersionError
from tellurio.client.http import Client, is_loopback, segment
from tellurio.schemas.version import HEADER, our_version
from tests.tellurio.client.odd import Answer, Asked, serving

BREAK = Answer(status=0)


def in_turn(*answers: Answer) -> Callable[[Asked], Answer]:
    """Each answer once, then the last again and again."""
    left: Iterator[Answer] = iter(answers)
    lock = threading.Lock()

    def script(asked: Asked) -> Answer:
        with lock:
            return next(left, answers[-1])

    return script


def test_json_goes_in_and_comes_out_with_the_key_and_the_version() -> None:
    with serving(in_turn(Answer(body={"a": [1, None, "ü"]}))) as server:
        client = Client(server.url + "/", "tel_a")
        said = client.post("/api", json={"b": "ö"}, params={"x": "1 2", "none": None}, headers={"X-Other": "1"})
    asked = server.asked[0]
    assert said == {"a": [1, None, "ü"]}
    assert (asked.method, asked.path, asked.body) == ("POST", "/api?x=1+2", '{"b":"ö"}'.encode())
    assert asked.headers["authorization"] == "Bearer tel_a"
    assert (asked.headers[HEADER.lower()], asked.headers["content-type"]) == (our_version(), "application/json")
    assert asked.headers["x-other"] == "1"
    assert "tel_a" not in repr(client)


def test_without_a_key_none_is_sent_and_an_empty_answer_is_none() -> None:
    with serving(in_turn(Answer(204, b""), Answer(200, b""))) as server:
        client = Client(server.url, None)
        assert client.delete("/a") is None
        assert client.get("/a") is None
    assert all("authorization" not in each.headers for each in server.asked)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_can_be_repeated_is_tried_three_times(method: str) -> None:
    with serving(in_turn(BREAK, BREAK, Answer(body=1))) as server:
        assert Client(server.url, None).request(method, "/") == 1
        assert len(server.asked) == 3
    with serving(in_turn(BREAK)) as server:
        with pytest.raises(ServerUnreachableError, match=rf"Cannot reach the Tellurio server at {server.url}: "):
            Client(server.url, None).request(method, "/")
        assert len(server.asked) == 3


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_may_have_been_done_is_not_sent_again_unless_the_caller_says_so(method: str) -> None:
    with serving(in_turn(BREAK, Answer(body=1))) as server:
        with pytest.raises(ServerUnreachableError):
            Client(server.url, None).request(method, "/", json={})
        assert len(server.asked) == 1
    with serving(in_turn(BREAK, Answer(body=1))) as server:
        assert Client(server.url, None).request(method, "/", json={}, retry=True) == 1


def test_what_was_never_received_is_sent_again_by_any_method(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that starts while the client waits."""
    with serving(in_turn(BREAK)) as server:
        port = int(server.url.rpartition(":")[2])
    with contextlib.ExitStack() as stack:
        waits: list[float] = []

        def start(seconds: float) -> None:
            waits.append(seconds)
            stack.enter_context(serving(in_turn(Answer(body=1)), port))

        monkeypatch.setattr("tellurio.client.http.time", types.SimpleNamespace(sleep=start))
        assert Client(server.url, None).post("/", json={}) == 1
        assert waits == [0.1]


def test_no_retry_means_one_try() -> None:
    with serving(in_turn(BREAK)) as server:
        with pytest.raises(ServerUnreachableError):
            Client(server.url, None).get("/", retry=False)
        assert len(server.asked) == 1


def test_a_stream_is_sent_once() -> None:
    with serving(in_turn(BREAK)) as server:
        with pytest.raises(ServerUnreachableError):
            Client(server.url, None).put("/", content=iter([b"a", b"b"]))
        assert len(server.asked) == 1


def test_a_server_that_is_full_is_given_the_time_it_asks_for() -> None:
    full = Answer(429, {"error": {"code": "full", "message": "wait"}}, {"Retry-After": "0.01"})
    with serving(in_turn(full, full, Answer(body=1))) as server:
        assert Client(server.url, None).post("/", json={}) == 1  # it had done nothing yet
        assert len(server.asked) == 3
    for headers in ({"Retry-After": "3600"}, {"Retry-After": "-1"}):
        with serving(in_turn(Answer(429, {}, headers))) as server:
            with pytest.raises(ServerError) as refused:
                Client(server.url, None).get("/")
            assert (refused.value.status_code, len(server.asked)) == (429, 1)


def test_a_refusal_says_what_where_and_which_request() -> None:
    body = {"error": {"code": "not_found", "message": "There is no Run 'x'."}}
    with serving(in_turn(Answer(404, body, {"X-Request-ID": "r7"}))) as server:
        with pytest.raises(ServerError) as refused:
            Client(server.url, "tel_secret").get("/api/v1/runs/x")
        error = refused.value
    assert (error.status_code, error.body, error.request_id) == (404, body, "r7")
    assert str(error) == (
        f"The server at {server.url} answered GET /api/v1/runs/x with 404: There is no Run 'x'. [request r7]"
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"error": 5}', b'{"error": {"message": null}}', b"\xff"])
def test_a_refusal_of_any_shape_is_an_error_of_ours(body: bytes) -> None:
    with serving(in_turn(Answer(500, body))) as server, pytest.raises(ServerError, match="with 500: ") as refused:
        Client(server.url, None).get("/")
    assert refused.value.status_code == 500


def test_an_unknown_key_is_not_shown() -> None:
    with serving(in_turn(Answer(401, {}))) as server:
        with pytest.raises(InvalidAPIKeyError, match="does not know the API key. .*afnio login --relogin") as refused:
            Client(server.url, "tel_secret").get("/")
        assert "secret" not in str(refused.value)
        with pytest.raises(InvalidAPIKeyError, match="none was given"):
            Client(server.url, None).get("/")


@pytest.mark.parametrize("status", [200, 301, 404, 502])
def test_what_answers_without_a_version_is_no_tellurio_server(status: int) -> None:
    answer = Answer(status, b"<html>", {"Content-Type": "text/html", "Location": "https://login.example.com/?q=1"})
    answer.version = None
    with serving(in_turn(answer)) as server:
        client = Client(server.url, "tel_a")
        with pytest.raises(
            ServerUnreachableError, match=rf"no Tellurio server \(status {status}, text/html\)"
        ) as wrong:
            client.get("/")
        with pytest.raises(ServerUnreachableError), client.stream("/") as pieces:
            list(pieces)
    assert "it sends us to https://login.example.com." in str(wrong.value)


def test_a_server_that_is_replaced_by_another_version_is_noticed() -> None:
    with serving(in_turn(Answer(body=1), Answer(body=2, version="9.9.9"))) as server:
        client = Client(server.url, None)
        assert client.get("/") == 1
        with pytest.raises(ServerVersionError, match=r"the server 9\.9\.9: upgrade the client"):
            client.get("/")
        assert Client(server.url, None, any_version=True).get("/") == 2


def test_a_stream_comes_in_pieces_and_its_refusal_is_an_error() -> None:
    with serving(in_turn(Answer(body=b"x" * 300_000), Answer(404, {"error": {"message": "none"}}))) as server:
        client = Client(server.url, None)
        with client.stream("/file") as pieces:
            assert b"".join(pieces) == b"x" * 300_000
        with pytest.raises(ServerError, match="404: none"), client.stream("/file"):
            pass


def test_threads_share_a_client() -> None:
    with serving(lambda asked: Answer(body=asked.path)) as server:
        client = Client(server.url, None)
        found: list[str] = []
        threads = [
            threading.Thread(target=lambda n=n: found.extend(client.get(f"/{n}/{i}") for i in range(10)))
            for n in range(8)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert sorted(found) == sorted(f"/{n}/{i}" for n in range(8) for i in range(10))


def test_a_fork_has_connections_of_its_own() -> None:
    with serving(lambda asked: Answer(body=asked.path)) as server:
        client = Client(server.url, None)
        client.get("/parent")
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writing, b"ok" if client.get("/child") == "/child" else b"no")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reading, 2) == b"ok"
        assert client.get("/parent") == "/parent"
        os.close(reading)
        os.close(writing)


def test_a_proxy_is_not_asked_for_what_is_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(in_turn(Answer(body=1))) as server:
        assert Client(server.url, None).get("/") == 1


def test_requests_to_a_server_are_no_news_in_a_log_and_the_users_own_are(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with serving(in_turn(Answer(body=1))) as server, serving(in_turn(Answer(body=1))) as other:
        Client(server.url, None).get("/a")
        httpx2.get(f"{other.url}/b", trust_env=False)
    assert [each.getMessage() for each in caplog.records if each.name == "httpx2"] == [
        f'HTTP Request: GET {other.url}/b "HTTP/1.1 200 OK"'
    ]


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:7117", True),
        ("http://127.9.9.9", True),
        ("http://localhost:1", True),
        ("http://[::1]:7117", True),
        ("http://localhost.example.com", False),
        ("https://10.0.0.1", False),
        ("nonsense", False),
    ],
)
def test_what_is_on_this_machine(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_a_part_of_a_path_stays_one() -> None:
    assert segment("a/b c?d") == "a%2Fb%20c%3Fd"
    assert (segment(".."), segment("a/../b", safe="/"), segment("a.b")) == ("%2E%2E", "a/%2E%2E/b", "a.b")
