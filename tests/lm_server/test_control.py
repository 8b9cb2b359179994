"""The server around the model: counts, recorded requests, reset, concurrency, process, command line."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

import httpx2
import openai
import pytest

from afnio.calls.request import Request
from afnio.models.formats.openai_chat import OPENAI_CHAT, PATH
from afnio.models.lm_server import ABOUT, KINDS, WORLDS, LMServer, Settings
from afnio.models.lm_server.simulation import Simulation

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "temperature": 0.5}


def test_counts_by_role(tickets_server: LMServer) -> None:
    tickets_server.reset()
    schema = {"type": "json_schema", "json_schema": {"name": "afnio_update", "schema": {"type": "object"}}}
    with openai.OpenAI(api_key="any", base_url=tickets_server.base_url) as client:
        create: Any = client.chat.completions.create
        create(**BODY)
        create(**BODY, response_format=schema)
    stats = tickets_server.stats()
    assert {role: counts["calls"] for role, counts in stats["by_role"].items()} == {"forward": 1, "optimizer": 1}
    assert stats["calls"] == stats["total"]["calls"] == len(stats["requests"]) == 2
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        assert stats["total"][name] == sum(counts[name] for counts in stats["by_role"].values())
    first, second = stats["requests"]
    assert first["arrived"] <= first["done"] <= second["arrived"] <= second["done"]
    assert (stats["open"], first["status"], first["fault"]) == (0, 200, "")
    tickets_server.reset()
    assert tickets_server.stats()["calls"] == 0


def test_bodies_are_kept_byte_for_byte(echo: LMServer) -> None:
    raw = b'{"messages": [ {"content":"h\\u00e9llo", "role":"user"}],  "model":"m"}'
    httpx2.post(f"{echo.base_url}/chat/completions", content=raw)
    assert echo.requests()[-1]["body"].encode() == raw


def test_the_key_is_the_one_of_our_own_requests(echo: LMServer) -> None:
    httpx2.post(f"{echo.base_url}/chat/completions", json=BODY)
    ours = Request("openai", echo.base_url, PATH, "m", BODY, OPENAI_CHAT)
    assert echo.stats()["requests"][-1]["key"] == ours.key


def test_requests_are_served_side_by_side() -> None:
    async def all_at_once(server: LMServer) -> None:
        async with openai.AsyncOpenAI(api_key="any", base_url=server.base_url) as client:
            asked = [asyncio.ensure_future(client.chat.completions.create(**BODY)) for _ in range(32)]
            while server.stats(rows=False)["open"] < 32:
                await asyncio.sleep(0)
            for each in asked:
                each.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    with LMServer("echo", faults=["timeout@1x32"]) as server:
        asyncio.run(all_at_once(server))
        assert server.stats()["max_concurrency"] == 32


def test_a_reset_does_not_keep_open_what_ends_after_it() -> None:
    async def across_a_reset(server: LMServer) -> None:
        async with openai.AsyncOpenAI(api_key="any", base_url=server.base_url) as client:
            asked = asyncio.ensure_future(client.chat.completions.create(**BODY))
            while server.stats(rows=False)["open"] < 1:
                await asyncio.sleep(0)
            server.reset()
            assert server.stats(rows=False)["open"] == 1
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    with LMServer("echo", faults=["timeout"]) as server:
        asyncio.run(across_a_reset(server))
        for _ in range(10_000):  # the server hears of it soon
            if not server.stats(rows=False)["open"]:
                break
        assert server.stats(rows=False)["open"] == 0


def test_an_answer_comes_after_the_latency() -> None:
    with LMServer("echo", latency=0.2) as server:
        httpx2.post(f"{server.base_url}/chat/completions", json=BODY)
        (row,) = server.stats()["requests"]
    assert row["done"] - row["arrived"] > 0.19


def test_jitter_is_drawn_by_the_request() -> None:
    simulation = Simulation(Settings("echo", latency=0.2, jitter=0.1, seed=3))
    drawn = [simulation.latency_of(str(number)) for number in range(200)]
    assert drawn == [simulation.latency_of(str(number)) for number in range(200)]
    assert 0.1 <= min(drawn) < 0.13
    assert 0.27 < max(drawn) <= 0.3


def test_faults_are_set_over_http_too(echo: LMServer) -> None:
    with httpx2.Client(base_url=echo.url) as client:
        assert client.post("/__faults", json=["500@1", {"kind": "429", "at": 2}]).status_code == 200
        asked = [client.post("/v1/chat/completions", json=BODY).status_code for _ in range(3)]
        refused = client.post("/__faults", json=["418"])
    assert asked == [500, 429, 200]
    assert refused.status_code == 400
    assert "There is no fault '418'" in refused.json()["error"]["message"]
    assert [fault["met"] for fault in echo.faults] == [1, 1]


def test_every_answer_says_it_is_a_simulation(echo: LMServer) -> None:
    reply = httpx2.post(f"{echo.base_url}/chat/completions", json=BODY)
    assert reply.headers["x-simulation"] == "simulation, not an AI"
    assert reply.headers["x-request-id"].startswith("req_")


def test_a_process_answers_the_same_bytes_as_a_thread() -> None:
    replies = []
    for process in (False, True):
        with LMServer("tickets", seed=3, process=process) as server:
            server.faults = ["500@2"]
            replies.append(httpx2.post(f"{server.base_url}/chat/completions", json=BODY).content)
            assert httpx2.post(f"{server.base_url}/chat/completions", json=BODY).status_code == 500
            assert server.stats()["calls"] == 2
    assert replies[0] == replies[1]


def test_a_server_can_be_stopped_and_started_again() -> None:
    for _ in range(9):  # meanwhile another process may take the port
        server = LMServer("echo")
        with server:
            port = server.port
        with contextlib.suppress(OSError), server:
            assert server.port == port
            assert server.stats()["calls"] == 0
            return
    pytest.fail("its port was taken each time")


def test_a_connection_that_comes_while_the_server_stops_is_closed_too() -> None:
    """The server is busy while its clients connect and it is told to stop, so it learns of all that at once."""
    busy, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        busy.set()
        go_on.wait(150)

    server = LMServer("echo").start()
    loop = server._running._loop  # type: ignore[union-attr]
    loop.call_soon_threadsafe(hold)  # type: ignore[union-attr]
    assert busy.wait(150)
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
    loop.call_soon_threadsafe(server._running._done.set)  # type: ignore[union-attr]
    go_on.set()
    server.stop()
    del loop
    gc.collect()  # what was not closed would tell, and a warning is an error
    for client in clients:
        client.close()


@pytest.mark.parametrize("process", [False, True])
def test_a_taken_port_is_an_error(echo: LMServer, process: bool, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OSError, match=str(echo.port)):
        LMServer("echo", port=echo.port, process=process).start()


def test_an_unknown_world_is_named() -> None:
    with pytest.raises(ValueError, match=r"no world 'moon'. Worlds: tickets, shop, echo"):
        LMServer("moon").start()


# -- the command


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from tellurio.cli import main; main()", *arguments]


def test_the_command_serves_and_says_what_it_is() -> None:
    started = command("lm-server", "--world", "echo", "--latency", "0.01", "--fault", "500@2")
    with subprocess.Popen(started, stdout=subprocess.PIPE, text=True, env={"PYTHONUNBUFFERED": "1"}) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(4)]
        url = lines[1].split("OPENAI_BASE_URL=")[1].split()[0]
        asked = [httpx2.post(f"{url}/chat/completions", json=BODY).status_code for _ in range(3)]
        process.send_signal(signal.SIGINT)
        last = process.stdout.read()
    assert "simulation, not an AI" in lines[0]
    assert asked == [200, 500, 200]
    assert last == "[simulation] Stopped.\n"
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fault", "418"], "There is no fault '418'"),
        (["--world", "moon"], "no world 'moon'"),
        (["--bad-share", "2"], "less than or equal to 1"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(arguments: list[str], says: str) -> None:
    done = subprocess.run(command("lm-server", *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.replace("│", " ").split())


def test_the_command_on_a_taken_port(echo: LMServer) -> None:
    done = subprocess.run(command("lm-server", "--port", str(echo.port)), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Try --port 0" in done.stderr


def test_version_and_help() -> None:
    version = subprocess.run(command("--version"), capture_output=True, text=True, check=True)
    assert version.stdout.startswith("afnio ")
    assert "lm-server" in subprocess.run(command("--help"), capture_output=True, text=True, check=True).stdout


def test_the_help_names_every_world_and_every_fault() -> None:
    env = {**os.environ, "COLUMNS": "400", "NO_COLOR": "1"}
    done = subprocess.run(command("lm-server", "--help"), capture_output=True, text=True, check=True, env=env)
    words = " ".join(done.stdout.replace("│", " ").split())
    assert set(ABOUT) == set(WORLDS)
    assert all(f"{name}: {about}." in words for name, about in ABOUT.items())
    assert all(kind in words for kind in KINDS)


def test_stats_are_json(echo: LMServer) -> None:
    assert json.loads(httpx2.get(f"{echo.url}/__stats?rows=0").content)["requests"] == []
