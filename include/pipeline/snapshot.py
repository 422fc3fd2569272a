"""Snapshot: bind a run to one frozen read of the ledger, making it when no usable one covers the run's K."""

from __future__ import annotations

from datetime import datetime, timedelta

from include.definitions.load import scan
from include.definitions.model import ExportDefinition
from include.pipeline.checks import check, report_of
from include.pipeline.context import Context, Progress, silent
from include.pipeline.process import in_process
from include.settings import Settings
from include.snapshots import extract
from include.snapshots.manifest import SnapshotManifest
from include.snapshots.source import Source
from include.state.runs import RunRecord


def snapshot(context: Context, run_key: str, progress: Progress = silent) -> str:
    """Return the id of the run's snapshot. Raises NotYet while another process makes it."""
    run = context.state.runs.get(run_key)
    if run.snapshot_id is None:
        made: SnapshotManifest = in_process(take, context.settings, run, progress=progress)
        run = context.state.runs.pin_snapshot(run_key, made.id)
    assert run.snapshot_id is not None
    context.state.snapshots.refer(run.snapshot_id, run_key)
    return run.snapshot_id


def take(settings: Settings, run: RunRecord, *, progress: Progress) -> SnapshotManifest:
    """Find or make the run's snapshot; runs in a process of its own."""
    definition = ExportDefinition.model_validate(run.definition)
    delay = definition.settle_delay if definition.settle_delay is not None else settings.settle_delay
    return _take(settings, needs(settings, definition), run.known_at, delay, run.run_key, progress)


def take_now(context: Context, not_before: datetime, progress: Progress = silent) -> SnapshotManifest:
    """Return a snapshot for the needs of all enabled definitions that serves T and K up to `not_before`."""
    made: SnapshotManifest = in_process(_take_ahead, context.settings, not_before, progress=progress)
    return made


def _take_ahead(settings: Settings, not_before: datetime, *, progress: Progress) -> SnapshotManifest:
    return _take(settings, needs(settings), not_before, settings.settle_delay, None, progress)


def _take(
    settings: Settings,
    wanted: dict[str, tuple[str, ...]],
    not_before: datetime,
    delay: timedelta,
    holder: str | None,
    progress: Progress,
) -> SnapshotManifest:
    context = Context(settings)
    return extract.take(
        Source.from_settings(settings),
        context.store,
        context.state,
        needs=wanted,
        not_before=not_before,
        settle_delay=delay,
        scratch=settings.scratch,
        holder=holder,
        progress=progress,
    )


def needs(settings: Settings, *definitions: ExportDefinition) -> dict[str, tuple[str, ...]]:
    """Return the columns by relation that these and all enabled definitions read: one snapshot serves them all."""
    others = scan(settings.exports, check=check)[0].values() if settings.exports.is_dir() else ()
    wanted: dict[str, dict[str, None]] = {}
    for each in (*definitions, *(other for other in others if other.enabled)):
        module, options = report_of(each)
        for relation, columns in module.needs(options).items():
            wanted.setdefault(relation, {}).update(dict.fromkeys(columns))
    return {relation: tuple(columns) for relation, columns in wanted.items()}
