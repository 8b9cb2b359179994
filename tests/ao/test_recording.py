"""What is written down of the calls of real SDKs, as they are called in real scripts."""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest

from tests.ao.lab import RECORD, Lab, interrupted

SDKS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": (
        """
from openai import OpenAI
with OpenAI() as client:
    answer = client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": "hello"}])
print(answer.choices[0].message.content)
""",
        {"format": "openai.chat", "library": "httpx2"},
    ),
    "openai async": (
        """
import asyncio
from openai import AsyncOpenAI
async def main():
    async with AsyncOpenAI() as client:
        answer = await client.chat.completions.create(
            model="gpt-5-mini", messages=[{"role": "user", "content": "hello"}])
    print(answer.choices[0].message.content)
asyncio.run(main())
""",
        {"format": "openai.chat", "library": "httpx2"},
    ),
    "openai streaming": (
        """
from openai import OpenAI
with OpenAI() as client:
    stream = client.chat.completions.create(model="gpt-5-mini", stream=True, stream_options={"include_usage": True},
                                            messages=[{"role": "user", "content": "hello there you all"}])
    print("".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices))
""",
        {"format": "openai.chat", "library": "httpx2", "streamed": True},
    ),
    "openai responses": (
        """
from openai import OpenAI
with OpenAI() as client:
    print(client.responses.create(model="gpt-5-mini", input="hello").output_text)
""",
        {"format": "openai.responses", "library": "httpx2"},
    ),
    "anthropic": (
        """
from anthropic import Anthropic
with Anthropic() as client:
    answer = client.messages.create(
        model="claude-sonnet-5", max_tokens=99, messages=[{"role": "user", "content": "hello"}])
print(answer.content[0].text)
""",
        {"format": "anthropic.messages", "library": "httpx2", "model": "claude-sonnet-5"},
    ),
    "anthropic async streaming": (
        """
import asyncio
from anthropic import AsyncAnthropic
async def main():
    async with AsyncAnthropic() as client:
        async with client.messages.stream(
            model="claude-sonnet-5", max_tokens=99, messages=[{"role": "user", "content": "hello there"}]) as stream:
            print("".join([text async for text in stream.text_stream]))
asyncio.run(main())
""",
        {"format": "anthropic.messages", "library": "httpx2", "model": "claude-sonnet-5", "streamed": True},
    ),
    "requests": (
        """
import os, requests
answer = requests.post(os.environ["OPENAI_BASE_URL"] + "/chat/completions", headers={"Authorization": "Bearer test"},
                       json={"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]})
print(answer.json()["choices"][0]["message"]["content"])
""",
        {"format": "openai.chat", "library": "urllib3"},
    ),
    "httpx2": (
        """
import os, httpx2
answer = httpx2.post(os.environ["OPENAI_BASE_URL"] + "/chat/completions", headers={"Authorization": "Bearer test"},
                     json={"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]})
print(answer.json()["choices"][0]["message"]["content"])
""",
        {"format": "openai.chat", "library": "httpx2"},
    ),
}


@pytest.mark.parametrize("sdk", SDKS)
def test_a_call_of_an_sdk(lab: Lab, sdk: str) -> None:
    source, expected = SDKS[sdk]
    ran = lab.record(lab.write("script.py", source))
    assert (ran.status, ran.out.partition(" ")[0].strip(), ran.err) == (0, "hello", "")
    (call,) = lab.calls
    assert {"model": "gpt-5-mini", "streamed": False, **expected}.items() <= call.items()
    assert (call["status"], call["error"], call["attempts"], call["source"]) == (200, None, 1, "live")
    assert "hello" in str(call["request"])
    assert "hello" in str(call["response"])
    assert call["usage"]["input_tokens"] > 0
    assert call["usage"]["output_tokens"] > 0
    assert 0 < call["first_byte"] <= call["last_byte"] <= call["seconds"]
    assert call["location"].startswith(f"{lab.cwd / 'script.py'}:")
    assert (call["thread"], bool(call["task"])) == ("MainThread", "async" in sdk)
    assert "test" not in [value for _, value in call["headers"]]
    if call["streamed"]:
        assert len(call["chunks"]) > 1
        assert sum(size for _, size in call["chunks"]) == len(call["raw"])
        assert [when for when, _ in call["chunks"]] == sorted(when for when, _ in call["chunks"])


