"""Reruns: what was recorded is answered without the network, what was edited goes as edited, the rest is asked anew."""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ao.lab import Lab

Dict = dict[str, Any]


def asked(lab: Lab) -> int:
    """How many requests the model got since this was asked last."""
    calls: int = lab.lm.stats(rows=False)["calls"]
    lab.lm.reset()
    return calls


def recorded(lab: Lab, source: str, *options: str) -> Dict:
    """Run a script; its graph on the server."""
    ran = lab.record(*options, lab.write("script.py", source))
    assert (ran.status, ran.err) == (0, "")
    graph = lab.stored()
    assert asked(lab) == len(graph["calls"])
    return graph


def again(lab: Lab, run_id: str, *options: str) -> tuple[str, str, Dict]:
    """Run it again; what it printed, the report, and its graph."""
    ran = lab.record("--rerun", run_id, *options, "script.py")
    assert ran.status == 0, ran.err
    report = ran.err.strip().rpartition("\n")[2]
    return ran.out, report, lab.stored(report.split()[-1])


def edited(lab: Lab, call: Dict, field: str, path: str, value: Any, draft: str = "") -> str:
    """Note an edit, in a new draft or in one that is there; its id."""
    change = {"call": call["id"], "field": field, "path": path, "value": value}
    id: str = lab.post(f"/runs/{draft or call['run']}/edits", change)["id"]
    return id


def question(call: Dict) -> str:
    text: str = call["input"]["messages"][-1]["content"]
    return text


ANSWER = "/choices/0/message/content"

CROWD = """
import asyncio, random, threading, time
from concurrent.futures import ThreadPoolExecutor
from ask import ask
from ao.runner.context_manager import ao_record

def sample(number):
    time.sleep(random.Random().random() / 100)  # another order each time
    with ao_record("sample"):
        return [ask(f"sample {number}"), ask(f"of {number}, again"), ask("the same for all")]

async def task(number):
    async with ao_record(f"task {number % 5}"):
        first = await asyncio.to_thread(ask, f"task {number}")
        return await asyncio.gather(*(asyncio.to_thread(ask, f"{first} {part}") for part in range(3)))

async def main():
    return await asyncio.gather(*(task(number) for number in range(20)))

with ThreadPoolExecutor(8) as pool:
    print(list(pool.map(sample, range(20))))
print(asyncio.run(main()))
threads = [threading.Thread(target=ask, args=("thread",)) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
for number in range(40): print(ask(f"alone {number % 10}"))
"""


def test_a_rerun_of_200_calls_asks_nobody(real: Lab) -> None:
    graph = recorded(real, CROWD)
    assert len(graph["calls"]) == 200
    out, report, rerun = again(real, graph["run"]["id"])
    assert asked(real) == 0
    assert "200 replayed, 0 edited, 0 new, 0 missing" in report
    assert sorted(map(question, rerun["calls"])) == sorted(map(question, graph["calls"]))
    assert {call["cached"] for call in rerun["calls"]} == {True}
    assert (rerun["run"]["kind"], rerun["run"]["parent"]) == ("rerun", graph["run"]["id"])
    told = real.get(f"/runs/{graph['run']['id']}/diff/{rerun['run']['id']}")
    assert {name: len(calls) for name, calls in told.items() if name != "reordered"} == {
        "replayed": 200,
        "edited": 0,
        "new": 0,
        "missing": 0,
    }
    after = real.get(f"/runs/{graph['run']['id']}/graph")
    assert {**after, "children": []} == {**graph, "children": []}
    assert "sample 19" in out


CHAIN = """
from ask import ask
said = [ask("first question")]
for number in range(1, 100):
    said.append(ask(f"{number}: {said[number - 10]}" if number > 50 and number % 10 == 0 else f"plain {number}"))
print(said[50], "|", said[60], "|", said[90])
"""


