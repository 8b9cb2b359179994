"""Reruns of what was left early and of what failed without an answer: as it was, without the network, in every SDK."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from ao.intercept.seam import Exchange, Live, Replay
from ao.replay.book import Entry, decision
from tests.ao.lab import RECORD, Lab, interrupted
from tests.ao.test_reruns import ANSWER, again, asked, edited

Dict = dict[str, Any]

LONG = " ".join(f"word{number}" for number in range(40))

OPENAI = f"""
import openai
client = openai.OpenAI()
def left(text, chunks=3):
    stream = client.chat.completions.create(
        model="m", stream=True, messages=[{{"role": "user", "content": text + " {LONG}"}}])
    said = []
    for chunk in stream:
        said.append(chunk.choices[0].delta.content or "")
        if len(said) == chunks: break
    stream.close()
    return "".join(said)
"""

SDKS = {
    "sync": """
import anthropic
asked = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "TEXT"}]}
print(left("one"), left("two", 5))
not_closed = client.chat.completions.create(stream=True, **asked)
print([chunk.choices[0].delta.content for chunk, _ in zip(not_closed, range(3))])
with client.chat.completions.stream(**asked) as stream:
    print([next(stream).type for _ in range(4)])
with client.responses.stream(model="m", input="TEXT") as stream:
    for event in stream:
        if event.type == "response.output_text.delta":
            print(event.delta)
            break
with anthropic.Anthropic() as client:
    for event in client.messages.create(stream=True, **asked):
        print(event.type)
        if event.type == "content_block_delta": break
    with client.messages.stream(**asked) as stream:
        print(next(stream.text_stream))
""",
    "async": """
import anthropic, asyncio
asked = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "TEXT"}]}
async def main(**options):
    async with openai.AsyncOpenAI(**options) as client:
        async with await client.chat.completions.create(stream=True, **asked) as stream:
            async for chunk in stream:
                print(chunk.choices[0].delta.content)
                if chunk.choices[0].delta.content: break
        async with client.chat.completions.stream(**asked) as stream:
            async for event in stream:
                print(event.type)
                if event.type == "content.delta": break
    async with anthropic.AsyncAnthropic() as client:
        async with client.messages.stream(**asked) as stream:
            async for text in stream.text_stream:
                print(text)
                break
asyncio.run(main())
asyncio.run(main(http_client=openai.DefaultAioHttpClient()))
""",
}


def recorded(lab: Lab, source: str) -> tuple[str, Dict]:
    """What a script printed, and its graph."""
    ran = lab.record(lab.write("script.py", source.replace("TEXT", LONG)))
    assert (ran.status, ran.err) == (0, "")
    graph = lab.stored()
    assert asked(lab) == len(graph["calls"])
    return ran.out, graph


def diff(lab: Lab, before: Dict, after: Dict) -> dict[str, int]:
    told = lab.get(f"/runs/{before['run']['id']}/diff/{after['run']['id']}")
    return {name: len(calls) for name, calls in told.items() if calls}


@pytest.mark.parametrize("sdk", SDKS)
def test_a_stream_left_early_by_an_sdk_is_left_again(real: Lab, sdk: str) -> None:
    out, graph = recorded(real, OPENAI + SDKS[sdk])
    number = len(graph["calls"])
    first, report, rerun = again(real, graph["run"]["id"])
    assert (first, asked(real)) == (out, 0)
    assert f"{number} replayed, 0 edited, 0 new, 0 missing" in report
    assert diff(real, graph, rerun) == {"replayed": number}


def test_reading_further_than_the_recording_is_an_error_that_says_what_to_do(real: Lab) -> None:
    _, graph = recorded(real, OPENAI + "print(left('one'))")
    real.write("script.py", OPENAI + "print(left('one', 10**9))")
    ran = real.record("--rerun", graph["run"]["id"], "script.py")
    assert (ran.status, ran.out, asked(real)) == (1, "", 0)
    assert "httpx2.ReadError: the recorded stream was left here" in ran.err
    assert "ao-record --rerun RUN --no-cache" in ran.err
    ran = real.record("--rerun", graph["run"]["id"], "--no-cache", "script.py")
    assert (ran.status, ran.out.split()[-1], asked(real)) == (0, "word39", 1)


def test_an_edit_of_a_stream_left_early_is_a_whole_answer(real: Lab) -> None:
    _, graph = recorded(real, OPENAI + "print(left('one'))")
    draft = edited(real, graph["calls"][0], "output", ANSWER, "Four words of mine")
    real.write("script.py", OPENAI + "print(left('one', 10**9))")
    out, report, rerun = again(real, draft)
    assert (out, asked(real)) == ("Four words of mine\n", 0)
    assert "0 replayed, 1 edited, 0 new, 0 missing" in report
    assert diff(real, graph, rerun) == {"edited": 1}


def test_an_edited_input_of_a_stream_left_early_is_asked(real: Lab) -> None:
    _, graph = recorded(real, OPENAI + "print(left('one', 10))")
    _, _, rerun = again(real, graph["run"]["id"])
    assert asked(real) == 0
    draft = edited(real, rerun["calls"][0], "input", "/messages/0/content", "two")  # of a rerun
    assert (again(real, draft)[0], asked(real)) == ("two\n", 1)


CROWD = (
    OPENAI
    + """
