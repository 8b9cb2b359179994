"""What scripts log arrives, once, in order, and is said; by real processes on a real server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.tellurio.client.lab import end_of, environment, eventually, points, run_of, runs_of, script, start, stored
from tests.tellurio.running import ServerProcess


def metric(server: ServerProcess, project: str, name: str) -> list[Any]:
    return points(server, run_of(server, project), name)


def texts(server: ServerProcess, project: str) -> dict[str, Any]:
    found = stored(server, f"runs/{run_of(server, project)['id']}/texts")
    return {each["name"]: (each["type"], each["value"]) for each in found}


def test_the_lines_come_in_order_on_standard_error(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    with te.init("lab", "My Lines", description="Prompt tuning") as run:
        run.log("train_loss", 0.23, step=3)
        run.log("epochs", 3)
        te.log("val", {"accuracy": 0.87, "deep": {"f1": float("nan")}}, step=3)
        run.log("note", "it's fine")
        run.log("rows", [{"a": 1}, {"a": 2}])
    with te.init("lab", "my-lines"):
        pass
    """
    done = script(server.home, text, tmp_path)
    first, second = (run["name"] for run in runs_of(server, "my-lines"))
    page = f"{server.url}/lab/projects/my-lines/runs"
    created = [f"Run '{name}' created successfully at: {page}/{name.replace('_', '-')}/" for name in (first, second)]
    expected = [
        "Project with slug 'my-lines' does not exist in namespace 'lab'. Creating it now with RESTRICTED visibility.",
        created[0],
        f"Logged metric 'train_loss'=0.23 for run '{first}'.",
        f"Logged metric 'epochs'=3 for run '{first}'.",
        f"Logged metric 'val/accuracy'=0.87 for run '{first}'.",
        f"Logged metric 'val/deep/f1'=nan for run '{first}'.",
        f"""Logged metric 'note'="it's fine" for run '{first}'.""",
        f"Logged metric 'rows'=<table, 2 rows> for run '{first}'.",
        f"Run '{first}' marked as COMPLETED.",
        "Project with slug 'my-lines' already exists in namespace 'lab'.",
        created[1],
        f"Run '{second}' marked as COMPLETED.",
    ]
    assert done.stderr.splitlines() == [f"INFO : {line}" for line in expected]
    assert done.stdout == ""
    assert re.fullmatch(r"[a-z]+_[a-z]+_[1-9]\d{0,2}", first)
    assert stored(server, "namespaces/lab/projects/my-lines")["visibility"] == "RESTRICTED"