def test_after_an_edit_of_an_output_what_depends_on_it_goes_live(real: Lab) -> None:
    graph = recorded(real, CHAIN)
    call = graph["calls"][50]
    assert question(call) == "plain 50"
    draft = edited(real, call, "output", ANSWER, "another fifty")
    out, report, rerun = again(real, draft)
    assert out == "another fifty | 60: another fifty | 90: 80: 70: 60: another fifty\n"
    assert asked(real) == 4
    assert "95 replayed, 1 edited, 4 new, 4 missing" in report
    live = [question(call) for call in rerun["calls"] if not call["cached"]]
    assert [text.partition(":")[0] for text in live] == ["60", "70", "80", "90"]
    assert rerun["run"]["id"] == draft
    (changed,) = [call for call in rerun["calls"] if call["edited"]]
    assert (question(changed), changed["output"]["choices"][0]["message"]["content"]) == ("plain 50", "another fifty")
    told = real.get(f"/runs/{graph['run']['id']}/diff/{draft}")
    assert [len(told[name]) for name in ("replayed", "edited", "new", "missing")] == [95, 1, 4, 4]
    after = real.get(f"/runs/{graph['run']['id']}/graph")
    assert {**after, "children": []} == {**graph, "children": []}


def test_an_edited_input_goes_live_and_the_original_stays_beside_it(real: Lab) -> None:
    graph = recorded(real, "from ask import ask\nprint(ask('one'))\nprint(ask('two'))\n")
    draft = edited(real, graph["calls"][0], "input", "/messages/0/content", "uno")
    edited(real, graph["calls"][0], "input", "/temperature", 0.5, draft)
    out, report, rerun = again(real, draft)
    assert (out, asked(real)) == ("uno\ntwo\n", 1)
    assert "1 replayed, 1 edited, 0 new, 0 missing" in report
    sent = rerun["calls"][0]["input"]
    assert (sent["messages"][0]["content"], sent["temperature"], rerun["calls"][0]["edited"]) == ("uno", 0.5, True)
    record = next(call for call in calls_of(real, rerun) if call.get("edited"))
    assert record["edited"]["input"]["messages"][0]["content"] == "one"


STREAM = """
import os, json, urllib3
body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "one two three four"}]}
answer = urllib3.request("POST", os.environ["OPENAI_BASE_URL"] + "/chat/completions", body=json.dumps(body),
                         headers={"Authorization": "Bearer t"}, preload_content=False)
pieces = [line for line in answer if line.startswith(b"data: {")]
print(len(pieces) > 1, "".join(json.loads(p[6:])["choices"][0]["delta"].get("content") or "" for p in pieces))
"""


def test_a_stream_streams_again_and_streams_an_edit(real: Lab) -> None:
    graph = recorded(real, STREAM)
    out, _, _ = again(real, graph["run"]["id"])
    assert out == "True one two three four\n"
    draft = edited(real, graph["calls"][0], "output", ANSWER, "five six seven eight nine")
    out, _, rerun = again(real, draft)
    assert (out, asked(real)) == ("True five six seven eight nine\n", 0)
    assert rerun["calls"][0]["edited"]


def test_errors_are_errors_again(real: Lab) -> None:
    real.lm.faults = ["500@2"]
    source = (
        "from ask import ask\nfor n in range(3):\n    try: print(ask(str(n)))\n    except RuntimeError as e: print(e)\n"
    )
    ran = real.record(real.write("script.py", source))
    graph = real.stored()
    asked(real)
    out, report, rerun = again(real, graph["run"]["id"])
    assert (out, asked(real)) == (ran.out, 0)
    assert [call["status"] for call in rerun["calls"]] == ["ok", "error", "ok"]
    assert "3 replayed" in report


def test_an_error_that_a_library_tried_again_is_one_call_again(real: Lab) -> None:
    source = """
import openai
client = openai.OpenAI(max_retries=1)
for text in ("one", "two"):
    try: print(client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}]).model)
    except openai.InternalServerError as error: print(error)
"""
    real.lm.faults = ["500@1", "500@2"]
    ran = real.record(real.write("script.py", source))
    graph = real.stored()
    assert asked(real) == 3
    out, report, rerun = again(real, graph["run"]["id"])
    assert (out, asked(real)) == (ran.out, 0)
    assert [call["status"] for call in rerun["calls"]] == ["error", "ok"]
    assert "2 replayed, 0 edited, 0 new, 0 missing" in report


ODD = (
    b'{"a": 18446744073709551616, "b": 1e400, "choices": []}',
    b'{"a": NaN, "choices": []}',
    b'{"a": "\\ud83d", "choices": []}',
    b'{"a": "\xff", "choices": []}',
)


