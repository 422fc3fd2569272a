"""The DAGs of imports: one run for each import, and the look into the watched folders."""

from __future__ import annotations

import os
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, CronTriggerTimetable, Param, task

from include.orchestration import import_tasks, pools
from include.orchestration.housekeeping import ALWAYS
from include.orchestration.second_person import SecondPerson
from include.settings import IMPORTS_DAG, LONGEST_RUN

INBOX_ID = "loyalty-inbox"
# An import that waits for a person holds no slot, so many may.
OPEN_AT_ONCE = 100
WORK_AT_ONCE = 2
DOCUMENTATION = """### Imports

One run for each import: it rehearses the file, asks a second person where the file is large or sets balances, posts
it in one database transaction, and tells who asked how it ended. Runs begin from the page Imports and from the DAG
`loyalty-inbox`; a run that is started by hand posts nothing that nobody with the right to import has asked to post.
By hand: `loyalty import`.
"""
INBOX_DOCUMENTATION = """### Inbox

Every five minutes: looks into the folders that `LOYALTY_INBOXES` names, of this machine and of SFTP servers. A file
that is whole moves to `taken/` and gets a run of `loyalty-imports`; what was posted moves to `archive/`, what was
not to `refused/`, each with its result file.
"""


def build() -> DAG:
    """Return the DAG of one import."""
    how = {**ALWAYS, "max_active_runs": OPEN_AT_ONCE, "tags": ["import"]}
    with DAG(
        IMPORTS_DAG,
        dag_display_name="Imports of points",
        description="Rehearses, has approved and posts one import",
        doc_md=DOCUMENTATION,
        schedule=None,
        dagrun_timeout=LONGEST_RUN,
        **how,
    ) as dag:

        @task(
            pool=pools.heavy(),
            doc_md="Find what the file would do; leave the import's id.",
            max_active_tis_per_dag=WORK_AT_ONCE,
        )
        def rehearse(**airflow: Any) -> Any:
            return import_tasks.rehearse(airflow)

        @task(
            pool=pools.heavy(),
            doc_md="Post it in one database transaction.",
            max_active_tis_per_dag=WORK_AT_ONCE,
        )
        def post(import_id: str, **airflow: Any) -> Any:
            return import_tasks.post(import_id, airflow)

        @task(trigger_rule="all_done", doc_md="Tell who should know; fail the run if a step failed.")
        def report(**airflow: Any) -> Any:
            return import_tasks.report(airflow)

        rehearsed: Any = rehearse()
        asked = SecondPerson(
            task_id="approve",
            import_id="{{ ti.xcom_pull(task_ids='rehearse', key='import_id') }}",
            doc_md="Ask a second person, where one is needed.",
        )
        rehearsed >> asked >> post(rehearsed["import_id"]) >> report()
    dag.params.update(
        {
            "import": Param(
                "", type="string", title="Import", description="Its id, as the page Imports shows it."
            ),
            "undo": Param(
                False,
                type="boolean",
                title="Take it back",
                description="Make and rehearse the import that takes this one back.",
            ),
        }
    )
    return dag


def build_inbox() -> DAG:
    """Return the DAG that looks into the watched folders; it has a schedule where there are some."""
    watched = bool(os.environ.get("LOYALTY_INBOXES"))
    with DAG(
        INBOX_ID,
        dag_display_name="Inboxes of imports",
        description="Takes files to import out of watched folders",
        doc_md=INBOX_DOCUMENTATION,
        schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC") if watched else None,
        **{**ALWAYS, "tags": ["import"]},
    ) as dag:

        @task(doc_md="Read which folders are watched.")
        def inboxes() -> list[str]:
            return import_tasks.inboxes()

        @task(map_index_template="{{ inbox_name }}", doc_md="Take what is whole, put away what was imported.")
        def look(name: str) -> Any:
            return import_tasks.look(name)

        @task(trigger_rule="all_done", doc_md="Gather what is to be imported, also where one folder is away.")
        def gather(looked: Any) -> list[dict[str, Any]]:
            return import_tasks.runs_of(list(looked or []))

        looked: Any = look.expand(name=inboxes())
        begun = TriggerDagRunOperator.partial(
            task_id="begin",
            trigger_dag_id=IMPORTS_DAG,
            logical_date=None,
            skip_when_already_exists=True,
            doc_md="Begin the import's own run.",
        ).expand_kwargs(gather(looked))
        end = EmptyOperator(
            task_id="end", trigger_rule="none_failed", doc_md="Fails this run where a look has failed."
        )
        [looked, begun] >> end
    return dag
