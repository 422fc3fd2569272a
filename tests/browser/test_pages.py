"""Rule: what an operator needs is to be seen in Airflow's own pages, in words."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import pages
from tests.orchestration.airflow_server import Server
from tests.servers.waiting import until

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not Path(pages.CHROMIUM).exists(), reason="chromium is not installed"),
]


# Summer time ended on the 26th.
WANTED = {"2025-10-20T07:00:00Z": "success", "2025-10-27T08:00:00Z": "success"}


def states(server: Server) -> dict[str, str]:
    """The runs of the weekly history by their occurrences."""
    return {run["logical_date"]: run["state"] for run in server.running.client.runs("weekly-history")}


@pytest.fixture(scope="module")
def page(airflow_server):
    with pages.logged_in(airflow_server.running) as found:
        yield found


@pytest.fixture(scope="module")
def backfill(page, airflow_server, tmp_path_factory) -> None:
    """A backfill that the dialog counted, and started: it runs while the first tests look."""
    airflow_server.wait_for_backfills("weekly-history")
    # Mondays from then on: 4, 11, 18, 25 August; on 1 September nine o'clock is after the range's last instant.
    dialog = pages.backfill_dialog(page, "weekly-history", "2025/08/01", "2025/09/01")
    expect(dialog.get_by_text("4 runs will be triggered")).to_be_visible()
    pages.shot(page, tmp_path_factory.mktemp("backfill"), "backfill-dialog")

    dialog = pages.backfill_dialog(page, "weekly-history", "2025/10/18", "2025/11/01")
    expect(dialog.get_by_text("2 runs will be triggered")).to_be_visible()
    dialog.get_by_role("button", name="Run Backfill").click()
    until(lambda: WANTED.keys() <= states(airflow_server).keys(), "the backfill", pause=0.2)


def test_the_list_says_when_each_export_runs_and_that_a_definition_is_broken(page, backfill, tmp_path):
    pages.dag_list(page)
    for text in (
        "Weekly on Monday 09:00 Europe/Paris",
        "Monthly on day 15 and the Last day 06:00 America/New_York",
        "Balances to three places",
    ):
        expect(page.get_by_text(text).first).to_be_visible()
    pages.shot(page, tmp_path, "dag-list")
    page.locator("button", has_text=re.compile(r"^\s*1\s*$")).first.click()
    expect(page.get_by_text("broken_definitions.py").first).to_be_visible()
    pages.shot(page, tmp_path, "import-error")


def test_the_form_explains_every_field(page, tmp_path):
    form = pages.trigger_form(page, "weekly-history", "What to report")
    for label, words in (
        ("As of", "as it was at this instant"),
        ("From", "First instant of"),
        ("To", "after the period"),
    ):
        expect(form.get_by_text(label, exact=True).first).to_be_visible()
        expect(form.get_by_text(words).first).to_be_visible()
    pages.shot(page, tmp_path, "trigger-form")
    form = pages.trigger_form(page, "three-targets", "Where to deliver")
    expect(form.get_by_text("Make and check the files, deliver nothing.")).to_be_visible()
    expect(form.get_by_text("Deliver to these targets only; all when empty.")).to_be_visible()


def test_a_backfill_is_counted_before_it_starts_and_runs_when_it_does(
    page, backfill, airflow_server, tmp_path
):
    ended = time.monotonic() + 600
    while {date: states(airflow_server).get(date) for date in WANTED} != WANTED:
        assert time.monotonic() < ended, states(airflow_server)
        time.sleep(0.5)
    pages.dag(page, "weekly-history")
    for task in ("pin", "snapshot", "render", "settle"):
        expect(page.get_by_text(task, exact=True).first).to_be_visible()
    pages.shot(page, tmp_path, "grid")
