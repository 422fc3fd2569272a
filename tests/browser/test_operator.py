"""Rule: an operator who has never seen YAML makes an export, runs it, and has its file, inside Airflow."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from include.formats.manifest import SUFFIX
from include.settings import ROOT
from tests.browser import pages

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not Path(pages.CHROMIUM).exists(), reason="chromium is not installed"),
]


@pytest.fixture(scope="module")
def page(airflow_server):
    with pages.logged_in(airflow_server.running) as found:
        yield found


def ours(page: Page) -> FrameLocator:
    """Our pages, in Airflow's frame."""
    return page.frame_locator("iframe")


def fill(frame: FrameLocator, name: str, text: str) -> None:
    frame.locator(f"[name='{name}']").fill(text)


def test_from_the_login_to_a_verified_file(page, airflow_server, tmp_path):
    page.goto("/")
    page.get_by_role("link", name="Loyalty").first.click()
    frame = ours(page)
    expect(frame.get_by_role("heading", name="Exports")).to_be_visible()
    expect(frame.get_by_role("link", name="Weekly history")).to_be_visible()
    frame.get_by_role("link", name="New export").click()
    expect(frame.get_by_role("heading", name="What do you want to export?")).to_be_visible()
    frame.get_by_role("searchbox").fill("balance")
    frame.get_by_role("link", name=re.compile(r"^Balances")).first.click()
    expect(frame.get_by_role("heading", name="New export: Balances")).to_be_visible()

    fill(frame, "name", "Café points, daily")
    frame.get_by_role("button", name="Create", exact=True).click()  # too early: it says what is missing
    expect(frame.get_by_role("alert")).to_contain_text("put right")
    expect(frame.locator("[name='name']")).to_have_value("Café points, daily")
    if not frame.locator("[name='targets.0.kind']").count():
        frame.get_by_role("button", name="Add a destination").click()
    frame.locator("[name='targets.0.kind']").select_option("folder")
    fill(frame, "targets.0.options.folder", "cafe")
    fill(frame, "timezone", "Europe/Paris")
    frame.locator("[name='schedule.kind']").select_option("monthly")
    frame.locator("[name='schedule.days'][value='last']").check()
    fill(frame, "schedule.time", "02:30")
    frame.get_by_role("button", name="Test", exact=True).click()
    expect(frame.locator("#target-0-tried")).not_to_be_empty()
    expect(frame.locator("#next-runs")).to_contain_text("02:30")
    frame.get_by_role("button", name="Show the first 10 rows").click()
    expect(frame.locator("#preview-rows table, #preview-rows .note").first).to_be_visible(timeout=120_000)
    pages.shot(page, tmp_path, "new-export")
    frame.get_by_role("button", name="Create", exact=True).click()
    expect(frame.get_by_role("heading", name="Café points, daily")).to_be_visible()
    expect(frame.get_by_text("Every month on the Last day at 02:30 Europe/Paris")).to_be_visible()
    airflow_server.running.client.wait_for_dags({"cafe-points-daily"})

    frame.get_by_role("button", name="Run now").click()
    expect(frame.locator("#runs").get_by_text("done", exact=True)).to_be_visible(timeout=300_000)
    pages.shot(page, tmp_path, "export-page")
    with page.expect_download() as download:
        frame.locator("#runs").get_by_role("link", name=re.compile(r"\.csv\.gz$")).click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert gzip.decompress(path.read_bytes()).count(b"\n") > 100
    delivered = airflow_server.home / "cafe" / path.name
    assert delivered.read_bytes() == path.read_bytes()
    manifest = f"{delivered}{SUFFIX}"
    command = [sys.executable, "-m", "include.cli", "verify", manifest]
    assert subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0


def test_two_people_edit_at_once_and_nothing_is_lost(page, airflow_server):
    page.goto("/loyalty/exports/cafe-points-daily/edit")
    other = page.context.new_page()
    other.goto("/loyalty/exports/cafe-points-daily/edit")
    other.locator("[name='description']").fill("theirs")
    other.get_by_role("button", name="Save", exact=True).click()
    expect(other.get_by_role("heading", name="Café points, daily")).to_be_visible()
    page.locator("[name='description']").fill("mine")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("button", name="Save mine over it")).to_be_visible()
    expect(page.locator("[name='description']")).to_have_value("mine")
    page.get_by_role("button", name="Save mine over it").click()
    page.goto("/loyalty/exports/cafe-points-daily/versions")
    expect(page.get_by_role("row")).to_have_count(4)  # its head, and three edits
    other.close()


def test_a_login_that_is_over_keeps_what_was_typed(page, airflow_server):
    page.goto("/loyalty/exports/cafe-points-daily/edit")
    page.locator("[name='description']").fill("typed before the login was over")
    page.context.clear_cookies()
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator("input[name=username]").fill(pages.USER)
    page.locator("input[name=password]").fill(pages.password(airflow_server.running.home))
    page.locator("button[type=submit]").click()
    page.wait_for_url("**/edit")
    expect(page.locator("[name='description']")).to_have_value("typed before the login was over")


def test_the_tab_of_a_dag_shows_its_export(page):
    page.goto("/dags/weekly-history")
    page.get_by_role("link", name="Loyalty").last.click()
    expect(ours(page).get_by_role("heading", name="Weekly history")).to_be_visible()


def test_an_export_is_cloned_and_deleted_and_its_history_stays(page, airflow_server):
    page.goto("/loyalty/exports/weekly-history/clone")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("heading", name="Copy of Weekly history")).to_be_visible()
    page.get_by_text("More", exact=True).click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete this export").click()
    expect(page.get_by_text("Copy of Weekly history is deleted")).to_be_visible()
    page.goto("/loyalty/exports?q=Copy+of+Weekly")
    expect(page.get_by_role("link", name="Copy of Weekly history")).to_have_count(0)
    page.goto("/loyalty/exports/weekly-history-copy")
    expect(page.get_by_text("deleted").first).to_be_visible()
