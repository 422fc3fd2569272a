"""The DAG that keeps the installation small: once a day, whatever the exports do."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from include.orchestration import tasks
from include.orchestration.housekeeping import ALWAYS
from include.orchestration.timetable import LoyaltyTimetable

ID = "loyalty-upkeep"
SCHEDULE = {"kind": "daily", "time": "03:30"}  # UTC
DOCUMENTATION = """### Upkeep

Retires snapshots of the ledger that no run needs any more and that are older than `LOYALTY_SNAPSHOT_DAYS` days.
The newest one stays. Closes runs whose process died, clears away uploads to the store whose writers died, and, at
every target, the temporary objects of deliveries that died a day ago; `failed` in the result says where it could not
look. Removes delivered files after `LOYALTY_FILE_DAYS` days or a definition's `retention`, and finishes erasures that
were interrupted. Forgets exports that programs asked for through an API, 30 days after they were made.
Writes the head of the audit chain to the places of `LOYALTY_AUDIT_ANCHORS`.
By hand: `loyalty upkeep`.
"""


def build() -> DAG:
    """Return the DAG."""
    with DAG(
        ID,
        dag_display_name="Upkeep",
        description="Retires old snapshots that nobody needs",
        doc_md=DOCUMENTATION,
        schedule=LoyaltyTimetable(SCHEDULE, "UTC"),
        **ALWAYS,
    ) as dag:

        @task(doc_md="Retire old snapshots that no run needs; returns their ids.")
        def upkeep() -> Any:
            return tasks.upkeep()

        upkeep()
    return dag
