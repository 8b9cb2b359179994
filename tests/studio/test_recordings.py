"""A recorded script on the page: its parts and reruns, its calls, the way to them and back."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.studio.browsing import accessible, settled
from tests.studio.conftest import Visit
from tests.tellurio.running import ServerProcess
from tests.tellurio.server.test_feeding import Recorder, until
from tests.tellurio.server.test_recordings import call
from tests.tellurio.server.test_reruns import broken

PHONE = {"width": 390, "height": 844}
EVIL = "<img src=x onerror=alert(1)> part"


@pytest.fixture
def project(house: ServerProcess) -> str:
    """A recording with two calls, a part in a part, and a rerun of it; returns the path of its project's page."""
    first = call("What did you see?", "Mould.", 1000.0, cost={"usd": "0.25"}, location="scripts/agent.py:3")
    second = call("And then?", "", 1001.0, error="status 500: no luck", response=None, cost={"usd": None})
    inner = call("Hello", "Good day", 1002.0, cost={"usd": "0.50"})
    command = {"argv": ["agent.py", "--size", "5"], "cwd": "/srv/ada/agents", "interpreter": "/usr/bin/python3"}
    recording = Recorder(house.home, name="agent", command=command)
    outer_id, inner_id = str(uuid.uuid4()), str(uuid.uuid4())
    parts = [(outer_id, "sample-1", recording.id), (inner_id, EVIL, outer_id)]
    for id, name, parent in parts:
        recording.journal.append("b", {"run": {"id": id, "kind": "subrun", "name": name, "parent_id": parent}})
    for each in (first, second):
        recording.journal.append("c", {"record": each})
    recording.journal.append("c", {"record": inner, "r": inner_id})
    for entry, success in (({"score": 0.5}, False), (EVIL, True)):
        recording.journal.append("e", {"kind": "log", "data": {"entry": entry, "success": success}, "r": outer_id})
    end(house, recording)
    again = Recorder(house.home, name="agent again", kind="rerun", parent_id=recording.id)
    replayed = call("What did you see?", "Rats.", 2000.0, source="log", replayed_from=first["call_id"], edited=True)
    again.journal.append("c", {"record": replayed})
    end(house, again)
    with house.client() as client:
        run = client.get(f"/api/v1/runs/{recording.id}").json()
    return f"/{run['namespace_slug']}/projects/{run['project_slug']}/"


def end(house: ServerProcess, recorder: Recorder) -> None:
    recorder.journal.append("s", {"status": "COMPLETED"})
    recorder.journal.close()
    until(house, f"/api/v1/runs/{recorder.id}", over)


def over(run: Any) -> bool:
    return bool(run["status"] == "COMPLETED")


