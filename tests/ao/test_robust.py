"""What goes wrong around a script is not the script's: it runs as without us, and what was lost is said in a line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from afnio.models.lm_server import LMServer
from tests.ao.lab import RECORD, Lab, interrupted
from tests.tellurio.running import ServerProcess

WAITS = """
import signal
from ask import ask
from ao.runner.context_manager import ao_record
for number in range(5): ask(f"before {number}")
with ao_record("part"):
    ask("inside")
    print("ready", flush=True)
    while True: signal.pause()
"""


def test_a_killed_script_has_crashed_and_its_calls_are_there(real: Lab) -> None:
    real.last = "killed"
    ran = interrupted(real, [*RECORD, "--run-name", "killed", real.write("waits.py", WAITS)], signal.SIGKILL)
    assert ran.status == -signal.SIGKILL
    graph = real.stored()
    assert [call["input"]["messages"][0]["content"] for call in graph["calls"]][-1] == "inside"
    assert len(graph["calls"]) == 6
    assert graph["run"]["status"] == "CRASHED"
    assert {part["status"] for part in real.children(graph["run"]["id"]).values()} == {"CRASHED"}


def test_the_last_call_before_a_kill_is_there(real: Lab) -> None:
    """It is written before the script goes on with the answer."""
    source = """
import os
from ask import ask
for n in range(50): ask(str(n))
ask("50" + " long" * 50_000)
os.kill(os.getpid(), 9)
"""
    real.last = "dies"
    ran = real.record("--run-name", "dies", real.write("dies.py", source))
    assert ran.status == -signal.SIGKILL
    graph = real.stored()
    said = [call["input"]["messages"][0]["content"][:2] for call in graph["calls"]]
    assert said == [str(n) for n in range(51)]
    assert graph["run"]["status"] == "CRASHED"


def test_long_answers_are_written_beside_an_event_loop_and_in_order(real: Lab) -> None:
    source = """
import asyncio, os, httpx2
from ao.runner.context_manager import ao_record
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
async def main():
    async with httpx2.AsyncClient(timeout=60) as client:
        async def ask(text):
            await client.post(url, json={"model": "m", "messages": [{"role": "user", "content": text}]})
        async with ao_record("part"):
            await asyncio.gather(*(ask(f"{n} " + "long " * 50_000) for n in range(3)))
            await ask("3 short")
        await ask("4 short")
asyncio.run(main())
"""
    real.last = "long"
    ran = real.record("--run-name", "long", real.write("script.py", source))
    assert (ran.status, ran.err) == (0, "")
    graph = real.stored()
    said = [call["input"]["messages"][0]["content"][:2] for call in graph["calls"]]
    assert sorted(said) == ["0 ", "1 ", "2 ", "3 ", "4 "]
    assert {part["status"] for part in real.children(graph["run"]["id"]).values()} == {"COMPLETED"}


def test_a_killed_server_misses_nothing_when_it_is_back(tmp_path: Path, lm: LMServer) -> None:
    server = ServerProcess(tmp_path / "home")
    try:
        lab = Lab(tmp_path, real=server)
        lab.use(lm)
        source = "from ask import ask\nfor n in range(20): ask(str(n))\nprint(input('ready\\n'))\n"
        source += "for n in range(20, 40): ask(str(n))\n"
        command = [*RECORD, "--run-name", "long", lab.write("script.py", source)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        script = subprocess.Popen(command, cwd=lab.cwd, env=lab.env, **pipes)  # type: ignore[call-overload]
        assert script.stdout.readline() == "ready\n"
        server.kill()
        out, err = script.communicate("on\n", timeout=150)
        assert (script.returncode, out, err) == (0, "on\n", "")
        server.start()
        graph = lab.stored("long")
        assert [call["input"]["messages"][0]["content"] for call in graph["calls"]] == [str(n) for n in range(40)]
        assert graph["run"]["status"] == "COMPLETED"
    finally:
        server.stop()


LEAVES = """
import os
from ask import ask
ask("one")
with open("out.txt", "w") as file: file.write("x")
os._exit({status})
"""


@pytest.mark.parametrize(("status", "ended"), [(0, ("COMPLETED", None)), (3, ("CRASHED", "exit 3"))])
def test_os_exit_loses_nothing(lab: Lab, status: int, ended: tuple[str, str | None]) -> None:
    ran = lab.record(lab.write("script.py", LEAVES.format(status=status)))
    assert (ran.status, ran.err) == (status, "")
    assert len(lab.calls) == 1
    (end,) = lab.of("s")
    assert (end["status"], end.get("reason")) == ended


def test_a_full_disk_is_said_and_the_script_runs(lab: Lab) -> None:
    source = """
