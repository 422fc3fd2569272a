"""Delivered periods looked at again every day: one DAG."""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from include.orchestration.restatements import ID, build

# A process that runs a task of another DAG does not need this one.
if get_parsing_context().dag_id in {None, ID}:
    dag = build()