import asyncio, threading
from concurrent.futures import ThreadPoolExecutor
from ao.runner.context_manager import ao_record
def part(number):
    with ao_record("part"):
        return left(f"part {number}", number + 1), left("the same", 2)
with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(part, range(8))))
threads = [threading.Thread(target=left, args=("thread",)) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
async def task(client, number):
    async with ao_record(f"task {number}"):
        said = []
        async with await client.chat.completions.create(
                model="m", stream=True, messages=[{"role": "user", "content": f"task {number}"}]) as stream:
            async for chunk in stream:
                said.append(chunk.choices[0].delta.content)
                if len(said) == 2: return said
async def main():
    async with openai.AsyncOpenAI() as client:
        print(await asyncio.gather(*(task(client, number) for number in range(8))))
asyncio.run(main())
"""
)


def test_threads_tasks_and_subruns_leave_each_where_it_left(real: Lab) -> None:
    out, graph = recorded(real, CROWD)
    calls = len(graph["calls"])
    assert calls == 28
    first, report, _ = again(real, graph["run"]["id"])
    assert (first, asked(real)) == (out, 0)
    assert f"{calls} replayed, 0 edited, 0 new, 0 missing" in report


KILLED = (
    OPENAI
    + """
import os, threading
print(left("one"), flush=True)
print(left("two"), flush=True)
if os.path.exists("wait"): threading.Event().wait()
print(left("three"))
"""
)


def test_a_rerun_that_is_killed_can_be_run_again(real: Lab) -> None:
    out, graph = recorded(real, KILLED)
    real.write("wait", "")
    for number in (signal.SIGINT, signal.SIGKILL):
        name = f"{graph['run']['name']} {number}"
        interrupted(real, [*RECORD, "--run-name", name, "--rerun", graph["run"]["id"], "script.py"], number)
        stopped = real.stored(name)
        assert stopped["run"]["status"] == "CRASHED"
    (real.cwd / "wait").unlink()
    assert asked(real) == 0
    assert (again(real, graph["run"]["id"])[0], asked(real)) == (out, 0)
    replayed = len(stopped["calls"])
    assert (again(real, stopped["run"]["id"])[0], asked(real)) == (out, 3 - replayed)


CRASHING = (
    OPENAI
    + """
print(left("one"))
for chunk in client.chat.completions.create(model="m", stream=True, messages=[{"role": "user", "content": "two"}]):
    raise RAISED
"""
)


@pytest.mark.parametrize("error", ["ValueError", "KeyboardInterrupt"])
def test_the_stream_in_which_a_script_crashed_is_asked_for_again(real: Lab, error: str) -> None:
    """It had not left it: once it is mended, it wants the rest."""
    ran = real.record(real.write("script.py", CRASHING.replace("RAISED", error)))
    assert error in ran.err
    graph = real.stored()
    assert asked(real) == len(graph["calls"]) == 2
    real.write("script.py", CRASHING.replace("raise RAISED", "pass"))
    _, report, _ = again(real, graph["run"]["id"])
    assert asked(real) == 1
    assert "1 replayed, 0 edited, 1 new, 1 missing" in report


def test_a_recording_of_an_older_version_goes_live() -> None:
    """It does not say whether the script left the stream, nor what kind of error there was."""
    asked: Dict = dict.fromkeys(Exchange.__dataclass_fields__, "") | {"library": "httpx2", "json": {}}
    exchange = Exchange(**asked)
    told: Dict = {"call_id": "1", "headers": []}
    stream, refused, broken = (
        told | {"status": 200, "complete": False, "raw": "data: 1\n\n", "chunks": [[0.1, 9]]},
        told | {"status": None, "complete": False, "raw": "", "error": "ConnectError: refused"},
        told | {"status": 200, "complete": False, "raw": "data: 1", "error": "ReadError: broken"},
    )
    fault = {"args": ["told"], "state": {}}
    now = [
        stream | {"left": True},
        refused | {"fault": {"kind": "httpx2.ConnectError", **fault}},
        broken | {"fault": {"kind": "httpx.ReadError", **fault}},
    ]
    for records, kind in (([stream, refused, broken], Live), (now, Replay)):
        entries = [Entry(number, json.dumps(record).encode()) for number, record in enumerate(records)]
        assert [type(decision(entry, exchange)[0]) for entry in entries] == [kind] * 3
    of_another = Exchange(**asked | {"library": "aiohttp"})
    assert [type(decision(entry, of_another)[0]) for entry in entries] == [Replay, Live, Live]


def test_the_call_that_failed_and_crashed_a_script_is_asked_for_again(real: Lab, dead: socket.socket) -> None:
    """So that a rerun goes on where the network was away; a failure that the script lived with is one again."""
    source = """
import os, httpx2
from ask import ask
from ao.runner.context_manager import ao_record
body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
def fail(): httpx2.post(os.environ["DEAD"] + "/v1/chat/completions", json=body)
try:
    with ao_record("part"):
        try: fail()
        except httpx2.ConnectError: raise ValueError("the part failed")
except ValueError as error: print(error)
print(ask("one"))
with ao_record("another part"): fail()
print("went on")
"""
    ran = real.record(real.write("script.py", source))
    assert (ran.status, ran.out) == (1, "the part failed\none\n")
    graph = real.stored()
    assert (graph["run"]["status"], len(graph["calls"])) == ("CRASHED", 3)
    assert asked(real) == 1
    real.env["DEAD"] = real.lm.url  # which answers now
    out, report, _ = again(real, graph["run"]["id"])
    assert (out, asked(real)) == (ran.out + "went on\n", 1)
    assert "2 replayed, 0 edited, 1 new, 1 missing" in report


# calls that failed


FAILING = """
import json, os, time
from ask import ask
import httpx2, urllib3, requests, aiohttp, asyncio, openai, anthropic
DEAD = os.environ["DEAD"]
BODY = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
URL = DEAD + "/v1/chat/completions"
async def over_aiohttp():
    async with aiohttp.ClientSession() as session:
        await session.post(URL, json=BODY)
async def over_httpx2():
    async with httpx2.AsyncClient() as client:
        await client.post(URL, json=BODY)
def tried_by_hand(attempts=3):
    for attempt in range(attempts):
        where = os.environ["OPENAI_BASE_URL"] if attempt == attempts - 1 else DEAD + "/v1"
        try: return attempt, httpx2.post(where + "/chat/completions", json=BODY).json()["choices"][0]["message"]
        except httpx2.ConnectError as error: print(attempt, error)
ASKING = [
    lambda: openai.OpenAI(base_url=DEAD + "/v1", max_retries=1).chat.completions.create(model="m", messages=[]),
    lambda: anthropic.Anthropic(base_url=DEAD, max_retries=0).messages.create(**BODY),
    lambda: httpx2.post(URL, json=BODY),
    lambda: requests.post(URL, json=BODY),
    lambda: urllib3.request("POST", URL, json=BODY, retries=False),
    lambda: asyncio.run(over_aiohttp()),
    lambda: asyncio.run(over_httpx2()),
]
for asking in ASKING:
    try: print(asking())
    except Exception as error: print(type(error), error, repr(error.__cause__))
print(tried_by_hand())
print(ask("after all"))
"""


@pytest.fixture
def dead(real: Lab) -> Iterator[socket.socket]:
    """A port that refuses; ``listen`` on it to see who comes."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        real.env["DEAD"] = f"http://127.0.0.1:{bound.getsockname()[1]}"
        yield bound


def test_what_was_refused_is_refused_again_and_nobody_is_asked(real: Lab, dead: socket.socket) -> None:
    ran = real.record(real.write("script.py", FAILING))
    assert (ran.status, ran.err) == (0, "")
    assert "APIConnectionError" in ran.out
    assert "(2, {'role': 'assistant'" in ran.out
    graph = real.stored()
    calls = len(graph["calls"])
    assert (asked(real), calls) == (2, 7 + 3 + 1)
    assert [call["status"] for call in graph["calls"]].count("error") == 9
    dead.listen()  # who comes now would wait for ever
    out, report, rerun = again(real, graph["run"]["id"])
    assert out == ran.out
    assert asked(real) == 0
    assert f"{calls} replayed, 0 edited, 0 new, 0 missing" in report
    assert diff(real, graph, rerun) == {"replayed": calls}
    errors = [call["error"] for call in graph["calls"]]
    assert [call["error"] for call in rerun["calls"]] == errors


def test_a_timeout_is_one_again_without_waiting(real: Lab, dead: socket.socket) -> None:
    dead.listen()
    source = """
import os, openai
client = openai.OpenAI(base_url=os.environ["DEAD"], max_retries=0, timeout=float(os.environ.get("TIMEOUT", "0.05")))
try: client.chat.completions.create(model="m", messages=[])
except openai.APITimeoutError as error: print(repr(error), repr(error.__cause__))
"""
    ran = real.record(real.write("script.py", source))
    assert "ReadTimeout" in ran.out
    real.env["TIMEOUT"] = "1e6"
    out, report, _ = again(real, real.stored()["run"]["id"])
    assert out == ran.out
    assert "1 replayed, 0 edited, 0 new, 0 missing" in report


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_a_stream_that_broke_breaks_again(real: Lab, sdk: str) -> None:
    source = {
        "openai": OPENAI
        + "try: print(left('one', 10**9))\nexcept Exception as error: print(repr(error), repr(error.__cause__))",
        "anthropic": """
import anthropic
said = []
try:
    with anthropic.Anthropic().messages.stream(
            model="m", max_tokens=99, messages=[{"role": "user", "content": "TEXT"}]) as stream:
        for text in stream.text_stream: said.append(text)
except Exception as error: print(said, repr(error), repr(error.__cause__))
""",
    }[sdk]
    real.lm.faults = ["cut@1"]
    out, graph = recorded(real, source)
    assert "Error" in out
    first, report, rerun = again(real, graph["run"]["id"])
    assert (first, asked(real)) == (out, 0)
    assert diff(real, graph, rerun) == {"replayed": 1}
    assert "1 replayed, 0 edited, 0 new, 0 missing" in report
    assert [call["status"] for call in rerun["calls"]] == ["error"]


def test_a_call_that_failed_may_be_edited_into_an_answer(real: Lab, dead: socket.socket) -> None:
    source = """
import os, openai
client = openai.OpenAI(base_url=os.environ["DEAD"], max_retries=0)
try: print(client.chat.completions.create(model="m", messages=[]).choices[0].message.content)
except openai.APIConnectionError: print("failed")
"""
    assert real.record(real.write("script.py", source)).out == "failed\n"
    graph = real.stored()
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "well"}}]}
    out, report, _ = again(real, edited(real, graph["calls"][0], "output", "", whole))
    assert out == "well\n"
    assert "0 replayed, 1 edited" in report
