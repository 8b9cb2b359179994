"""The page while things happen: Runs begin and go on, the server goes and comes back."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import orjson
import pytest
from playwright.sync_api import expect

from tests.studio.conftest import Demo, Visit
from tests.tellurio.running import ServerProcess

PROJECT = "/tutorials/projects/quickstart/"


@pytest.fixture
def project(house: ServerProcess) -> str:
    """The demo's project, without a Run."""
    with house.client() as client:
        assert client.post("/api/v1/namespaces", json={"slug": "tutorials"}).status_code == 201
        made = client.post("/api/v1/namespaces/tutorials/projects", json={"display_name": "Quickstart"})
        assert made.status_code == 201
    return PROJECT


class Script:
    """A script of a user that goes on when a test says so."""

    def __init__(self, house: ServerProcess) -> None:
        self.house, self.id, self.written = house, str(uuid.uuid4()), 0
        with house.client() as client:
            # Nobody gives signs of life for it, however long a busy machine takes for the test.
            begun = client.post(f"/api/v1/namespaces{PROJECT}runs", json={"id": self.id, "lease": 3600})
            assert begun.status_code == 201, begun.text
        self.name, self.slug = begun.json()["name"], begun.json()["slug"]

    def write(self, *records: dict[str, Any]) -> None:
        """Send these records of its journal."""
        lines = [orjson.dumps({"n": self.written + n, "t": time.time(), **r}) for n, r in enumerate(records, 1)]
        with self.house.client() as client:
            said = client.post(
                f"/api/v1/runs/{self.id}/journal?client=c-{self.id}&first={self.written + 1}",
                content=b"\n".join(lines) + b"\n",
            )
        assert said.status_code == 200, said.text
        self.written += len(records)


def metric(name: str, value: float, step: int) -> dict[str, Any]:
    return {"k": "m", "name": name, "v": value, "step": step}


def call(usd: str | None) -> dict[str, Any]:
    record = {
        "role": "forward",
        "phase": "train",
        "node": "ChatCompletion",
        "model": "m",
        "source": "live",
        "attempts": 1,
        "started": time.time(),
        "seconds": 0.1,
        "usage": {"input_tokens": 10, "output_tokens": 5},
        "cost": {"usd": usd},
    }
    return {"k": "c", "record": record}


def proposal(before: str, after: str) -> dict[str, Any]:
    data = {
        "parameter": "prompt",
        "role": "the prompt",
        "before": before,
        "after": after,
        "reasoning": "why",
        "step": 1,
    }
    return {"k": "e", "kind": "prompt", "data": {**data, "gradients": [{"text": f"say {after}", "samples": ["1"]}]}}


def test_the_demo_is_watched_from_its_beginning_to_its_end(
    project: str, visit: Visit, demo: Demo, house: ServerProcess
) -> None:
    page = visit().sign_in(project)
    expect(page.get_by_role("heading", name="No Runs yet")).to_be_visible()
    process = demo()
    run = page.locator("tbody [data-row-link]")
    expect(run).to_have_count(1)  # it appears
    run.click()
    expect(page.locator("figure[data-metric=test_loss]")).to_have_attribute("data-points", re.compile("[12]"))
    page.get_by_role("link", name="Prompts").click()
    expect(page.locator("button[data-version='1']")).to_be_visible()  # a new prompt
    expect(page.locator("button[data-version='6']")).to_be_visible()  # and the others, as they are made
    expect(page.locator(".gradient").first).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    expect(page.locator("figure[data-metric=test_loss]")).to_have_attribute("data-points", "2")  # its chart moved
    expect(page.locator(".run-head .status")).to_have_text("Completed")
    said, _ = process.communicate(timeout=150)
    assert process.returncode == 0, said
    page.get_by_role("link", name="Calls", exact=True).click()
    expect(page.locator("[data-role]")).to_have_count(4)
    shown = {str(card.get_attribute("data-role")): card.inner_text() for card in page.locator("[data-role]").all()}
    calls = {role: int(re.findall(r"([\d,]+) calls?", text)[0].replace(",", "")) for role, text in shown.items()}
    assert calls.pop("All") == sum(calls.values()) == int(re.findall(r"(\d+) calls,", said)[0])
    assert "unpriced" in shown["All"]
    assert "$0" not in shown["All"]


