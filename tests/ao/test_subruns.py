"""Subruns: blocks, threads, tasks and processes of a script are told apart, seen through a real server."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.ao.lab import Lab


def tree(lab: Lab, graph: dict[str, Any]) -> dict[str, Any]:
    """Questions by the Run that asked them: ``{"": [...], "name": [...], "name/inner": [...]}``."""
    names = {graph["run"]["id"]: ""}
    waiting = list(graph["children"])
    while waiting:
        run = lab.get(f"/runs/{waiting.pop(0)}")
        above = names.get(run["parent_id"], "?")
        names[run["id"]] = f"{above}/{run['name']}".lstrip("/")
        waiting += lab.get(f"/runs/{run['id']}/graph")["children"]
    found: dict[str, Any] = {name: [] for name in names.values()}
    for call in graph["calls"]:
        found[names[call["run"]]].append(call["input"]["messages"][-1]["content"])
    return {name: sorted(asked) for name, asked in found.items()}


def recorded(lab: Lab, source: str, **expected: Any) -> dict[str, Any]:
    """Run a script, see that it ends well and that the server got what the model was asked."""
    ran = lab.record(lab.write("script.py", source))
    assert (ran.status, ran.err) == (0, "")
    graph = lab.stored()
    assert len(graph["calls"]) == lab.lm.stats(rows=False)["calls"]
    assert {call["status"] for call in graph["calls"]} <= {"ok"}
    return tree(lab, graph)


HEAD = "from ask import ask\nfrom ao.runner.context_manager import ao_record, ao_launch\nimport ao\n"

WAYS: dict[str, tuple[str, dict[str, list[str]]]] = {
    "one after the other": (
        """
for sample in ("a", "b"):
    with ao_record(f"sample-{sample}"):
        ask(sample)
ask("after")
""",
        {"": ["after"], "sample-a": ["a"], "sample-b": ["b"]},
    ),
    "by any of its names": (
        """
with ao_launch("launched"): ask("1")
with ao.record("recorded"): ask("2")
with ao.launch("short"): ask("3")
""",
        {"": [], "launched": ["1"], "recorded": ["2"], "short": ["3"]},
    ),
    "one in the other": (
        """
with ao_record("outer"):
    ask("1")
    with ao_record("inner"):
        ask("2")
    ask("3")
ask("4")
""",
        {"": ["4"], "outer": ["1", "3"], "outer/inner": ["2"]},
    ),
    "names that repeat": (
        """
for number in range(3):
    with ao_record("same"):
        ask(str(number))
""",
        {"": [], "same": ["0"], "same_1": ["1"], "same_2": ["2"]},
    ),
    "a pool of threads": (
        """
from concurrent.futures import ThreadPoolExecutor
def work(number):
    with ao_record(f"s{number}"):
        return ask(str(number))
with ThreadPoolExecutor(4) as pool:
    assert list(pool.map(work, range(6))) == [str(number) for number in range(6)]
""",
        {"": [], **{f"s{number}": [str(number)] for number in range(6)}},
    ),
    "threads started inside and outside": (
        """
from threading import Thread
from concurrent.futures import ThreadPoolExecutor
outside = ThreadPoolExecutor(1)
outside.submit(ask, "before").result()
with ao_record("block"):
    inside = Thread(target=ask, args=("inside",))
    inside.start()
    outside.submit(ask, "pooled").result()
other = Thread(target=ask, args=("outside",))
other.start()
outside.submit(ask, "later").result()
for thread in (inside, other): thread.join()
outside.shutdown()
""",
        {"": ["before", "later", "outside"], "block": ["inside", "pooled"]},
    ),
    "tasks": (
        """
import asyncio
async def work(number):
    async with ao_record(f"t{number}"):
        await asyncio.to_thread(ask, f"{number}")
        await asyncio.gather(asyncio.to_thread(ask, f"{number}-x"), asyncio.to_thread(ask, f"{number}-y"))
async def main():
    await asyncio.gather(*(work(number) for number in range(3)))
    await asyncio.get_running_loop().run_in_executor(None, ask, "after")
asyncio.run(main())
""",
        {"": ["after"], **{f"t{n}": [f"{n}", f"{n}-x", f"{n}-y"] for n in range(3)}},
    ),
    "a call after the end": (
        """
