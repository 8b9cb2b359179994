"""A request to what looks like a model, in a shape that no dialect knows: said once, whatever library it goes by."""

from __future__ import annotations

import pytest

from tests.ao.lab import Lab

HOME = """
import os, socket
from urllib.parse import urlsplit

port, look_up = urlsplit(os.environ["OPENAI_BASE_URL"]).port, socket.getaddrinfo
socket.getaddrinfo = lambda host, *args, **options: look_up("127.0.0.1", *args, **options)  # it is no far host
url, body = f"http://api.mistral.ai:{port}/v1/new/thing", {"model": "m", "question": "?"}
"""

WAYS = {
    "httpx": "import httpx\nask = lambda: httpx.post(url, json=body).status_code",
    "httpx2": "import httpx2\nask = lambda: httpx2.post(url, json=body).status_code",
    "httpx2 async": """
import asyncio, httpx2
async def asked():
    async with httpx2.AsyncClient() as client:
        return (await client.post(url, json=body)).status_code
ask = lambda: asyncio.run(asked())
""",
    "requests": "import requests\nask = lambda: requests.post(url, json=body).status_code",
    "aiohttp": """
import aiohttp, asyncio
async def asked():
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        return answer.status
ask = lambda: asyncio.run(asked())
""",
}


@pytest.mark.parametrize("library", WAYS)
def test_it_is_said_once_at_the_end_and_the_script_gets_its_answer(lab: Lab, library: str) -> None:
    ran = lab.record(lab.write("script.py", f"{HOME}{WAYS[library]}\nprint(ask(), ask())"))
    assert (ran.status, ran.out) == (0, "404 404\n")
    (said,) = [line for line in ran.err.splitlines() if line.startswith("ao: ")]
    assert said.startswith("ao: api.mistral.ai looks like an LM API and was contacted")
    assert "POST /v1/new/thing" in said
    assert "ao.dialects.register" in said
    assert lab.calls == []


def test_a_dialect_that_the_script_registers_records_it(lab: Lab) -> None:
    house = """
from ao.dialects import Dialect, register
class House(Dialect):
    name = "house"
    def matches(self, asked):
        return asked.path.endswith("/new/thing") and asked.has("question")
register(House())
"""
    ran = lab.record(lab.write("script.py", f"{HOME}{house}{WAYS['requests']}\nprint(ask())"))
    assert (ran.status, ran.out, ran.err) == (0, "404\n", "")
    assert [call["format"] for call in lab.calls] == ["house"]
