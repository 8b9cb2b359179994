"""Patches come with the libraries, whenever they are imported, and go without a trace."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
import urllib3

from ao.intercept import install
from ao.intercept.imports import Watch
from ao.intercept.seam import Decision, Exchange, Live, Outcome
from tests.ao.intercept.tape import Tape

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
URL = "http://lm/v1/chat/completions"


def transport(calls: list[Any] | None = None) -> httpx2.MockTransport:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if calls is not None:
            calls.append(request)
        return httpx2.Response(200, json={"choices": []})

    return httpx2.MockTransport(answer)


def patched() -> list[Any]:
    pool = urllib3.connectionpool.HTTPConnectionPool
    response = urllib3.response.HTTPResponse
    names = ("read", "read1", "read_chunked", "close", "drain_conn")
    return [
        vars(httpx2.Client)["_transport_for_url"],
        vars(httpx2.AsyncClient)["_transport_for_url"],
        vars(aiohttp.ClientSession)["_request"],
        vars(pool)["urlopen"],
        *(vars(response).get(name) for name in names),
        __import__("socket").getaddrinfo,
        list(sys.meta_path),
    ]


def test_undo_leaves_everything_as_it_was() -> None:
    before = patched()
    undo = install(Tape())
    during = patched()
    undo()
    assert patched() == before
    assert all(one is not other for one, other in zip(before, during, strict=True))
    undo()


def test_a_patch_of_somebody_else_on_top_of_ours_stays_and_ours_is_silent() -> None:
    tape = Tape()
    undo = install(tape)
    ours = httpx2.Client._transport_for_url

    def theirs(self: Any, url: Any) -> Any:
        return ours(self, url)

    httpx2.Client._transport_for_url = theirs  # type: ignore[method-assign]
    try:
        undo()
        assert httpx2.Client._transport_for_url is theirs
        with httpx2.Client(transport=transport()) as client:
            assert client.post(URL, json=BODY).status_code == 200
        assert tape.exchanges == []
    finally:
        httpx2.Client._transport_for_url = ours.__wrapped__  # type: ignore[attr-defined, method-assign]


def test_what_was_made_before_is_recorded_too() -> None:
    with httpx2.Client(transport=transport()) as client:
        tape = Tape()
        undo = install(tape)
        client.post(URL, json=BODY)
        undo()
        client.post(URL, json=BODY)
    assert len(tape.exchanges) == 1


def test_a_second_recorder_takes_over_and_gives_back() -> None:
    first, second = Tape(), Tape()
    undo_first = install(first)
    with httpx2.Client(transport=transport()) as client:
        client.post(URL, json=BODY)
        undo_second = install(second)
        client.post(URL, json=BODY)
        undo_second()
        client.post(URL, json=BODY)
        undo_first()
    assert (len(first.exchanges), len(second.exchanges)) == (2, 1)


def test_the_same_recorder_twice_is_undone_twice() -> None:
    tape = Tape()
    first, second = install(tape), install(tape)
    with httpx2.Client(transport=transport()) as client:
        first()
        first()
        client.post(URL, json=BODY)
        second()
        client.post(URL, json=BODY)
    assert len(tape.exchanges) == 1


def test_a_call_ends_where_it_began() -> None:
    first, second = Tape(), Tape()
    undo = install(first)
    with httpx2.Client(transport=transport()) as client:
        answer = client.send(client.build_request("POST", URL, json=BODY), stream=True)
        undo_second = install(second)
        answer.read()
    undo_second()
    undo()
    assert (len(first.ends), len(second.ends)) == (1, 0)


class Clumsy:
    """A recorder that fails."""

    def __init__(self, where: str) -> None:
        self.where = where

    def begin(self, exchange: Exchange) -> Decision:
        if self.where == "begin":
            raise KeyError("begin")
        return Live()

    def end(self, exchange: Exchange, outcome: Outcome) -> None:
        raise KeyError("end")


@pytest.mark.parametrize("where", ["begin", "end"])
def test_a_recorder_that_fails_does_not_harm_the_script(where: str) -> None:
    notices: list[str] = []
    undo = install(Clumsy(where), notice=notices.append)
    with httpx2.Client(transport=transport()) as client:
        for _ in range(2):
            assert client.post(URL, json=BODY).json() == {"choices": []}
    undo()
    assert len(notices) == 1
    assert f"KeyError: '{where}'" in notices[0]


def run(code: str, *paths: Path) -> str:
    """In a fresh interpreter."""
    before = "import sys\n" + "".join(f"sys.path.insert(0, {str(path)!r})\n" for path in paths)
    done = subprocess.run(
        [sys.executable, "-c", before + textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SCRIPT = """