from threading import Event, Thread
gate = Event()
def late():
    gate.wait()
    ask("late")
with ao_record("block"):
    thread = Thread(target=late)
    thread.start()
ask("meanwhile")
gate.set()
thread.join()
""",
        {"": ["meanwhile"], "block": ["late"]},
    ),
    "os.fork": (
        """
import os
with ao_record("forked"):
    ask("parent")
    if os.fork() == 0:
        ask("child")
        os._exit(0)
    os.wait()
if os.fork() == 0:
    with ao_record("in the child"):
        ask("own")
    raise SystemExit
os.wait()
""",
        {"": [], "forked": ["child", "parent"], "in the child": ["own"]},
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_subruns(real: Lab, way: str) -> None:
    source, expected = WAYS[way]
    assert recorded(real, HEAD + source) == expected


PROCESSES = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor

class Sample:  # of the script's own: it is pickled into the workers
    def __init__(self, number): self.number = number

def work(sample):
    with ao_record(f"s{sample.number}"):
        return Sample(ask(str(sample.number)))

def plain(number):
    return ask(str(number))

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    process = context.Process(target=work, args=(Sample(0),))
    process.start()
    process.join()
    assert process.exitcode == 0
    with ProcessPoolExecutor(2, mp_context=context) as early:
        early.submit(plain, "warm").result()
        with ao_record("block"):
            process = context.Process(target=plain, args=("process",))
            process.start()
            process.join()
            assert early.submit(plain, "early").result() == "early"
            with ProcessPoolExecutor(1, mp_context=context) as late:
                assert late.submit(plain, "late").result() == "late"
        assert [each.number for each in early.map(work, map(Sample, (1, 2)))] == ["1", "2"]
    with ao_record("pool"), context.Pool(2) as pool:
        assert pool.map(plain, ("map",)) == ["map"]
        assert pool.apply(plain, ("apply",)) == "apply"
        assert list(pool.imap_unordered(work, [Sample(3)]))[0].number == "3"
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes(real: Lab, method: str) -> None:
    ran = real.record(real.write("script.py", HEAD + PROCESSES), method)
    assert (ran.status, ran.err) == (0, "")
    graph = real.stored()
    assert len(graph["calls"]) == real.lm.stats(rows=False)["calls"]
    assert tree(real, graph) == {
        "": ["warm"],
        "block": ["early", "late", "process"],
        "pool": ["apply", "map"],
        "pool/s3": ["3"],
        **{f"s{number}": [str(number)] for number in range(3)},
    }


def test_a_block_ends_as_it_ends_and_the_error_goes_on(real: Lab) -> None:
    source = """
try:
    with ao_record("bad") as block:
        ask("x")
        raise ValueError("wrong")
except ValueError as error:
    print("caught", error)
with ao_record("left well"):
    try:
        with ao_record("left"):
            raise SystemExit(0)
    except SystemExit:
        pass
with ao_record("good") as good:
    ao.log("fine", success=True)
good.log({"score": 1}, success=False)
raise KeyError("end")
"""
    ran = real.record(real.write("script.py", HEAD + source))
    assert (ran.status, ran.out) == (1, "caught wrong\n")
    assert ran.err == real.python("script.py", env={"AO_DISABLED": "1"}).err
    graph = real.stored()
    parts = real.children(graph["run"]["id"])
    assert {name: (part["status"], part["reason"]) for name, part in parts.items()} == {
        "bad": ("CRASHED", "ValueError: wrong"),
        "left well": ("COMPLETED", None),
        "good": ("COMPLETED", None),
    }
    assert (graph["run"]["status"], graph["run"]["reason"]) == ("CRASHED", "KeyError: 'end'")
    events = real.get(f"/runs/{parts['good']['id']}/events")
    told = [event["data"] for event in (events["events"] if isinstance(events, dict) else events)]
    assert told == [{"entry": "fine", "success": True}, {"entry": {"score": 1}, "success": False}]


OUTSIDE = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread
together, gate = Barrier(2), Event()

def late():
    gate.wait()
    ask("late")

def work(name):
    with ao_record(name) as block:
        together.wait()
        ask(name)
        together.wait()
    return block.run_id

ask("nobody's")
with ao_record("first") as first:
    ask("1")
    with ao_record("inner"):
        ask("2")
    thread = Thread(target=late)
    thread.start()
ask("nobody's")
with ThreadPoolExecutor(2) as pool:
    ids = list(pool.map(work, ("to the left", "to the right")))
gate.set()
thread.join()
print(first.run_id, *ids)
"""


