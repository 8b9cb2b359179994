"""What ``ao-record`` costs a script: its start, its calls, and what a kill leaves; beside plain python."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from afnio.models.lm_server import LMServer
from benchmarks.contender import REPO, clean_environment
from benchmarks.figures import Figure
from benchmarks.served import Served, served

__all__ = ["NOTES", "recorder_figures"]

START = 0.15  # s over plain python
SMALL, LARGE = 1.0, 2.0  # ms a call over plain python
GROWTH = 1.2  # the last fifth of the calls by the first
AT_ONCE = 1.05  # of plain python
LATENCY = 0.2  # s

NOTES = (
    (
        "Each repeat runs the script under `ao-record` and under plain python, in turn, against the same simulated "
        "model in a process of its own; the figure is the difference, or the ratio, of the two. The local server runs "
        "and stores what is recorded meanwhile, as it does for a user: on few cores its work is in the figures, too."
    ),
    (
        "The calls are made by httpx2, one by one, over one connection; the script measures them, not its start. After "
        "each repeat the server has to have stored as many calls as were made, or the row fails."
    ),
)

PRINTS = "print('hello')\n"

CALLS = """
import json, os, sys, time
import httpx2
count, size = int(sys.argv[1]), int(sys.argv[2])
url, text, took = os.environ["MODEL"] + "/chat/completions", "word " * (size // 5), []
with httpx2.Client() as client:
    def ask(number):
        body = {"model": "m", "messages": [{"role": "user", "content": f"{number} {text}"}]}
        before = time.perf_counter()
        client.post(url, json=body).json()
        took.append(time.perf_counter() - before)
    for number in range(count):
        ask(number)
print(json.dumps(took))
"""

TOGETHER = """
import asyncio, json, os, sys, time
import httpx2
count, url = int(sys.argv[1]), os.environ["MODEL"] + "/chat/completions"
async def main():
    limits = httpx2.Limits(max_connections=count)
    async with httpx2.AsyncClient(limits=limits, timeout=60) as client:
        async def ask(number):
            body = {"model": "m", "messages": [{"role": "user", "content": f"question {number}"}]}
            (await client.post(url, json=body)).json()
        await ask(-1)
        before = time.perf_counter()
        await asyncio.gather(*(ask(number) for number in range(count)))
        print(json.dumps([time.perf_counter() - before]))
asyncio.run(main())
"""

CHAT = """
import json, os, sys, time
import httpx2
count, others = int(sys.argv[1]), int(sys.argv[2])
url, said, took = os.environ["MODEL"] + "/chat/completions", [], []
with httpx2.Client() as client:
    def ask(messages):
        before = time.perf_counter()
        answer = client.post(url, json={"model": "m", "messages": messages}).json()
        took.append(time.perf_counter() - before)
        return answer["choices"][0]["message"]
    for number in range(others):
        ask([{"role": "user", "content": f"other {number} " + "word " * 400}])
    while len(said) < count:
        said.append({"role": "user", "content": f"turn {len(said)} " + "word " * 100})
        said.append(ask(said))
    last = [ask(said) and took[-1] for _ in range(5)]
print(json.dumps(last))
"""

DIES = CALLS.replace("print(json.dumps(took))", "os.kill(os.getpid(), 9)")


class _Bench:
    """A server, a model, and a folder of scripts."""

    def __init__(self, server: Served, folder: Path) -> None:
        self._server, self._folder = server, folder
        self._env = {**clean_environment(), **server.environment(), "PYTHONPATH": str(REPO)}

    def python(self, script: str, *arguments: object, model: LMServer | None = None) -> tuple[float, str]:
        """Seconds it took, and what it printed."""
        return self._run([sys.executable], script, arguments, model)

    def record(self, script: str, *arguments: object, model: LMServer | None = None) -> tuple[float, str]:
        """The same under ``ao-record``, as the installed command starts it."""
        return self._run([sys.executable, str(_command())], script, arguments, model)

    def _run(
        self, command: list[str], script: str, arguments: tuple[object, ...], model: LMServer | None
    ) -> tuple[float, str]:
        path = self._folder / "script.py"
        path.write_text(script, encoding="utf-8")
        env = self._env | ({} if model is None else {"MODEL": model.base_url})
        before = time.perf_counter()
        done = subprocess.run(
            [*command, str(path), *map(str, arguments)],
            env=env,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        return time.perf_counter() - before, done.stdout

    def stored(self, status: str, calls: int) -> None:
        """Wait until the latest recording is stored as it should be.

        Raises:
            RuntimeError: it is not, after some minutes.
        """
        query = "SELECT status || ' ' || calls FROM runs WHERE kind = 'recording' ORDER BY key DESC LIMIT 1"
        found, end = "", time.monotonic() + 150.0
        while time.monotonic() < end:
            with contextlib.suppress(TypeError):  # there is none yet
                found = self._server.stored(query)
            if found == f"{status} {calls}" and not any((self._server.home / "journals").iterdir()):
                return
            time.sleep(0.05)
        raise RuntimeError(f"the recording should be {status} with {calls} calls, and is {found or 'not there'}")


def _command() -> Path:
    """``ao-record`` of this environment."""
    path = Path(sys.executable).with_name("ao-record")
    if not path.exists():
        raise RuntimeError(f"there is no {path}: install this checkout first (make setup)")
    return path


def recorder_figures(quick: bool) -> Iterator[Figure]:
    """Start, calls, growth, a chat, calls at once, a kill."""
    with served() as server, tempfile.TemporaryDirectory(prefix="ao-bench-") as folder:
        bench = _Bench(server, Path(os.path.realpath(folder)))
        yield from _start(bench, quick)
        with LMServer("echo", process=True) as model:
            yield from _small(bench, model, quick)
            yield from _large(bench, model, quick)
            yield from _chat(bench, model, quick)
            yield from _kill(bench, model, quick)
        with LMServer("echo", latency=0.01 if quick else LATENCY, process=True) as model:
            yield from _together(bench, model, quick)


def _start(bench: _Bench, quick: bool) -> Iterator[Figure]:
    more, plain, recorded = [], [], []
    for _ in range(1 if quick else 15):
        plain.append(bench.python(PRINTS)[0])
        took, printed = bench.record(PRINTS)
        recorded.append(took)
        if printed != "hello\n":
            raise RuntimeError(f"under ao-record the script printed {printed!r}")
        bench.stored("COMPLETED", 0)
        more.append(recorded[-1] - plain[-1])
    told = f"plain python: {median(plain):.3f} s, under ao-record: {median(recorded):.3f} s"
    reach = None if quick else START
    yield Figure(
        "recorder.start", "start of a script that only prints, over plain python", more, "s", reach, compared=told
    )


def _calls(bench: _Bench, model: LMServer, count: int, size: int) -> tuple[list[float], list[float]]:
    """Seconds of each call, plain and recorded."""
    plain = json.loads(bench.python(CALLS, count, size, model=model)[1])
    recorded = json.loads(bench.record(CALLS, count, size, model=model)[1])
    bench.stored("COMPLETED", count)
    return plain, recorded


def _small(bench: _Bench, model: LMServer, quick: bool) -> Iterator[Figure]:
    count, more, controls = 10 if quick else 500, [], []
    for _ in range(1 if quick else 5):
        plain, recorded = _calls(bench, model, count, 200)
        more.append(1_000 * (sum(recorded) - sum(plain)) / count)
        controls.append(1_000 * sum(plain) / count)
    what = f"a call with 200 bytes, mean of {count}, over plain python"
    told = f"plain python: {median(controls):.2f} ms"
    yield Figure("recorder.call.small", what, more, "ms", None if quick else SMALL, compared=told)


def _large(bench: _Bench, model: LMServer, quick: bool) -> Iterator[Figure]:
    count, more, growth, controls = 10 if quick else 1_000, [], [], []
    for _ in range(1 if quick else 3):
        plain, recorded = _calls(bench, model, count, 2_000)
        more.append(1_000 * (sum(recorded) - sum(plain)) / count)
        growth.append(_growth(recorded))
        controls.append((1_000 * sum(plain) / count, _growth(plain)))
    told = f"plain python: {median(each for each, _ in controls):.2f} ms"
    what = f"a call with an output of 2 KB, mean of {count:,}, over plain python"
    yield Figure("recorder.call.large", what, more, "ms", None if quick else LARGE, compared=told)
    what = f"the last fifth of {count:,} such calls by the first fifth"
    told = f"plain python: {median(each for _, each in controls):.2f}"
    yield Figure("recorder.growth", what, growth, "", None if quick else GROWTH, compared=told)


def _growth(times: list[float]) -> float:
    fifth = len(times) // 5
    return median(times[-fifth:]) / median(times[:fifth])


def _chat(bench: _Bench, model: LMServer, quick: bool) -> Iterator[Figure]:
    messages, outputs = (10, 5) if quick else (100, 200)
    more, controls = [], []
    for _ in range(1 if quick else 3):
        others = outputs - messages // 2 if outputs > messages // 2 else outputs
        plain = json.loads(bench.python(CHAT, messages, others, model=model)[1])
        recorded = json.loads(bench.record(CHAT, messages, others, model=model)[1])
        bench.stored("COMPLETED", others + messages // 2 + 5)
        more.append(1_000 * (median(recorded) - median(plain)))
        controls.append(1_000 * median(plain))
    what = f"a call with a history of {messages} messages, {outputs} stored outputs, over plain python"
    told = f"plain python: {median(controls):.2f} ms"
    yield Figure("recorder.chat", what, more, "ms", None if quick else 10.0, compared=told)


def _together(bench: _Bench, model: LMServer, quick: bool) -> Iterator[Figure]:
    count, ratios, controls = 5 if quick else 50, [], []
    for _ in range(1 if quick else 7):
        plain = json.loads(bench.python(TOGETHER, count, model=model)[1])[0]
        recorded = json.loads(bench.record(TOGETHER, count, model=model)[1])[0]
        bench.stored("COMPLETED", count + 1)
        ratios.append(recorded / plain)
        controls.append(plain)
    what = f"{count} concurrent async calls at {LATENCY} s latency, by plain python"
    told = f"plain python: {median(controls):.3f} s"
    yield Figure("recorder.together", what, ratios, "", None if quick else AT_ONCE, compared=told)


def _kill(bench: _Bench, model: LMServer, quick: bool) -> Iterator[Figure]:
    """Calls that are stored of those that were answered before a SIGKILL; the Run is CRASHED."""
    count, kept = 10 if quick else 500, []
    for _ in range(1 if quick else 5):
        bench.record(DIES, count, 200, model=model)
        bench.stored("CRASHED", count)
        kept.append(1.0)
    what = f"kill -9 after {count} calls: the share that is stored, of a Run that says CRASHED"
    yield Figure("recorder.killed", what, kept, "", 1.0, at_least=True, judge="max", digits=1)
