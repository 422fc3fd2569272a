"""Retention: files whose time is over leave the store, except those that something still needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from include.definitions.retention import Retention, before
from include.pipeline import exports
from include.pipeline.context import Context
from include.pipeline.removal import needed, remove_files
from include.state.runs import RunRecord, RunStatus

_SOONEST = timedelta(days=1)


def retire_files(context: Context) -> list[str]:
    """Remove the files of runs whose time is over; return the runs' keys."""
    removed = []
    for run in over(context):
        remove_files(context, run.run_key, "retention")
        removed.append(run.run_key)
    return removed


def over(context: Context) -> Iterator[RunRecord]:
    """Yield the runs whose files' time is over, and that nothing needs any more; it changes nothing.

    How long says the definition as it is now, else as it was when the run was made, else the installation. A run keeps
    its files while it is being made, while a delivery is open, while somebody may download them, and while it is the
    newest of its definition that was delivered: the next run is compared with it.
    """
    now = datetime.now(UTC)
    spans = _spans(context)
    runs = context.state.runs.with_files()
    newest = _newest(runs)
    for run in runs:
        span = spans.get(run.definition_id) or _span_of(run.definition)
        limit = before(now, span) if span else now - context.settings.keep_files
        if run.updated_at is None or run.updated_at > min(limit, now - _SOONEST) or run.run_key in newest:
            continue
        if not needed(context, run) and not _downloadable(context, run):
            yield run


def _newest(runs: Iterable[RunRecord]) -> set[str]:
    """Return the keys of the runs that were delivered last, one for each definition."""
    found: dict[str, RunRecord] = {}
    for run in runs:
        if run.status is not RunStatus.DONE or run.dry_run:
            continue
        other = found.get(run.definition_id)
        if other is None or (run.as_of, run.revision) > (other.as_of, other.revision):
            found[run.definition_id] = run
    return {run.run_key for run in found.values()}


def _spans(context: Context) -> dict[str, str | None]:
    return {each.id: each.retention.files for each in exports.known(context).values()}


def _span_of(document: dict[str, Any]) -> str | None:
    return Retention.model_validate(document.get("retention", {})).files


def _downloadable(context: Context, run: RunRecord) -> bool:
    return any(link.active for link in context.state.links.list(run_key=run.run_key, limit=1000))
