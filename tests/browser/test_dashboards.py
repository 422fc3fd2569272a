"""Rule: people who look at a chart see what a file says, by eye, by pointer, by keyboard and by ear."""

from __future__ import annotations

import csv
import io
import shutil
import time
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from include.settings import ROOT
from tests.browser import axe, pages

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not Path(pages.CHROMIUM).exists(), reason="chromium is not installed"),
]
BOARD = "/loyalty/dashboards"


@pytest.fixture(scope="module")
def page(airflow_server):
    with pages.logged_in(airflow_server.running) as found:
        yield found


@pytest.fixture(scope="module")
def drawn(page: Page, airflow_server) -> Page:
    """The board, after somebody who found it empty asked for a run."""
    shutil.copy(ROOT / "include" / "exports" / "dashboard.yaml", airflow_server.exports)
    client = airflow_server.running.client
    airflow_server.wait_for_files({"dashboard"})
    page.goto(BOARD)
    expect(page.get_by_text("No run has made figures yet")).to_be_visible()
    page.get_by_role("button", name="Run it now").click()
    until = time.monotonic() + 60
    while not (runs := client.runs("dashboard")):
        assert time.monotonic() < until, "no run came"
        time.sleep(0.5)
    assert client.wait_for_run("dashboard", runs[0]["dag_run_id"], 600) == "success"
    page.goto(BOARD)
    return page


def rows(figure: Locator) -> list[list[str]]:
    """The rows of a figure's table as they stand there."""
    found = figure.locator("tbody tr").evaluate_all(
        "all => all.map(row => [...row.cells].map(c => c.textContent))"
    )
    return [[str(cell) for cell in row] for row in found]


def test_the_board_is_there_and_its_figures_are_current(drawn: Page, tmp_path):
    expect(drawn.locator("figure")).to_have_count(13)
    expect(drawn.get_by_text("no later run has finished yet")).to_have_count(0)
    pages.shot(drawn, tmp_path, "dashboards")


def test_pointer_and_arrow_keys_read_the_rows_of_the_table(drawn: Page):
    # The sample ledger ends before today: a frame in which something happened.
    drawn.goto(f"{BOARD}?frame=custom&from=2026-06-01&to=2026-06-20")
    figure = drawn.locator("#earned-redeemed")
    table = rows(figure)
    assert len(table) == 20
    place = figure.locator(".wide")
    place.scroll_into_view_if_needed()
    tip = place.locator(".tip")
    place.focus()
    for expected in table[:3]:
        drawn.keyboard.press("ArrowRight")
        for cell in expected:
            expect(tip).to_contain_text(cell)
    drawn.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    box = place.locator("svg").bounding_box()
    assert box is not None
    drawn.mouse.move(box["x"] + box["width"] - 8, box["y"] + box["height"] / 2)
    expect(tip).to_contain_text(table[-1][0])


def test_a_csv_has_the_rows_of_the_page(drawn: Page):
    figure = drawn.locator("#points")
    with drawn.expect_download() as download:
        figure.get_by_role("link", name="CSV").click()
    found = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(), newline="")))
    shown = rows(figure)
    assert len(found) == len(shown) + 1
    assert [[float(cell) for cell in row[1:]] for row in found[1:]] == [
        [float(cell.replace(",", "")) for cell in row[1:]] for row in shown
    ]


def test_a_png_is_in_the_colours_of_the_page(drawn: Page):
    drawn.emulate_media(color_scheme="dark")
    with drawn.expect_download() as download:
        drawn.locator("#members").get_by_role("link", name="PNG").click()
    drawn.emulate_media(color_scheme=None)
    assert "theme=dark" in download.value.url
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_another_program_is_chosen_and_the_days_stay(drawn: Page):
    drawn.locator("#program").select_option("travel")
    drawn.wait_for_url("**program=travel**")
    expect(drawn.locator("[name=program]").first).to_have_value("travel")
    expect(drawn.get_by_text("1 \N{EN DASH} 20 Jun 2026").first).to_be_visible()


def test_nothing_keeps_anybody_out(drawn: Page):
    for path in (BOARD, f"{BOARD}/cohorts"):
        drawn.goto(path)
        assert axe.findings_everywhere(drawn, impacts=axe.EVERY) == []
