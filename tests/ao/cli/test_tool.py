"""``ao-tool`` on a real server and real recordings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ao.cli.stopping import stop
from ao.cli.tool import MOST_OUTPUT
from tellurio.server.outputs import LIMIT
from tests.ao.cli.conftest import AGENT, Desk, Tool
from tests.ao.lab import PATIENCE, RECORD
from tests.tellurio.server.test_reruns import broken

Run = dict[str, Any]

RUN_KEYS = {"id", "name", "project", "parent", "status", "started", "finished", "calls", "cost"}
CALL_KEYS = {
    *("id", "index", "run", "label", "model", "api_format", "status", "cached", "input", "output", "usage", "cost"),
    *("started", "finished", "location"),
}
EDGE_KEYS = {"from", "to", "kind", "confidence", "weak", "spans"}


def answer(call: dict[str, Any]) -> str:
    return str(call["output"]["choices"][0]["message"]["content"])


def calls_of(tool: Tool, run: str) -> list[dict[str, Any]]:
    return list(tool("show", run, "--json").json["calls"])


def test_runs_as_json_are_the_recordings_and_what_they_cost(tool: Tool, agent: Run) -> None:
    run = next(each for each in tool("runs", "--json").json if each["id"] == agent["id"])
    assert run.keys() >= RUN_KEYS
    assert (run["name"], run["status"], run["parent"]) == ("first agent", "COMPLETED", None)
    assert run["calls"] == 3  # with those of its parts
    assert run["started"] <= run["finished"]
    assert run["project"].endswith("/recordings")


def test_runs_for_people(tool: Tool, agent: Run) -> None:
    lines = tool("runs").out.splitlines()
    assert lines[0].split() == ["ID", "STARTED", "STATUS", "CALLS", "COST", "NAME"]
    (mine,) = (line for line in lines if line.startswith(agent["id"][:8]))
    assert mine.endswith("first agent")
    assert "COMPLETED  3" in mine
    assert len(tool("runs", "--limit", "1").out.splitlines()) == 2


def test_show_as_json_has_calls_edges_and_children_of_the_parts_too(tool: Tool, agent: Run) -> None:
    graph = tool("show", agent["id"], "--json").json
    assert graph.keys() >= {"run", "calls", "edges", "children"}
    assert graph["run"].keys() >= RUN_KEYS
    assert [call.keys() >= CALL_KEYS for call in graph["calls"]] == [True] * 3
    assert [(call["index"], call["run"] == agent["id"]) for call in graph["calls"]] == [
        (0, True),
        (1, True),
        (0, False),
    ]
    first, second, inner = graph["calls"]
    assert (first["model"], first["api_format"], first["status"], first["cached"]) == (
        *("gpt-5-mini", "openai.chat", "ok"),
        False,
    )
    assert first["input"]["messages"][0]["content"].startswith("The caretaker")
    assert first["usage"]["input_tokens"] > 0
    assert first["location"].endswith("agent.py:7")
    (edge,) = graph["edges"]
    assert edge.keys() >= EDGE_KEYS
    assert (edge["from"], edge["to"], edge["kind"], edge["weak"]) == (first["id"], second["id"], "content", False)
    assert len(graph["children"]) == 1
    assert inner["run"] not in graph["children"]  # it is a part of the part


def test_show_for_people_is_a_tree(tool: Tool, agent: Run) -> None:
    lines = tool("show", "first agent").out.splitlines()
    assert lines[0] == f"first agent  {agent['id']}"
    assert "COMPLETED" in lines[1]
    assert "3 calls" in lines[1]
    assert "<- 0" in lines[3]
    assert "agent.py:7" in lines[2]
    parts = [line for line in lines if "+ " in line]
    assert [line.index("+") for line in parts] == [2, 6]  # the inner one in the outer one
    assert [line.split()[1] for line in parts] == ["greeting", "inner"]
    assert lines.index(parts[1]) == len(lines) - 2  # with its call below it


def test_a_narrow_terminal_gets_narrow_lines(
    tool: Tool, agent: Run, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    for arguments in (("runs",), ("show", agent["id"])):
        lines = tool(*arguments).out.splitlines()
        assert max(map(len, lines)) == 50
        assert any(line.endswith("\N{HORIZONTAL ELLIPSIS}") for line in lines)


@pytest.mark.parametrize("node", ["0", "id", "prefix"])
def test_one_call_whole(tool: Tool, agent: Run, node: str) -> None:
    first = calls_of(tool, agent["id"])[0]
    named = {"0": "0", "id": first["id"], "prefix": first["id"][:10]}[node]
    assert tool("show", agent["id"], "--node", named, "--json").json == first
    text = tool("show", agent["id"], "--node", named).out
    assert first["id"] in text.splitlines()[0]
    assert "The caretaker" in text


def test_a_text_that_would_steer_the_terminal_is_shown_as_what_it_is(tool: Tool, desk: Desk) -> None:
    desk.write(desk.cwd.joinpath("agent.py").read_text() + "ask('\\x1b[31mred \\u202e')\n", "evil.py")
    run = desk.record("--run-name", "evil \x1b[2J name", "evil.py")
    for arguments in (("runs",), ("show", run["id"]), ("show", run["id"], "--node", "2")):
        said = tool(*arguments).out
        assert "\x1b" not in said
        assert "\u202e" not in said
    assert "\\u202e" in tool("show", run["id"], "--node", "2").out


@pytest.mark.parametrize("how", ["id", "prefix", "name", "last"])
def test_a_run_is_named_in_four_ways(tool: Tool, desk: Desk, how: str) -> None:
    run = desk.record("--run-name", "a/b c", "agent.py")
    name = {"id": run["id"], "prefix": run["id"][:8], "name": "a/b c", "last": "last"}[how]
    shown = tool("show", name, "--json").json["run"]
    assert shown["name"].startswith("a/b c")
    assert how == "name" or shown["id"] == run["id"]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["show", "no such thing"], 1, "There is no Run 'no such thing': no id, no name. See: ao-tool runs"),
        (["show", "first agent", "--node", "1700000017"], 1, "there is no call '1700000017'. There is: 1 or "),
        (["show", "first agent", "--node", "gpt"], 1, "(gpt-5-mini, "),
        (["edit", "first agent", "1700000017", "--input", "/model", "x"], 1, ". See: ao-tool show"),
        (["edit", "first agent", "0", "--input", "/mesages/0", "x"], 1, "not 'mesages'; did you mean 'messages'?"),
        (["edit", "first agent", "0", "--input", "/model/0/x", "x"], 1, "/model is a text, not '0'"),
        (["edit", "first agent", "0", "--input", "/model"], 1, "Give the new VALUE, or --remove; one of them."),
        (["edit", "first agent", "0", "--input", "/model", "x", "--remove"], 1, "one of them"),
        (
            ["edit", "first agent", "0", "--input", "/messages/7/content", "x"],
            1,
            "/messages is a list of 1 (0 to 0), not '7'",
        ),
        (["edit", "first agent", "0", "/model", "x"], 2, "one of the arguments --input --output is required"),
        (["runs", "--limit", "0"], 2, "expected a number from 1 to 1000, got '0'. Try: ao-tool runs --help"),
        (["shwo"], 2, "Try: ao-tool --help"),
        ([], 2, "the following arguments are required: COMMAND. Try: ao-tool --help"),
        (["diff", "first agent"], 2, "the following arguments are required: RUN"),
        (["output", "first agent"], 1, "This server did not start the script of that Run"),
        (["output", "first agent", "--last", "0"], 2, "expected a number from 1 to 8388608, got '0'"),
        (["kill", "first agent"], 1, "does not run on this machine"),
        (["verify-edges", "last"], 1, "verify-edges comes later"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_type(
    tool: Tool, agent: Run, arguments: list[str], status: int, says: str
) -> None:
    said = tool(*arguments)
    assert (said.status, said.out) == (status, "")
    assert says in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("command", ["runs", "show", "edit", "rerun", "output", "diff", "kill", "verify-edges"])
def test_every_command_has_help(tool: Tool, command: str) -> None:
    said = tool(command, "--help")
    assert said.status == 0
    assert f"usage: ao-tool {command}" in said.out
    assert "--json" in said.out
    assert "'last', the latest" in " ".join(said.out.split())
    assert command in tool("--help").out


def test_a_server_that_is_not_configured_is_started_and_one_that_is_away_is_named(
    tool: Tool, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("TELLURIO_HOME", str(tmp_path))
    monkeypatch.setenv("TELLURIO_BACKEND_HTTP_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TELLURIO_API_KEY", "tel_none")
    said = tool("runs")
    assert (said.status, "The server at http://127.0.0.1:9 cannot be reached" in said.err) == (1, True)
    monkeypatch.delenv("TELLURIO_BACKEND_HTTP_BASE_URL")
    try:
        assert tool("runs", "--json").json == []
        said = tool("show", "last")
        assert (said.status, said.err) == (1, "ao-tool: Nothing was recorded yet. Type: ao-record script.py\n")
    finally:
        subprocess.run([Path(sys.executable).with_name("tellurio"), "down"], check=True, stdout=subprocess.DEVNULL)


def test_what_has_just_ended_is_there(tool: Tool, desk: Desk) -> None:
    """A script that ended a moment ago is stored before anything is shown: nobody has to wait between two commands."""
    for number in range(3):
        name = desk.write(f"{AGENT}\nask('many words ' * 20_000)\n", f"just{number}.py")
        subprocess.run([*RECORD, name], cwd=desk.cwd, env=desk.env, check=True, stdout=subprocess.DEVNULL)
        shown = tool("show", "last", "--json").json
        assert (shown["run"]["name"], shown["run"]["status"]) == (f"just{number}", "COMPLETED")
        assert len(shown["calls"]) == 4


def test_edits_of_a_run_gather_in_one_draft_and_a_rerun_of_it_has_them(tool: Tool, desk: Desk) -> None:
    run = desk.record("--run-name", "gathers", "agent.py")
    path = "/choices/0/message/content"
    first = tool("edit", "gathers", "0", "--output", path, "Rats in the cellar", "--json").json
    second = tool("edit", "gathers", calls_of(tool, run["id"])[2]["id"], "--output", path, "Good night")
    assert f"'gathers (edited)' ({first['run'][:8]}), beside what was edited before" in second.out
    other = tool("edit", "gathers", "0", "--output", path, "Mice in the attic", "--new", "--json").json
    assert other["run"] != first["run"]
    desk.lm.reset()
    as_it_was = tool("rerun", "gathers", "--unedited")
    assert ("3 replayed, 0 edited" in as_it_was.err, desk.lm.requests()) == (True, [])
    latest = tool("rerun", "gathers")
    assert f"running the draft 'gathers (edited)_1' ({other['run'][:8]}), in which it was edited" in latest.err
    assert "1 replayed, 1 edited, 1 new, 1 missing" in latest.err
    before = tool("rerun", run["id"][:8])
    assert f"({first['run'][:8]})" in before.err
    assert "2 edited" in before.err
    assert "rallec eht ni staR" in before.out
    assert "3 replayed, 0 edited" in tool("rerun", "gathers").err  # both drafts have been run


def test_an_edited_answer_changes_what_follows_and_the_run_stays(tool: Tool, desk: Desk, agent: Run) -> None:
    before = tool("show", agent["id"], "--json").json
    edited = tool(
        "edit", agent["id"], "0", "--output", "choices.0.message.content", "Rats in the cellar", "--json"
    ).json
    assert (edited["status"], edited["call"], edited["field"]) == ("DRAFT", before["calls"][0]["id"], "output")
    draft = edited["run"]
    desk.lm.reset()
    again = tool("rerun", draft)
    assert again.status == 0
    assert "ANSWER" in again.out
    assert "rallec eht ni staR" in again.out
    assert again.out.endswith("x\n")
    assert len(desk.lm.requests()) == 1  # only the one whose input has changed
    assert "1 replayed, 1 edited, 1 new, 1 missing" in again.err
    told = tool("diff", agent["id"], draft, "--json").json
    assert {name: len(ids) for name, ids in told.items()} == {
        **dict.fromkeys(("replayed", "edited", "new", "missing"), 1),
        "reordered": 0,
    }
    assert told["missing"] == [before["calls"][1]["id"]]
    after = tool("show", draft, "--json").json
    assert after["run"]["parent"] == agent["id"]
    assert [(call["edited"], call["cached"]) for call in after["calls"]] == [
        (True, True),
        (False, False),
        (False, True),
    ]
    shown = tool("diff", agent["id"], draft).out
    assert "   1 new" in shown
    assert "agent.py:7" in shown
    now = tool("show", agent["id"], "--json").json
    assert {**now, "children": []} == {**before, "children": []}
    assert f"> first agent (edited)  {draft[:8]}" in tool("show", agent["id"]).out


def test_an_edited_request_is_sent(tool: Tool, desk: Desk, agent: Run) -> None:
    first = tool("edit", agent["id"], "1", "--input", "/messages/0/content", "Say nothing.", "--json").json
    added = tool(
        "edit", first["run"], "1", "--input", "/messages/-", '{"role": "user", "content": "Now"}', "--json"
    ).json
    assert added["run"] == first["run"]
    assert tool("edit", first["run"], "1", "--input", "/messages/0", "--remove").status == 0
    said = tool("rerun", first["run"], "--json")
    sent = calls_of(tool, first["run"])[1]
    assert sent["input"]["messages"] == [{"role": "user", "content": "Now"}]
    assert sent["edited"]
    assert said.json["run"] == first["run"]
    assert said.json["diff"]["edited"] == [sent["id"]]
    assert "ANSWER" in said.err  # what the script prints is not mixed with the document


def test_a_rerun_without_the_cache_asks_anew(tool: Tool, desk: Desk, agent: Run) -> None:
    desk.lm.reset()
    assert tool("rerun", agent["id"]).status == 0
    assert desk.lm.requests() == []
    assert tool("rerun", agent["id"], "--no-cache").status == 0
    assert len(desk.lm.requests()) == 3


def test_the_exit_status_of_a_rerun_is_the_scripts(tool: Tool, desk: Desk) -> None:
    desk.write("import sys; sys.exit(7)", "fails.py")
    assert tool("rerun", desk.record("fails.py")["id"]).status == 7


def test_the_server_runs_it_when_told_to(tool: Tool, desk: Desk, agent: Run) -> None:
    desk.lm.reset()
    begun = tool("rerun", agent["id"], "--detach", "--json").json
    desk.until(lambda client: ended(client, begun["id"]))
    assert (begun["parent_id"], desk.lm.requests()) == (agent["id"], [])
    assert [call["cached"] for call in calls_of(tool, begun["id"])] == [True] * 3
    anew = tool("rerun", agent["id"], "--detach", "--no-cache")
    assert "ao-tool show" in anew.out
    desk.until(lambda client: True if len(desk.lm.requests()) == 3 else None)


def test_what_the_server_runs_can_be_read(tool: Tool, desk: Desk) -> None:
    desk.write("import sys; print('\\x1b[31mred\\tone'); sys.exit('it broke')", "breaks.py")
    begun = tool("rerun", desk.record("breaks.py")["id"], "--detach", "--json")
    run = begun.json["id"] if begun.status == 0 else tool("runs", "--limit", "1", "--json").json[0]["id"]
    desk.until(lambda client: ended(client, run))
    said = tool("output", run)
    assert (said.status, said.out.splitlines()[:2]) == (0, ["\\u001b[31mred\tone", "it broke"])
    whole = tool("output", run, "--json").json
    assert (whole["text"].startswith("\x1b[31mred\tone\nit broke\n"), whole["left_out"]) == (True, 0)
    assert tool("output", run, "--last", "3").out.startswith("... ")


def test_a_rerun_in_the_background_that_does_not_begin_is_told_at_once(tool: Tool, desk: Desk, tmp_path: Path) -> None:
    run = broken(desk.server, tmp_path, "No module named ao")
    draft = tool("edit", run, "0", "--output", "/choices/0/message/content", "Rats", "--json").json["run"]
    for name in (run, draft):
        said = tool("rerun", name, "--detach")
        assert (said.status, said.out) == (1, "")
        assert "The rerun did not begin (exit status 3): No module named ao" in said.err
        assert "See all of it: ao-tool output" in said.err
    assert tool("output", draft).out == "some words\nNo module named ao\n"
    assert "DRAFT (The rerun did not begin (exit status 3): No module named ao)" in tool("show", draft).out


def test_a_rerun_that_ends_before_anything_is_recorded_is_not_waited_for(
    tool: Tool, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(ask: Any, holds: Any) -> Any:
        answer = ask()
        assert holds(answer)
        return answer

    run = broken(desk.server, tmp_path, "No module named ao")
    monkeypatch.setattr("ao.cli.tool.wait_for", at_once)
    said = tool("rerun", run)
    assert (said.status, said.out) == (3, "some words\n")
    assert said.err == "No module named ao\nao-tool: nothing of it was recorded.\n"


def ended(client: Any, run_id: str) -> str | None:
    status = client.get(f"/api/v1/runs/{run_id}").json()["status"]
    return None if status in ("DRAFT", "RUNNING") else str(status)


def test_what_is_missing_for_a_rerun_is_named(
    tool: Tool, agent: Run, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    for options in ((), ("--detach",)):
        said = tool("rerun", agent["id"], *options)
        assert said.status == 1
        assert "It was recorded with OPENAI_API_KEY, which is not set here. Set it, and try again." in said.err


CHILDREN = """
import multiprocessing, signal, sys, time