import resource
from ask import ask
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
ask("first")
import time
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, hard))
for number in range(10): ask("x" * 1000)
if ROOM: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
print("done")
"""
    for room in (True, False):
        script = lab.write("script.py", f"ROOM = {room}\n{source}")
        ran = lab.run([sys.executable, "-B", "-m", "ao.runner.record", script])
        assert (ran.status, ran.out) == (0, "done\n")
        if room:
            assert ran.err == ""
            assert len(lab.calls) == 11
        else:
            assert ran.err.count("\n") == 1
            assert "records were lost" in ran.err


def test_a_home_that_is_gone_in_the_middle_harms_nobody(lab: Lab) -> None:
    source = """
import os, shutil
from ask import ask
ask("one")
shutil.rmtree(os.environ["TELLURIO_HOME"])
if os.fork() == 0:
    ask("child")
    os._exit(0)
os.wait()
print(ask("two"))
"""
    ran = lab.record(lab.write("script.py", source))
    assert (ran.status, ran.out, ran.err) == (0, "two\n", "")


def test_no_server_can_be_started(lab: Lab) -> None:
    """The server's folder is a file: the process that would start one ends at once, and nobody waits for it."""
    (lab.home / "server" / "server.json").unlink()
    (lab.home / "server").rmdir()
    (lab.home / "server").write_text("")
    ran = lab.record(lab.write("script.py", "from ask import ask\nprint(ask('hello'))"))
    assert (ran.status, ran.out, ran.err) == (0, "hello\n", "")
    assert len(lab.calls) == 1


def test_who_starts_the_server_is_no_child_of_the_script(lab: Lab) -> None:
    """Or else ``os.wait()`` would give the script the end of a process that it does not know."""
    (lab.home / "server" / "server.json").unlink()
    (lab.home / "server").rmdir()
    (lab.home / "server").write_text("")
    source = "import os\ntry: print(os.waitpid(-1, os.WNOHANG))\nexcept ChildProcessError: print('none')"
    ran = lab.record(lab.write("script.py", source))
    assert (ran.status, ran.out, ran.err) == (0, "none\n", "")


def test_two_recorders_at_once(real: Lab) -> None:
    script = real.write("script.py", "import sys\nfrom ask import ask\nfor n in range(20): ask(f'{sys.argv[1]} {n}')\n")
    command = [*RECORD, "--run-name"]
    running = [
        subprocess.Popen([*command, f"both {name}", script, name], cwd=real.cwd, env=real.env) for name in ("a", "b")
    ]
    assert [each.wait(150) for each in running] == [0, 0]
    for name in ("a", "b"):
        asked = [call["input"]["messages"][0]["content"] for call in real.stored(f"both {name}")["calls"]]
        assert asked == [f"{name} {number}" for number in range(20)]


def test_a_recorder_in_a_recorder(real: Lab) -> None:
    real.write("inner.py", "from ask import ask\nask('inner')")
    source = "import subprocess, sys\nfrom ask import ask\nask('outer')\n"
    source += (
        f"subprocess.run([sys.executable, '-m', {RECORD[2]!r}, '--run-name', 'inner one', 'inner.py'], check=True)"
    )
    assert real.record(real.write("outer.py", source)).err == ""
    asked = [
        [call["input"]["messages"][0]["content"] for call in real.stored(name)["calls"]]
        for name in (real.last, "inner one")
    ]
    assert asked == [["outer"], ["inner"]]


def test_many_forks(lab: Lab) -> None:
    source = """
import os
from ask import ask
ask("parent")
for number in range(300):
    if os.fork() == 0:
        if number % 30 == 0:
            import ask as module, urllib3
            module.pool = urllib3.PoolManager()
            ask(f"child {number}")
        os._exit(0)
    os.wait()
print("done", len(os.listdir("/proc/self/fd")) < 20)
"""
    ran = lab.record(lab.write("script.py", source))
    assert (ran.status, ran.out, ran.err) == (0, "done True\n", "")
    assert len(lab.calls) == 11
    assert len(lab.of("s")) == 1


BIG = """
import os, threading, json
from http.server import BaseHTTPRequestHandler, HTTPServer
import urllib3
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        if "stream" in self.path:
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            try:
                while True: self.wfile.write(b'data: {"choices": [{"delta": {"content": "x"}, "index": 0}]}\\n\\n')
            except OSError: return
        body = json.dumps({"choices": [{"message": {"content": "x" * 50_000_000}}]}).encode()
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
def post(stream):
    url = f"http://127.0.0.1:{server.server_port}/v1/chat/completions?{'stream' if stream else ''}"
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "x"}]}
    return urllib3.request("POST", url, body=json.dumps(body), preload_content=not stream)
"""


def test_an_answer_of_50_megabytes(lab: Lab) -> None:
    ran = lab.record(lab.write("script.py", BIG + "print(len(post(False).data))"))
    assert (ran.status, ran.out, ran.err) == (0, "50000043\n", "")
    (call,) = lab.calls
    assert len(call["response"]["choices"][0]["message"]["content"]) == 50_000_000


