"""Rule: the digest counts what the record holds, names what waits for a person, and is mailed once a week."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from include.pipeline import digest
from include.pipeline.watch import watch
from include.state.identity import delivery_key
from include.state.runs import RunStatus
from include.state.tables import RUNS, WATCHES, microseconds
from tests.notices.conftest import DATA, END, MANIFEST, Desk, definition, document
from tests.servers.smtp import MailServer

pytestmark = pytest.mark.servers
BOSS = "boss@shop.example"


@pytest.fixture
def week(desk: Desk) -> tuple[datetime, datetime]:
    """A week that ends in a moment, with runs of one export: two done, one skipped, one failed, one old, one dry."""
    (desk.home / "exports").mkdir()
    text = json.dumps(document(notify={"late_after": "2h"}))
    (desk.home / "exports" / "weekly-history.yaml").write_text(text)
    by_hand = {
        key: value for key, value in document(id="by-hand", name="By hand").items() if key != "schedule"
    }
    (desk.home / "exports" / "by-hand.yaml").write_text(json.dumps(by_hand | {"period": "previous_month"}))
    desk.notify = {"LOYALTY_DIGEST_EMAIL": BOSS, "LOYALTY_TIMEZONE": "Europe/Paris"}
    one = definition()
    runs = desk.context.state.runs
    day = timedelta(days=1)

    def made(number: int, status: RunStatus, **keys: object) -> str:
        about = {"as_of": END - number * day, "end": END - number * day}
        run = desk.run(one, keys.pop("files", None), **{**about, **keys})  # type: ignore[arg-type]
        runs.finish(run.run_key, status, {})
        return run.run_key

    old = made(9, RunStatus.DONE)
    with desk.context.state.database.write() as connection:
        past = sa.literal(microseconds(datetime.now(UTC) - 30 * day), sa.BigInteger)
        connection.execute(sa.update(RUNS).where(RUNS.c.run_key == old).values(created_at=past))
    made(1, RunStatus.DONE)
    made(2, RunStatus.DONE, files=[{"skipped": "no rows"}])
    made(3, RunStatus.FAILED)
    made(4, RunStatus.DONE, dry_run=True)
    totals = {"points_change": "120450.50", "balance_after": "9876543.21"}
    last = desk.run(one, [{**DATA, "totals": totals}, MANIFEST])
    desk.delivered(last, "desk")
    desk.delivered(last, "books", "uncertain", "no answer")
    runs.finish(last.run_key, RunStatus.DONE, {})
    until = datetime.now(UTC) + timedelta(seconds=1)
    return until - timedelta(days=7), until


def test_what_it_counts(desk: Desk, week: tuple[datetime, datetime]) -> None:
    notice = digest.digest(desk.context, *week)
    (table,) = notice.tables
    rows = {row[0]: dict(zip(table.head, row, strict=True)) for row in table.rows}
    weekly = rows["Weekly history"]
    # Four runs of the week: two with files, one with nothing to send, one failed; the old one and the dry run are none.
    assert [weekly[name] for name in ("runs", "done", "failed", "nothing to send", "late")] == [
        "4",
        "2",
        "1",
        "1",
        "0",
    ]
    assert weekly["last file"] == "1,234 rows, 2026-03-02 00:00 Europe/Paris"
    assert weekly["totals"] == "points_change 120,450.50"
    assert weekly["next run"].endswith("06:00 Europe/Paris")
    assert rows["By hand"]["next run"] == "by hand"
    assert rows["By hand"]["last file"] == ""
    assert "4 runs, 1 failed" in notice.title


def test_what_waits_for_a_person_is_named(desk: Desk, week: tuple[datetime, datetime]) -> None:
    (todo,) = digest.digest(desk.context, *week).todo
    (delivery,) = [each for each in desk.context.state.deliveries.list() if each.target == "books"]
    assert "target books, is uncertain since" in todo
    assert f"loyalty deliveries show {delivery_key(delivery.run_key, 'books')[:12]}" in todo


def test_late_runs_of_the_week_are_counted(desk: Desk, week: tuple[datetime, datetime]) -> None:
    desk.notify["LOYALTY_NOTIFY_EMAIL"] = f"ops@shop.example, {BOSS}"
    desk.context.state.notices.watched_since("weekly-history", "x")
    now = datetime.now(UTC)
    watch(desk.context, now)
    with desk.context.state.database.write() as connection:
        connection.execute(sa.update(WATCHES).values(since=sa.literal(0, sa.BigInteger)))
    following = definition().recurrence
    assert following is not None
    due = following.next_after(now)
    assert due is not None
    watch(desk.context, due + timedelta(hours=3))
    row = next(row for row in digest.digest(desk.context, *week).tables[0].rows if row[0] == "Weekly history")
    # Told to two, but late once. The digest's week is by when it was told.
    assert row[5] == "1"


def test_it_is_mailed_once_to_whom_the_setting_names(
    desk: Desk, mail: MailServer, week: tuple[datetime, datetime]
) -> None:
    for _ in range(2):
        digest.send(desk.context, *week, "https://airflow.example")
    (letter,) = mail.mails
    assert letter.recipient == BOSS
    assert "Weekly history" in letter.body()
    assert "https://airflow.example/dags" in letter.body("plain")


def test_without_a_recipient_nothing_is_sent(desk: Desk, week: tuple[datetime, datetime]) -> None:
    desk.notify = {}
    assert digest.send(desk.context, *week) == []
    assert desk.told() == []


def test_its_days_are_those_of_its_zone(desk: Desk) -> None:
    desk.notify = {"LOYALTY_TIMEZONE": "Asia/Tokyo"}
    until = datetime(2026, 3, 8, 22, tzinfo=UTC)  # Monday the 9th, seven in the morning, in Tokyo
    notice = digest.digest(desk.context, until - timedelta(days=7), until)
    assert notice.title == "Exports from 2026-03-02 to 2026-03-09: 0 runs, 0 failed"


def test_looks_at_delivered_periods_are_no_runs_of_the_week(
    desk: Desk, week: tuple[datetime, datetime]
) -> None:
    before = digest.digest(desk.context, *week)
    for hour in range(60):
        looked = desk.run(definition(), [{"skipped": "x"}], revision=1, known_at=END + timedelta(hours=hour))
        desk.context.state.runs.finish(looked.run_key, RunStatus.DONE, {})
    after = digest.digest(desk.context, week[0], week[1] + timedelta(days=1))
    # The same figures, and the last file is still found behind them.
    assert after.tables[0].rows[1][:8] == before.tables[0].rows[1][:8]
    assert after.tables[0].rows[1][6]