def work(deaf):
    if deaf:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    ready.wait()
    time.sleep(600)

if __name__ == "__main__":
    ready = multiprocessing.get_context("fork").Barrier(3)
    children = [multiprocessing.get_context("fork").Process(target=work, args=(deaf,)) for deaf in (False, True)]
    for child in children: child.start()
    ready.wait()
    print("ready", flush=True)
    print(*(child.pid for child in children), flush=True)
    for child in children: child.join()
"""


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_kill_ends_the_children_too(
    tool: Tool, desk: Desk, where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As Ctrl-C does in a terminal; one that does not hear it is ended a little later."""
    process = desk.begin(desk.write(CHILDREN, "children.py"))
    assert process.stdout is not None
    children = [int(pid) for pid in process.stdout.readline().split()]
    run = desk.run_of(process.pid, ("RUNNING",))
    if where == "elsewhere":
        monkeypatch.setenv("TELLURIO_BACKEND_HTTP_BASE_URL", desk.server.url.replace("127.0.0.1", "localhost"))
        monkeypatch.setenv("TELLURIO_API_KEY", desk.server.key)
    assert tool("kill", run["id"]).status == 0
    process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    desk.until(lambda client: None if any(map(runs, children)) else True)
    assert desk.run_of(process.pid)["status"] in ("CRASHED", "FAILED")