def test_a_stream_without_end_that_is_left(lab: Lab) -> None:
    source = (
        BIG + "answer = post(True)\nfor number, line in zip(range(1000), answer): pass\nanswer.close()\nprint(number)"
    )
    ran = lab.record(lab.write("script.py", source))
    assert (ran.status, ran.out, ran.err) == (0, "999\n", "")
    (call,) = lab.calls
    assert not call["complete"]


def test_hooks_of_the_script_at_forks_run(lab: Lab) -> None:
    source = """
import os
os.register_at_fork(before=lambda: print("before", flush=True), after_in_child=lambda: print("child", flush=True))
if os.fork() == 0: os._exit(0)
os.wait()
"""
    assert lab.record(lab.write("script.py", source)).out == "before\nchild\n"


def test_a_child_that_outlives_the_script_is_recorded(real: Lab) -> None:
    source = """
import os
from ask import ask
here, there = os.pipe()
if os.fork() == 0:
    os.close(there)
    os.read(here, 1)  # until the parent is gone
    ask("late")
    os._exit(0)
print("over")
"""
    process = subprocess.Popen(
        [*RECORD, "--run-name", "outlived", real.write("script.py", source)],
        cwd=real.cwd,
        env=real.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.wait(150) == 0
    graph = real.until(lambda: (found := real.stored("outlived"))["calls"] and found)
    assert graph["calls"][0]["input"]["messages"][0]["content"] == "late"
    assert graph["run"]["status"] == "COMPLETED"


def test_half_characters_in_arguments_are_no_trouble(real: Lab) -> None:
    argument = os.fsdecode(b"\xff\xfe")
    real.last = "half"
    ran = real.record("--run-name", "half", real.write("script.py", "import sys; print(len(sys.argv[1]))"), argument)
    assert (ran.status, ran.out, ran.err) == (0, "2\n", "")
    assert real.stored()["run"]["status"] == "COMPLETED"


def test_no_thread_of_ours_is_there_when_a_script_forks(lab: Lab) -> None:
    """Newer Pythons warn a process of several threads that forks, and scripts' own warnings are shown."""
    source = """
import asyncio, httpx2, os, threading
async def ask():  # what is so long is written by a thread where it would hold up an event loop
    async with httpx2.AsyncClient(timeout=60) as client:
        body = {"model": "m", "messages": [{"role": "user", "content": "long " * 50_000}]}
        await client.post(os.environ["OPENAI_BASE_URL"] + "/chat/completions", json=body)
asyncio.run(ask())
seen = []
os.register_at_fork(after_in_parent=lambda: seen.append(len(os.listdir("/proc/self/task"))))
if os.fork() == 0: os._exit(0)
os.wait()
asyncio.run(ask())
print(seen, threading.active_count())
"""
    ran = lab.record(lab.write("script.py", source))
    assert (ran.status, ran.out, ran.err) == (0, "[1] 2\n", "")
    assert len(lab.calls) == 2


def test_the_reason_of_a_crash_tells_no_key(lab: Lab) -> None:
    source = "import ao\nwith ao.record('part'): raise ValueError('no such key: sk-proj-abcdefghijklmnopqrstuvwxyz')"
    ran = lab.record(lab.write("script.py", source))
    assert ran.status == 1
    assert "sk-proj-abc" in ran.err  # it is the script's own traceback
    assert [end["reason"] for end in lab.of("s")] == ["ValueError: no such key: [redacted]"] * 2


@pytest.mark.parametrize("name", ["platform", "uuid", "orjson", "zoneinfo"])
def test_a_script_beside_a_file_that_is_named_like_a_module_of_pythons(lab: Lab, name: str) -> None:
    """What the recorder imports for itself gets that file instead; ``orjson`` would crash the interpreter on some."""
    lab.write(f"{name}.py", "X = 1\n")
    ran = lab.record(lab.write("script.py", "from ask import ask\nprint(ask('h\\u00e9llo'))\n"))
    assert (ran.status, ran.out, ran.err) == (0, "h\u00e9llo\n", "")
    assert [call["request"]["messages"][0]["content"] for call in lab.calls] == ["h\u00e9llo"]


def test_a_server_starts_by_itself_and_stores_what_was_recorded(tmp_path: Path, lm: LMServer) -> None:
    lab = Lab(tmp_path)
    lab.use(lm)
    facts = lab.home / "server" / "server.json"
    facts.unlink()
    script = lab.write("script.py", "from ask import ask\nprint(ask('hello'))")
    try:
        ran = lab.record(script)
        assert (ran.status, ran.out, ran.err) == (0, "hello\n", "")
        shown = lab.run([sys.executable, "-m", "ao.cli.tool", "show", "last", "--json"])
        assert '"hello"' in shown.out, shown.err
        assert facts.exists()
    finally:
        lab.run([str(Path(sys.executable).with_name("tellurio")), "down"])