def test_from_a_recording_to_its_parts_and_calls_and_back(project: str, visit: Visit) -> None:
    page = visit().sign_in(project)
    expect(page.get_by_text("4 Runs")).to_be_visible()
    page.get_by_label("Kind of Run").select_option("recording")
    expect(page.get_by_text("1 Run found")).to_be_visible()
    expect(page).to_have_url(re.compile("q=kind%3Arecording"))
    accessible(settled(page))
    page.get_by_role("link", name="agent", exact=True).click()

    tiles = page.locator(".tiles")
    expect(tiles.locator(".tile", has_text="With its parts")).to_contain_text("3 calls")
    expect(tiles.locator(".tile", has_text="With its parts")).to_contain_text("$0.75")
    parts = page.get_by_role("region", name="Parts")
    expect(parts.locator("tbody tr")).to_have_count(2)
    expect(parts.locator("tbody tr").nth(1)).to_contain_text(EVIL)  # a text, never HTML
    expect(parts.locator("tbody tr").nth(1).locator("th")).to_have_class("part-1")
    expect(parts.locator("tbody tr").first).to_contain_text("1 of 2")
    models = page.get_by_role("region", name="Calls by model").locator("tbody tr")
    expect(models).to_have_count(1)
    expect(models).to_contain_text("3 (1 failed)")
    expect(models).to_contain_text("0.5 s")
    expect(models).to_contain_text("$0.75")
    notes = page.get_by_role("region", name="Notes")
    expect(notes).to_contain_text("1 passed, 1 failed")
    expect(notes.locator("li").first).to_contain_text(EVIL)
    expect(notes.locator("li").nth(1)).to_contain_text('"score": 0.5')
    expect(notes.get_by_role("link", name="sample-1")).to_have_count(2)
    expect(page.get_by_role("complementary", name="About this Run")).to_contain_text("/srv/ada/agents")
    expect(page.get_by_role("link", name="See 2 calls")).to_have_attribute("href", re.compile("/calls$"))
    expect(page.get_by_role("region", name="Reruns").locator("tbody tr")).to_contain_text("agent again")
    accessible(settled(page))

    page.get_by_role("link", name="Calls", exact=True).click()
    rows = page.locator("tbody tr[data-call]")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("failed")
    expect(rows.last).to_contain_text("agent.py:3")
    rows.first.click()
    detail = page.get_by_role("complementary", name=re.compile("Call"))
    expect(detail).to_contain_text("status 500: no luck")
    accessible(settled(page))

    page.get_by_role("link", name="Overview").click()
    page.get_by_role("region", name="Parts").get_by_role("link", name=EVIL).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(EVIL)
    expect(page.get_by_text("A part of sample-1")).to_be_visible()
    page.get_by_role("link", name="sample-1").click()
    page.get_by_role("link", name="agent", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("agent")


def test_a_rerun_says_of_what_and_what_was_recorded(project: str, visit: Visit) -> None:
    page = visit(viewport=PHONE).sign_in(project)
    page.get_by_role("link", name=re.compile("agent again")).click()
    expect(page.get_by_text("A rerun of agent")).to_be_visible()
    accessible(settled(page))
    page.get_by_role("link", name="Calls", exact=True).click()
    row = page.locator("tbody tr[data-call]")
    expect(row.get_by_text("edited")).to_be_visible()
    row.click()
    detail = page.get_by_role("complementary", name=re.compile("Call"))
    expect(detail).to_contain_text("changed for this rerun")
    expect(detail).to_contain_text("$0, recorded")


def path_of(house: ServerProcess, id: str) -> str:
    with house.client() as client:
        run = client.get(f"/api/v1/runs/{id}").json()
    return f"/{run['namespace_slug']}/projects/{run['project_slug']}/runs/{run['slug']}/"


def test_a_recording_without_calls_says_why_that_may_be(house: ServerProcess, visit: Visit) -> None:
    recording = Recorder(house.home, name="silent")
    page = visit().sign_in(path_of(house, begun(house, recording)))
    expect(page.get_by_role("heading", name="No LM call yet")).to_be_visible()
    part = {"id": str(uuid.uuid4()), "kind": "subrun", "name": "nothing", "parent_id": recording.id}
    recording.journal.append("b", {"run": part})
    recording.journal.append("s", {"status": "CRASHED", "reason": "exit 7"})
    recording.journal.close()
    expect(page.get_by_role("heading", name="No LM call was recorded")).to_be_visible()
    expect(page.get_by_text("exit 7")).to_be_visible()
    expect(page.get_by_text("httpx, httpx2, requests, urllib3, aiohttp or MCP")).to_be_visible()
    accessible(settled(page))
    page.get_by_role("link", name="nothing").click()
    expect(page.get_by_text("This part of the script has called no model.")).to_be_visible()


def begun(house: ServerProcess, recording: Recorder) -> str:
    until(house, f"/api/v1/runs/{recording.id}", lambda run: run["status"] == "RUNNING")
    return recording.id


def test_a_draft_says_what_it_is_what_was_edited_and_how_to_run_it(house: ServerProcess, visit: Visit) -> None:
    recording = Recorder(house.home, name="agent")
    asked = call("What did you see?", "Mould behind the boiler.", 1000.0)
    recording.journal.append("c", {"record": asked})
    end(house, recording)
    changes: list[dict[str, Any]] = [
        {"field": "output", "path": "/choices/0/message/content", "value": EVIL},
        {"field": "input", "path": "/tools", "value": [{"type": "function"}]},
        {"field": "input", "path": "/messages/0", "remove": True},
    ]
    with house.client() as client:
        draft = recording.id
        for change in changes:
            draft = client.post(f"/api/v1/runs/{draft}/edits", json={"call": asked["call_id"], **change}).json()["id"]
    page = visit(viewport=PHONE).sign_in(path_of(house, draft))
    expect(page.get_by_text("A rerun of agent")).to_be_visible()
    about = page.get_by_role("region", name="This draft")
    expect(about.get_by_role("heading")).to_have_text("An edited copy that was not run yet")
    expect(about.locator("pre")).to_have_text(f"ao-tool rerun {draft[:8]}")
    edits = page.get_by_role("region", name="Edits").locator("li")
    expect(edits).to_have_count(3)
    expect(edits.nth(0)).to_contain_text("agent.py:3")
    expect(edits.nth(0).locator("del").first).to_contain_text("Mould")
    expect(edits.nth(0).locator("ins").first).to_contain_text("<img")
    expect(edits.nth(1).locator("ins")).to_contain_text('"type": "function"')
    expect(edits.nth(2).locator("del")).to_contain_text("What did you see?")
    expect(page.locator(".tiles")).to_have_count(0)  # it has no duration and no cost
    expect(page.get_by_text("No LM call")).to_have_count(0)
    accessible(settled(page))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_what_a_rerun_prints_that_the_server_has_started(house: ServerProcess, visit: Visit, tmp_path: Path) -> None:
    id = broken(house, tmp_path, "No module named ao")
    with house.client() as client:
        assert client.post(f"/api/v1/runs/{id}/rerun", json={}).status_code == 409
        (copy,) = client.get(f"/api/v1/runs/{id}/children").json()["runs"]
    page = visit().sign_in(path_of(house, copy["id"]))
    expect(page.get_by_text("The rerun did not begin (exit status 3)")).to_be_visible()
    expect(page.get_by_label("What the script printed")).to_have_text("some words\nNo module named ao\n")
    accessible(settled(page))


def test_parts_appear_as_they_begin(house: ServerProcess, visit: Visit) -> None:
    recording = Recorder(house.home, name="goes on")
    recording.call("hello")
    run = until(house, f"/api/v1/runs/{recording.id}", lambda run: run["cost"]["calls"] == 1)
    page = visit().sign_in(f"/{run['namespace_slug']}/projects/{run['project_slug']}/runs/{run['slug']}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("goes on")
    expect(page.get_by_role("region", name="Parts")).to_have_count(0)
    part = {"id": str(uuid.uuid4()), "kind": "subrun", "name": "late", "parent_id": recording.id}
    recording.journal.append("b", {"run": part})
    expect(page.get_by_role("region", name="Parts").get_by_role("link", name="late")).to_be_visible()
    recording.journal.append("s", {"status": "COMPLETED"})
    recording.journal.close()
    expect(page.get_by_role("region", name="Parts")).to_contain_text("Completed")
