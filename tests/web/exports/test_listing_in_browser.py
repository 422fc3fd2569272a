"""The list in a real browser: for everybody, by keyboard alone, on a phone, in the dark, without scripts, and live."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from include.state.runs import RunStatus
from tests.browser import axe
from tests.browser.pages import CHROMIUM
from tests.web.exports.made import export, finished, run

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="chromium is not installed"),
]
LIST = "/loyalty/exports"


@pytest.fixture(autouse=True)
def no_files(tmp_path, monkeypatch):
    """No YAML file brings an export."""
    (tmp_path / "exports").mkdir()
    monkeypatch.setenv("LOYALTY_EXPORTS", str(tmp_path / "exports"))


@pytest.fixture
def every_status(installation):
    """An export of each status, as broad as they come."""
    context = installation.context
    long = "Everything that the finance department has ever asked us for, in one file"
    export(context, "finished", name=long, owner="marketing.operations@shop.example")
    finished(context, "finished")
    export(
        context,
        "failed",
        targets=[{"kind": "folder", "name": f"place-{n}", "options": {"folder": f"{n}"}} for n in range(4)],
    )
    context.state.runs.finish(run(context, "failed").run_key, RunStatus.FAILED)
    export(context, "processing", "somebody.with.a.long.name@shop.example")
    context.state.runs.progress(run(context, "processing").run_key, "book", 1000, 4000)
    export(context, "waiting")
    run(context, "waiting")
    export(context, "paused", paused=True, timezone="America/Argentina/ComodRivadavia")
    export(context, "pending", schedule=None)
    return context


@pytest.mark.parametrize("path", [LIST, f"{LIST}?q=nothing+like+it", "/loyalty/dags/loyalty-upkeep"])
def test_everybody_can_use_it(opened, every_status, path):
    page = opened()
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert axe.findings_everywhere(page, impacts=axe.EVERY) == []
    for size in (axe.WIDE, axe.PHONE):
        page.set_viewport_size(size)
        assert axe.wider_than_shown(page) <= 0


def test_everybody_can_use_it_before_there_is_anything(opened, installation):
    page = opened()
    page.goto(LIST)
    expect(page.get_by_role("heading", name="No exports yet")).to_be_visible()
    assert axe.findings_everywhere(page, impacts=axe.EVERY) == []


def test_what_is_wrong_is_found(opened, installation):
    page = opened()
    page.goto(LIST)
    page.evaluate("document.querySelector('main').innerHTML = '<img src=\"data:,\"><button></button><input>'")
    assert len(axe.findings(page)) == 3


def test_by_keyboard_alone(opened, every_status):
    page = opened()
    page.goto(LIST)
    focused: list[str] = []
    for _ in range(22):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "() => [document.activeElement.id || document.activeElement.textContent.trim(),"
            " parseFloat(getComputedStyle(document.activeElement).outlineWidth)]"
        )
        assert outline >= 2, name
        focused.append(name)
    wanted = ["Skip to the content", "Exports", "New export", "q", "status", "model", "target", "owner"]
    wanted += ["by-name", "by-status", "by-next_at"]
    assert [each for each in focused if each in wanted] == wanted

    page.goto(LIST)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("/")
    page.keyboard.type("failed")
    expect(page.locator("tbody tr")).to_have_count(1)
    assert page.url.endswith("/exports?q=failed")
    assert page.evaluate("document.activeElement.id") == "q"
    expect(page.get_by_role("status").first).to_have_text("1 to 1 of 1 export")
    page.locator("#by-name").press("Enter")
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Name")
    assert page.evaluate("document.activeElement.id") == "by-name"
    page.go_back()
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Created at")
    assert page.url.endswith("/exports?q=failed")
    page.locator("tbody th a").press("Enter")
    page.wait_for_url("**/exports/failed")


def test_names_for_who_cannot_see(opened, every_status):
    page = opened()
    for size in (axe.WIDE, axe.PHONE):
        page.set_viewport_size(size)
        page.goto(LIST)
        expect(page.get_by_role("search", name="Exports")).to_be_visible()
        for name in ("Search by name, id or description", "Status", "Model", "Target", "Owner"):
            expect(page.get_by_label(name, exact=True)).to_be_visible()
        row = page.get_by_role("row", name="Processing")
        expect(row.get_by_role("progressbar", name="Processing")).to_have_attribute("value", "0.25")
        expect(row.get_by_role("rowheader").get_by_role("link", name="Processing")).to_be_visible()
        expect(page.get_by_role("columnheader", name="Created at")).to_have_attribute(
            "aria-sort", "descending"
        )


def test_a_run_is_followed_until_it_ends_and_no_longer(opened, installation):
    context = installation.context
    export(context, "quick")
    export(context, "still")
    made = run(context, "quick")
    context.state.runs.progress(made.run_key, "book", 1000, 4000)
    page = opened()
    asked: list[str] = []
    page.on("request", lambda request: "/processing" in request.url and asked.append(request.url))
    page.goto(LIST)
    expect(page.locator("#status-quick")).to_contain_text("1,000 of 4,000 rows")
    page.locator("tbody th a").first.focus()
    context.state.runs.progress(made.run_key, "book", 3000, 4000)
    expect(page.locator("#status-quick")).to_contain_text("3,000 of 4,000 rows")
    expect(page.locator("#status-quick progress")).to_have_attribute("value", "0.75")
    assert (
        page.evaluate("document.activeElement.textContent") == "Still"
    )  # nobody is thrown out of where they are
    context.state.runs.finish(made.run_key, RunStatus.DONE)
    expect(page.locator("#status-quick")).to_have_text("Active Finished")
    expect(page.locator("#ended")).to_have_text("Quick: Finished.")
    seen = len(asked)
    page.wait_for_timeout(5000)
    assert len(asked) == seen
    assert all(each.endswith("?id=quick") for each in asked)


def test_the_day_and_hour_of_whoever_looks(opened, installation):
    export(installation.context, "one")
    page = opened(timezone_id="America/Los_Angeles")  # 06:00 in Paris is the evening before
    page.goto(LIST)
    expect(page.locator("[id=next-one]")).to_contain_text("06:00 Europe/Paris")
    expect(page.locator("[id=next-one] .own")).to_contain_text("your time")
    assert ", 2" in page.locator("[id=next-one] .own").inner_text()
    page = opened(timezone_id="Europe/Berlin")
    page.goto(LIST)
    expect(page.locator("[id=next-one]")).to_contain_text("06:00 Europe/Paris")
    expect(page.locator("[id=next-one] .own")).to_have_count(0)


def test_light_and_dark_follow_airflow(opened, installation):
    page = opened(color_scheme="light")
    page.goto(LIST)
    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    other = page.context.new_page()  # Airflow's own window sets it
    other.goto("/loyalty/static/loyalty.svg")
    other.evaluate("localStorage.setItem('theme', 'dark')")
    expect(page.locator("body")).to_have_css("background-color", "rgb(22, 29, 45)")
    other.evaluate("localStorage.setItem('theme', 'system')")
    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")


def test_without_scripts(opened, installation):
    for name in ("one", "two"):
        export(installation.context, name)
    page = opened(java_script_enabled=False)
    page.goto(LIST)
    page.get_by_label("Search by name").fill("two")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody th a")).to_have_text(["Two"])
    page.get_by_role("link", name="Name").click()
    assert "q=two" in page.url
