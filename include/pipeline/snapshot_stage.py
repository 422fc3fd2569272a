"""What `snapshot` does in a process of its own: read the ledger once, for all that needs it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from include.connections import Secrets
from include.definitions.model import ExportDefinition
from include.errors import NotYet
from include.pipeline import exports
from include.pipeline.checks import check, model_of
from include.pipeline.context import Context, Progress, settle_delay
from include.settings import Settings
from include.snapshots import extract, registry
from include.snapshots.manifest import SnapshotManifest, source_key
from include.snapshots.source import Source, public_url
from include.state.runs import RunRecord


def take(settings: Settings, run: RunRecord, secrets: Secrets, *, progress: Progress) -> SnapshotManifest:
    """Find or make the run's snapshot; runs in a process of its own. secrets: with the key of erased people."""
    definition = ExportDefinition.model_validate(run.definition)
    delay = settle_delay(settings, definition)
    return _take(settings, needs(settings, definition), run.known_at, delay, run.run_key, secrets, progress)


def find(context: Context, run: RunRecord) -> SnapshotManifest | None:
    """Return a usable snapshot that covers what this run alone needs, or None; reads no ledger."""
    definition = ExportDefinition.model_validate(run.definition)
    source = Source.from_settings(context.settings)
    return registry.find(
        context.store,
        context.state,
        source_key(public_url(source.url), source.mapping_sha256),
        needs=read_by([definition]),
        not_before=run.known_at,
        settle_delay=settle_delay(context.settings, definition),
        holder=run.run_key,
    )


def take_ahead(
    settings: Settings, not_before: datetime, secrets: Secrets, *, progress: Progress
) -> SnapshotManifest:
    """Find or make a snapshot for all enabled definitions; runs in a process of its own."""
    return _take(settings, needs(settings), not_before, settings.settle_delay, None, secrets, progress)


def take_for(
    settings: Settings,
    document: dict[str, Any],
    not_before: datetime,
    secrets: Secrets,
    *,
    progress: Progress,
) -> SnapshotManifest:
    """Find or make a snapshot for a definition that is saved nowhere, and all enabled ones; in a process of its own."""
    definition = ExportDefinition.model_validate(document)
    delay = settle_delay(settings, definition)
    return _take(settings, needs(settings, definition), not_before, delay, None, secrets, progress)


def _take(
    settings: Settings,
    wanted: dict[str, tuple[str, ...]],
    not_before: datetime,
    delay: timedelta,
    holder: str | None,
    secrets: Secrets,
    progress: Progress,
) -> SnapshotManifest:
    context = Context(settings)
    if not secrets.connections and context.state.erasures.list():
        raise NotYet("somebody has just been erased", datetime.now(UTC) + extract.ASK_AGAIN)
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
        keys=secrets,
        whole_every=settings.whole_snapshots,
        proof_days=settings.proof_days,
    )


def needs(settings: Settings, *definitions: ExportDefinition) -> dict[str, tuple[str, ...]]:
    """Return the columns by relation that these and all enabled definitions read: one snapshot serves them all."""
    others = exports.known(Context.from_settings(settings), check=check).values()
    return read_by((*definitions, *(other for other in others if other.enabled)))


def read_by(definitions: Iterable[ExportDefinition]) -> dict[str, tuple[str, ...]]:
    """Return the columns that definitions read, by relation."""
    wanted: dict[str, dict[str, None]] = {}
    for part in (part for definition in definitions for part in definition.parts):
        module, options = model_of(part)
        for relation, columns in module.needs(options).items():
            wanted.setdefault(relation, {}).update(dict.fromkeys(columns))
    return {relation: tuple(columns) for relation, columns in wanted.items()}