def test_what_happens_is_shown_as_it_happens(project: str, visit: Visit, house: ServerProcess) -> None:
    visitor = visit()
    table = visitor.sign_in(project)
    expect(table.get_by_role("heading", name="No Runs yet")).to_be_visible()
    script = Script(house)
    expect(table.locator("tbody tr", has_text=script.name)).to_contain_text("Running")
    overview = visitor.open(f"{project}runs/{script.slug}/")
    expect(overview.get_by_role("heading", name="Nothing was logged yet")).to_be_visible()
    chart = overview.locator("figure[data-metric=score]")
    for step in range(1, 4):
        script.write(metric("score", step / 10, step), call("0.000000000001"))
        expect(chart).to_have_attribute("data-points", str(step))
        expect(overview.locator(".tile", has_text="LM calls")).to_contain_text(str(step))
    expect(overview.locator(".tile", has_text="Cost").locator(".money")).to_have_attribute("title", "$0.000000000003")
    script.write(call(None))
    expect(overview.locator(".tile", has_text="Cost")).to_contain_text("1 call unpriced")
    prompts = visitor.open(f"{project}runs/{script.slug}/prompts")
    expect(prompts.get_by_role("heading", name="No prompts yet")).to_be_visible()
    script.write(proposal("be brief", "be very brief"))
    expect(prompts.locator("ins")).to_have_text("very ")
    expect(prompts.locator(".gradient")).to_contain_text("say be very brief")
    script.write(proposal("be very brief", "be brief, please"))
    expect(prompts.get_by_role("article")).to_have_attribute(
        "aria-label", "prompt, version 2"
    )  # the newest is followed
    calls = visitor.open(f"{project}runs/{script.slug}/calls")
    expect(calls.locator("tbody tr[data-call]")).to_have_count(4)
    script.write(call("0.25"))
    expect(calls.locator("tbody tr[data-call]")).to_have_count(5)
    expect(calls.locator("tbody tr[data-call]").first).to_contain_text("$0.25")
    script.write({"k": "s", "status": "FAILED", "reason": "it was enough"})
    expect(overview.locator(".run-head .status")).to_have_text("Failed")
    expect(overview.get_by_text("it was enough")).to_be_visible()
    expect(table.locator("tbody tr", has_text=script.name)).to_contain_text("Failed")
    expect(table.locator("tbody tr", has_text=script.name)).to_contain_text("0.3")


def test_a_server_that_goes_is_missed_and_caught_up_with(project: str, visit: Visit, house: ServerProcess) -> None:
    visitor = visit()
    visitor.expects("net::ERR_")  # which one depends on what it is doing when the server goes
    script = Script(house)
    script.write(metric("score", 0.5, 1))
    page = visitor.sign_in(f"{project}runs/{script.slug}/")
    chart = page.locator("figure[data-metric=score]")
    expect(chart).to_have_attribute("data-points", "1")
    for end in (house.stop, house.kill):
        known = int(str(chart.get_attribute("data-points")))
        end()
        expect(page.get_by_text("The server is not reachable.")).to_be_visible()
        expect(page.get_by_text("Not live")).to_be_visible()
        expect(chart).to_be_visible()  # what is known stays
        house.start()
        script.write(metric("score", 0.6, known + 1), call("0.5"))
        expect(page.get_by_text("The server is not reachable.")).to_have_count(0)
        expect(chart).to_have_attribute("data-points", str(known + 1))
        script.write(metric("score", 0.7, known + 2))  # and it is live again
        expect(chart).to_have_attribute("data-points", str(known + 2))
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def test_a_page_that_is_opened_for_a_server_that_goes_says_so_and_goes_on(
    project: str, visit: Visit, house: ServerProcess
) -> None:
    visitor = visit()
    visitor.expects("net::ERR_")  # which one depends on what it is doing when the server goes
    script = Script(house)
    page = visitor.sign_in("/")
    expect(page.get_by_role("link", name="Quickstart")).to_be_visible()
    house.stop()
    page.get_by_role("link", name="Quickstart").click()
    expect(page.get_by_role("alert")).to_contain_text("The server is not reachable")
    house.start()
    expect(page.locator("tbody tr", has_text=script.name)).to_be_visible()


def test_a_run_that_is_opened_while_the_server_is_away_is_there_when_it_is_back(
    project: str, visit: Visit, house: ServerProcess
) -> None:
    visitor = visit()
    visitor.expects("ERR_", "dynamically imported module")
    script = Script(house)
    page = visitor.sign_in(project)
    row = page.get_by_role("link", name=script.name)
    expect(row).to_be_visible()
    house.stop()
    expect(page.get_by_text("The server is not reachable.")).to_be_visible()
    row.click()
    expect(page.get_by_role("alert")).to_be_visible()
    house.start()
    expect(page.get_by_role("heading", level=1, name=script.name)).to_be_visible()