from ao.intercept import install
from ao.intercept.seam import Live
class Recorder:
    def begin(self, exchange):
        print(exchange.library, exchange.label)
        return Live()
    def end(self, exchange, outcome):
        print(outcome.status)
{first}
{second}
import {library} as library
transport = library.MockTransport(lambda request: library.Response(200, json={{}}))
body = {{"model": "m", "messages": []}}
library.Client(transport=transport).post("http://lm/v1/chat/completions", json=body)
print([type(finder).__name__ for finder in sys.meta_path if type(finder).__name__ == "Watch"])
loader = library.__loader__
print(type(loader).__name__, "exec_module" in vars(loader), library.__spec__.loader is loader)
"""


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
@pytest.mark.parametrize("early", [True, False])
def test_the_order_of_imports_does_not_matter(library: str, early: bool) -> None:
    statements = ["install(Recorder())", f"import {library}"]
    first, second = statements if early else reversed(statements)
    said = run(SCRIPT.format(first=first, second=second, library=library))
    assert said.splitlines()[:2] == [f"{library} m", "200"]
    assert said.splitlines()[3] == "SourceFileLoader False True"


def test_installing_imports_no_library_and_little_else() -> None:
    heavy = {"httpx", "httpx2", "aiohttp", "urllib3", "requests", "mcp", "openai", "asyncio", "json", "afnio", "orjson"}
    said = run(
        "before = set(sys.modules)\nfrom ao.intercept import install\ninstall(None)\nprint(*set(sys.modules) - before)"
    )
    assert heavy.isdisjoint(said.split())
    assert "ao.intercept.calls" not in said.split()
    assert len(said.split()) < 60


def test_a_module_is_handed_over_once_when_it_is_complete(tmp_path: Path) -> None:
    (tmp_path / "watched_one.py").write_text("import watched_two\nvalue = watched_two.value\n")
    (tmp_path / "watched_two.py").write_text("value = 7\n")
    said = run(
        """
        from ao.intercept.imports import Watch
        import importlib.util
        seen = []
        then = lambda name, module: seen.append((name, vars(module).get("value")))
        watch = Watch(["watched_one", "watched_two", "json"], then)
        import json
        watch.start()
        assert importlib.util.find_spec("watched_one") is not None
        import watched_one
        print(seen, watch in sys.meta_path)
        """,
        tmp_path,
    )
    assert said == "[('json', None), ('watched_two', 7), ('watched_one', 7)] False"


def test_a_module_that_another_thread_is_importing_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "watched_slow.py").write_text("import gate\ngate.begun.set()\ngate.go.wait()\nvalue = 7\n")
    (tmp_path / "watched_self.py").write_text("import gate\ngate.watch('watched_self')\nvalue = 7\n")
    gate = """
        import threading
        from ao.intercept.imports import Watch
        begun, go, seen = threading.Event(), threading.Event(), []
        def watch(name):
            Watch([name], lambda name, module: seen.append((name, vars(module).get("value")))).start()
    """
    (tmp_path / "gate.py").write_text(textwrap.dedent(gate))
    said = run(
        """
        import gate, threading
        thread = threading.Thread(target=lambda: __import__("watched_slow"))
        thread.start()
        gate.begun.wait()
        threading.Timer(0.2, gate.go.set).start()
        gate.watch("watched_slow")
        thread.join()
        import watched_self  # on the stack of its own import there is nothing to wait for
        print(gate.seen)
        """,
        tmp_path,
    )
    assert said == "[('watched_slow', 7)]"


def test_a_module_that_fails_to_import_fails_as_ever_and_may_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "watched_bad.py").write_text(
        "import os\nif not os.path.exists(__file__ + '.ok'): raise ZeroDivisionError\n"
    )
    said = run(
        """
        from ao.intercept.imports import Watch
        seen = []
        Watch(["watched_bad"], lambda name, module: seen.append(name)).start()
        try:
            import watched_bad
        except ZeroDivisionError:
            print(seen)
        open(sys.path[0] + "/watched_bad.py.ok", "w").close()
        import watched_bad
        print(seen)
        """,
        tmp_path,
    )
    assert said.splitlines() == ["[]", "['watched_bad']"]


def test_a_module_in_a_zip_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("watched_zip.py", "import other_zip\nvalue = 1\n")
        archive.writestr("other_zip.py", "")
    said = run(
        """
        from ao.intercept.imports import Watch
        seen = []
        Watch(["watched_zip"], lambda name, module: seen.append(module.value)).start()
        import watched_zip
        print(seen)
        """,
        tmp_path / "all.zip",
    )
    assert said == "[1]"


def test_a_module_that_is_not_there_is_not_found() -> None:
    watch = Watch(["no_such_module_at_all"], lambda name, module: None)
    watch.start()
    try:
        assert importlib.util.find_spec("no_such_module_at_all") is None
    finally:
        watch.stop()
    assert watch not in sys.meta_path


def test_a_library_that_we_do_not_know_imports_all_the_same_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "httpx.py").write_text("__version__ = '9'\nclass Client: pass\n")
    said = run(
        """
        from ao.intercept import install
        install(None, notice=print)
        import httpx
        """,
        tmp_path,
    )
    assert said.startswith("Calls through httpx 9 are not recorded")
    assert "pip install --upgrade httpx" in said
