"""Answering what Airflow asks a person, for a program that has a key of ours and no login of Airflow.

Runs in the API server, which may use Airflow's database. Who may answer it was decided before.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from airflow.models.hitl import HITLDetail, HITLUser
from airflow.models.log import Log
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import handle_event_submit
from airflow.triggers.base import TriggerEvent
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from include.errors import Transient

# How Airflow's own audit log names it.
EVENT = "loyalty_question_answered"


def answer(dag_id: str, words: str, option: str, by: str) -> bool:
    """Answer what a DAG asks in a subject with these words; say whether it asked. The run goes on then.

    Airflow's audit log has it, done by `by`. Raises Transient where its database does not answer.
    """
    wanted = (
        select(TaskInstance.id)
        .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .where(
            TaskInstance.dag_id == dag_id,
            TaskInstance.state == TaskInstanceState.AWAITING_INPUT,
            HITLDetail.responded_at.is_(None),
            HITLDetail.subject.contains(words, autoescape=True),
        )
    )
    try:
        with create_session(scoped=False) as session:
            found = [_answered(session, each, option, by) for each in session.scalars(wanted).all()]
        return any(found)
    except SQLAlchemyError as error:
        raise Transient(f"Airflow's database: {type(error).__name__}") from error


def _answered(session: Any, task_id: UUID, option: str, by: str) -> bool:
    """Answer one question as Airflow's own interface does: the task first, then the question, both locked."""
    task = session.get(TaskInstance, task_id, with_for_update={"of": TaskInstance})
    own = select(HITLDetail).where(HITLDetail.ti_id == task_id).with_for_update(of=HITLDetail)
    question = session.scalar(own)
    if task is None or question is None or question.response_received:
        return False
    if task.state != TaskInstanceState.AWAITING_INPUT:
        return False
    question.responded_by = HITLUser(id=by, name=by)
    question.responded_at = datetime.now(UTC)
    question.chosen_options, question.params_input = [option], {}
    event: Any = TriggerEvent(question.as_resume_event_payload())  # type: ignore[no-untyped-call]
    handle_event_submit(event, task_instance=task, session=session)
    session.add(Log(EVENT, owner=by, dag_id=task.dag_id, run_id=task.run_id, task_id=task.task_id))
    return True
