"""The local server: one is started however many ask, a stale trace of one misleads nobody, and what fails says why."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tellurio
from afnio.errors import (
    InvalidAPIKeyError,
    ServerStartError,
    ServerUnreachableError,
    ServerVersionError,
    TellurioError,
)
from tellurio.client.http import Client
from tellurio.client.local import ensure_local_server, local_status, stop_local_server
from tellurio.client.login import connect, login
from tests.tellurio.client.odd import Answer, Asked, knows, serving, website


def server_file(home: Path) -> Any:
    return json.loads((home / "server" / "server.json").read_text())


def plant(home: Path, **facts: Any) -> None:
    """A server.json, as somebody left it."""
    folder = home / "server"
    folder.mkdir(parents=True, exist_ok=True)
    planted = {"url": "http://127.0.0.1:9", "port": 9, "pid": 2**22 - 1, "key": "tel_old", "version": "0.1.0"}
    (folder / "server.json").write_text(json.dumps({**planted, "server_id": "old", **facts}))


def servers_of(home: Path) -> set[int]:
    """Processes that serve this home, however they came to be."""
    found = set()
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                command = (each / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"tellurio.server" in command and os.fsencode(home / "server") in command:
                found.add(int(each.name))
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen]:
    """A process that is alive and no server."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


START = """
import json, sys
from tellurio.client.local import ensure_local_server
sys.stdin.readline()  # all at once
print(json.dumps(ensure_local_server()))
"""


def test_eight_processes_that_start_at_once_start_one_server(home: Path) -> None:
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for each in starters:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    said = [each.communicate() for each in starters]
    assert [each.returncode for each in starters] == [0] * 8, said
    answers = {out for out, _ in said}
    assert len(answers) == 1
    assert servers_of(home) == {server_file(home)["pid"]}
    assert (home / "server" / "server.log").read_text().count(" started ") == 1


