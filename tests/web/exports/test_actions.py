"""What can be done with an export from its pages, by whom, and what comes of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.pipeline import exports as catalogue
from include.state.audit import Action
from tests.pipeline.made_runs import finished
from tests.web.exports.conftest import OWN, dag_runs, press, token_of, told
from tests.web.exports.made import export, run

pytestmark = pytest.mark.slow  # Airflow's application takes seconds to start

PAGE = "/loyalty/exports/daily"
ROWS = [("club", "ann", 100), ("club", "bob", 250)]
MORE = [("club", "ann", 150), ("club", "cid", 75)]


@pytest.fixture
def context(installation):
    return installation.context


@pytest.fixture
def admin(browser):
    return browser("olga", "ADMIN")


@pytest.fixture
def daily(context, known):
    found = export(context, "daily")
    known(found.document)
    return found


def test_a_test_send_goes_to_the_address_of_the_user(browser, context, known, monkeypatch):
    monkeypatch.setenv("LOYALTY_USER_MAIL_DOMAIN", "shop.example")
    from include.web import _app

    _app.cache_clear()
    found = export(context, "daily")
    known(found.document)
    made = finished(context, found.document, {None: ROWS})
    client = browser("olga", "ADMIN")
    assert 'value="olga@shop.example"' in client.get(PAGE).text
    answer = press(client, PAGE, f"{PAGE}/send", to="olga@shop.example", run=made.run_key)
    assert "A test to olga@shop.example is asked for" in told(client, answer)
    press(client, PAGE, f"{PAGE}/send", to="olga@shop.example", run="")
    assert [each.conf for each in dag_runs("daily")] == [
        {"test_to": "olga@shop.example", "resend": made.run_key},
        {"test_to": "olga@shop.example"},
    ]


@pytest.mark.parametrize(
    "to", ["", "nobody", "a@b\nBcc: c@d.example", "../../etc", "a@b@c", "x" * 500 + "@shop.example"]
)
def test_a_test_goes_to_addresses_only(admin, context, daily, to):
    answer = press(admin, PAGE, f"{PAGE}/send", to=to)
    assert answer.status_code == 422
    assert "must be an e-mail address" in answer.text
    assert dag_runs("daily") == []


def test_personal_data_is_sent_to_nobody_without_the_right(browser, context, known):
    found = export(context, "people", model="customers", fields=["customer_id", "email"])
    known(found.document)
    made = finished(context, found.document, {None: ROWS})
    page = "/loyalty/exports/people"
    op = browser("otto", "OP")
    for key in (made.run_key, ""):
        refused = press(op, page, f"{page}/send", to="otto@shop.example", run=key)
        assert refused.status_code == 403
        assert "personal data" in refused.text
    assert dag_runs("people") == []
    assert context.state.audit.newest(action=Action.TEST_ALLOWED) == []
    press(browser("olga", "ADMIN"), page, f"{page}/send", to="olga@shop.example", run=made.run_key)
    [allowed] = context.state.audit.newest(action=Action.TEST_ALLOWED)
    assert (allowed.subject, allowed.actor, allowed.detail) == ("people", "olga", {"to": "olga@shop.example"})
    [asked] = dag_runs("people")
    assert (asked.conf["test_to"], asked.triggering_user_name) == ("olga@shop.example", "olga")


def test_files_are_sent_once_more_and_again_only_when_that_is_said(admin, context, daily):
    made = finished(context, daily.document, {None: ROWS})
    answer = press(admin, PAGE, f"{PAGE}/resend", run=made.run_key)
    assert answer.headers["location"].endswith(f"/daily/runs/{made.run_key}")
    press(admin, PAGE, f"{PAGE}/resend", run=made.run_key, targets="folder", again="yes")
    assert [each.conf for each in dag_runs("daily")] == [
        {"resend": made.run_key},
        {"resend": made.run_key, "targets": ["folder"], "again": True},
    ]
    assert press(admin, PAGE, f"{PAGE}/resend", run="latest").status_code == 404


def test_a_delivered_period_is_looked_at_again(admin, context, daily):
    made = finished(context, daily.document, {None: ROWS})
    press(admin, f"{PAGE}/runs/{made.run_key}", f"{PAGE}/restate", run=made.run_key)
    assert [each.conf for each in dag_runs("daily")] == [{"restate": made.run_key}]
    assert "looked at again" in admin.get(f"{PAGE}/airflow").text


def test_trying_a_delivery_again_opens_it_and_sends_just_that(admin, context, daily):
    from tests.web.exports.test_page import delivered

    made = finished(context, daily.document, {None: ROWS})
    key = delivered(context, made, state="conflict", message="another file has its name")
    address = f"{PAGE}/runs/{made.run_key}"
    answer = press(admin, address, f"{address}/deliveries/{key}", do="retry")
    assert "folder is tried again" in told(admin, answer)
    assert context.state.deliveries.get(key).message == "opened again by olga"
    assert [each.conf for each in dag_runs("daily")] == [{"resend": made.run_key, "targets": ["folder"]}]


def test_what_failed_before_it_began_is_there_with_its_reason(admin, daily):
    from airflow.models import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    press(admin, PAGE, f"{PAGE}/run")
    [asked] = dag_runs("daily")
    reason = "pin: conditions.alerts[0].column: 'points': is no column of the file <b>"
    with create_session() as session:
        session.get(DagRun, asked.id).state = "failed"
        for task in session.query(TaskInstance).filter_by(dag_id="daily", run_id=asked.run_id):
            task.state = "failed"
        XComModel.set(
            key="failure", value=reason, dag_id="daily", task_id="pin", run_id=asked.run_id, session=session
        )
    shown = admin.get(f"{PAGE}/airflow")
    assert "is no column of the file &lt;b&gt;" in shown.text
    assert f"/dags/daily/runs/{asked.run_id.replace('+', '%2B')}" in shown.text or asked.run_id in shown.text
    fragment = admin.get(f"{PAGE}/airflow", headers={"hx-request": "true"})
    assert "<html" not in fragment.text
    assert "hx-trigger" not in fragment.text


def test_pause_is_a_version_and_lets_runs_by_hand_go(admin, context, daily):
    number = str(daily.number)
    answer = press(admin, PAGE, f"{PAGE}/pause", do="pause", number=number)
    assert "It can still be run by hand" in told(admin, answer)
    paused = context.state.exports.get("daily")
    assert (paused.paused, paused.next_at, paused.number, paused.edited_by) == (True, None, 2, "olga")
    page = admin.get(PAGE)
    assert "none while it is paused" in page.text
    assert "Resume" in page.text
    assert 'href="../exports/daily/backfill"' not in page.text
    assert admin.get(f"{PAGE}/backfill").status_code == 409
    stale = press(admin, PAGE, f"{PAGE}/pause", do="resume", number=number)
    assert stale.status_code == 409
    assert "olga has saved daily meanwhile" in stale.text
    press(admin, PAGE, f"{PAGE}/pause", do="resume", number="2")
    found = context.state.exports.get("daily")
    assert (found.paused, found.document) == (False, daily.document)


def test_deleting_asks_keeps_history_and_ends_what_can_be_done(admin, context, daily):
    made = finished(context, daily.document, {None: ROWS})
    at_work = run(context, "daily")
    page = f"{PAGE}/delete"
    asked = admin.get(page)
    assert "2 runs with their files" in asked.text
    assert "The run that is at work now goes on to its end" in asked.text
    assert context.state.exports.get("daily") is not None
    wrong = press(admin, page, page, number="9")
    assert wrong.status_code == 409
    token = token_of(admin.get(page))
    answer = press(admin, page, page, number="1")
    assert "Daily is deleted. Its runs and files are kept." in told(admin, answer)
    assert context.state.exports.get("daily") is None

    shown = admin.get(PAGE)
    assert "Deleted on" in shown.text
    assert "by hand only" not in shown.text
    assert f"/files/{made.run_key}/" in shown.text
    assert "Run now" not in shown.text
    # A definition deleted while running: the run is seen to its end.
    context.state.runs.progress(at_work.run_key, "render", 1, 2)
    assert "render: 1 of 2 rows" in admin.get(f"{PAGE}/runs/{at_work.run_key}").text
    for path in ("/run", "/send", "/resend", "/restate", "/hold", "/pause", "/delete", "/backfill"):
        answer = admin.post(f"{PAGE}{path}", data={"form_token": token, "number": "2"}, headers=OWN)
        assert (answer.status_code, "This export is deleted" in answer.text) == (410, True), path
    assert dag_runs("daily") == []
    for path in ("/versions", "/yaml", f"/runs/{made.run_key}"):
        assert admin.get(f"{PAGE}{path}").status_code == 200
    assert admin.get(page).status_code == 410


def test_deleting_ends_what_waits_and_lets_go_on_what_is_pinned(admin, daily):
    from airflow.models import DagRun
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    for _ in range(3):
        press(admin, PAGE, f"{PAGE}/run")
    pinned, waits, queued = (each.run_id for each in dag_runs("daily"))
    with create_session() as session:
        for each in session.query(DagRun).filter(DagRun.run_id.in_([pinned, waits])):
            each.state = "running"
        XComModel.set(
            key="run_key", value="a" * 64, dag_id="daily", task_id="pin", run_id=pinned, session=session
        )
    answer = press(admin, f"{PAGE}/delete", f"{PAGE}/delete", number="1")
    assert told(admin, answer).endswith("Its runs and files are kept. Runs that had not begun are ended.")
    states = {each.run_id: each.state for each in dag_runs("daily")}
    assert states == {pinned: "running", waits: "failed", queued: "failed"}


def test_deleting_ends_a_backfill(admin, context, daily):
    days = {"first": "2026-01-01", "last": "2026-01-03", "again": "none", "do": "start", "count": "3"}
    page = f"{PAGE}/backfill?first=2026-01-01&last=2026-01-03&again=none"
    assert press(admin, page, f"{PAGE}/backfill", **days).status_code == 303
    assert [each.state for each in dag_runs("daily")] == ["queued"] * 3
    answer = press(admin, f"{PAGE}/delete", f"{PAGE}/delete", number="1")
    assert "Runs that had not begun are ended." in told(admin, answer)
    assert [each.state for each in dag_runs("daily")] == ["failed"] * 3


def test_what_airflow_never_knew_is_deleted_and_that_airflow_is_away_is_told(
    admin, context, daily, monkeypatch
):
    export(context, "unknown")
    page = "/loyalty/exports/unknown/delete"
    assert told(admin, press(admin, page, page, number="1")) == (
        "Unknown is deleted. Its runs and files are kept."
    )

    from sqlalchemy.exc import OperationalError

    def gone(*_, **__):
        raise OperationalError("SELECT", {}, Exception("the database is away"))

    monkeypatch.setattr("include.orchestration.ending.create_session", gone)
    answer = press(admin, f"{PAGE}/delete", f"{PAGE}/delete", number="1")
    assert "look there for runs that had not begun" in told(admin, answer)
    assert context.state.exports.get("daily") is None


def test_versions_say_who_changed_what_and_one_can_be_taken_back(admin, context, daily):
    later = {**daily.document, "schedule": {"kind": "daily", "time": "07:30"}, "owner": "care"}
    catalogue.save(context, "daily", later, "jane", based_on=1)
    page = f"{PAGE}/versions"
    shown = admin.get(page)
    assert "Owner; Schedule, time" in shown.text
    assert "jane" in shown.text
    diff = admin.get(f"{page}?a=1&b=2").text
    assert "07:30" in diff
    assert 'class="removed">- owner: finance' in diff
    assert 'class="added">+ owner: care' in diff
    assert "Nothing differs" in admin.get(f"{page}?a=1&b=1").text
    stale = press(admin, page, page, version="1", number="1")
    assert stale.status_code == 409
    answer = press(admin, page, page, version="1", number="2")
    assert "Version 1 is the newest one again" in told(admin, answer)
    found = context.state.exports.get("daily")
    assert (found.number, found.edited_by, found.document) == (3, "olga", daily.document)
    assert press(admin, page, page, version="77", number="3").status_code == 404
    assert press(admin, page, page, version="1", number="x").status_code == 422


def test_an_earlier_version_that_would_not_do_today_is_refused(admin, context, daily):
    from sqlalchemy import update

    from include.state.tables import EXPORT_EDITS

    catalogue.save(context, "daily", {**daily.document, "owner": "care"}, "jane", based_on=1)
    with context.state.database.write() as connection:
        odd = {**daily.document, "model": "gone"}
        connection.execute(update(EXPORT_EDITS).where(EXPORT_EDITS.c.number == 1).values(document=odd))
    page = f"{PAGE}/versions"
    answer = press(admin, page, page, version="1", number="2")
    assert answer.status_code == 422
    assert "known models are" in answer.text
    assert context.state.exports.get("daily").number == 2


def test_what_a_run_had_is_shown_beside_the_versions_of_a_file(admin, context, monkeypatch, tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "daily.yaml").write_text(
        "id: daily\nname: Daily\nmodel: balance\ntargets: [{kind: folder, options: {folder: daily}}]\n"
    )
    monkeypatch.setenv("LOYALTY_EXPORTS", str(folder))
    from include.web import _app

    _app.cache_clear()
    before = {
        "id": "daily",
        "name": "Daily",
        "model": "balance",
        "targets": [{"kind": "folder", "options": {"folder": "old"}}],
    }
    made = finished(context, before, {None: ROWS})
    page = admin.get(f"{PAGE}/versions").text
    assert "as it is now" in page
    assert "1 run" in page
    assert "Take back" not in page
    one = admin.get(f"{PAGE}/versions?run={made.run_key}").text
    assert "folder: old" in one
    diff = admin.get(f"{PAGE}/versions?a={made.definition_version}&b=now").text
    assert "Target folder, options, folder" in diff


def test_two_runs_beside_each_other(admin, browser, context, daily):
    first = finished(context, daily.document, {None: ROWS})
    second = finished(context, daily.document, {None: MORE}, day=1)
    # In whatever order they were ticked, the older one is before.
    page = admin.get(f"{PAGE}/compare?run={second.run_key}&run={first.run_key}")
    assert page.status_code == 200, page.text
    assert "1 row added, 1 removed, 1 changed" in page.text
    assert "<del>1.00</del> <ins>1.50</ins>" in page.text
    assert "+" not in page.text.partition("Moved by")[2].partition("-1.25")[0][-3:]
    for query in ("", f"?run={first.run_key}", f"?run={first.run_key}&run={first.run_key}"):
        choice = admin.get(f"{PAGE}/compare{query}")
        assert (choice.status_code, "Rows that differ" in choice.text) == (200, False)
        assert choice.text.count(f'value="{first.run_key}"') == 2
    empty = run(context, "daily")
    assert admin.get(f"{PAGE}/compare?a={first.run_key}&b={empty.run_key}").status_code == 422
    assert (
        browser("vera", "VIEWER").get(f"{PAGE}/compare?a={first.run_key}&b={second.run_key}").status_code
        == 200
    )


def test_personal_rows_are_compared_for_who_may_see_them_and_that_is_written_down(admin, browser, context):
    found = export(context, "people", model="customers", fields=["customer_id", "email"])
    first = finished(context, found.document, {None: ROWS})
    second = finished(context, found.document, {None: MORE}, day=1)
    address = f"/loyalty/exports/people/compare?a={first.run_key}&b={second.run_key}"
    before = context.state.audit.head().sequence
    seen = browser("vera", "VIEWER").get(address)
    assert "1 row added" in seen.text
    assert ">ann<" not in seen.text
    assert "shown only to who has the right" in seen.text
    assert context.state.audit.head().sequence == before
    assert ">ann<" in admin.get(address).text
    entry = context.state.audit.get(before + 1)
    assert (entry.actor, entry.subject, entry.detail["compared_with"]) == (
        "olga",
        second.run_key,
        first.run_key,
    )
    assert (datetime.now(UTC) - entry.at).total_seconds() < 60