def test_outside_of_ao_record_each_block_is_a_recording(real: Lab) -> None:
    ran = real.python(real.write("script.py", HEAD + OUTSIDE))
    assert (ran.status, ran.err) == (0, "")
    first, left, right = ran.out.split()
    assert tree(real, real.stored(first)) == {"": ["1", "late"], "inner": ["2"]}
    assert tree(real, real.stored(left)) == {"": ["to the left"]}
    assert tree(real, real.stored(right)) == {"": ["to the right"]}
    assert real.get(f"/runs/{first}")["status"] == "COMPLETED"
    assert (real.get(f"/runs/{left}")["name"], real.get(f"/runs/{left}")["parent_id"]) == ("to the left", None)


TOGETHER = """
import threading, time
from ao.intercept.imports import Watch

start, slow = Watch.start, [0.5]
def starting(self):  # as slow as it may be to put the patches in place
    if slow: time.sleep(slow.pop())
    start(self)
Watch.start = starting

def work(name):
    with ao_record(name): ask(name)
threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_outside_of_ao_record_blocks_that_begin_together_are_all_recorded(lab: Lab) -> None:
    ran = lab.python(lab.write("script.py", HEAD + TOGETHER))
    assert (ran.status, ran.err) == (0, "")
    assert sorted(call["request"]["messages"][0]["content"] for call in lab.calls) == ["one", "two"]


def _of_three_calls(lab: Lab, name: str) -> dict[str, Any] | None:
    graph = lab.stored(name)
    return graph if len(graph["calls"]) == 3 else None


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_outside_of_ao_record_workers_that_were_there_are_recorded(real: Lab, method: str) -> None:
    """Each block is a recording of its own, and so are the tasks it gives to a pool that was made before it."""
    source = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor

def inside(text):
    with ao_record("inside"): return ask(text)

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(sys.argv[1])) as pool:
        pool.submit(ask, "outside").result()
        for name in (f"{sys.argv[1]} one", f"{sys.argv[1]} two"):
            with ao_record(name):
                assert list(pool.map(ask, [f"{name} first", f"{name} second"]))[1] == f"{name} second"
                pool.submit(inside, name).result()
            pool.submit(ask, "between").result()
"""
    ran = real.python(real.write("script.py", HEAD + source), method)
    assert (ran.status, ran.err) == (0, "")
    for name in (f"{method} one", f"{method} two"):
        graph = real.until(partial(_of_three_calls, real, name))
        assert tree(real, graph) == {"": [f"{name} first", f"{name} second"], "inside": [name]}
        assert graph["run"]["status"] == "COMPLETED"


def test_disabled_does_nothing(lab: Lab) -> None:
    source = "with ao_record('x') as block:\n    print(ask('hello'), block.run_id)\nao.log('x', success=True)\n"
    script = lab.write("script.py", HEAD + source)
    for run in (lab.python, lab.record):
        ran = run(script, env={"AO_DISABLED": "1"})
        assert (ran.status, ran.out, ran.err) == (0, "hello None\n", "")
    assert lab.records == []


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("ao_record(5)", "takes a text, got int"),
        ("ao.log('x', success=1)", "takes True, False or None, got int"),
        ("block = ao_record('x')\nwith block:\n    with block: pass", "entered already"),
        ("ao.nothing", "no attribute 'nothing'"),
    ],
)
def test_bad_use_is_said(lab: Lab, source: str, says: str) -> None:
    ran = lab.record(lab.write("script.py", HEAD + source))
    assert ran.status == 1
    assert says in ran.err


def test_one_block_object_serves_one_block_after_the_other(lab: Lab) -> None:
    lab.record(lab.write("script.py", HEAD + "block = ao_record('x')\nfor text in 'ab':\n    with block: ask(text)"))
    parts = [record["run"]["id"] for record in lab.of("b")[1:]]
    assert [record["r"] for record in lab.of("c")] == parts
    assert len(set(parts)) == 2


