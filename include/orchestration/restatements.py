"""The DAG that looks at delivered periods again: what late rows changed is run by the export's own DAG."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, task

from include.orchestration import tasks
from include.orchestration.housekeeping import ALWAYS
from include.orchestration.timetable import LoyaltyTimetable

ID = "loyalty-restatements"
SCHEDULE = {"kind": "daily", "time": "04:30"}  # UTC
LOOKS_AT_ONCE = 2
DOCUMENTATION = """### Restatements

Once a day: looks again at the newest periods that were delivered of each export that says `restate: {last: N}`. Where
rows that were recorded late have changed a period, the export's own DAG gets a run that delivers the restatement: the
new files under names with the revision, and a file of what changed. What was delivered before is never touched.
By hand: `loyalty export restate NAME --deliver`, or the parameter *Restate run* of the export's DAG.
"""


def build() -> DAG:
    """Return the DAG."""
    with DAG(
        ID,
        dag_display_name="Restatements",
        description="Delivers what late rows have changed in delivered periods",
        doc_md=DOCUMENTATION,
        schedule=LoyaltyTimetable(SCHEDULE, "UTC"),
        **ALWAYS,
    ) as dag:

        @task(doc_md="Find the runs whose periods are looked at again.")
        def find() -> list[str]:
            return tasks.to_look_at()

        @task(
            doc_md="Make the period again with what is known now; skipped where nothing changed.",
            max_active_tis_per_dagrun=LOOKS_AT_ONCE,
        )
        def look(run_key: str, **airflow: Any) -> dict[str, Any]:
            return tasks.look_again(run_key, airflow)

        looked: Any = look.expand(run_key=find())
        # What did not change is skipped, and what failed is one export's matter: the others are sent all the same.
        TriggerDagRunOperator.partial(
            task_id="send",
            logical_date=None,
            skip_when_already_exists=True,
            trigger_rule="all_done",
            doc_md="Have the export's DAG deliver the restatement.",
        ).expand_kwargs(looked)
        end = EmptyOperator(
            task_id="end", trigger_rule="none_failed", doc_md="Fails this run where a look has failed."
        )
        looked >> end
    return dag
