"""Rule: a scheduled run that is not done at its deadline is told of once, whether it began or not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from include.pipeline.watch import watch
from include.state.runs import RunStatus
from include.state.tables import WATCHES, microseconds
from tests.notices.conftest import AT, END, START, Desk, definition, document
from tests.servers.smtp import MailServer

pytestmark = pytest.mark.servers
OPS = "ops@shop.example"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
RULES = {"late_after": "2h", "rules": [{"kind": "email", "to": [OPS], "when": ["late"]}]}
# Due on Monday 06:00 in Paris (05:00 UTC); five minutes of settling and two hours: late from 07:05 UTC.
DEADLINE = datetime(2026, 3, 2, 7, 5, tzinfo=UTC)


def export(desk: Desk, **keys: Any) -> None:
    """Write the definition where the settings look for it, watched since long ago."""
    desk.settle_delay = timedelta(minutes=5)
    (desk.home / "exports").mkdir(exist_ok=True)
    one = {k: v for k, v in document(**{"notify": RULES, **keys}).items() if v is not None}
    (desk.home / "exports" / f"{one['id']}.yaml").write_text(json.dumps(one))
    watch(desk.context, LONG_AGO)
    since(desk, LONG_AGO)


def since(desk: Desk, moment: datetime) -> None:
    with desk.context.state.database.write() as connection:
        connection.execute(sa.update(WATCHES).values(since=sa.literal(microseconds(moment), sa.BigInteger)))


def late(desk: Desk, now: datetime) -> list[str]:
    return [each["occurrence"] for each in watch(desk.context, now, "https://airflow.example")["late"]]


def test_a_run_that_never_began_is_told_of_once(desk: Desk, mail: MailServer) -> None:
    export(desk)
    assert late(desk, DEADLINE - timedelta(seconds=1)) == []
    assert late(desk, DEADLINE) == [AT.isoformat()]
    assert late(desk, DEADLINE + timedelta(minutes=15)) == [AT.isoformat()]
    (letter,) = mail.mails
    assert letter.message["Subject"] == "Weekly history: late, due 2026-03-02 06:00 Europe/Paris"
    body = letter.body("plain")
    assert "should have been done by 2026-03-02 08:05 Europe/Paris" in body
    assert "No run of it has begun" in body
    assert "https://airflow.example/dags/weekly-history" in body


def test_after_three_days_nobody_is_told_any_more(desk: Desk) -> None:
    export(desk)
    assert late(desk, DEADLINE + timedelta(days=3) - timedelta(seconds=1)) == [AT.isoformat()]
    assert late(desk, DEADLINE + timedelta(days=3)) == []


@pytest.mark.parametrize(
    ("how", "is_late"),
    [
        ("done", False),
        ("skipped", False),
        ("failed", True),
        ("running", True),
        ("dry run", True),
        ("by hand", False),
    ],
)
def test_what_counts_as_done(desk: Desk, mail: MailServer, how: str, is_late: bool) -> None:
    export(desk)
    occurrence = AT - timedelta(hours=3) if how == "by hand" else AT  # the same week, asked for in the night
    files = {"skipped": [{"skipped": "no rows"}], "running": [], "failed": []}.get(how)
    run = desk.run(definition(), files, occurrence=occurrence, dry_run=how == "dry run")
    runs = desk.context.state.runs
    if how == "running":
        runs.progress(run.run_key, "booking", 1200)
    else:
        runs.finish(run.run_key, RunStatus.FAILED if how == "failed" else RunStatus.DONE, {})
    assert (late(desk, DEADLINE) == [AT.isoformat()]) is is_late
    told = {
        "running": "under way: booking, 1,200 rows",
        "failed": "Its run failed",
        "dry run": "No run of it has begun",
    }
    assert all(told[how] in each.body("plain") for each in mail.mails)
    assert len(mail.mails) == is_late


def test_a_run_of_another_week_does_not_count(desk: Desk) -> None:
    export(desk)
    week = timedelta(days=7)
    run = desk.run(definition(), occurrence=AT - week, start=START - week, end=END - week, as_of=END - week)
    desk.context.state.runs.finish(run.run_key, RunStatus.DONE, {})
    assert late(desk, DEADLINE) == [AT.isoformat()]


@pytest.mark.parametrize(
    "keys",
    [
        {"enabled": False},
        {"paused": True},
        {"schedule": None},
        {"notify": {"rules": RULES["rules"]}},
    ],
    ids=str,
)
def test_what_is_not_watched(desk: Desk, keys: dict[str, Any]) -> None:
    one = {key: value for key, value in document(**{"notify": RULES, **keys}).items() if value is not None}
    (desk.home / "exports").mkdir()
    (desk.home / "exports" / "weekly-history.yaml").write_text(json.dumps(one))
    late(desk, DEADLINE)
    since(desk, LONG_AGO)
    assert late(desk, DEADLINE) == []


def test_a_schedule_is_watched_from_when_it_is_first_seen(desk: Desk) -> None:
    export(desk)
    since(desk, AT + timedelta(seconds=1))  # installed a second after it was due
    assert late(desk, DEADLINE) == []
    since(desk, AT)
    assert late(desk, DEADLINE) == [AT.isoformat()]
    changed = document(notify=RULES, schedule={"kind": "weekly", "days": ["monday"], "time": "05:00"})
    (desk.home / "exports" / "weekly-history.yaml").write_text(json.dumps(changed))
    assert late(desk, DEADLINE) == []  # nobody had promised 05:00 when it was that


def test_a_month_end_run_is_late_from_its_t_on(desk: Desk) -> None:
    """On the last day at 06:00, about the end of the day: T is midnight, 18 hours after the occurrence."""
    keys = {"schedule": {"kind": "monthly", "days": ["last"], "time": "06:00"}, "model": "balance"}
    export(desk, id="month-end", as_of="end_of_this_month", **keys, period=None)
    midnight = datetime(2026, 2, 28, 23, tzinfo=UTC)
    patience = timedelta(hours=2, minutes=5)
    assert late(desk, midnight + patience - timedelta(seconds=1)) == []
    assert late(desk, midnight + patience) == [datetime(2026, 2, 28, 5, tzinfo=UTC).isoformat()]


def test_the_installation_can_say_when_a_run_is_late_and_whom_to_tell(desk: Desk, mail: MailServer) -> None:
    desk.notify = {"LOYALTY_NOTIFY_LATE_AFTER": "2h", "LOYALTY_NOTIFY_EMAIL": OPS}
    export(desk, notify={})
    assert late(desk, DEADLINE) == [AT.isoformat()]
    assert [each.recipient for each in mail.mails] == [OPS]


def test_a_run_without_a_recipient_is_found_and_nobody_is_told(desk: Desk) -> None:
    export(desk, notify={"late_after": "2h"})
    assert late(desk, DEADLINE) == [AT.isoformat()]
    assert desk.told() == []


def test_a_broken_definition_does_not_end_the_watch_of_the_others(desk: Desk) -> None:
    export(desk)
    (desk.home / "exports" / "broken.yaml").write_text("id: [")
    assert late(desk, DEADLINE) == [AT.isoformat()]


def test_one_run_that_many_occurrences_ask_for_is_late_once(desk: Desk) -> None:
    export(desk, period="this_month", schedule={"kind": "daily", "time": "06:00"})
    # February ends on 1 March 00:00 in Paris; every day of it asks for the run that reports it.
    end = datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert late(desk, end + timedelta(hours=2, minutes=5)) == [
        datetime(2026, 2, 28, 5, tzinfo=UTC).isoformat()
    ]
