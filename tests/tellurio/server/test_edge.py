"""What holds for every request: who may send it from where, how much of it is read, and what a refusal looks like."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from tellurio.schemas.version import HEADER, our_version
from tellurio.server.doors import Permission, Resource
from tellurio.server.hosts import Hosts
from tellurio.server.refusals import Refused
from tellurio.server.settings import ServerSettings
from tests.tellurio.server.lab import PORT, URL, House, Visitor, house, metric_line

ME = "/api/v1/me"


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", f"evil.example:{PORT}", "localhost", "127.0.0.1", f"localhost:{PORT + 1}", ""),
        *(f"localhost.evil.example:{PORT}", f"127.0.0.1.nip.io:{PORT}", f"localhost:{PORT}@evil", f"0.0.0.0:{PORT}"),
    ],
)
def test_dns_rebinding_is_refused_by_the_host_header(owner: Visitor, host: str) -> None:
    refused = owner("GET", ME, headers={"Host": host})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "host_refused")


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"127.0.0.1:{PORT}", f"[::1]:{PORT}", f"LOCALHOST:{PORT}"])
def test_this_machine_is_answered(owner: Visitor, host: str) -> None:
    assert owner("GET", ME, headers={"Host": host}).status_code == 200


def test_a_host_can_be_allowed() -> None:
    hosts = Hosts(ServerSettings(host="0.0.0.0", port=80, allowed_hosts=("studio.example",)))
    hosts.check(b"studio.example", b"https://studio.example")
    hosts.check(b"localhost", None)
    for host, origin in ((None, None), (b"other.example", None), (b"localhost", b"https://studio.example")):
        with pytest.raises(Refused):
            hosts.check(host, origin)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        f"http://localhost:{PORT}",
        f"http://127.0.0.1:{PORT + 1}",
        f"{URL}.evil.example",
        "",
    ],
)
def test_a_page_of_another_origin_is_refused(owner: Visitor, origin: str) -> None:
    for method, path in (("GET", ME), ("POST", "/api/v1/namespaces")):
        refused = owner(method, path, headers={"Origin": origin}, json={"slug": "x"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "origin_refused")


def test_our_own_origin_is_answered(owner: Visitor) -> None:
    assert owner("GET", ME, headers={"Origin": URL}).status_code == 200


def test_every_answer_says_its_version_and_its_number(home: House, owner: Visitor) -> None:
    answers = [owner("GET", ME), home.nobody("GET", ME), owner("GET", "/nothing"), home.nobody("GET", "/healthz")]
    assert all(answer.headers[HEADER] == our_version() for answer in answers)
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
    assert all(answer.headers["x-content-type-options"] == "nosniff" for answer in answers)
    named = owner("GET", ME, headers={"X-Request-ID": "my-id_1.2"})
    assert named.headers["x-request-id"] == "my-id_1.2"
    odd = owner("GET", ME, headers={"X-Request-ID": "a b<script>"})
    assert odd.headers["x-request-id"] != "a b<script>"


def test_a_client_of_a_far_version_is_told_what_to_type(home: House, owner: Visitor) -> None:
    major, minor, *_ = our_version().split(".")
    far = f"{major}.{int(minor) + 2}.0"
    refused = owner("GET", ME, headers={HEADER: far})
    assert (refused.status_code, refused.json()["error"]["code"]) == (426, "upgrade_required")
    assert "pip install" in refused.json()["error"]["message"]
    for near in (our_version(), f"{major}.{int(minor) + 1}.9", "what?", "9" * 5000 + ".1", "٣.٤"):
        assert owner("GET", ME, headers={HEADER: near.encode()}).status_code in (200, 426)
    assert owner("GET", ME, headers={HEADER: f"{major}.{int(minor) + 1}.0"}).status_code == 200
    assert home.nobody("GET", "/healthz", headers={HEADER: far}).status_code == 200


def test_refusals_have_one_shape(home: House, owner: Visitor) -> None:
    for answer, code in (
        (owner("GET", "/api/v1/nothing"), "not_found"),
        (owner("DELETE", ME), "method_not_allowed"),
        (owner("POST", "/api/v1/namespaces", content=b"{"), "invalid"),
        (owner("POST", "/api/v1/namespaces", json={"slug": "a", "more": 1}), "invalid"),
        (
            owner(
                "POST",
                "/api/v1/namespaces",
                content=b'{"slug": "\\ud800"}',
                headers={"Content-Type": "application/json"},
            ),
            "invalid",
        ),
        (home.nobody("GET", ME), "unauthorized"),
        (owner("GET", "/api/v1/namespaces/%00"), "bad_request"),
    ):
        error = answer.json()["error"]
        assert error["code"] == code, answer.text
        assert error["message"]
    assert owner("PUT", "/api/v1/namespaces").headers["allow"] == "GET, POST"
    assert home.nobody("GET", ME).headers["www-authenticate"] == "Bearer"


def test_what_was_given_is_not_repeated(owner: Visitor) -> None:
    refused = owner("POST", "/api/v1/namespaces", json={"slug": "SECRET-sk-123", "token": "sk-456"})
    assert refused.status_code == 422
    assert "sk-" not in refused.text


@pytest.fixture
def small(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "small", body_limit=1000, journal_limit=2000, journal_lines=5, waiting_bytes=1500) as made:
        yield made


def chunks(size: int, read: list[int]) -> Iterator[bytes]:
    for _ in range(size // 100):
        read.append(100)
        yield b"x" * 100


def test_bodies_are_bounded(small: House) -> None:
    user = small.user("u")
    for options in ({"content": b"x" * 1001}, {"content": b'"' + b"x" * 5000}, {"content": chunks(5000, [])}):
        refused = user("POST", "/api/v1/namespaces", headers={"Content-Type": "application/json"}, **options)
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_large")
        assert refused.headers["connection"] == "close"


def test_an_announced_body_that_is_too_long_is_not_read(small: House) -> None:
    read: list[int] = []

    async def receive() -> dict[str, Any]:
        read.append(1)
        return {"type": "http.request", "body": b"x", "more_body": True}

    user, sent = small.user("u"), []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", f"localhost:{PORT}".encode()), (b"authorization", f"Bearer {user.key}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/api/v1/namespaces", "raw_path": b"/api/v1/namespaces"}
    scope |= {"query_string": b"", "headers": [*headers, (b"content-length", b"1001")], "client": ("x", 1)}
    assert small.client.portal is not None
    small.client.portal.call(small.app, scope, receive, send)
    assert sent[0]["status"] == 413
    assert read == []
    scope["headers"] = headers
    small.client.portal.call(small.app, scope, receive, send)
    assert len(read) == 1001
    scope["headers"] = [headers[0], (b"content-length", b"10")]
    small.client.portal.call(small.app, scope, receive, send)
    assert (sent[-2]["status"], len(read)) == (401, 1001)


def test_a_batch_is_bounded(small: House) -> None:
    user = small.user("u")
    user.json("POST", "/api/v1/namespaces", json={"slug": "n"})
    user.json("POST", "/api/v1/namespaces/n/projects", json={"display_name": "p"})
    run = user.json("POST", "/api/v1/namespaces/n/projects/p/runs", json={"id": "0" * 32})
    path = f"/api/v1/runs/{run['id']}/journal?client=c&first=1"
    assert user("POST", path, content=b"x" * 2001).status_code == 413
    assert user("POST", path, content=b"".join(metric_line(n) for n in range(1, 7))).status_code == 413
    assert user.json("POST", path, content=b"".join(metric_line(n) for n in range(1, 6)))["acknowledged"] == 5


def test_a_refused_login_is_logged_and_a_secret_is_not(home: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="tellurio.server"):
        home.nobody("GET", f"{ME}?token=secret1", headers={"Authorization": "Bearer tel_secret2"})
        home.nobody("GET", "/login?code=secret3&next=/secret4")
    said = [(record.getMessage(), record.__dict__["fields"]) for record in caplog.records]
    assert [event for event, _ in said] == ["login_refused", "login_refused"]
    assert said[0][1]["reason"] == "unknown key"
    assert "secret" not in str(said)


def test_a_failure_of_ours_is_an_answer_too(tmp_path: Path) -> None:
    broken = Resource("broken")

    @broken.route("GET", "/broken", permission=Permission.PUBLIC)
    async def fail(request: Request) -> Response:
        raise RuntimeError("the secret is sk-12345")

    with house(tmp_path / "server") as made:
        made.app.router.routes.extend(broken.routes)
        client = TestClient(made.app, base_url=URL, raise_server_exceptions=False)
        answer = client.get("/api/v1/broken")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert answer.headers["x-request-id"] in answer.json()["error"]["message"]
    assert "sk-" not in answer.text