def test_threads_of_one_process_start_one_server_too(home: Path) -> None:
    found: list[tuple[str, str]] = []
    threads = [threading.Thread(target=lambda: found.append(ensure_local_server())) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 4
    assert len(set(found)) == len(servers_of(home)) == 1


def test_it_serves_this_user_goes_on_and_ends_when_told(home: Path) -> None:
    before = os.umask(0)
    try:
        url, key = ensure_local_server()
    finally:
        os.umask(before)
    assert ensure_local_server() == (url, key)
    me = Client(url, key).get("/api/v1/me")
    assert me["server"]["local"] is True
    status = local_status()
    assert status is not None
    assert (status.url, status.key) == (url, key)
    assert key not in repr(status)
    assert (mode(home), mode(home / "server")) == (0o700, 0o700)
    for name in ("server.json", "server.log", "start.lock", "tellurio.db"):
        assert mode(home / "server" / name) == 0o600, name
    assert stop_local_server() == status.pid
    assert (servers_of(home), local_status(), stop_local_server()) == (set(), None, None)
    assert key not in (home / "server" / "server.log").read_text()


def test_it_outlives_the_process_that_started_it_and_its_terminal(home: Path) -> None:
    code = "import os, signal; from tellurio.client.local import ensure_local_server as e; print(e()); "
    code += "os.killpg(0, signal.SIGINT)"  # as Ctrl-C does: to all of the terminal's group
    done = subprocess.run([sys.executable, "-c", code], start_new_session=True, capture_output=True, check=False)
    assert b"KeyboardInterrupt" in done.stderr
    assert servers_of(home) == {server_file(home)["pid"]}
    assert ensure_local_server()[0] == server_file(home)["url"]


def test_a_killed_server_leaves_a_stale_file_and_the_next_one_starts(home: Path) -> None:
    ensure_local_server()
    killed = server_file(home)
    os.kill(killed["pid"], signal.SIGKILL)
    url, key = ensure_local_server()
    now = server_file(home)
    assert now["pid"] != killed["pid"]
    assert (now["server_id"], now["url"], now["key"]) == (killed["server_id"], url, key)
    assert Client(url, key).get("/api/v1/me")["user"]


def test_a_server_that_is_ending_is_waited_for(home: Path) -> None:
    ensure_local_server()
    first = server_file(home)["pid"]
    os.kill(first, signal.SIGTERM)
    ensure_local_server()
    while first in servers_of(home):  # it answered still
        pass
    url, key = ensure_local_server()
    assert Client(url, key).get("/healthz")["pid"] in servers_of(home)


def test_a_server_that_hangs_is_said_to_and_can_be_stopped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_local_server()
    pid = server_file(home)["pid"]
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr("tellurio.client.local._HEALTH_SECONDS", 0.1)
    monkeypatch.setattr("tellurio.client.local._STOP_SECONDS", 1.0)
    with pytest.raises(ServerUnreachableError, match=rf"\(process {pid}\) does not answer at .*tellurio down, then"):
        ensure_local_server()
    assert stop_local_server() == pid
    assert servers_of(home) == set()


def test_a_process_that_got_the_servers_number_is_no_server_and_is_not_stopped(
    home: Path, sleeper: subprocess.Popen
) -> None:
    plant(home, pid=sleeper.pid)
    assert local_status() is None
    assert stop_local_server() is None
    ensure_local_server()
    assert server_file(home)["pid"] != sleeper.pid
    assert sleeper.poll() is None


def test_another_program_on_the_servers_port_is_no_server(home: Path, sleeper: subprocess.Popen) -> None:
    with serving(website) as other:
        plant(home, pid=sleeper.pid, url=other.url)
        url, _ = ensure_local_server()
    assert url != other.url


def test_another_server_on_its_port_is_not_ours(home: Path, sleeper: subprocess.Popen) -> None:
    """The number and the port were both given to others: to a server of another home, even."""

    def script(asked: Asked) -> Answer:
        return Answer(body={"status": "ok", "server_id": "somebody's", "pid": sleeper.pid, "version": "0.1.0"})

    with serving(script) as other:
        plant(home, pid=sleeper.pid, url=other.url)
        url, _ = ensure_local_server()
        assert url != other.url
        assert all("authorization" not in each.headers for each in other.asked)


@pytest.mark.parametrize("broken", ["", "{", "[]", "{}", '{"url": 1}', "\x00"])
def test_a_broken_file_of_the_server_is_no_server(broken: str, home: Path) -> None:
    plant(home)
    (home / "server" / "server.json").write_text(broken)
    assert local_status() is None


def test_a_server_that_dies_at_its_start_is_quoted(home: Path) -> None:
    (home / "server").mkdir(parents=True)
    (home / "server" / "server.log").write_text("what an earlier one said\n")
    (home / "server" / "tellurio.db").write_text("no database at all" * 1000)
    with pytest.raises(
        ServerStartError, match=r"(?s)did not start: it ended at once.*server\.log\):\n    .*tellurio up"
    ) as died:
        ensure_local_server()
    assert "earlier" not in str(died.value)
    assert "tellurio.db" in str(died.value)
    assert (home / "server" / "tellurio.db").read_text() == "no database at all" * 1000


def test_a_server_that_could_not_even_write_its_log_tells_of_the_full_disk(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'tellurio.server' in sys.orig_argv:\n    os._exit(1)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ServerStartError) as silent:
        ensure_local_server()
    assert "(nothing)\nMend that" in str(silent.value)
    monkeypatch.setattr("tellurio.client.local._LEAST_SPACE", 10**18)  # no disk has that much
    with pytest.raises(ServerStartError, match=r"\(nothing\)\nIts disk is full: [\d,]+ bytes are free\.\nMend that"):
        ensure_local_server()


def test_a_taken_port_is_not_needed(home: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ours = True
        try:
            taken.bind(("127.0.0.1", 7117))
            taken.listen()
        except OSError:
            ours = False  # another test's server has it, and may give it back at any moment
        url, key = ensure_local_server()
        assert not (ours and url.endswith(":7117"))
        assert Client(url, key).get("/healthz")["status"] == "ok"


def test_a_home_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TELLURIO_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(TellurioError, match=r"Cannot make the folder .*a file is in its way.* Set TELLURIO_HOME"):
        ensure_local_server()


def test_a_home_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLURIO_HOME", "/proc/tellurio")  # not even root can
    with pytest.raises(
        TellurioError, match=r"Cannot make the folder /proc/tellurio.*Set TELLURIO_HOME to a folder you"
    ):
        ensure_local_server()


def test_a_local_server_of_another_version_is_told_how_to_restart(home: Path) -> None:
    for version in ("9.9.0", "0.9.0"):

        def script(asked: Asked, version: str = version) -> Answer:
            said = {"status": "ok", "server_id": "old", "pid": os.getpid(), "version": version}
            return Answer(body=said, version=version)

        with serving(script) as other:
            plant(home, pid=os.getpid(), url=other.url, version=version)
            with pytest.raises(
                ServerVersionError, match=rf"is version {version}, this client .*tellurio down && tellurio up"
            ):
                ensure_local_server()
            (home / "server" / "server.json").unlink()


@pytest.mark.parametrize("version", ["9.9.0", "0.9.0"])
def test_a_client_of_another_version_is_told_so_and_can_stop_the_server(
    version: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_local_server()
    for module in ("local", "http"):
        monkeypatch.setattr(f"tellurio.client.{module}.our_version", lambda: version)
    with pytest.raises(ServerVersionError, match=rf"this client {version}\. .*tellurio down && tellurio up"):
        ensure_local_server()
    with pytest.raises(ServerVersionError, match="tellurio down && tellurio up"):
        connect()
    status = local_status()
    assert status is not None
    assert stop_local_server() == status.pid


def test_neither_keys_nor_the_shells_habits_are_handed_on(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "logging.py").write_text("raise SystemExit('the user has a module of this name')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-somebody")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("PYTHONPATH", os.path.relpath(Path(tellurio.__file__).parents[1]))
    ensure_local_server()
    environment = Path(f"/proc/{server_file(home)['pid']}/environ").read_bytes()
    assert b"sk-secret" not in environment
    assert b"org-of-somebody" not in environment
    assert b"PYTHONWARNINGS" not in environment


# Logging in to it


def test_a_login_without_any_setting_is_one_to_the_local_server(home: Path) -> None:
    user = login()
    assert set(user) == {"email", "username", "session_id"}
    assert not (home / "config.json").exists()
    client = connect()
    assert (client.url, client.is_local) == (server_file(home)["url"], True)
    assert connect() is client


def test_the_next_connection_follows_a_server_that_ended(home: Path) -> None:
    first = connect()
    stop_local_server()
    second = connect()
    assert second.get("/api/v1/me")["user"]
    os.kill(server_file(home)["pid"], signal.SIGKILL)
    assert connect().get("/api/v1/me")["user"]
    assert first.is_local
    assert second.is_local


def test_a_wrong_key_for_the_local_server_is_said_to_be_where_it_is_from(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELLURIO_API_KEY", "tel_of_another_server")
    with pytest.raises(InvalidAPIKeyError, match=r"Set TELLURIO_API_KEY to a key of this server, or unset it"):
        connect()


def test_local_is_the_way_back(home: Path) -> None:
    with serving(knows("tel_a")) as server:
        login("tel_a", url=server.url)
        assert connect().is_local is False
        login(url="local")
        assert connect().is_local is True
    assert json.loads((home / "config.json").read_text()) == {}
