"""Shares of a run: of a large snapshot each is a stretch of accounts, booked by a task of its own on any machine.

A share lies in the store under the run's key until the run is settled; its hash travels beside it. Which are made,
where, and how often changes no byte of the run's files.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from include.definitions.model import ExportDefinition
from include.ledger.catalog import BOOKING_COLUMNS
from include.pipeline import process
from include.pipeline.artefacts import refuse_gone
from include.pipeline.checks import model_of
from include.pipeline.context import Context, Progress, silent
from include.pipeline.privacy import secrets_of
from include.snapshots import registry

FOLDER = "shares"
# No run takes so long to join its shares: whoever made them is gone. A run that did is joined from new ones.
DEAD = timedelta(days=1)


def shares_of(context: Context, run_key: str) -> list[dict[str, int]]:
    """Return the shares that the run is worth, each `{"number", "count"}`; none where one task renders it whole."""
    run = context.state.runs.get(run_key)
    most = context.settings.share_rows
    if not most or run.artefacts or not _books(ExportDefinition.model_validate(run.definition)):
        return []
    read = registry.load(context.store, context.state, run.snapshot_id or "")
    count = -(-read.relations["transactions"].rows // most)
    return [{"number": number, "count": count} for number in range(count)] if count > 1 else []


def render_share(
    context: Context, run_key: str, number: int, count: int, progress: Progress = silent
) -> dict[str, Any]:
    """Make share `number` of `count`; return it as `render` takes it: number, count, code, store key and sha256.

    Raises LedgerViolation and BadInput as `render` does.
    """
    run = context.state.runs.get(run_key)
    refuse_gone(run)
    secrets = secrets_of(context, ExportDefinition.model_validate(run.definition))
    stage = "include.pipeline.share_stage:make"
    progress = context.recorded(run_key, progress)
    made: dict[str, Any] = process.in_process(
        stage, context.settings, run, secrets, number, count, progress=progress
    )
    return made


def clear_shares(context: Context, run_key: str) -> None:
    """Remove the run's shares."""
    for each in context.store.list(f"{FOLDER}/{run_key}"):
        context.store.delete(each.key)


def clear_dead(context: Context, older_than: timedelta = DEAD) -> int:
    """Remove shares that nobody joined for so long: their runs ended some other way. Return how many."""
    before = datetime.now(UTC) - older_than
    dead = [each.key for each in context.store.list(FOLDER) if each.modified < before]
    for key in dead:
        context.store.delete(key)
    return len(dead)


def _books(definition: ExportDefinition) -> bool:
    asked = (model_of(part) for part in definition.parts)
    return any(
        set(BOOKING_COLUMNS) <= set(model.needs(options).get("transactions", ())) for model, options in asked
    )
