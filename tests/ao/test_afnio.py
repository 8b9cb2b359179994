"""afnio in a recorded script: one graph, in which each call is once, and which a rerun repeats."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from afnio.models.lm_server import LMServer
from tests.ao.lab import Lab
from tests.tellurio.running import ServerProcess

PLAIN = """
import os
import afnio, afnio.cognitive.functional as F
from afnio.models.openai import OpenAI
from ao.runner.context_manager import ao_record

def ask(client, text):
    message = {"role": "user", "content": [afnio.Variable(text, role="prompt")]}
    return F.chat_completion(client, [message], inputs={}, model="gpt-5-mini").data

if __name__ == "__main__":
    client = OpenAI(api_key="test", base_url=os.environ["OPENAI_BASE_URL"])
    print(ask(client, "first"))
    with ao_record("part"):
        print(ask(client, "second"))
"""

TRACKED = """
import os
import afnio.tellurio as te
from script import ask
from afnio.models.openai import OpenAI
from ask import ask as other
from ao.runner.context_manager import ao_record

client = OpenAI(api_key="test", base_url=os.environ["OPENAI_BASE_URL"])
print(ask(client, "before"), other("by another library"))
run = te.init("local", "Mine", name="inner")
print(ask(client, "tracked"), other("beside it"))
with ao_record("part"):
    print(ask(client, "in the part"))
run.log("score", 1.0)
run.finish()
print(ask(client, "after"))
"""


def question(call: dict) -> str:
    text = call["input"]["messages"][-1]["content"]
    return text if isinstance(text, str) else text[0]["text"]


def test_without_a_run_its_calls_are_recorded_like_any_other(real: Lab) -> None:
    ran = real.record(real.write("script.py", PLAIN))
    assert (ran.status, ran.out, ran.err) == (0, "first\nsecond\n", "")
    graph = real.stored()
    assert [question(call) for call in graph["calls"]] == ["first", "second"]
    assert [call["run"] == graph["run"]["id"] for call in graph["calls"]] == [True, False]
    assert {call["location"] for call in graph["calls"]} == {f"{real.cwd / 'script.py'}:9"}
    real.lm.reset()
    again = real.record("--rerun", graph["run"]["id"], "script.py")
    assert again.out == ran.out
    assert real.lm.stats(rows=False)["calls"] == 0


def test_retries_of_afnio_are_attempts_of_one_call(lab: Lab) -> None:
    lab.lm.faults = ["429@1x2:retry_after=0.01"]
    ran = lab.record(lab.write("script.py", PLAIN))
    assert (ran.status, ran.out) == (0, "first\nsecond\n")
    first, second = {call["call_id"]: call for call in lab.calls}.values()
    assert [attempt[2] for attempt in first["attempt_list"]] == [429, 429, 200]
    assert second["attempts"] == 1


def test_with_a_run_of_its_own_each_call_is_in_the_graph_once(real: Lab) -> None:
    real.write("script.py", PLAIN)
    ran = real.record(real.write("trains.py", TRACKED))
    assert ran.status == 0, ran.err
    graph = real.stored()
    asked = ["before", "by another library", "tracked", "beside it", "in the part", "after"]
    assert sorted(map(question, graph["calls"])) == sorted(asked)
    assert real.lm.stats(rows=False)["calls"] == len(asked)
    children = real.children(graph["run"]["id"])
    (inner,) = [run for run in children.values() if run["kind"] == "run"]
    assert sorted(question(call) for call in graph["calls"] if call["run"] == inner["id"]) == ["in the part", "tracked"]
    assert graph["run"]["calls"] == len(asked)  # all of them are the recording's
    parts = real.get(f"/runs/{graph['run']['id']}/family")["parts"]
    assert {part["name"]: (part["kind"], part["calls"]) for part in parts} == {
        "inner": ("run", 2),
        "part": ("subrun", 0),
    }
    assert all(call["location"].startswith(str(real.cwd)) for call in graph["calls"])
    real.lm.reset()
    again = real.record("--rerun", graph["run"]["id"], "trains.py")
    assert (again.status, again.out) == (0, ran.out), again.err
    assert real.lm.stats(rows=False)["calls"] == 0
    assert "6 replayed, 0 edited, 0 new, 0 missing" in again.err


@pytest.mark.parametrize(("field", "path"), [("output", "/choices/0/message/content"), ("input", "/messages")])
def test_its_calls_are_edited_and_replayed_like_others(real: Lab, field: str, path: str) -> None:
    real.write("script.py", PLAIN)
    real.lm.faults = ["429@3x2:retry_after=0.01"]  # the first two attempts of the tracked call
    ran = real.record(real.write("trains.py", TRACKED))
    graph = real.stored()
    calls = {question(call): call for call in graph["calls"]}
    assert [len(call["id"]) for call in calls.values()] == [36] * 6  # none is known by its row only
    value: Any = "Rats" if field == "output" else [{"role": "user", "content": "Rats"}]
    edit = {"call": calls["tracked"]["id"], "field": field, "path": path, "value": value}
    draft = real.post(f"/runs/{graph['run']['id']}/edits", edit)
    real.lm.reset()
    again = real.record("--rerun", draft["id"], "trains.py")
    assert (again.status, again.out) == (0, ran.out.replace("tracked", "Rats")), again.err
    assert real.lm.stats(rows=False)["calls"] == (0 if field == "output" else 1)
    assert "5 replayed, 1 edited, 0 new, 0 missing" in again.err
    after = real.stored(draft["id"])
    told = {call["edited"]: call for call in after["calls"] if call["run"] != draft["id"]}
    inner = real.get(f"/runs/{told[True]['run']}")
    assert (inner["kind"], inner["parent_id"]) == ("run", draft["id"])
    assert inner["cost"]["calls"] == (0 if field == "output" else 1)  # what was replayed was not paid
    assert inner["cost"]["calls"] + inner["cost"]["reused"] == 2
    assert question(told[True]) == ("tracked" if field == "output" else "Rats")
    diff = real.get(f"/runs/{graph['run']['id']}/diff/{draft['id']}")
    assert diff["edited"] == [told[True]["id"]]
    assert told[False]["id"] in diff["replayed"]


FAILING = """
import os
import afnio.tellurio as te
from afnio.errors import APIError
from script import ask
from afnio.models.openai import OpenAI

