"""The dashboards over HTTP: who sees them, what stands on them, and that a picture says what the file says."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from include.pipeline import Context
from include.pipeline.dashboards.board import CHARTS
from include.settings import Settings
from include.state.audit import Action
from include.state.runs import RunRecord, RunStatus
from tests.pipeline.dashboards.made import lines

Browser = Callable[..., Any]
ROOT = "/loyalty/dashboards"
SVG = "{http://www.w3.org/2000/svg}"
pytestmark = pytest.mark.slow


def test_nobody_sees_them_without_a_login(browser: Browser):
    for path in (
        ROOT,
        f"{ROOT}/members",
        f"{ROOT}/members.csv",
        f"{ROOT}/members.png",
        f"{ROOT}/members.svg",
    ):
        answer = browser().get(path)
        assert answer.status_code == 303
        assert "/login" in answer.headers["location"]
        assert browser().get(path, headers={"accept": "*/*"}).status_code == 401


def test_who_may_not_see_the_export_sees_no_chart(browser: Browser):
    for path in (
        ROOT,
        f"{ROOT}/members",
        f"{ROOT}/members.csv",
        f"{ROOT}/members.png",
        f"{ROOT}/members.svg",
    ):
        assert browser("care").get(path).status_code == 403  # may read another export only


def test_a_board_has_every_chart_with_its_table_its_files_and_its_source(browser: Browser, run: RunRecord):
    answer = browser("olga").get(ROOT)
    assert answer.status_code == 200
    page = answer.text
    for name in CHARTS:
        assert f'<figure class="card" id="{name}"' in page
        assert f'/dashboards/{name}.csv?program=club&amp;frame=last_30_days"' in page
    assert page.count("<table") == len(CHARTS)
    assert page.count('role="img"') == 2 * len(CHARTS) - 1  # wide and narrow; the heat map keeps its width
    for each in run.files:
        if each.get("export"):
            assert f"/files/{run.run_key}/{each['name']}" in page
            assert each["sha256"] in page
    assert "24 May \N{EN DASH} 22 Jun 2026" in page
    assert "The figures end with 22 June 2026" in page  # today is later


def test_nothing_in_a_page_needs_an_inline_style_or_script(browser: Browser):
    for path in (ROOT, f"{ROOT}/cohorts"):
        page = browser("admin", "ADMIN").get(path).text
        assert not re.search(r"<[^>]*\sstyle=|<style|<script(?![^>]* src=)|\son[a-z]+=", page)
        ids = re.findall(r'\bid="([^"]+)"', page)
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize("frame", ["last_7_days", "previous_month", "last_12_months"])
def test_a_csv_is_what_the_file_says(frame: str, browser: Browser, run: RunRecord, settings: Settings):
    answer = browser("olga").get(f"{ROOT}/members.csv?program=travel&frame={frame}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="members_travel_\d{4}-\d\d-\d\d_\d{4}-\d\d-\d\d.csv"',
        answer.headers["content-disposition"],
    )
    found = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    rows = {
        row["date"]: row["total_members"]
        for row in lines(Context.from_settings(settings), run, "members")
        if row["program_id"] == "travel"
    }
    assert {row["Day"]: Decimal(row["Members (customers)"]) for row in found} == {
        day: rows[day] for day in (row["Day"] for row in found)
    }
    assert len(found) > 6


def test_the_table_of_a_page_has_the_rows_of_the_csv(browser: Browser):
    client = browser("olga")
    page = client.get(f"{ROOT}/earned-redeemed?frame=last_7_days").text
    cells = [
        [
            re.sub(r"<[^>]+>", "", cell).replace(",", "")
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        ]
        for row in re.findall(r"<tr>(.*?)</tr>", page.split("<tbody>")[1], re.DOTALL)
    ]
    rows = list(
        csv.reader(io.StringIO(client.get(f"{ROOT}/earned-redeemed.csv?frame=last_7_days").text, newline=""))
    )
    assert [[Decimal(cell) for cell in row[1:]] for row in cells] == [
        [Decimal(cell) for cell in row[1:]] for row in rows[1:]
    ]


def test_pictures_stand_alone_and_are_the_same_each_time(browser: Browser, run: RunRecord):
    client = browser("olga")
    for name in CHARTS:
        answer = client.get(f"{ROOT}/{name}.svg")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
        picture = ET.fromstring(answer.content)
        assert all(picture.findtext(f"{SVG}{each}") for each in ("title", "desc"))
        assert any(
            run.files[0]["name"].split("_")[0] in (each.text or "") for each in picture.iter(f"{SVG}text")
        )
        assert client.get(f"{ROOT}/{name}.svg").content == answer.content
        png = client.get(f"{ROOT}/{name}.png")
        assert png.content.startswith(b"\x89PNG\r\n")
        assert png.content == client.get(f"{ROOT}/{name}.png").content
    light, dark = (client.get(f"{ROOT}/members.svg?theme={theme}").text for theme in ("light", "dark"))
    assert "#ffffff" in light
    assert "#ffffff" not in dark


def test_names_are_for_who_may_see_personal_data_and_a_download_is_told(
    browser: Browser, run: RunRecord, settings: Settings
):
    context = Context.from_settings(settings)
    names = {row["customer_name"] for row in lines(context, run, "top-earners")} - {None}
    for user, role, may in (("olga", "VIEWER", False), ("admin", "ADMIN", True)):
        client = browser(user, role)
        for path in (ROOT, f"{ROOT}/top-earners", f"{ROOT}/top-earners.csv", f"{ROOT}/top-earners.svg"):
            text = client.get(path).text.replace("&#39;", "'")
            assert any(name in text for name in names) is may, path
    told = [entry for entry in context.state.audit.entries() if entry.action == Action.DOWNLOADED]
    assert [(entry.actor, entry.detail["file"]) for entry in told] == [
        ("admin", "top-earners.csv"), ("admin", "top-earners.svg"),
    ]  # fmt: skip


def test_days_of_ones_own_and_what_is_wrong_with_them(browser: Browser):
    client = browser("olga")
    assert (
        "1 \N{EN DASH} 10 May 2026" in client.get(f"{ROOT}?frame=custom&from=2026-05-01&to=2026-05-10").text
    )
    answer = client.get(f"{ROOT}?frame=custom&from=2031-01-01&to=<script>")
    assert answer.status_code == 422
    assert "a day such as 2026-05-31" in answer.text
    assert "<script>" not in answer.text
    assert "Last 30 days" in answer.text  # the usual board stands below
    for query in ("frame=forever", "program=nobody", "frame=custom&from=&to="):
        assert client.get(f"{ROOT}/members.csv?{query}").status_code == 422
    assert client.get(f"{ROOT}?program={'x' * 201}").status_code == 422


@pytest.mark.parametrize(
    "name", ["nothing", "members.exe", "members.csv.csv", "..", "members.", "%2e%2e%2fx"]
)
def test_what_is_no_chart_is_not_found(name: str, browser: Browser):
    expected = {404} if name not in ("..", "members.") else {404, 303, 200, 307}
    assert browser("olga").get(f"{ROOT}/{name}").status_code in expected


def test_the_button_is_for_who_may_run_the_export(browser: Browser):
    action = 'action="../exports/dashboard/run"'.replace("../", "./")
    assert action in browser("admin", "ADMIN").get(ROOT).text
    assert action not in browser("olga").get(ROOT).text


def test_without_a_run_the_page_says_so_and_offers_one(
    browser: Browser, run: RunRecord, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    context = Context.from_settings(settings)
    context.state.runs.files_gone(run.run_key, "retention", {})
    answer = browser("admin", "ADMIN").get(ROOT)
    assert answer.status_code == 200
    assert "No run has made figures yet" in answer.text
    assert "Run it now" in answer.text
    assert "form_token" in answer.text
    assert "Run it now" not in browser("olga").get(ROOT).text
    assert browser("olga").get(f"{ROOT}/members.csv").status_code == 404


def test_an_installation_without_the_export_is_told_what_is_missing(
    browser: Browser, run: RunRecord, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    Context.from_settings(settings).state.runs.files_gone(run.run_key, "retention", {})
    (tmp_path / "exports").mkdir()
    monkeypatch.setenv("LOYALTY_EXPORTS", str(tmp_path / "exports"))
    page = browser("admin", "ADMIN").get(ROOT).text
    assert "this installation has none" in page
    assert "Run it now" not in page


def test_a_run_at_work_is_waited_for_and_a_dead_one_is_not(
    browser: Browser, run: RunRecord, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    context = Context.from_settings(settings)
    context.state.runs.pin(
        run.model_copy(
            update={
                "run_key": "",
                "request_key": "",
                "revision": 3,
                "status": RunStatus.PINNED,
                "artefacts": None,
            }
        )
    )
    assert "New figures are being made" in browser("admin", "ADMIN").get(ROOT).text
    monkeypatch.setattr("include.web.dashboards.page.SILENT", timedelta(0))
    assert "Run it now" in browser("admin", "ADMIN").get(ROOT).text


def test_a_damaged_file_costs_its_charts_only(browser: Browser, run: RunRecord, settings: Settings):
    store = Context.from_settings(settings).store
    [entry] = [each for each in run.files if each.get("export") == "expiry"]
    store.delete(entry["key"])
    from include.pipeline.dashboards import reading

    reading._held.clear()
    answer = browser("olga").get(ROOT)
    assert answer.status_code == 200
    assert "is not kept any more" in answer.text
    assert '<figure class="card" id="expiry"' not in answer.text
    assert '<figure class="card" id="members"' in answer.text
    assert browser("olga").get(f"{ROOT}/expiry.png").status_code == 404