def test_what_is_logged_may_be_anything_and_is_kept_as_it_was(lab: Lab) -> None:
    source = """
import decimal, math
entry = {"a": [1], "nan": math.nan, "half": "\\ud800", "huge": 10**30, 5: {1, 2}, "price": decimal.Decimal("1.5")}
ao.log(entry)
entry["a"].append(2)
loop = []
loop.append(loop)
ao.log(loop)
ao.log(print, True)
"""
    ran = lab.record(lab.write("script.py", HEAD + source))
    assert (ran.status, ran.err) == (0, "")
    first, second, third = (record["data"]["entry"] for record in lab.of("e"))
    assert first["a"] == [1]
    assert (first["nan"], first["price"], first["huge"]) == (None, "1.5", str(10**30))
    assert isinstance(second, list)
    assert "print" in third


SEED = """
import threading
from types import SimpleNamespace
from concurrent.futures import ThreadPoolExecutor
from ask import ask

samples = [SimpleNamespace(id=n, input=f"in {n}", expected=f"in {n}", status="failed") for n in range(3)]
test_dataset = samples
def eval_sample(sample): ask(f"eval {sample}")
def process_sample(sample): return ask(f"process {sample.id}")
def run_evaluation(sample): return ask(f"evaluate {sample.id}")
def run_benchmark(config): ask(f"benchmark {config['temperature']}")
def evaluate(prediction, expected): return prediction == expected
prompt = "prompt"
agent = SimpleNamespace(run=lambda text, verbose=False: ask(text))
"""

SNIPPETS = [
    """
from ao.runner.context_manager import ao_record

for sample in samples:
    with ao_record("sample-name"):
        eval_sample(sample)
""",
    """
from ao.runner.context_manager import ao_record
for i, sample in enumerate(samples):
    with ao_record(f"sample-{i}-{sample.id}"):
        result = process_sample(sample)
""",
    """
from concurrent.futures import ThreadPoolExecutor
from ao.runner.context_manager import ao_record

def process_sample(sample):
    with ao_record(f"sample-{sample.id}"):
        return run_evaluation(sample)

with ThreadPoolExecutor(max_workers=4) as executor:
    results = list(executor.map(process_sample, samples))
""",
    """
from ao.runner.context_manager import ao_record
results = []
for sample in test_dataset:
    with ao_record(f"eval-{sample.id}"):
        prediction = agent.run(sample.input)
        score = evaluate(prediction, sample.expected)
        results.append(score)

print(f"Average score: {sum(results) / len(results)}")
""",
    """
from ao.runner.context_manager import ao_record
configs = [
    {"model": "gpt-4", "temperature": 0.7},
    {"model": "gpt-4", "temperature": 0.2},
]

for config in configs:
    with ao_record(f"config-{config['model']}-t{config['temperature']}"):
        run_benchmark(config)
""",
    """
from ao.runner.context_manager import ao_record
failed_samples = [s for s in samples if s.status == "failed"]

for sample in failed_samples:
    with ao_record(f"debug-{sample.id}"):
        # Run with verbose logging
        result = agent.run(sample.input, verbose=True)
""",
    """
from ao.runner.context_manager import ao_launch
for sample in samples:
    with ao_launch("run name"):
        eval_sample(prompt)
""",
]


def test_the_snippets_of_the_docs_run_as_printed(real: Lab) -> None:
    for number, snippet in enumerate(SNIPPETS):
        ran = real.record("--run-name", f"snippet {number}", real.write("script.py", SEED + snippet))
        assert (ran.status, ran.err) == (0, "")
    for number in range(len(SNIPPETS)):
        graph = real.stored(f"snippet {number}")
        parts = real.children(graph["run"]["id"])
        assert len(parts) == len(graph["calls"]) == (2 if number == 4 else 3)
        assert {part["status"] for part in parts.values()} == {"COMPLETED"}
        assert {call["run"] for call in graph["calls"]} == {part["id"] for part in parts.values()}


def test_a_thousand_subruns_leave_no_files_open_and_no_threads(lab: Lab) -> None:
    source = """
import os, threading
def open_now(): return len(os.listdir("/proc/self/fd"))
with ao_record("first"): ask("x")
before = open_now(), threading.active_count()
for number in range(1000):
    with ao_record("part"): pass
print(before == (open_now(), threading.active_count()))
"""
    script = lab.write("script.py", HEAD + source)
    for run in (lab.record, lab.python):
        ran = run(script)
        assert (ran.status, ran.out, ran.err) == (0, "True\n", "")
