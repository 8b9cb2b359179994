"""A script runs under ao-record as under python: what it prints, how it ends, what it sees of itself."""

from __future__ import annotations

import os
import re
import signal
import sys
import zipfile

import pytest

from tests.ao.lab import RECORD, Lab, Ran, interrupted

SCRIPTS = {
    "prints": "print('hello')\nimport sys; print('oops', file=sys.stderr)",
    "sees itself": """
import sys, os, __main__
print(__name__, __file__, sys.argv, sys.path[0] == os.path.dirname(os.path.realpath(__file__)))
print(__spec__, __package__, __doc__, type(__loader__).__name__, __main__ is sys.modules['__main__'])
print(sorted(name for name in globals() if name.startswith('__')))
x = 5
print(__main__.x)
""",
    "exits with 7": "import sys\nprint('before')\nsys.exit(7)",
    "exits with a text": "raise SystemExit('no good')",
    "exits with nothing": "raise SystemExit",
    "exits with 256": "import sys; sys.exit(256)",
    "raises": "def f():\n    raise ValueError('wrong')\n\nf()",
    "raises from": """
try:
    1 / 0
except ZeroDivisionError as error:
    raise KeyError('gone') from error
""",
    "raises a group": "raise ExceptionGroup('two', [ValueError(1), TypeError('b')])",
    "has a syntax error": "print('a'\n",
    "has an excepthook": """
import sys
sys.excepthook = lambda kind, error, tb: print('hooked', kind.__name__, tb.tb_lineno, tb.tb_next)
raise ValueError('x')
""",
    "has a broken excepthook": """
import sys
def broken(*a):
    raise TypeError('hook')
sys.excepthook = broken
raise ValueError('x')
""",
    "does things at its exit": """
import atexit
atexit.register(print, 'first in')
atexit.register(print, 'last in')
raise ValueError('x')
""",
    "has threads that outlive it": """
import threading
gate = threading.Event()
def late():
    gate.wait()
    print('late')
threading.Thread(target=late).start()
print('main is over')
gate.set()
""",
    "pickles its own classes": """
import pickle
class Thing:
    def __eq__(self, other): return type(self) is type(other)
print(pickle.loads(pickle.dumps(Thing())) == Thing(), pickle.dumps(Thing())[:40])
""",
    "looks at its source": "import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f), inspect.getfile(f))",
    "warns": "import warnings\nwarnings.warn('careful')",
    "reads its input": "print(input('name? ') + '!')",
    "has dataclasses and types": """
from __future__ import annotations
import dataclasses, typing
@dataclasses.dataclass
class A:
    x: int = 1
print(A(), typing.get_type_hints(A))
""",
    "leaves at once": "import os\nprint('x', flush=True)\nos._exit(3)",
    "is async": "import asyncio\nasync def main():\n    await asyncio.sleep(0)\n    print('done')\nasyncio.run(main())",
    "reads no future": "print(0.1 + 0.2)\nfrom __future__ import annotations\n",
}


def same(lab: Lab, plain: Ran, recorded: Ran) -> None:
    # A program that is run by its path knows no more of the interpreter than this.
    strip = re.compile(r"0x[0-9a-f]+")
    assert recorded.status == plain.status
    assert strip.sub("0x", recorded.out) == strip.sub("0x", plain.out)
    assert strip.sub("0x", recorded.err) == strip.sub("0x", plain.err)


@pytest.mark.parametrize("name", SCRIPTS)
def test_as_python(lab: Lab, name: str) -> None:
    script = lab.write("script.py", SCRIPTS[name])
    plain = lab.python(script, "one", "--two", stdin="Ada\n")
    same(lab, plain, lab.record(script, "one", "--two", stdin="Ada\n"))


@pytest.mark.parametrize("name", ["my.agent.py", "agent", "sub/deep agent.py"])
def test_any_file_name(lab: Lab, name: str) -> None:
    lab.write(name, "import sys; print(__file__, sys.argv, __name__)")
    lab.write("sub/neighbour.py", "")
    same(lab, lab.python(name, "x"), lab.record(name, "x"))


def test_a_module(lab: Lab) -> None:
    lab.write("pkg/__init__.py", "print('package')")
    lab.write("pkg/mod.py", "import sys\nprint(__name__, __package__, __spec__.name, sys.argv, __file__, sys.path[0])")
    lab.write("pkg/__main__.py", "from . import mod\nprint(__name__, __package__)")
    for target in ("pkg.mod", "pkg"):
        same(lab, lab.python("-m", target, "a"), lab.record("-m", target, "a"))
    lab.write("broken/__init__.py", "import nowhere_to_be_found")
    lab.write("broken/mod.py", "")
    for target in ("nothing.here", "pkg.nothing"):
        plain, recorded = lab.python("-m", target), lab.record("-m", target)
        assert (plain.status, plain.err) == (recorded.status, recorded.err)
    assert "ModuleNotFoundError: No module named 'nowhere_to_be_found'" in lab.record("-m", "broken.mod").err


