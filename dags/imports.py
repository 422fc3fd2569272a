"""Imports of points, and the folders that are watched for files of them: two DAGs."""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from include.orchestration.imports import INBOX_ID, build, build_inbox
from include.settings import IMPORTS_DAG

# A process that runs a task of another DAG does not need these.
_wanted = get_parsing_context().dag_id
if _wanted in {None, IMPORTS_DAG}:
    imports = build()
if _wanted in {None, INBOX_ID}:
    inbox = build_inbox()
