"""Render: the report's rows into one file and its manifest, kept in the store under the run's key."""

from __future__ import annotations

from typing import Any

from include.pipeline import process
from include.pipeline.context import Context, Progress, silent
from include.pipeline.snapshot import snapshot
from include.snapshots.local import Damaged


def render(context: Context, run_key: str, progress: Progress = silent) -> list[dict[str, Any]]:
    """Return the run's files: name, store key, sha256, bytes, media type; first the data with its rows and totals.

    Made once: a second call finds them. Raises LedgerViolation, and then nothing is kept.
    """
    run = context.state.runs.get(run_key)
    if run.artefacts and all(context.store.exists(each["key"]) for each in run.artefacts):
        return run.artefacts
    progress = context.recorded(run_key, progress)
    stage = "include.pipeline.render_stage:make"
    made: list[dict[str, Any]]
    try:
        made = process.in_process(stage, context.settings, run, progress=progress)
    except Damaged:
        # The snapshot is out of use now; another one answers the same for this T and K.
        snapshot(context, run_key, progress)
        run = context.state.runs.get(run_key)
        made = process.in_process(stage, context.settings, run, progress=progress)
    kept = context.state.runs.pin_artefacts(run_key, made)
    assert kept.artefacts is not None
    return kept.artefacts
