"""What tells people: the watch for late exports and the weekly digest, two DAGs."""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from include.orchestration.notices import DIGEST_ID, WATCH_ID, build_digest, build_watch

# A process that runs a task of another DAG does not need these.
_wanted = get_parsing_context().dag_id
if _wanted in {None, WATCH_ID}:
    watch = build_watch()
if _wanted in {None, DIGEST_ID}:
    digest = build_digest()