def test_a_key_in_a_request_is_not_stored_and_is_sent_again(real: Lab) -> None:
    graph = recorded(real, "from ask import ask\nprint(ask('one', api_key='secret of mine', user='ada'))")
    call = graph["calls"][0]
    assert (call["input"]["api_key"], call["input"]["user"]) == ("[redacted]", "ada")
    assert (again(real, graph["run"]["id"])[0], asked(real)) == ("one\n", 0)
    again(real, edited(real, call, "input", "/messages/0/content", "two"))
    assert [json.loads(row["body"])["api_key"] for row in real.lm.requests()] == ["secret of mine"]


def test_odd_json_is_the_same_again(real: Lab) -> None:
    source = f"""
import httpx2
answers = iter({ODD!r})
def answer(request): return httpx2.Response(200, content=next(answers), headers={{"content-type": "application/json"}})
with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
    for n in range({len(ODD)}):
        got = client.post("http://model.test/v1/chat/completions", json={{"messages": [], "model": str(n)}})
        print(got.content, got.headers["content-length"])
"""
    ran = real.record(real.write("script.py", source))
    assert (ran.status, ran.err) == (0, "")
    out, report, _ = again(real, real.stored()["run"]["id"])
    assert out == ran.out
    assert out.count("\n") == len(ODD)
    assert "4 replayed" in report


def test_a_stream_comes_in_the_pieces_it_came_in(real: Lab) -> None:
    source = """
import json, os, urllib3
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
asked = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "one two three four five six"}]}
pieces = list(urllib3.request("POST", url, json=asked, preload_content=False).stream())
print(len(pieces) > 2, pieces)
"""
    ran = real.record(real.write("script.py", source))
    assert ran.out.startswith("True ")
    asked(real)
    out, report, _ = again(real, real.stored()["run"]["id"])
    assert (out, asked(real)) == (ran.out, 0)
    assert "1 replayed" in report


def test_a_call_that_cannot_be_answered_again_is_missing_and_new(real: Lab) -> None:
    """It ended with an error that is none of a transport."""
    source = """
import httpx2
from ask import ask
print(ask("one"))
def answer(request): raise LookupError("no answer")
with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
    try: client.post("http://model.test/v1/chat/completions", json={"model": "m", "messages": []})
    except LookupError as error: print(error)
"""
    ran = real.record(real.write("script.py", source))
    run_id = real.stored()["run"]["id"]
    out, report, rerun = again(real, run_id)
    assert out == ran.out
    assert "1 replayed, 0 edited, 1 new, 1 missing" in report
    diff = real.get(f"/runs/{run_id}/diff/{rerun['run']['id']}")
    assert [len(diff[kind]) for kind in ("replayed", "edited", "new", "missing")] == [1, 0, 1, 1]


def test_without_the_cache_all_is_asked_anew(real: Lab) -> None:
    graph = recorded(real, "from ask import ask\nprint(ask('one'), ask('two'))\n")
    _, _, rerun = again(real, graph["run"]["id"], "--no-cache")
    assert asked(real) == 2
    assert (rerun["run"]["kind"], rerun["run"]["parent"]) == ("rerun", graph["run"]["id"])
    assert {call["cached"] for call in rerun["calls"]} == {False}


def test_lines_that_moved_and_calls_that_came_and_went(real: Lab) -> None:
    graph = recorded(real, "from ask import ask\nfor n in range(3): print(ask('same'), ask(f'{n}'))\n")
    source = "\n\n# moved\nfrom ask import ask\nask('a new one')\nfor n in range(2): print(ask('same'), ask(f'{n}'))\n"
    real.write("script.py", source)
    _, report, _ = again(real, graph["run"]["id"])
    assert asked(real) == 1
    assert "4 replayed, 0 edited, 1 new, 2 missing" in report


def test_identical_prompts_get_their_own_answers_in_order(real: Lab) -> None:
    """The model says the same each time, so the answers are told apart by editing them."""
    graph = recorded(real, "from ask import ask\nprint([ask('same') for _ in range(4)])\n")
    draft = ""
    for number in (1, 3):
        draft = edited(real, graph["calls"][number], "output", ANSWER, f"number {number}", draft)
    out, _, _ = again(real, draft)
    assert out == "['same', 'number 1', 'same', 'number 3']\n"