def runs(pid: int) -> bool:
    """Whether there is such a process.  One that has ended may wait for long until who adopted it asks how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_kill_ends_a_script_as_ctrl_c_does(tool: Tool, desk: Desk) -> None:
    process = desk.begin("waits.py")
    run = desk.run_of(process.pid, ("RUNNING",))
    assert tool("kill", run["id"], "--json").json == {"pid": process.pid}
    assert process.wait(PATIENCE) in (-signal.SIGINT, 130)
    assert desk.run_of(process.pid)["status"] == "CRASHED"
    assert process.stdout is not None
    process.stdout.close()


def test_a_rerun_stops_the_one_that_goes_on_first(tool: Tool, desk: Desk) -> None:
    waits = "import os, time\nif os.path.exists('go'):\n    print('went')\nelse:\n"
    desk.write(waits + "    print('ready', flush=True)\n    time.sleep(600)\n", "gate.py")
    process = desk.begin("gate.py")
    run = desk.run_of(process.pid, ("RUNNING",))
    (desk.cwd / "go").touch()
    said = tool("rerun", run["id"])
    assert (said.status, said.out) == (0, "went\n")
    assert process.wait(PATIENCE) in (-signal.SIGINT, 130)
    assert process.stdout is not None
    process.stdout.close()


def test_a_rerun_of_one_that_ends_just_then_begins(tool: Tool, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = "import os, time\nif os.path.exists('gone'):\n    print('went')\nelse:\n"
    desk.write(waits + "    print('ready', flush=True)\n    time.sleep(600)\n", "ends.py")
    process = desk.begin("ends.py")
    run = desk.run_of(process.pid, ("RUNNING",))
    (desk.cwd / "gone").touch()

    def late(*arguments: Any) -> int:
        process.kill()
        process.communicate(timeout=PATIENCE)
        return stop(*arguments)

    monkeypatch.setattr("ao.cli.tool.stop", late)
    said = tool("rerun", run["id"])
    assert (said.status, said.out) == (0, "went\n"), said.err


def test_somebody_elses_command_is_not_run(tool: Tool, desk: Desk, agent: Run) -> None:
    """On a shared server a colleague's recording has a command, too."""
    code = """
import sys
from pathlib import Path
from tellurio.store import projects, users
from tellurio.store.store import Store
with Store.open(Path(sys.argv[1])) as store:
    def theirs(c):
        bob = users.make_user(c, "bob", "bob@example.org")
        c.exec_driver_sql("UPDATE runs SET user_id = ? WHERE id = ?", (bob["id"], sys.argv[2]))
    store.write(theirs, durable=True)
"""
    run = desk.record("--run-name", "bobs", "agent.py")
    desk.server.stop()
    subprocess.run([sys.executable, "-c", code, desk.server.folder, run["id"]], check=True, env=dict(os.environ))
    desk.server.start()
    desk.lm.reset()
    said = tool("rerun", "bobs", "--no-cache")
    assert (said.status, "bob's: its command is not run for you" in said.err) == (1, True)
    assert "Only this machine's user" in tool("rerun", "bobs", "--detach").err
    assert desk.lm.requests() == []


@pytest.mark.parametrize(("field", "path"), [("output", "choices.0.message.content"), ("input", "messages.0.content")])
def test_a_rerun_is_a_recording_like_any_other(tool: Tool, desk: Desk, agent: Run, field: str, path: str) -> None:
    draft = tool("edit", agent["id"], "0", f"--{field}", path, "Rats in the cellar", "--json").json["run"]
    first = tool("rerun", draft)
    assert "ANSWER" in first.out
    desk.lm.reset()
    again = tool("rerun", draft, "--json")
    assert desk.lm.requests() == []  # what was edited then is what was recorded now
    assert again.json["diff"]["missing"] == again.json["diff"]["new"] == []
    assert first.out in again.err
    assert tool("edit", again.json["run"], "1", "--output", "", '{"choices": []}', "--json").json["status"] == "DRAFT"


def test_as_much_of_an_output_can_be_asked_for_as_a_server_keeps() -> None:
    assert MOST_OUTPUT == LIMIT