def test_standard_input(lab: Lab) -> None:
    source = "import sys\nprint(__name__, __file__, sys.argv, sys.path[0] == '')\nraise ValueError('x')"
    plain, recorded = lab.python("-", "a", stdin=source), lab.record("-", "a", stdin=source)
    assert (plain.status, plain.out, plain.err) == (recorded.status, recorded.out, recorded.err)


def test_a_folder_and_a_zip_file(lab: Lab) -> None:
    says = "print(__name__, sys.argv, sys.path[0], __file__, other.x, __spec__ is not None)"
    lab.write("app/__main__.py", f"import os, sys\nos.chdir('/')\nimport other\n{says}")
    lab.write("app/other.py", "x = 1")
    with zipfile.ZipFile(lab.cwd / "app.zip", "w") as archive:
        for name in ("__main__.py", "other.py"):
            archive.write(lab.cwd / "app" / name, name)
    for target in ("app", "app.zip"):
        same(lab, lab.python(target, "a"), lab.record(target, "a"))
    lab.write("empty/x.txt", "")
    for nothing in ("empty", ""):
        same(lab, lab.python(nothing), lab.record(nothing))


def test_a_script_that_is_not_there(lab: Lab) -> None:
    plain, recorded = lab.python("nowhere.py"), lab.record("nowhere.py")
    assert (plain.status, plain.err) == (recorded.status, recorded.err)
    assert recorded.status == 2


WAITS = """
import atexit, time
atexit.register(print, 'bye')
def wait():
    print('ready', flush=True)
    while True: time.sleep(0.01)  # a signal that comes just before is heard after it
wait()
"""


def without_lines(ran: Ran) -> Ran:
    """The signal comes before or after the first word is out: at which line is the machine's business."""
    return Ran(ran.status, ran.out, re.sub(r"line \d+|^    .*\n", "", ran.err, flags=re.MULTILINE))


def test_ctrl_c(lab: Lab) -> None:
    script = lab.write("waits.py", WAITS)
    plain = interrupted(lab, [sys.executable, script])
    same(lab, without_lines(plain), without_lines(interrupted(lab, [*RECORD, script])))
    assert plain.status == -signal.SIGINT
    (end,) = lab.of("s")
    assert (end["status"], end["reason"]) == ("CRASHED", "KeyboardInterrupt")


def test_ctrl_c_that_is_handled(lab: Lab) -> None:
    source = "import time\ntry:\n    print('ready', flush=True)\n    while True: time.sleep(0.01)\n"
    source += "except KeyboardInterrupt:\n    print('well')"
    script = lab.write("handles.py", source)
    same(lab, interrupted(lab, [sys.executable, script]), interrupted(lab, [*RECORD, script]))


def test_sigterm(lab: Lab) -> None:
    script = lab.write("waits.py", WAITS)
    plain, recorded = (interrupted(lab, [*command, script], signal.SIGTERM) for command in ([sys.executable], RECORD))
    assert (plain.status, plain.out, plain.err) == (recorded.status, recorded.out, recorded.err)


def test_how_a_script_ends_is_told(lab: Lab) -> None:
    for source, status, reason in (
        ("pass", "COMPLETED", None),
        ("import sys; sys.exit(0)", "COMPLETED", None),
        ("import sys; sys.exit(7)", "CRASHED", "exit 7"),
        ("raise ValueError('wrong')", "CRASHED", "ValueError: wrong"),
    ):
        lab.record(lab.write("ends.py", source))
        end = lab.of("s")[-1]
        assert (end["status"], end.get("reason")) == (status, reason)
    begins = lab.of("b")
    assert [begin["run"]["name"] for begin in begins] == ["ends"] * 4
    command = begins[0]["run"]["command"]
    assert command["argv"] == ["ends.py"]
    assert begins[0]["run"]["client"]["command"] == "ends.py"  # as te.init tells it: a page shows both
    assert command["cwd"] == os.path.realpath(lab.cwd)
    assert "OPENAI_API_KEY" in command["needs"]
    assert "test" not in command["env"].values()


