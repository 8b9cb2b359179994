"""Walks through the page, as somebody takes them: what is there, what is found, what is said when there is nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.studio.browsing import accessible
from tests.studio.conftest import Visit
from tests.studio.seeds import MODEL_TEXT, Seeded, seed

PHONE = {"width": 390, "height": 844}

Sow = Callable[..., Seeded]


@pytest.fixture
def few(home: Path) -> Seeded:
    """A project of three Runs, there before the server starts."""
    return seed(home, 3)


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Seeded]:
    """A home with a project of a thousand Runs, to be copied."""
    home = tmp_path_factory.mktemp("thousand") / "home"
    return home, seed(home, 1_000, project="Prompt sweep")


@pytest.fixture
def many(thousand: tuple[Path, Seeded], home: Path) -> Seeded:
    """A project of a thousand Runs."""
    shutil.copytree(thousand[0], home)
    return thousand[1]


@pytest.fixture
def none(home: Path) -> Seeded:
    """A project without Runs."""
    return seed(home, 0, project="Invoices")


def rows(page: Page) -> list[str]:
    """The names of the Runs in sight, in order."""
    return page.locator("tbody [data-row-link]").all_text_contents()


def drawn(page: Page) -> None:
    """Wait until each chart is drawn: before that, it has no ear for keys and none for the other charts."""
    expect(page.locator("figure").first).to_be_visible()
    expect(page.locator("figure canvas")).to_have_count(page.locator("figure").count())


# --- what is found


def test_from_the_projects_to_a_call_and_back(few: Seeded, visit: Visit) -> None:
    page = visit().sign_in("/")
    page.get_by_role("link", name="Support tickets").click()
    expect(page.get_by_text("3 Runs")).to_be_visible()
    page.locator("tbody tr", has_text="Running").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("figure[data-metric=accuracy]")).to_have_attribute("data-points", "300")
    page.get_by_role("link", name="Calls", exact=True).click()
    page.locator("tbody tr[data-call]").first.click()
    expect(page.get_by_role("complementary", name=re.compile("Call"))).to_contain_text("my parcel never came")
    for _ in range(3):  # to the calls, the overview, the Runs
        page.go_back()
    expect(page).to_have_url(re.compile(f"{few.project}$"))


def test_a_thousand_runs_are_sorted_and_all_are_reached(many: Seeded, visit: Visit) -> None:
    page = visit().sign_in(many.project)
    expect(page.get_by_text("1,000 Runs")).to_be_visible()
    assert page.locator("tbody tr").count() < 100  # only those in sight are there
    page.get_by_role("columnheader", name="Cost", exact=True).get_by_role("button").click()
    expect(page.get_by_role("columnheader", name="Cost", exact=True)).to_have_attribute("aria-sort", "descending")
    expect(page).to_have_url(re.compile("sort=-cost"))
    page.get_by_role("columnheader", name="Run").get_by_role("button").click()
    expect(page.get_by_role("columnheader", name="Run")).to_have_attribute("aria-sort", "ascending")
    expect(page.locator("tbody [data-row-link]").first).to_have_text(re.compile("^brave_"))
    shown = rows(page)
    assert shown == sorted(shown)
    page.locator("tbody [data-row-link]").first.focus()
    for known in (200, 400, 600, 800, 1_000):  # each time as far as the list is known, which makes it known further
        expect(page.locator("table")).to_have_attribute("data-known", str(known))
        page.keyboard.press("End")
        expect(page.locator(f"tr[data-index='{known - 1}'] [data-row-link]")).to_be_focused()
    expect(page.locator("tr[data-index='999']")).to_contain_text(re.compile("witty|sweep"))


def test_runs_are_searched_and_filtered_and_the_address_says_how(many: Seeded, visit: Visit) -> None:
    visitor = visit()
    page = visitor.sign_in(many.project)
    expect(page.get_by_text("1,000 Runs")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.insert_text("ramen metrics.accuracy>0.7")  # at once: half of it, searched for, has its own number
    expect(page.get_by_text(re.compile(r"^\d+ Runs found$"))).to_be_visible()
    expect(page.locator("tbody [data-row-link]").first).to_contain_text("ramen")
    assert all("ramen" in name for name in rows(page))
    before = page.get_by_text(re.compile(r"^\d+ Runs found$")).inner_text()
    page.get_by_role("button", name="Completed").click()
    expect(page).to_have_url(re.compile("q=status%3Acompleted"))
    expect(page.get_by_text(re.compile(r"^\d+ Runs found$"))).not_to_have_text(before)
    expect(page.locator("tbody tr:not(.space)").first).to_contain_text("Completed")
    again = visitor.open(page.url.removeprefix(visitor.server.url))
    expect(again.get_by_role("searchbox")).to_have_value("status:completed ramen metrics.accuracy>0.7")
    expect(again.get_by_text(re.compile(r"^\d+ Runs found$"))).to_have_text(
        page.get_by_text(re.compile(r"^\d+ Runs found$")).inner_text()
    )
    page.get_by_role("searchbox").fill("no such run")
    expect(page.get_by_role("heading", name="No Run is like that")).to_be_visible()
    page.get_by_role("button", name="Show all Runs").click()
    expect(page.get_by_text("1,000 Runs")).to_be_visible()
    page.get_by_role("searchbox").fill("metrics.accuracy>high")
    expect(page.get_by_role("alert")).to_contain_text("expected a number")


def test_columns_are_chosen(few: Seeded, visit: Visit) -> None:
    page = visit().sign_in(few.project)
    expect(page.get_by_role("columnheader", name="train_loss")).to_be_visible()
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("metrics.train_loss").uncheck()
    page.get_by_label("config.optimizer.momentum").check()
    expect(page.get_by_role("columnheader", name="train_loss")).to_have_count(0)
    expect(page.get_by_role("columnheader", name="optimizer.momentum")).to_be_visible()
    page.reload()
    expect(page.get_by_role("columnheader", name="optimizer.momentum")).to_be_visible()


def test_the_keyboard_suffices(few: Seeded, visit: Visit) -> None:
    page = visit().sign_in(few.project)
    page.locator("tbody [data-row-link]").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("tr[data-index='1'] [data-row-link]")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(few.runs[-1]))
    plot = page.locator("figure[data-metric=accuracy] .plot")
    drawn(page)
    plot.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("figure[data-metric=accuracy] figcaption")).to_contain_text("step 0")
    page.keyboard.press("+")
    expect(page.get_by_role("button", name="Whole").first).to_be_visible()
    page.keyboard.press("0")
    expect(page.get_by_role("button", name="Whole")).to_have_count(0)
    page.get_by_role("link", name="Prompts").press("Enter")
    page.locator("button[data-version='6']").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("article")).to_have_attribute("aria-label", "prompt, version 5")
    page.get_by_role("link", name="Calls", exact=True).press("Enter")
    page.locator("tbody [data-row-link]").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name=re.compile("^Call"))).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("complementary", name=re.compile("^Call"))).to_have_count(0)


def test_charts_are_smoothed_and_zoomed(few: Seeded, visit: Visit) -> None:
    page = visit().sign_in(few.runs[-1])
    chart = page.locator("figure[data-metric=accuracy]")
    expect(chart).to_have_attribute("data-points", "300")
    drawn(page)  # those that are not there yet are not zoomed with the others, and move what is below them
    page.get_by_label("Smoothing").fill("0.8")
    expect(page).to_have_url(re.compile("smooth=0.8"))
    box = chart.locator(".u-over").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, middle)
    expect(chart.locator("figcaption")).to_contain_text("smoothed")
    other = page.locator("figure[data-metric=cost_per_sample] figcaption")
    expect(other).to_contain_text("step")  # all charts point at the same place
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=4)
    page.mouse.up()
    expect(page.get_by_role("button", name="Whole")).to_have_count(page.locator("figure").count())
    page.get_by_role("button", name="Whole").first.click()
    expect(page.get_by_role("button", name="Whole")).to_have_count(0)
    page.get_by_role("button", name="Log").click()
    page.get_by_role("button", name="Time").click()
    expect(page).to_have_url(re.compile("x=time.*y=log|y=log.*x=time"))


# --- what is said of prompts and calls


def test_a_prompt_shows_what_changed_why_and_what_became_of_it(few: Seeded, visit: Visit) -> None:
    page = visit().sign_in(f"{few.runs[-1]}prompts")
    prompt = page.get_by_role("article")
    expect(prompt).to_have_attribute("aria-label", "prompt, version 6")  # the newest
    expect(prompt.locator("ins").first).to_have_text(re.compile("one line of"))
    expect(prompt.locator(".gradient")).to_have_count(2)
    expect(prompt).to_contain_text("accepted")
    page.locator("button[data-version='5']").click()
    expect(prompt).to_contain_text("training went on with v4")
    page.get_by_label("against").select_option("0")
    expect(page).to_have_url(re.compile("against=0"))
    page.get_by_role("button", name="Text").click()
    expect(prompt.locator("ins, del")).to_have_count(0)


def test_the_cost_of_the_roles_adds_up_to_that_of_the_run(few: Seeded, visit: Visit) -> None:
    visitor = visit()
    page = visitor.sign_in(f"{few.runs[-1]}calls")
    cards = page.locator("[data-role]")
    expect(cards).to_have_count(5)
    picodollars = [round(float(str(card.get_attribute("data-usd"))) * 1e12) for card in cards.all()]
    assert picodollars[0] == sum(picodollars[1:]) > 0
    page.locator("[data-role=backward]").click()
    expect(page).to_have_url(re.compile("role=backward"))
    expect(page.locator("tbody tr[data-call] td:nth-child(2)").first).to_contain_text("backward")


def test_what_a_model_says_is_text(few: Seeded, visit: Visit) -> None:
    page = visit().sign_in(f"{few.runs[-1]}prompts?version=3&show=text")
    expect(page.locator("pre.text").first).to_contain_text(MODEL_TEXT)
    page.locator("button[data-version='3']").click()
    page.get_by_role("button", name="Changes").click()
    expect(page.locator("ins", has_text="<script>").first).to_be_visible()
    page.locator("button[data-version='2']").click()
    expect(page.locator(".gradient", has_text="onerror").first).to_be_visible()
    page.goto(f"{few.runs[-1]}calls")
    expect(page.locator("tbody tr[data-call]").first).to_be_visible()
    number = int(str(page.locator("tbody tr[data-call]").first.get_attribute("data-call")))
    for key in range(number - 7, number):  # every seventh says it
        page.goto(f"{few.runs[-1]}calls?call={key}")
        expect(page.locator(".message-assistant")).to_be_visible()
        if page.locator(".message-assistant").inner_text().find("<script>") >= 0:
            break
    expect(page.locator(".message-assistant pre")).to_have_text(MODEL_TEXT)
    assert page.evaluate("() => window.hacked") is None
    assert page.locator("main img, main script, main b").count() == 0


# --- where there is nothing


def test_where_there_are_no_runs_the_page_says_how_to_begin_one(none: Seeded, visit: Visit) -> None:
    page = visit().sign_in(none.project)
    expect(page.get_by_role("heading", name="No Runs yet")).to_be_visible()
    expect(page.get_by_text("make demo", exact=True)).to_be_visible()
    accessible(page)


def test_where_there_is_no_project_the_page_says_how_to_make_one(page: Page) -> None:
    expect(page.get_by_role("heading", name="No projects yet")).to_be_visible()
    accessible(page)


def test_what_is_not_there_is_said_to_be_not_there(few: Seeded, visit: Visit) -> None:
    visitor = visit()
    visitor.expects("404")
    page = visitor.sign_in(f"{few.project}runs/nobody/")
    expect(page.get_by_role("alert")).to_contain_text("There is no such Run")
    page.goto("/acme/projects/nothing/")
    expect(page.get_by_role("alert")).to_contain_text("There is no such project")


def test_who_is_not_signed_in_is_told_how_and_goes_on_by_themselves(few: Seeded, visit: Visit) -> None:
    visitor = visit()
    visitor.expects("401")
    page = visitor.open(few.runs[0])
    expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
    expect(page.get_by_text("tellurio open acme/support-tickets/")).to_be_visible()
    accessible(page)
    visitor.sign_in("/")  # in another tab
    expect(page.locator("figure[data-metric=accuracy]")).to_be_visible()


# --- how it looks


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"width": 1440, "height": 900}, PHONE], ids=["wide", "phone"])
def test_every_view_is_accessible(few: Seeded, visit: Visit, theme: str, size: dict[str, int]) -> None:
    page = visit(color_scheme=theme, viewport=size).sign_in("/")
    run = few.runs[-1]
    views = {
        "/": ".project",
        few.project: "[data-row-link]",
        run: "figure[data-points='300'] canvas",
        f"{run}prompts": "ins",
        f"{run}prompts?version=5": "del",
        f"{run}calls": "tr[data-call]",
    }
    for path, sign in views.items():
        page.goto(path)
        expect(page.locator(sign).first).to_be_visible()
        accessible(page)
        assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth"), f"{path} is too wide"
    page.locator("tr[data-call]").first.click()
    expect(page.locator(".message").first).to_be_visible()
    accessible(page)


def test_a_theme_is_chosen_and_kept(few: Seeded, visit: Visit) -> None:
    page = visit(color_scheme="light").sign_in(few.project)
    background = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Theme").click()
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate(background) == dark


def test_on_a_phone_runs_are_cards(many: Seeded, visit: Visit) -> None:
    page = visit(viewport=PHONE).sign_in(many.project)
    expect(page.get_by_text("1,000 Runs")).to_be_visible()
    page.locator("a.run-card").first.click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    for tab in ("Prompts", "Calls", "Overview"):
        page.get_by_role("link", name=tab, exact=True).click()
        expect(page.get_by_role("link", name=tab, exact=True)).to_have_attribute("aria-current", "page")
