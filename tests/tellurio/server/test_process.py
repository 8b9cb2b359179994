"""The server as a process: its beginning, its end, and what it leaves for others to find."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from tellurio.schemas.version import our_version
from tests.tellurio.running import PATIENCE, ServerProcess
from tests.tellurio.server.lab import files_in, metric_line


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that a test may do harm to."""
    running = ServerProcess(tmp_path / "home")
    yield running
    running.stop()


def start(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A server that is not expected to stay."""
    command = [sys.executable, "-m", "tellurio.server", "--home", str(home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def a_run(client: httpx2.Client, namespace: str) -> str:
    assert client.post("/api/v1/namespaces", json={"slug": namespace}).status_code == 201
    base = f"/api/v1/namespaces/{namespace}/projects"
    assert client.post(base, json={"display_name": "p"}).status_code == 201
    made = client.post(f"{base}/p/runs", json={"id": str(uuid.uuid4())})
    assert made.status_code == 201
    return str(made.json()["id"])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_says_where_it_is(server: ServerProcess) -> None:
    facts = orjson.loads((server.folder / "server.json").read_bytes())
    assert set(facts) == {"url", "port", "pid", "key", "version", "server_id"}
    assert facts["version"] == our_version()
    with server.client("") as client:
        health = client.get("/healthz").json()
    assert health == {"status": "ok", "version": our_version(), "server_id": facts["server_id"], "pid": facts["pid"]}


def test_what_it_keeps_is_nobody_elses(server: ServerProcess) -> None:
    assert mode(server.folder) == 0o700
    for name in ("server.json", "local_key", "tellurio.db"):
        assert mode(server.folder / name) == 0o600, name


def test_its_log_has_the_start_and_no_secret(server: ServerProcess) -> None:
    with server.client("tel_wrong_key_of_somebody") as client:
        client.get("/api/v1/me", params={"token": "in-the-query"})
        client.get("/login", params={"code": "a-login-code", "next": "/"})
    log = server.log
    assert re.search(r"^\d{4}-\d\d-\d\dT[\d:.]+Z info started url=http://127.0.0.1:\d+ pid=\d+", log, re.MULTILINE)
    assert re.search(
        r"warning login_refused reason=\"unknown key\" client=127.0.0.1 method=GET path=/api/v1/me$", log, re.MULTILINE
    )
    for secret in (server.key, "tel_wrong", "in-the-query", "a-login-code"):
        assert secret not in log


def test_it_ends_when_asked_and_begins_where_it_was(own: ServerProcess) -> None:
    with own.client() as client:
        run_id = a_run(client, "n")
        client.post(f"/api/v1/runs/{run_id}/journal?client=c&first=1", content=metric_line(1))
    key, port = own.key, own.port
    assert own.stop() == 0
    assert not (own.folder / "server.json").exists()
    assert re.search(r"info stopping\n.* info stopped$", own.log.strip(), re.MULTILINE)
    own.start()
    assert (own.key, own.port) == (key, port)
    with own.client() as client:
        gap = client.post(f"/api/v1/runs/{run_id}/journal?client=c&first=9", content=b"")
        assert gap.json()["error"]["acknowledged"] == 1


def test_what_it_acknowledged_survives_a_kill(own: ServerProcess) -> None:
    with own.client() as client:
        run_id = a_run(client, "n")
        for n in range(1, 21):
            client.post(f"/api/v1/runs/{run_id}/journal?client=c&first={n}", content=metric_line(n, value=n))
    own.kill()
    own.start()
    with own.client() as client:
        points = client.get(f"/api/v1/runs/{run_id}/metrics/loss").json()["points"]
    assert [point[2] for point in points] == list(range(1, 21))


def test_a_second_one_says_who_has_the_store(own: ServerProcess) -> None:
    second = start(own.folder, "--port", "0")
    assert second.returncode == 3
    assert str(own.pid) in second.stderr
    assert "tellurio down" in second.stderr
    assert "Traceback" not in second.stderr
    assert orjson.loads((own.folder / "server.json").read_bytes())["pid"] == own.pid


def test_a_port_that_was_asked_for_and_is_taken_is_said(tmp_path: Path, server: ServerProcess) -> None:
    refused = start(tmp_path / "server", "--port", str(server.port))
    assert refused.returncode == 4
    assert f"127.0.0.1:{server.port}" in refused.stderr
    assert "--port" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_database_that_is_none_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "tellurio.db").write_bytes(b"this is no database" * 1000)
    refused = start(folder)
    assert refused.returncode == 3
    assert "Traceback" not in refused.stderr


def test_a_folder_that_takes_no_file_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    (folder / "server.json" / "in the way").mkdir(parents=True)
    refused = start(folder, "--port", "0")
    assert refused.returncode == 3
    assert f"Cannot write {folder / 'server.json'}: Is a directory. Make space, or" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_requests_under_way_are_finished_before_the_end(own: ServerProcess) -> None:
    with own.client() as client:
        run_id = a_run(client, "n")
    lines = metric_line(1) + metric_line(2)
    head = f"POST /api/v1/runs/{run_id}/journal?client=c&first=1 HTTP/1.1\r\nHost: 127.0.0.1:{own.port}\r\n"
    head += f"Authorization: Bearer {own.key}\r\nContent-Length: {len(lines)}\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", own.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"  # from here on it is under way
        os.kill(own.pid, signal.SIGTERM)
        connection.sendall(lines)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert own.stop() == 0


def test_a_file_whose_sender_went_away_leaves_nothing(own: ServerProcess) -> None:
    with own.client() as client:
        run_id = a_run(client, "n")
        head = f"PUT /api/v1/runs/{run_id}/blobs/{'0' * 64} HTTP/1.1\r\nHost: 127.0.0.1:{own.port}\r\n"
        with socket.create_connection(("127.0.0.1", own.port), timeout=PATIENCE) as connection:
            connection.sendall(f"{head}Authorization: Bearer {own.key}\r\nContent-Length: 1000\r\n\r\nabc".encode())
            while not files_in(own.folder / "blobs"):
                assert client.get("/healthz").status_code == 200
        while files_in(own.folder / "blobs"):
            assert client.get("/healthz").status_code == 200
    assert " error " not in own.log


def raw(server: ServerProcess, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


@pytest.mark.parametrize(
    "request_line",
    [
        *(b"GET /%ff%fe HTTP/1.1", b"GET /api/v1/runs/%ff HTTP/1.1", b"GET /\xff HTTP/1.1", b"GET http://x/y HTTP/1.1"),
        *(
            b"GET * HTTP/1.1",
            b"OPTIONS * HTTP/1.1",
            b"GET //x//y HTTP/1.1",
            b"GET /x?a=%ff&b=%zz HTTP/1.1",
            b"GET /a HTTP/1.0",
        ),
        *(b"TRACE / HTTP/1.1", b"BREW /healthz HTTP/1.1", b"rubbish", b"GET /" + b"a" * 20000 + b" HTTP/1.1"),
        *(b"CONNECT x:1 HTTP/1.1", b"GET /api/v1/../../healthz HTTP/1.1", b"GET /api/v1/%2e%2e/healthz HTTP/1.1"),
    ],
)
def test_odd_requests_get_an_answer_that_blames_them(server: ServerProcess, request_line: bytes) -> None:
    host = f"Host: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.key}\r\nConnection: close\r\n\r\n"
    answer = raw(server, request_line + b"\r\n" + host.encode())
    assert re.match(rb"HTTP/1.1 4\d\d ", answer), answer[:200]


def test_a_request_without_a_host_is_refused(server: ServerProcess) -> None:
    assert raw(server, b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert raw(server, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_body_that_is_too_long_is_refused_before_it_is_sent(server: ServerProcess) -> None:
    head = (
        f"POST /api/v1/namespaces HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.key}\r\n"
    )
    answer = raw(server, f"{head}Content-Type: application/json\r\nContent-Length: 999999999999\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    answer = raw(server, f"{head}Expect: 100-continue\r\nContent-Length: 999999999999\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_an_escaped_name_is_decoded_once(server: ServerProcess) -> None:
    with server.client() as client:
        run_id = a_run(client, f"n{uuid.uuid4().hex[:8]}")
        client.post(
            f"/api/v1/runs/{run_id}/journal?client={uuid.uuid4()}&first=1", content=metric_line(1, "a%2Fb/c é", 3)
        )
        found: Any = client.get(f"/api/v1/runs/{run_id}/metrics/a%252Fb%2Fc%20%C3%A9").json()
    assert found["points"][0][2] == 3
