"""Ending what Airflow alone knows of an export that is deleted: without the export it would wait there for ever.

Runs in the API server, which may use Airflow's database, so that programs with a key of ours and no login of Airflow
can delete an export too. Who may delete it was decided before.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from airflow.api.common.mark_tasks import set_dag_run_state_to_failed
from airflow.models.backfill import Backfill
from airflow.models.dagbag import DBDagBag
from airflow.models.dagrun import DagRun
from airflow.models.log import Log
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from include.errors import Transient

# How Airflow's own audit log names it.
EVENT = "loyalty_export_deleted"
_OPEN = (DagRunState.QUEUED, DagRunState.RUNNING)


def end_unpinned(definition_id: str, by: str) -> bool:
    """Fail the runs that are not pinned yet, and end a backfill; return whether there were any.

    Airflow's audit log has each, done by `by`. Raises Transient where its database does not answer.
    """
    try:
        found = _end_backfills(definition_id)
        while _end_runs(definition_id, by):
            found = True
    except SQLAlchemyError as error:
        raise Transient(f"Airflow's database: {type(error).__name__}") from error
    return found


def _end_backfills(definition_id: str) -> bool:
    wanted = select(Backfill).where(Backfill.dag_id == definition_id, Backfill.completed_at.is_(None))
    with create_session(scoped=False) as session:
        found = session.scalars(wanted).all()
        for each in found:
            each.is_paused, each.completed_at = True, datetime.now(UTC)
        return bool(found)


def _end_runs(definition_id: str, by: str) -> int:
    """Fail what waits now; return how many runs that were. A run that ends may let another one begin."""
    with create_session(scoped=False) as session:
        found = list(_unpinned(session, definition_id))
        for run in found:
            dag = DBDagBag().get_dag_for_run(run, session=session)
            if dag is not None:
                set_dag_run_state_to_failed(dag=dag, run_id=run.run_id, commit=True, session=session)
            run.set_state(DagRunState.FAILED)
            session.add(Log(EVENT, owner=by, dag_id=definition_id, run_id=run.run_id))
        return len(found)


def _unpinned(session: Any, definition_id: str) -> Iterator[DagRun]:
    """Yield the runs that are not over and whose `pin` has left no run's key."""
    wanted = select(DagRun).where(DagRun.dag_id == definition_id, DagRun.state.in_(_OPEN))
    for run in session.scalars(wanted).all():
        pinned = select(XComModel.key).where(
            XComModel.dag_run_id == run.id, XComModel.task_id == "pin", XComModel.key == "run_key"
        )
        if run.state == DagRunState.QUEUED or session.execute(pinned).first() is None:
            yield run
