"""Airflow's own application does what the pages ask, as the asking user: its rights, its rows, its audit log."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from include.web.scheduler import in_words
from tests.web.exports.conftest import dag_runs, press, told
from tests.web.exports.made import export

pytestmark = pytest.mark.slow  # Airflow's application takes seconds to start

PAGE = "/loyalty/exports/month-end"


@pytest.fixture
def month_end(installation, known):
    """An export that Airflow knows, of which two periods have passed on schedule."""
    found = export(
        installation.context,
        "month-end",
        model="liability",
        period="this_month",
        schedule={"kind": "monthly", "days": ["last"], "time": "06:00"},
        targets=[
            {"kind": "folder", "name": name, "options": {"folder": name}} for name in ("finance", "board")
        ],
    )
    known(found.document)
    return found


def log_of(dag_id: str) -> list[tuple[str, str]]:
    from airflow.models import Log
    from airflow.utils.session import create_session

    with create_session() as session:
        return [(row.event, row.owner) for row in session.query(Log).filter(Log.dag_id == dag_id)]


def test_a_run_is_airflows_by_the_user_with_what_was_asked(browser, month_end):
    client = browser("olga", "ADMIN")
    answer = press(
        client,
        PAGE,
        f"{PAGE}/run",
        start="2026-01-01T00:00",
        end="2026-02-01T00:00",
        targets="board",
        dry_run="yes",
    )
    assert "dry run is asked for" in told(client, answer)
    [run] = dag_runs("month-end")
    assert (run.triggering_user_name, run.run_type, run.state) == ("olga", "manual", "queued")
    # Midnight of Paris in January.
    assert run.conf == {
        "start": "2025-12-31T23:00:00+00:00",
        "end": "2026-01-31T23:00:00+00:00",
        "targets": ["board"],
        "dry_run": True,
    }
    assert ("trigger_dag_run", "olga") in log_of("month-end")
    shown = client.get(f"{PAGE}/airflow")
    assert "by olga" in shown.text
    assert "dry run, from 2025-12-31T23:00:00+00:00" in shown.text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"as_of": "yesterday"}, "must be a date and time"),
        ({"as_of": "2999-01-01T00:00"}, "must not lie in the future"),
        ({"as_of": "2026-01-01T00:00", "end": "2026-01-01T00:00"}, "give one of the two"),
        ({"start": "2026-01-01T00:00"}, "needs its end too"),
        ({"start": "2026-02-01T00:00", "end": "2026-01-01T00:00"}, "must start before it ends"),
        ({"targets": "nowhere"}, "the targets of this export are finance, board"),
        ({"as_of": "0001-01-01T00:00+23:59"}, "must be a date and time"),
    ],
)
def test_what_cannot_be_run_is_told_and_nothing_begins(browser, month_end, fields, words):
    client = browser("olga", "ADMIN")
    answer = press(client, PAGE, f"{PAGE}/run", **fields)
    assert answer.status_code == 422
    assert words in answer.text
    assert dag_runs("month-end") == []


def test_airflow_decides_who_may_run(browser, month_end):
    token = press(browser("olga", "ADMIN"), PAGE, f"{PAGE}/run", dry_run="yes")
    assert token.status_code == 303
    viewer = browser("vera", "VIEWER")
    page = viewer.get(PAGE)
    assert page.status_code == 200
    assert "Run now" not in page.text
    refused = viewer.post(f"{PAGE}/run", data={})
    assert refused.status_code == 403
    assert len(dag_runs("month-end")) == 1


def test_a_backfill_says_first_what_it_makes_and_starts_just_that(browser, month_end):
    client = browser("olga", "ADMIN")
    asked = f"{PAGE}/backfill?first=2026-01-01&last=2026-03-31&again=none"
    page = client.get(asked)
    assert page.status_code == 200, page.text
    assert "Start these 3 runs" in page.text
    for period in ("2026-01", "2026-02", "2026-03"):
        assert f'<td data-label="Reports">{period}</td>' in page.text
    assert dag_runs("month-end") == []
    form = {"first": "2026-01-01", "last": "2026-03-31", "again": "none", "do": "start"}
    wrong = press(client, asked, f"{PAGE}/backfill", **form, count="12")
    assert wrong.status_code == 422
    assert "there are 3 runs now" in wrong.text
    answer = press(client, asked, f"{PAGE}/backfill", **form, count="3")
    assert "backfill has begun: 3 runs" in told(client, answer)

    active = client.get(asked)
    assert "Airflow runs one backfill of an export at a time" in active.text
    again = press(client, asked, f"{PAGE}/backfill", **form, count="3")
    assert again.status_code in {409, 422}
    ended = press(client, asked, f"{PAGE}/backfill", do="cancel")
    assert "The backfill is ended" in told(client, ended)
    assert "at work" not in client.get(asked).text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("first=2026-02-30&last=2026-03-01", "must be a day"),
        ("first=2026-03-01&last=2026-02-01", "must not lie after the last day"),
        ("first=2999-01-01&last=2999-02-01", "must be a day"),
        ("first=2199-01-01&last=2199-02-01", "must not lie in the future"),
        ("first=2026-01-01&last=2026-02-01&again=twice", "must be one of"),
        ("first=%00&last=%F0%9F%92%A9", "must be a day"),
    ],
)
def test_a_range_that_is_none_is_told(browser, month_end, query, words):
    page = browser("olga", "ADMIN").get(f"{PAGE}/backfill?{query}")
    assert page.status_code == 200
    assert words in page.text


def test_too_many_runs_are_refused_before_airflow_makes_them(browser, installation, known):
    found = export(installation.context, "month-end")
    known(found.document)
    page = browser("olga", "ADMIN").get(f"{PAGE}/backfill?first=2000-01-01&last=2026-01-01")
    assert "more than 1,000 runs" in page.text


def test_airflows_pause_holds_everything_and_is_said_on_the_page(browser, month_end):
    client = browser("olga", "ADMIN")
    airflow = f"{PAGE}/airflow"
    assert "Pause in Airflow" in client.get(airflow).text
    answer = press(client, airflow, f"{PAGE}/hold", do="pause")
    assert "holds back every run" in told(client, answer)
    assert "Paused in Airflow" in client.get(airflow).text
    press(client, airflow, f"{PAGE}/hold", do="resume")
    assert "Paused in Airflow" not in client.get(airflow).text


def test_an_export_that_airflow_does_not_know_yet(browser, installation):
    export(installation.context, "brand-new")
    client = browser("olga", "ADMIN")
    page = "/loyalty/exports/brand-new"
    assert "A new one is known after some seconds" in client.get(f"{page}/airflow").text
    answer = press(client, page, f"{page}/run")
    assert answer.status_code == 404
    assert "A new one is known after some seconds" in answer.text


def test_a_login_that_is_over_leads_to_the_login(browser, month_end):
    client = browser("olga", "ADMIN")
    client.cookies.set("_token", "nonsense")
    answer = client.get(f"{PAGE}/airflow")
    assert answer.status_code in {303, 403}


def test_errors_of_airflow_are_said_in_words():
    assert "one at a time" in in_words(409, "There is already a running backfill for dag x")
    assert "such a run already" in in_words(409, "DAGRun already exists")
    assert "an administrator" in in_words(403, "Forbidden").lower()
    assert (
        in_words(500, "Internal Server Error")
        == in_words(503, "")
        == ("Airflow could not do it now. Please try again in a minute.")
    )
    assert in_words(400, "bad conf") == "Airflow did not take it: bad conf"


PREFIXED = """
import json, re, sys
import tests.airflow_environment
from airflow.api_fastapi.app import create_app
from airflow.utils.db import initdb
from starlette.testclient import TestClient
from tests.web.conftest import login_token

initdb()
app = create_app(apps="core")
client = TestClient(app, base_url="https://air.shop.example", follow_redirects=False, root_path="/air")
client.cookies.set("_token", login_token("olga", "ADMIN"))
answer = client.get("/air/loyalty/exports/daily-balances/airflow", headers={"accept": "text/html"})
print(json.dumps([app.root_path, answer.status_code, "not know this export yet" in answer.text, answer.text[-300:]]))
"""


def test_airflow_is_found_under_the_path_that_a_proxy_serves_it_under(tmp_path):
    from include.settings import ROOT

    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        "LOYALTY_HOME": str(tmp_path),
        "AIRFLOW__API__BASE_URL": "https://air.shop.example/air/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "olga:admin",
    }
    done = subprocess.run(
        [sys.executable, "-c", PREFIXED],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    root, status, unknown, shown = json.loads(done.stdout.splitlines()[-1])
    assert (root, status, unknown) == ("/air", 200, True), shown
