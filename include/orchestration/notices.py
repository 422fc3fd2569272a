"""The DAGs that tell people: the watch for late runs every quarter of an hour, and the digest once a week."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, CronTriggerTimetable, task

from include.orchestration import tasks
from include.orchestration.housekeeping import ALWAYS
from include.orchestration.timetable import LoyaltyTimetable

WATCH_ID = "loyalty-watch"
DIGEST_ID = "loyalty-digest"
DIGEST_SCHEDULE = {"kind": "weekly", "days": ["monday"], "time": "07:00"}  # in LOYALTY_TIMEZONE
WEEK = timedelta(days=7)
WATCH_DOCUMENTATION = """### Watch

Every quarter of an hour: compares what the schedules of all exports say with what was done, tells who should know of
a run that is late (`notify.late_after` of a definition, or `LOYALTY_NOTIFY_LATE_AFTER`), and sends again what could not
be sent. Makes exports that programs asked for through an API, and that a process left which is no more.
By hand: `loyalty watch`.
"""
DIGEST_DOCUMENTATION = """### Digest

On Monday at seven: what every export did in the week, what waits for a person, and what comes next, by e-mail to
`LOYALTY_DIGEST_EMAIL`. By hand: `loyalty digest`.
"""


def week_before(until: datetime, timezone: str) -> datetime:
    """Return the same local time a week earlier, where the last digest ended, whatever the clocks did since."""
    return (datetime.fromtimestamp(until.timestamp(), ZoneInfo(timezone)) - WEEK).astimezone(UTC)


def build_watch() -> DAG:
    """Return the DAG of the watch."""
    with DAG(
        WATCH_ID,
        dag_display_name="Watch for late exports",
        description="Tells of runs that are late, and sends notices again",
        doc_md=WATCH_DOCUMENTATION,
        schedule=CronTriggerTimetable("*/15 * * * *", timezone="UTC"),
        **ALWAYS,
    ) as dag:

        @task(doc_md="Find late runs and send what is due; returns both.")
        def watch() -> Any:
            return tasks.watch()

        watch()
    return dag


def build_digest() -> DAG:
    """Return the DAG of the digest."""
    timezone = os.environ.get("LOYALTY_TIMEZONE") or "UTC"
    with DAG(
        DIGEST_ID,
        dag_display_name="Weekly digest of the exports",
        description="Mails what every export did in the week",
        doc_md=DIGEST_DOCUMENTATION,
        schedule=LoyaltyTimetable(DIGEST_SCHEDULE, timezone),
        **ALWAYS,
    ) as dag:

        @task(doc_md="Mail the digest of the week before the run; returns what became of it.")
        def digest(**airflow: Any) -> Any:
            run = airflow["dag_run"]
            until = run.logical_date or run.run_after
            return tasks.digest(week_before(until, timezone), until)

        digest()
    return dag