POOLED = """
import multiprocessing, sys
from ask import ask
from ao.runner.context_manager import ao_record
def work(number):
    with ao_record("part"):
        return ask("the same"), ask(f"own {number}")
if __name__ == "__main__":
    context = multiprocessing.get_context("METHOD")
    with context.Pool(3) as pool:
        print(sorted(pool.map(work, range(9), chunksize=1)))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_are_answered_together(real: Lab, method: str) -> None:
    graph = recorded(real, POOLED.replace("METHOD", method))
    out, report, rerun = again(real, graph["run"]["id"])
    assert asked(real) == 0
    assert "18 replayed, 0 edited, 0 new, 0 missing" in report
    origins = [call.get("replayed_from") for call in calls_of(real, rerun)]
    assert len(set(origins)) == 18
    assert "own 8" in out


def calls_of(lab: Lab, graph: Dict) -> list[Dict]:
    """The records of all its calls."""
    runs = {call["run"] for call in graph["calls"]}
    keys = [(run, call["key"]) for run in runs for call in lab.get(f"/runs/{run}/calls?limit=1000")]
    return [lab.get(f"/runs/{run}/calls/{key}")["record"] for run, key in keys]


DRAWS = """
import random, uuid
from ask import ask
print(random.random(), uuid.uuid4(), ask(f"draw {random.random()} {uuid.uuid4()}"), random.sample(range(99), 3))
"""


def test_randomness_repeats(real: Lab) -> None:
    graph = recorded(real, DRAWS)
    out, report, _ = again(real, graph["run"]["id"])
    assert "1 replayed, 0 edited, 0 new" in report
    assert asked(real) == 0
    assert "draw" in out


def test_a_stand_in_for_numpy_is_seeded_once_and_keeps_the_scripts_own_seed(lab: Lab) -> None:
    """numpy need not be installed: what is seeded is ``numpy.random``, when it is imported."""
    lab.write("numpy/__init__.py", "")
    lab.write(
        "numpy/random.py",
        "from random import Random\nRandomState = Random\nr = Random()\nseed = r.seed\nrandom = r.random\n",
    )
    source = "import numpy.random as n\nprint(n.random())\nn.seed(3)\nprint(n.random())\n"
    source += "import numpy.random\nprint(n.random())"
    script = lab.write("script.py", source)
    first, second, other = (lab.record("--seed", seed, script).out.split() for seed in ("5", "5", "6"))
    assert first == second
    drawn = random.Random(3)
    assert first[1:] == other[1:] == [str(drawn.random()), str(drawn.random())]
    assert first[0] != other[0]


def test_the_order_of_sets_repeats_with_a_seed(lab: Lab) -> None:
    script = lab.write("script.py", "print({str(n) for n in range(50)})")
    outs = {lab.record("--seed", "7", script).out for _ in range(2)}
    assert len(outs) == 1


def test_sets_have_the_same_order_again(real: Lab) -> None:
    """Without a seed, too: a prompt that joins a set is the same again."""
    source = (
        "import os\nfrom ask import ask\nprint(ask(' '.join({str(n) for n in range(50)})), os.environ.get('AO_SEED'))"
    )
    orders = set()
    for _ in range(2):
        graph = recorded(real, source)
        out, report, _ = again(real, graph["run"]["id"])
        assert "1 replayed, 0 edited, 0 new" in report
        orders.add(out)
    assert len(orders) == 2
    assert all(out.endswith(" None\n") for out in orders)


def test_the_users_own_hash_seed_holds(lab: Lab) -> None:
    script = lab.write("script.py", "import os; print({str(n) for n in range(50)}, os.environ['PYTHONHASHSEED'])")
    lab.env["PYTHONHASHSEED"] = "9"
    assert lab.record(script).out == lab.python(script).out
    assert lab.record("--seed", "7", script).out != lab.python(script).out


def test_children_of_a_fork_draw_the_same_again_and_not_what_others_draw(real: Lab) -> None:
    source = """
import multiprocessing, random, uuid
from ask import ask

def draw(number):
    print(ask(f"{number} {random.random()} {uuid.uuid4()}"), flush=True)

if __name__ == "__main__":
    for number in range(3):
        process = multiprocessing.get_context("fork").Process(target=draw, args=(number,))
        process.start()
        process.join()
    draw(3)