def test_an_address_with_a_password_is_not_stored_but_asked_for(lab: Lab) -> None:
    addresses = {"OPENAI_BASE_URL": "http://ada:hunter2@proxy/v1", "OLLAMA_HOST": "http://local:11434"}
    lab.record(lab.write("script.py", ""), env=addresses)
    (begun,) = lab.of("b")
    command = begun["run"]["command"]
    assert command["env"]["OLLAMA_HOST"] == "http://local:11434"
    assert "OPENAI_BASE_URL" in command["needs"]
    assert "hunter2" not in str(lab.records)


def test_disabled_records_nothing_and_runs_all_the_same(lab: Lab) -> None:
    script = lab.write("script.py", SCRIPTS["raises"])
    same(lab, lab.python(script), lab.record(script, env={"AO_DISABLED": "1"}))
    assert lab.records == []


def test_a_home_that_cannot_be_written_is_said_and_the_script_runs(lab: Lab) -> None:
    script = lab.write("script.py", "print('hello')")
    ran = lab.record(script, env={"TELLURIO_HOME": "/dev/null/home"})
    assert (ran.status, ran.out) == (0, "hello\n")
    assert "nothing is recorded" in ran.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "which script?"),
        (["--sed", "5", "x.py"], "unknown option --sed"),
        (["--seed", "x", "x.py"], "--seed takes a whole number"),
        (["--seed"], "--seed needs a value"),
        (["--run-name", "x" * 201, "script.py"], "--run-name takes a name of 1 to 200 characters"),
        (["--project", "  ", "script.py"], "--project takes a name of 1 to 200 characters"),
        (["-m"], "-m needs the name of a module"),
        (["--edges", "taint", "x.py"], "--edges taint is not there yet"),
        (["--edges", "both", "x.py"], "--edges both is not there yet"),
        (["--edges", "x", "x.py"], "--edges takes content"),
        (["--config-file", "nowhere.json", "x.py"], "nowhere.json: No such file"),
        (["--rerun", "last", "x.py"], "cannot be reached"),
    ],
)
def test_a_command_line_that_cannot_be_understood(lab: Lab, arguments: list[str], says: str) -> None:
    lab.write("x.py", "print('ran')")
    ran = lab.record(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_help_and_version(lab: Lab) -> None:
    told = lab.record("--help")
    assert told.status == 0
    assert all(
        option in told.out for option in ("--run-name", "--project", "--seed", "--rerun", "--no-cache", "--edges")
    )
    assert lab.record("--version").out.startswith("ao-record ")


def test_options_and_settings_name_the_run(lab: Lab) -> None:
    script = lab.write("script.py", "import sys; print(sys.argv)")
    lab.write("settings.json", '{"project": "Mine", "namespace": "me"}')
    ran = lab.record("--run-name=first", "--config-file", "settings.json", script, "--seed", "7", "--json")
    assert ran.out == "['script.py', '--seed', '7', '--json']\n"
    run = lab.of("b")[0]["run"]
    assert (run["name"], run["project"], run["namespace"]) == ("first", "Mine", "me")


def test_a_seed_makes_the_script_repeatable_and_the_scripts_own_seed_holds(lab: Lab) -> None:
    source = "import random, uuid\nprint(random.random(), uuid.uuid4(), hash('x'))\n"
    script = lab.write("draws.py", source + "random.seed(1)\nprint(random.random())\n")
    first, second, other = lab.record("--seed", "5", script), lab.record("--seed", "5", script), lab.record(script)
    assert first.out == second.out != other.out
    assert first.out.splitlines()[1] == other.out.splitlines()[1]
    assert [begin["run"]["command"]["seed"] for begin in lab.of("b")][:2] == [5, 5]


@pytest.mark.parametrize("name", ["random", "uuid", "torch", "numpy"])
def test_a_file_of_the_scripts_own_that_bears_the_name_of_a_library(lab: Lab, name: str) -> None:
    lab.write(f"{name}.py", "seed = 'mine'")
    script = lab.write("script.py", f"import {name}\nprint({name}.seed, {name}.__file__)")
    same(lab, lab.python(script), lab.record(script))


FAILS = """
import os, urllib3
try:
    urllib3.PoolManager(retries=False).request("POST", "http://127.0.0.1:9/v1/chat/completions", json={
        "model": "m", "messages": [{"role": "user", "content": "hello"}]})
except Exception as error:
    raise ExceptionGroup("no model", [error, ValueError("no answer")]) from error
"""


def test_a_call_that_fails_ends_a_script_with_the_traceback_that_python_shows(lab: Lab) -> None:
    script = lab.write("fails.py", FAILS)
    same(lab, lab.python(script), lab.record(script))
    (call,) = lab.calls
    assert "refused" in str(call["error"])
