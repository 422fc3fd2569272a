"""Snapshot: bind a run to one frozen read of the ledger, making it when no usable one covers the run's K."""

from __future__ import annotations

from datetime import datetime

from include.pipeline import process
from include.pipeline.context import Context, Progress, silent
from include.pipeline.privacy import erasure_key
from include.snapshots.manifest import SnapshotManifest


def snapshot(context: Context, run_key: str, progress: Progress = silent) -> str:
    """Return the id of the run's snapshot. Raises NotYet while another process makes it.

    A run whose snapshot was damaged or retired is bound to a new one, which answers the same for its T and K.
    """
    from include.pipeline import snapshot_stage

    progress = context.recorded(run_key, progress)
    runs, stage = context.state.runs, "include.pipeline.snapshot_stage:take"
    while True:
        run = runs.get(run_key)
        if run.snapshot_id is None:
            found = snapshot_stage.find(context, run)
            made = found or process.in_process(
                stage, context.settings, run, erasure_key(context), progress=progress
            )
            run = runs.pin_snapshot(run_key, made.id)
        assert run.snapshot_id is not None
        # What is rendered needs no snapshot any more.
        if run.artefacts or context.state.snapshots.refer(run.snapshot_id, run_key):
            return run.snapshot_id
        runs.unpin_snapshot(run_key, run.snapshot_id)


def rebound(context: Context, run_key: str) -> str | None:
    """Bind a run to a usable snapshot that is there, unless it is; return its id, None without one. Reads no ledger."""
    from include.pipeline import snapshot_stage

    runs, snapshots = context.state.runs, context.state.snapshots
    run = runs.get(run_key)
    if run.snapshot_id is not None and not snapshots.refer(run.snapshot_id, run_key):
        run = runs.unpin_snapshot(run_key, run.snapshot_id)
    if run.snapshot_id is None and (found := snapshot_stage.find(context, run)):
        run = runs.pin_snapshot(run_key, found.id)
    return run.snapshot_id


def take_now(context: Context, not_before: datetime, progress: Progress = silent) -> SnapshotManifest:
    """Return a snapshot for the needs of all enabled definitions that serves T and K up to `not_before`."""
    stage = "include.pipeline.snapshot_stage:take_ahead"
    made: SnapshotManifest = process.in_process(
        stage, context.settings, not_before, erasure_key(context), progress=progress
    )
    return made