"""
    ran = real.record(real.write("script.py", source))
    assert (ran.status, ran.err) == (0, "")
    drawn = [line.split()[1:] for line in ran.out.splitlines()]
    assert len({each[0] for each in drawn}) == len({each[1] for each in drawn}) == 4
    asked(real)
    out, report, _ = again(real, real.stored()["run"]["id"])
    assert (out, asked(real)) == (ran.out, 0)
    assert "4 replayed" in report


def test_files_in_the_working_directory_are_not_taken_for_modules_of_the_recorder(real: Lab) -> None:
    """A script of another folder does not see them, and neither does its rerun."""
    real.write("inside/ask.py", (real.cwd / "ask.py").read_text())
    for name in ("json", "socket", "ao", "random"):
        real.write(f"{name}.py", "raise SystemExit('the wrong one')")
    ao_record, ao_tool = (str(Path(sys.executable).with_name(name)) for name in ("ao-record", "ao-tool"))
    real.last = "away"
    script = real.write("inside/script.py", "from ask import ask\nprint(ask('one'))")
    ran = real.run([ao_record, "--seed", "3", "--run-name", "away", script])
    assert (ran.status, ran.out) == (0, "one\n")
    again = real.run([ao_tool, "rerun", real.stored()["run"]["id"]])
    assert (again.status, again.out) == (0, "one\n"), again.err
    assert "1 replayed, 0 edited, 0 new, 0 missing" in again.err


def test_a_rerun_of_nothing_is_refused_in_words(real: Lab) -> None:
    real.write("script.py", "print('ran')")
    ran = real.record("--rerun", "nothing-like-that", "script.py")
    assert (ran.status, ran.out) == (2, "")
    assert "nothing-like-that" in ran.err
    assert "Traceback" not in ran.err


def test_an_edit_that_does_not_fit_any_more_is_left_out_and_said(real: Lab) -> None:
    graph = recorded(real, "from ask import ask\nprint(ask('one'))\n")
    draft = edited(real, graph["calls"][0], "output", ANSWER, "two")
    with real.real.client() as client:  # type: ignore[union-attr]
        recording = client.get(f"/api/v1/runs/{draft}/recording").text
    assert '"edits"' in recording
    out, _, _ = again(real, draft)
    assert out == "two\n"


def test_a_server_that_does_not_run_is_started_for_a_rerun(real: Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
    lab = Lab(tmp_path_factory.mktemp("alone"))
    (lab.home / "server" / "server.json").unlink()
    lab.write("script.py", "print('ran')")
    try:
        ran = lab.record("--rerun", "last", "script.py")
        assert ran.status == 2
        assert "last" in ran.err
        assert (lab.home / "server" / "server.json").exists()
    finally:
        lab.run([os.path.join(os.path.dirname(sys.executable), "tellurio"), "down"])


def test_an_error_may_be_edited_into_an_answer(real: Lab) -> None:
    real.lm.faults = ["500@1"]
    source = "from ask import ask\ntry: print(ask('one'))\nexcept RuntimeError: print('failed')\n"
    assert real.record(real.write("script.py", source)).out == "failed\n"
    graph = real.stored()
    draft = edited(real, graph["calls"][0], "output", "", {"choices": [{"message": {"content": "well"}}]})
    assert again(real, draft)[0] == "well\n"


LEFT = """
import json, os, urllib3
body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "one two three four"}]}
answer = urllib3.request("POST", os.environ["OPENAI_BASE_URL"] + "/chat/completions", body=json.dumps(body),
                         headers={"Authorization": "Bearer t"}, preload_content=False)
print(answer.readline()[:6])
answer.close()
"""


def test_an_answer_that_was_not_read_to_its_end_is_left_again(real: Lab) -> None:
    graph = recorded(real, LEFT)
    out, report, rerun = again(real, graph["run"]["id"])
    assert (out, asked(real)) == ("b'data: '\n", 0)
    assert "1 replayed, 0 edited, 0 new, 0 missing" in report
    told = real.get(f"/runs/{graph['run']['id']}/diff/{rerun['run']['id']}")
    assert [len(told[name]) for name in ("replayed", "new", "missing")] == [1, 0, 0]


def test_a_rerun_of_a_rerun(real: Lab) -> None:
    graph = recorded(real, "from ask import ask\nprint(ask('one'))\n")
    draft = edited(real, graph["calls"][0], "output", ANSWER, "edited once")
    _, _, first = again(real, draft)
    out, report, second = again(real, first["run"]["id"])
    assert (out, asked(real)) == ("edited once\n", 0)
    assert "1 replayed" in report
    assert second["run"]["parent"] == first["run"]["id"]