def test_the_line_that_asks_is_told_and_the_thread(lab: Lab) -> None:
    source = """
import threading
from ask import pool
import ask, json, os
def work():
    pool.request("POST", os.environ["OPENAI_BASE_URL"] + "/chat/completions", body=json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": "x"}]}), headers={"Authorization": "Bearer t"})
thread = threading.Thread(target=work, name="worker")
thread.start()
thread.join()
"""
    lab.record(lab.write("script.py", source))
    (call,) = lab.calls
    assert call["location"] == f"{lab.cwd / 'script.py'}:6"
    assert (call["function"], call["thread"]) == ("work", "worker")


def test_retries_are_attempts_of_one_call(lab: Lab) -> None:
    lab.lm.faults = ["429@1x2:retry_after=0.01"]
    ran = lab.record(lab.write("script.py", SDKS["openai"][0]))
    assert (ran.status, ran.out) == (0, "hello\n")
    last = lab.calls[-1]
    assert len({call["call_id"] for call in lab.calls}) == 1
    assert (last["status"], last["error"], last["attempts"]) == (200, None, 3)
    assert [attempt[2] for attempt in last["attempt_list"]] == [429, 429, 200]
    starts = [attempt[0] for attempt in last["attempt_list"]]
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    ("fault", "status", "says"),
    [("500@1x9", 500, "server had an error"), ("reset@1x9", None, ""), ("cut@1x9", 200, "")],
)
def test_failed_calls_are_told_with_their_error(lab: Lab, fault: str, status: int | None, says: str) -> None:
    lab.lm.faults = [fault]
    script = lab.write("script.py", SDKS["openai"][0].replace("OpenAI()", "OpenAI(max_retries=1)"))
    plain = lab.python(script)
    lab.lm.faults = [fault]
    ran = lab.record(script)
    assert ran.status == plain.status == 1
    assert ran.out == plain.out
    last = lab.calls[-1]
    assert (last["status"], last["attempts"]) == (status, 2)
    assert last["error"]
    assert says in last["error"]


def test_one_failed_call_among_good_ones_on_a_real_server(real: Lab) -> None:
    source = """
from ask import ask
for number in range(3):
    try: ask(f"question {number}")
    except RuntimeError: print("failed", number)
"""
    real.lm.faults = ["500@2"]
    assert real.record(real.write("script.py", source)).out == "failed 1\n"
    calls = real.stored()["calls"]
    assert [call["status"] for call in calls] == ["ok", "error", "ok"]
    assert "server had an error" in calls[1]["error"]


def test_a_call_that_ctrl_c_cuts_is_there(lab: Lab) -> None:
    lab.lm.faults = ["timeout@1"]
    source = """
import json, os, signal, threading
from urllib.request import urlopen
from ask import ask
def stop():
    while not json.load(urlopen(os.environ["ANTHROPIC_BASE_URL"] + "/__stats?rows=0"))["open"]: pass
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=stop, daemon=True).start()
ask("hello")
"""
    ran = lab.record(lab.write("script.py", source))
    assert ran.status == -signal.SIGINT
    assert ran.err.rstrip().endswith("KeyboardInterrupt")
    (call,) = lab.calls
    assert call["status"] is None
    assert "KeyboardInterrupt" in call["error"]
    (end,) = lab.of("s")
    assert end["status"] == "CRASHED"


def test_a_stream_that_is_left_early_is_told_as_far_as_it_was_read(lab: Lab) -> None:
    source = SDKS["openai streaming"][0].partition("    print")[0] + "    print(next(iter(stream)).object)\n"
    assert lab.record(lab.write("script.py", source)).out == "chat.completion.chunk\n"
    (call,) = lab.calls
    assert not call["complete"]
    assert (call["error"], call["left"]) == (None, True)
    assert "not read to its end" in call["note"]
    assert call["raw"]