client = OpenAI(api_key="test", base_url=os.environ["OPENAI_BASE_URL"], max_retries=1)
dead = OpenAI(api_key="test", base_url="http://127.0.0.1:9/v1", max_retries=0)
run = te.init("local", "Mine", name="inner")
for asked, text in ((client, "refused"), (client, "well"), (dead, "nobody there"), (client, "at last")):
    try: print(ask(asked, text))
    except APIError as error: print(type(error).__name__, error)
run.finish()
"""


def test_calls_that_failed_are_in_the_graph_with_their_error(real: Lab) -> None:
    real.write("script.py", PLAIN)
    real.lm.faults = ["quota@1", "500@3x2"]
    ran = real.record(real.write("trains.py", FAILING))
    assert ran.status == 0, ran.err
    graph = real.stored()
    told = {question(call): (call["status"], bool(call["error"])) for call in graph["calls"]}
    failed, well = ("error", True), ("ok", False)
    assert told == {"refused": failed, "well": well, "nobody there": failed, "at last": failed}
    (inner,) = real.children(graph["run"]["id"]).values()
    assert {call["run"] for call in graph["calls"]} == {inner["id"]}
    assert graph["run"]["calls"] == len(graph["calls"]) == 4
    assert {call["location"] for call in graph["calls"]} == {f"{real.cwd / 'script.py'}:9"}
    real.lm.reset()
    again = real.record("--rerun", graph["run"]["id"], "trains.py")
    assert (again.status, again.out) == (0, ran.out), again.err
    assert real.lm.stats(rows=False)["calls"] == 0
    assert "4 replayed, 0 edited, 0 new, 0 missing" in again.err
    rerun = real.stored(again.err.split()[-1])
    assert {question(call): (call["status"], bool(call["error"])) for call in rerun["calls"]} == told
    assert {call["cached"] for call in rerun["calls"]} == {True}


@pytest.mark.parametrize("lm_calls", ["server", "client"])
def test_a_training_under_ao_record_has_each_paid_call_once(
    tmp_path: Path, real_server: ServerProcess, lm_calls: str
) -> None:
    with LMServer("tickets") as lm:
        lab = Lab(tmp_path, real=real_server)
        lab.use(lm)
        shutil.copy(Path(__file__).parents[1] / "tellurio" / "scripts" / "trained.py", lab.cwd)
        ran = lab.record("trained.py", *ran_with(lm_calls))
        assert ran.status == 0, ran.err
        graph = lab.stored()
        inner = lab.children(graph["run"]["id"])[f"by {lm_calls}"]
        assert (inner["kind"], inner["status"], inner["parent_id"]) == ("run", "COMPLETED", graph["run"]["id"])
        live = [call for call in graph["calls"] if not call["cached"]]
        assert len(live) == lm.stats(rows=False)["calls"]
        assert {call["run"] for call in graph["calls"]} == {inner["id"]}
        by_server = [call for call in live if len(call["id"]) < 36]
        assert bool(by_server) == (lm_calls == "server")
        for call in by_server[:1]:
            edit = {"call": call["id"], "field": "output", "path": "", "value": {}}
            with real_server.client() as client:
                refused = client.post(f"/api/v1/runs/{graph['run']['id']}/edits", json=edit)
            assert (refused.status_code, "lm_calls='client'" in refused.text) == (422, True)
        if lm_calls == "client":
            lm.reset()
            again = lab.record("--rerun", graph["run"]["id"], "trained.py", *ran_with(lm_calls))
            assert again.status == 0, again.err
            assert lm.stats(rows=False)["calls"] == 0
            assert ", 0 edited, 0 new, 0 missing" in again.err


def ran_with(lm_calls: str) -> list[str]:
    return ["sync", f'{{"name": "by {lm_calls}", "lm_calls": "{lm_calls}"}}']
