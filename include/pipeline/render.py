"""Render: the report's rows into one file and its manifest, kept in the store under the run's key."""

from __future__ import annotations

from typing import Any

from include.definitions.model import ExportDefinition
from include.pipeline import keys, process
from include.pipeline.artefacts import refuse_gone
from include.pipeline.context import Context, Progress, silent
from include.pipeline.privacy import secrets_of
from include.pipeline.snapshot import snapshot
from include.snapshots.local import Damaged
from include.snapshots.store import Missing


def render(context: Context, run_key: str, progress: Progress = silent) -> list[dict[str, Any]]:
    """Return the run's files: name, store key, sha256, bytes, media type; first the data with its rows and totals.

    None where the definition's conditions say that nothing is sent; the run's record says why.
    Made once: a second call finds them. Raises LedgerViolation, and BadInput for connections and keys; then
    nothing is kept.
    """
    run = context.state.runs.get(run_key)
    refuse_gone(run)
    if run.artefacts and all(context.store.exists(each["key"]) for each in run.files):
        return run.files
    secrets = secrets_of(context, ExportDefinition.model_validate(run.definition))
    keys.tell(context, run, secrets)
    progress = context.recorded(run_key, progress)
    stage = "include.pipeline.render_stage:make"
    made: list[dict[str, Any]]
    try:
        made = process.in_process(stage, context.settings, run, secrets, progress=progress)
    except (Damaged, Missing):
        # The snapshot is out of use now; another one answers the same for this T and K.
        snapshot(context, run_key, progress)
        run = context.state.runs.get(run_key)
        made = process.in_process(stage, context.settings, run, secrets, progress=progress)
    return context.state.runs.pin_artefacts(run_key, made).files