def test_bodies_that_are_no_json(lab: Lab) -> None:
    source = """
import os, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
import urllib3
BODIES = [b"\\xff\\xfe\\x00binary", b'{"choices": [{"message": {"content": "half \\\\ud800"}}]}', b"", b"[1, 2"]
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = BODIES[int(self.path.partition("=")[2])]
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
for number, body in enumerate(BODIES):
    got = urllib3.request("POST", f"http://127.0.0.1:{server.server_port}/v1/chat/completions?n={number}",
                          body=b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}').data
    assert got == body, got
server.shutdown()
server.server_close()
"""
    ran = lab.record(lab.write("script.py", source))
    assert (ran.status, ran.err) == (0, "")
    calls = lab.calls
    assert len(calls) == 4
    assert calls[0]["raw_base64"]
    assert calls[3]["response"] == "[1, 2"


def test_credentials_in_bodies_are_not_written(lab: Lab) -> None:
    lab.record(lab.write("script.py", "from ask import ask\nask('my key is sk-abcdefghijklmnopqrstuvwxyz')"))
    content = b"".join(path.read_bytes() for path in lab.home.glob("journals/*/*.jsonl"))
    assert b"abcdefghijkl" not in content
    assert b"[redacted]" in content
    assert {path.stat().st_mode & 0o777 for path in lab.home.glob("journals/*/*") if path.is_file()} == {0o600}


def test_breakpoints_work(lab: Lab) -> None:
    script = lab.write("script.py", "x = 1\nbreakpoint()\nprint('x is', x)\n")
    plain, ran = (run(script, stdin="x = 5\nc\n") for run in (lab.python, lab.record))
    assert (ran.status, ran.out, ran.err) == (plain.status, plain.out, plain.err)
    assert "x is 5" in ran.out


def test_a_tracing_script_sees_itself_only(lab: Lab) -> None:
    source = """
import sys
from ask import ask
seen = set()
def trace(frame, event, arg):
    seen.add(frame.f_code.co_name)
    return trace
def f(): return 1
sys.settrace(trace)
f()
sys.settrace(None)
print(seen, ask("x"))
"""
    assert lab.record(lab.write("script.py", source)).out == "{'f'} x\n"


def test_warnings_as_errors_and_dev_mode_are_clean(lab: Lab) -> None:
    source = """
import asyncio
from ask import ask, pool
from ao.runner.context_manager import ao_record
with ao_record("x"):
    ask("x")
async def main():
    asyncio.get_running_loop().slow_callback_duration = 600  # how fast this machine is, is not asked
    async with ao_record("y"):
        await asyncio.to_thread(ask, "y")
asyncio.run(main())
pool.clear()
"""
    script = lab.write("script.py", source)
    ran = lab.run([sys.executable, "-X", "dev", "-W", "error", "-m", "ao.runner.record", script])
    assert (ran.status, ran.out, ran.err) == (0, "", "")
    assert len(lab.calls) == 2


def test_a_signal_in_the_middle_of_calls_keeps_those_that_are_done(lab: Lab) -> None:
    source = """
import time
from ask import ask
for number in range(5): ask(str(number))
print('ready', flush=True)
while True: time.sleep(0.01)
"""
    ran = interrupted(lab, [*RECORD, lab.write("script.py", source)])
    assert ran.status == -signal.SIGINT
    assert len(lab.calls) == 5


def test_an_agent_framework(lab: Lab) -> None:
    source = """
import asyncio
from pydantic_ai import Agent
agent = Agent("openai-chat:gpt-5-mini", instructions="Say it again.")
async def main():
    result = await agent.run("hello agent")
    print(result.output)
    async with agent.run_stream("hello stream", message_history=result.all_messages()) as stream:
        print(await stream.get_output())
asyncio.run(main())
"""
    ran = lab.record(lab.write("script.py", source))
    assert (ran.status, ran.out, ran.err) == (0, "hello agent\nhello stream\n", "")
    first, second = lab.calls
    assert (first["streamed"], second["streamed"]) == (False, True)
    assert first["location"].startswith(f"{lab.cwd / 'script.py'}:")
    assert len(second["request"]["messages"]) > len(first["request"]["messages"])
    assert first["usage"]
    assert second["usage"]
