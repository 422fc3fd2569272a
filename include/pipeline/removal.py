"""Removing the files of a run from the store: its record, its manifest and its place in the chain stay."""

from __future__ import annotations

from datetime import UTC, datetime

from include.formats.manifest import is_about
from include.pipeline.artefacts import FOLDER
from include.pipeline.context import Context
from include.state.deliveries import DeliveryState
from include.state.runs import RunRecord, RunStatus

# A delivery in one of these still needs the files: it is at work, or waits for a person.
OPEN = (
    DeliveryState.CLAIMED,
    DeliveryState.READY,
    DeliveryState.SENDING,
    DeliveryState.UNCERTAIN,
    DeliveryState.CONFLICT,
)
_AT_WORK = OPEN[:3]


def needed(context: Context, run: RunRecord) -> bool:
    """Say whether the run is being made, or a delivery of it is open."""
    if run.artefacts is None or run.status is RunStatus.RUNNING:
        return True
    return any(each.state in OPEN for each in context.state.deliveries.list(run_key=run.run_key))


def being_delivered(context: Context, run_key: str) -> bool:
    """Say whether a delivery of the run is at work now; one whose process died is not."""
    now = datetime.now(UTC)
    deliveries = context.state.deliveries.list(run_key=run_key)
    return any(each.state in _AT_WORK and each.expires_at > now for each in deliveries)


def data_keys(context: Context, run_key: str) -> list[str]:
    """Return the keys of what the store holds of a run, without manifests and their signatures."""
    entries = context.store.list(f"{FOLDER}/{run_key}")
    return [entry.key for entry in entries if not is_about(entry.key)]


def remove_files(context: Context, run_key: str, why: str, *, also: tuple[str, ...] = ()) -> None:
    """Remove a run's data, and `also` these keys, and write down when and why; again is fine.

    What was removed is written down last: who is killed before finds the rest, and removes it.
    """
    keys = [*data_keys(context, run_key), *also]
    for key in keys:
        context.store.delete(key)
    context.state.runs.files_gone(run_key, why, {"files": len(keys)})