def test_with_info_off_nothing_is_said(server: ServerProcess, tmp_path: Path) -> None:
    text = "te.configure_logging('warning')\nwith te.init('lab', 'quiet') as run:\n    run.log('x', 1.5)"
    done = script(server.home, text, tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert metric(server, "quiet", "x") == [1.5]


def test_what_the_author_configured_stays(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    import logging
    logging.getLogger("afnio").setLevel("ERROR")
    te.init("lab", "configured").finish()
    """
    assert script(server.home, text, tmp_path).stderr == ""


def test_twenty_thousand_points_are_stored_when_finish_returns(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    te.configure_logging("warning")
    run = te.init("lab", "many")
    for step in range(20_000):
        run.log("loss", 1.0 / (step + 1), step=step)
    run.finish()
    os._exit(0)
    """
    script(server.home, text, tmp_path)
    assert metric(server, "many", "loss") == [1.0 / (step + 1) for step in range(20_000)]


def test_values_of_all_kinds(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    import decimal, fractions, math
    from afnio import Variable

    class Scalar:  # as numpy's and torch's
        def item(self):
            return 2.5

    class Array:
        def item(self):
            raise ValueError("more than one")
        def tolist(self):
            return [[1, 2], [3, 4]]

    class Frame:
        columns = ["a"]
        def to_dict(self, how):
            return [{"a": 1}] if how == "records" else None

    with te.init("lab", "values") as run:
        for value in (1, -2.5, True, False, math.nan, math.inf, -math.inf, decimal.Decimal("0.5"), 10**30,
                      fractions.Fraction(1, 4), Scalar(), 10**400, Variable(data="7")):
            run.log("number", value)
        run.log("text", "hello \\ud83d there")
        run.log("variable", Variable(data="a prompt"))
        run.log("table", [{"q": "?", "a": 1.5, "n": math.nan, "s": Scalar()}])
        run.log("frame", Frame())
        run.log("list", [1, "two", None])
        run.log("array", Array())
        run.log("nested", {"a": {"b": 1, 3: "c"}, "empty": {}}, step=7)
        run.log("h\\ud83d", 1.0)
    """
    script(server.home, text, tmp_path)
    values = metric(server, "values", "number")
    assert values == [1, -2.5, 1, 0, "nan", "inf", "-inf", 0.5, 1e30, 0.25, 2.5, "inf"]
    found = texts(server, "values")
    assert found["number"] == ("text", "7")
    assert found["text"] == ("text", "hello \ufffd there")
    assert found["variable"] == ("text", "a prompt")
    assert found["table"] == ("table", [{"q": "?", "a": 1.5, "n": None, "s": 2.5}])
    assert found["frame"] == ("table", [{"a": 1}])
    assert found["list"] == ("json", [1, "two", None])
    assert found["array"] == ("json", [[1, 2], [3, 4]])
    assert found["nested/a/3"] == ("text", "c")
    run = run_of(server, "values")
    assert stored(server, f"runs/{run['id']}/metrics/nested/a/b")["points"][0][0] == 7
    assert points(server, run, "h\ufffd") == [1.0]


def test_what_cannot_be_logged_is_refused_at_once_and_nothing_is_lost(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    def refused(error, *arguments, **options):
        try:
            run.log(*arguments, **options)
        except error as given:
            print(type(given).__name__, given)
        else:
            raise SystemExit(f"{arguments} was taken")

    with te.init("lab", "refused") as run:
        refused(TypeError, 5, 1.0)
        refused(TypeError, "x", None)
        refused(TypeError, "x", object())
        refused(TypeError, "x", b"no image")
        refused(TypeError, "x", 1.0, step="3")
        refused(TypeError, "x", 1.0, step=True)
        refused(TypeError, "x", 1.0, step=1.5)
        refused(ValueError, "x", 1.0, step=2**53)
        refused(ValueError, "", 1.0)
        refused(ValueError, "x" * 501, 1.0)
        refused(ValueError, "a\\0b", 1.0)
        refused(ValueError, "x", "long" * 1_000_000)
        refused(ValueError, "x", [{"a": "long"}] * 1_000_000)
        run.log("x", 1.0)
    """
    done = script(server.home, text, tmp_path)
    assert "run.log(name, value): the name must be a string, got int: 5" in done.stdout
    assert metric(server, "refused", "x") == [1.0]


def test_after_the_end_and_without_a_run_the_error_says_what_to_type(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    import afnio
    def error_of(call):
        try:
            call()
        except afnio.errors.RunError as error:
            assert isinstance(error, (ValueError, RuntimeError))
            print(error)
    error_of(lambda: te.log("x", 1))
    run = te.init("lab", "over")
    run.finish()
    run.finish()
    error_of(lambda: run.log("x", 1.0))
    error_of(lambda: run.log_artifact(__file__))
    error_of(lambda: te.log("x", 1))
    print("TELLURIO_RUN" in os.environ)
    """
    none, over, artifact, again, left = script(server.home, text, tmp_path).stdout.splitlines()
    assert none == again == "No Run is active. Begin one: te.init(namespace_slug, project_display_name)."
    name = run_of(server, "over")["name"]
    assert over == (
        f"run.log: Run '{name}' has ended (COMPLETED). Begin another: te.init(namespace_slug, project_display_name)."
    )
    assert "run.log_artifact" in artifact
    assert left == "False"


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ("'Bad Name', 'p'", "ValueError", "'bad-name'"),
        ("'../x', 'p'", "ValueError", "lower-case"),
        ("'', 'p'", "ValueError", "'my-team'"),
        ("'a' * 65, 'p'", "ValueError", "1 to 64"),
        ("None, 'p'", "TypeError", "namespace_slug must be a string"),
        ("'lab', 7", "TypeError", "project_display_name must be a string"),
        ("'lab', '???'", "ValueError", "'My Project'"),
        ("'lab', 'p', name=3", "TypeError", "name must be"),
        ("'lab', 'p', status='COMPLETED'", "ValueError", "begins RUNNING"),
        ("'lab', 'p', status='x'", "ValueError", "begins RUNNING"),
        (
            "'lab', 'p', name='x' * 201",
            "ValueError",
            "te.init(name=...): at most 200 characters are taken, this has 201",
        ),
        ("'lab', 'p', name=chr(0xd800)", "ValueError", "half of a surrogate pair"),
        ("'lab', 'p', description='a' + chr(0)", "ValueError", "te.init(description="),
        ("'lab', 'p', tags=['x' * 201]", "ValueError", "te.init(tags=...): at most 200"),
        ("'lab', 'p', config=(d := {}, d.update(d=d))[0]", "ValueError", "nested too deeply"),
        ("'lab', 'p', config=[1]", "TypeError", "expected a dict"),
        ("'lab', 'p', tags='one'", "TypeError", "list of strings"),
        ("'lab', 'p', parent='x'", "ValueError", "uuid"),
        ("'lab', 'p', budget='much'", "ValueError", "2.50"),
        ("'lab', 'p', budget=-1", "ValueError", "0 or more"),
        ("'lab', 'p', lm_calls='both'", "ValueError", "'server' or 'client'"),
    ],
)
def test_a_wrong_argument_is_told_before_anything_is_made(
    tmp_path: Path, arguments: str, error: str, says: str
) -> None:
    home = tmp_path / "home"
    done = script(home, f"te.init({arguments})", tmp_path, code=1)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"{error}: ")
    assert says in last
    assert not home.exists()


def test_a_run_has_what_it_was_given(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    import pickle, copy
    import afnio.tellurio.run as te_run
    parent = te.init("lab", "given", "first", "words", config={"lr": 0.1, "key": "sk-abcdefghijklmnopqrstuvwx", 7: "x",
                                                                "limits": [float("inf"), float("nan")]},
                     tags=["a", "b"], budget="2.50")
    assert copy.deepcopy(parent) is parent and pickle.loads(pickle.dumps(parent)) is parent
    parent.finish()
    run = te_run.init("lab", "given", name="first", parent=parent)
    print(run.uuid, run.name, run.slug, run.url, run.status, run.project.slug, run.organization.slug, run.user.username,
          run.date_created.tzinfo, run.cost["calls"])
    """
    done = script(server.home, text, tmp_path)
    first, second = runs_of(server, "given")
    assert (first["description"], first["tags"]) == ("words", ["a", "b"])
    assert first["config"] == {"lr": 0.1, "key": "[redacted]", "7": "x", "limits": ["inf", "nan"]}
    assert first["budget"] == {"usd": "2.50"}
    assert (first["name"], second["name"], second["parent_id"]) == ("first", "first_1", first["id"])
    assert first["client"]["command"].endswith("script0.py")
    assert done.stdout.split() == [
        *(second["id"], "first_1", "first-1", f"{server.url}/lab/projects/given/runs/first-1/", "RUNNING", "given"),
        *("lab", second["user"]["username"], "UTC", "0"),
    ]


def test_threads_log_into_the_active_run(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    te.configure_logging("warning")
    te.init("lab", "threads")
    def work(name):
        for step in range(500):
            te.log(name, step, step=step)
    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(8)]
    [each.start() for each in threads]
    [each.join() for each in threads]
    """
    script(server.home, text, tmp_path)
    for number in range(8):
        assert metric(server, "threads", f"t{number}") == list(range(500))


def test_another_run_in_a_context(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    from tellurio.client.context import use_run, get_active_run
    run = te.init("lab", "context")
    with use_run(run):
        assert get_active_run() is run
        te.log("x", 1)
    """
    script(server.home, text, tmp_path)
    assert metric(server, "context", "x") == [1]


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver", "os.fork", "subprocess"])
def test_child_processes_log_into_the_same_run(server: ServerProcess, tmp_path: Path, how: str) -> None:
    text = f"""
    import multiprocessing, subprocess
    def work(name):
        te.log(name, -1)
        for step in range(200):
            te.log(name, step, step=step)

    if __name__ == "__main__":
        how = {how!r}
        run = te.init("lab", "children-{how.replace(".", "-")}")
        for step in range(100):
            run.log("parent", step)
        if how == "os.fork":
            for number in range(3):
                if os.fork() == 0:
                    work(f"child{{number}}")
                    os._exit(0)
            [os.wait() for _ in range(3)]
        elif how == "subprocess":
            code = "import afnio.tellurio as te\\nfor step in [-1, *range(200)]: te.log('child{{}}', step)"
            [subprocess.run([sys.executable, "-c", code.format(number)], check=True) for number in range(3)]
        else:
            context = multiprocessing.get_context(how)
            children = [context.Process(target=work, args=(f"child{{n}}",)) for n in range(3)]
            [each.start() for each in children]
            [each.join() for each in children]
            print([each.exitcode for each in children])
        run.log("parent", 100)
        run.finish()
    """
    done = script(server.home, text, tmp_path)
    project = f"children-{how.replace('.', '-')}"
    run = run_of(server, project)
    assert run["status"] == "COMPLETED"
    assert points(server, run, "parent") == list(range(101))
    for number in range(3):
        assert points(server, run, f"child{number}") == [-1, *range(200)]
    lines = [line for line in done.stderr.splitlines() if "Logged metric 'child" in line]
    assert len(lines) == 3 * 201
    assert done.stderr.splitlines()[-1] == f"INFO : Run '{run['name']}' marked as COMPLETED."
    eventually(lambda: not (server.home / "journals" / run["id"]).exists())  # the server looks after it, too


def test_a_run_is_handed_to_a_pool(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    from concurrent.futures import ProcessPoolExecutor
    import multiprocessing
    def work(run, number):
        run.log("squares", number**2, step=number)
        run.finish()  # ends nothing: it is not this process's
        return number
    if __name__ == "__main__":
        with te.init("lab", "pool") as run, ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            list(pool.map(work, [run] * 20, range(20)))
    """
    script(server.home, text, tmp_path)
    assert sorted(metric(server, "pool", "squares")) == [number**2 for number in range(20)]
    assert run_of(server, "pool")["status"] == "COMPLETED"


def test_a_child_that_outlives_the_run_loses_nothing(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    run = te.init("lab", "outlives")
    if os.fork() == 0:
        time.sleep(1.5)
        run.log("late", 1.0)
        os._exit(0)
    run.finish()
    """
    script(server.home, text, tmp_path)
    run = run_of(server, "outlives")
    eventually(lambda: stored(server, f"runs/{run['id']}/metrics"))
    assert points(server, run, "late") == [1.0]
    eventually(lambda: not (server.home / "journals" / run["id"]).exists())
    assert run_of(server, "outlives")["status"] == "COMPLETED"


def test_a_child_that_logs_for_ever_holds_up_no_end(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    te.configure_logging("warning")
    run = te.init("lab", "for-ever")
    child = os.fork()
    while child == 0:
        run.log("child", 1.0)
    while len(list(run.folder.glob("*.jsonl"))) < 2:
        time.sleep(0.01)
    run.log("parent", 1.0)
    assert run.flush()
    run.finish()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    """
    script(server.home, text, tmp_path)
    assert metric(server, "for-ever", "parent") == [1.0]
    assert run_of(server, "for-ever")["status"] == "COMPLETED"


def test_two_processes_make_one_project(server: ServerProcess, tmp_path: Path) -> None:
    processes = [start(server.home, "te.init('together', 'One Project').finish()", tmp_path / str(n)) for n in range(4)]
    for process in processes:
        assert end_of(process).returncode == 0
    runs = stored(server, "namespaces/together/projects/one-project/runs")["runs"]
    assert [run["status"] for run in runs] == ["COMPLETED"] * 4


def test_a_foreign_server_without_the_namespace_names_those_one_has(server: ServerProcess, tmp_path: Path) -> None:
    script(server.home, "te.init('lab', 'exists').finish()", tmp_path)
    remote = {"TELLURIO_BACKEND_HTTP_BASE_URL": server.url, "TELLURIO_API_KEY": server.key}
    done = script(tmp_path / "home", "te.init('not-there', 'p')", tmp_path, code=1, **remote)
    last = done.stderr.splitlines()[-1]
    assert "There is no namespace 'not-there'" in last
    assert "lab" in last.partition("Yours are: ")[2]


def test_what_the_library_tells_is_recorded(server: ServerProcess, tmp_path: Path) -> None:
    text = """
    from afnio import _dispatch
    run = te.init("lab", "told")
    tracker = _dispatch.current_tracker()
    tracker.metric("loss", 0.5, 1)
    tracker.metric("odd", object(), 1)
    tracker.event("fit_start", {"prompts": {"prompt": "key sk-abcdefghijklmnopqrstuvwx"}})
    tracker.event("checkpoint", {"path": "/not/there"})
    run.finish()
    tracker.metric("loss", 0.5, 2)
    assert _dispatch.current_tracker() is None and _dispatch.current_engine() is None
    """
    done = script(server.home, text, tmp_path)
    run = run_of(server, "told")
    assert points(server, run, "loss") == [0.5]
    (begun, _checkpoint) = stored(server, f"runs/{run['id']}/events")
    assert json.dumps(begun["data"]) == '{"prompts": {"prompt": "key [redacted]"}}'
    assert next(line for line in done.stderr.splitlines() if line.startswith("WARNING")).startswith(
        f"WARNING : Run '{run['name']}': odd was not recorded: run.log('odd', value): a value is a number"
    )


def test_importing_the_client_is_cheap(tmp_path: Path) -> None:
    text = """
    import tellurio.client.begin
    heavy = {"httpx2", "aiohttp", "asyncio", "sqlalchemy", "pydantic", "rich", "fastapi", "orjson", "multiprocessing"}
    print(sorted(heavy & set(sys.modules)), threading.active_count(), os.path.exists(os.environ["TELLURIO_HOME"]))
    """
    assert script(tmp_path / "home", text, tmp_path).stdout == "[] 1 False\n"


def test_the_environment_of_these_tests_is_a_users(tmp_path: Path) -> None:
    assert "TELLURIO_RUN" not in environment(tmp_path)


@pytest.mark.parametrize("status", ["RUNNING", "DRAFT", "completed", None, 3])
def test_what_is_no_end_is_refused_and_the_run_goes_on(server: ServerProcess, tmp_path: Path, status: Any) -> None:
    text = f"""
    run = te.init("lab", "ends", name="{status}")
    try:
        run.finish(status={status!r})
    except ValueError as error:
        print(error)
    run.log("after", 1)
    run.finish(status="FAILED")
    """
    done = script(server.home, text, tmp_path)
    assert done.stdout.strip() == f"run.finish(status={status!r}): expected COMPLETED, FAILED or CRASHED."
    (run,) = (each for each in runs_of(server, "ends") if each["name"] == str(status))
    assert run["status"] == "FAILED"
