"""Inside Airflow: the entry, the tab of a DAG, its light and dark, and addresses that can be shared."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import axe
from tests.browser.pages import CHROMIUM
from tests.web.exports.made import export

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="chromium is not installed"),
]
FRAME = "iframe[title='Loyalty']"
DAGS = """
from airflow.sdk import DAG
export, other = DAG("month-end"), DAG("other-work")
"""


@pytest.fixture(autouse=True)
def no_files(tmp_path, monkeypatch):
    """No YAML file brings an export."""
    (tmp_path / "exports").mkdir()
    monkeypatch.setenv("LOYALTY_EXPORTS", str(tmp_path / "exports"))


@pytest.fixture
def dags(api_server, tmp_path):
    """Airflow knows two DAGs, one of which runs an export."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "two.py").write_text(DAGS)
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(DagBag(folder, bundle_path=folder, bundle_name="dags-folder"), "dags-folder", None)


def test_the_entry_opens_the_list_and_airflow_shows_its_address(opened, installation):
    export(installation.context, "month-end")
    export(installation.context, "weekly")
    page = opened()
    page.goto("/")
    page.get_by_role("link", name="Loyalty").first.click()
    frame = page.frame_locator(FRAME)
    expect(frame.get_by_role("heading", name="Exports")).to_be_visible()
    page.wait_for_url("**/plugin/loyalty/loyalty/exports")
    frame.get_by_label("Search by name").fill("week")
    expect(frame.locator("tbody th a")).to_have_text(["Weekly"])
    page.wait_for_url("**/plugin/loyalty/loyalty/exports?q=week")
    page.reload()
    expect(frame.locator("tbody th a")).to_have_text(["Weekly"])
    frame.locator("tbody th a").click()
    page.wait_for_url("**/plugin/loyalty/loyalty/exports/weekly")


def test_light_and_dark_are_those_of_airflow(opened, installation):
    page = opened(color_scheme="light")
    page.goto("/plugin/loyalty")
    frame = page.frame_locator(FRAME)
    expect(frame.get_by_role("heading", name="No exports yet")).to_be_visible()
    ours = "() => getComputedStyle(document.body).backgroundColor"
    theirs = "() => getComputedStyle(document.documentElement).backgroundColor"
    body = frame.locator("body")
    assert body.evaluate(ours) == page.evaluate(theirs) == "rgb(255, 255, 255)"
    page.evaluate("localStorage.setItem('theme', 'dark')")
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(frame.get_by_role("heading", name="No exports yet")).to_be_visible()
    told = page.evaluate("localStorage.getItem('theme')"), page.locator("html").get_attribute("class")
    assert body.evaluate(ours) == "rgb(22, 29, 45)", told


def test_the_tab_of_a_dag_shows_its_export(opened, installation, dags):
    export(installation.context, "month-end")
    page = opened()
    page.goto("/dags/month-end")
    page.locator("a[href$='plugin/loyalty-export']").click()
    frame = page.frame_locator(FRAME)
    expect(frame.get_by_role("heading", name="Month end", level=1)).to_be_visible()
    page.wait_for_url("**/dags/month-end/plugin/loyalty-export")
    page.goto("/dags/other-work/plugin/loyalty-export")
    expect(frame.get_by_role("heading", name="other-work is not an export")).to_be_visible()


def test_a_link_to_airflow_leaves_the_frame(opened, installation, dags):
    page = opened()
    page.goto("/plugin/loyalty")
    frame = page.frame_locator(FRAME)
    heading = frame.get_by_role("heading", name="No exports yet")
    expect(heading).to_be_visible()
    heading.evaluate("e => e.innerHTML = '<a data-airflow href=\"../dags/other-work\">to Airflow</a>'")
    frame.get_by_role("link", name="to Airflow").click()
    page.wait_for_url("**/dags/other-work")
    expect(page.locator("iframe")).to_have_count(0)
    page.go_back()
    expect(frame.get_by_role("heading", name="No exports yet")).to_be_visible()


def test_in_the_frame_too_everybody_can_use_it(opened, installation):
    export(installation.context, "month-end")
    page = opened()
    page.goto("/plugin/loyalty")
    expect(page.frame_locator(FRAME).get_by_role("heading", name="Exports")).to_be_visible()
    [frame] = [each for each in page.frames if "/loyalty/exports" in each.url and each != page.main_frame]
    assert axe.findings(frame) == []
