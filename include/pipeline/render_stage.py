"""What `render` does in a process of its own: snapshot to rows, rows to files, files and manifest into the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from include.connections import Secrets
from include.definitions.model import ExportDefinition
from include.errors import LedgerViolation, Permanent, Transient
from include.formats import bundle as bundle_format
from include.formats.bundle import write_bundle
from include.formats.hashes import file_sha256
from include.formats.manifest import SUFFIX, Bundle, Manifest, Origin, manifest_of, write_manifest
from include.pipeline import changes
from include.pipeline.artefacts import FOLDER, entries, manifest_key, store_key
from include.pipeline.contents import Prepared, Written, prepare, run_name
from include.pipeline.context import Context, Progress
from include.pipeline.signature import signed
from include.pipeline.workbook import workbook
from include.reports import models
from include.reports.agreement import disagreements
from include.reports.engine.files import row_count
from include.reports.engine.notes import Notes
from include.reports.engine.render import render as render_jobs
from include.reports.engine.shares import count_for
from include.reports.model import LocalSnapshot
from include.scratch import working_folder
from include.settings import Settings
from include.snapshots import registry
from include.snapshots.local import local
from include.snapshots.manifest import SnapshotManifest
from include.state import StaleFence
from include.state.identity import code_version
from include.state.runs import RunRecord
from include.state.tables import instant


def make(settings: Settings, run: RunRecord, secrets: Secrets, *, progress: Progress) -> list[dict[str, Any]]:
    """Render into scratch, then into the store; runs in a process of its own.

    Returns the run's files, or one entry `{"skipped": why}` where the definition's conditions send nothing.
    """
    context = Context(settings)
    if earlier := _made_earlier(context, run, secrets):
        return earlier
    definition = ExportDefinition.model_validate(run.definition)
    with working_folder(settings.scratch, f"render-{run.run_key[:24]}") as scratch:
        read = registry.load(context.store, context.state, run.snapshot_id or "")
        prepared = prepare(definition, run, scratch, secrets)
        snapshot = local_snapshot(context, read, prepared, scratch / "snapshot")
        notes = Notes()
        jobs = [each.job() for each in prepared]
        shares = count_for(row_count(snapshot.files.get("transactions", ())), settings.shares)
        parts = render_jobs(jobs, snapshot, scratch, progress=progress, notes=notes, shares=shares)
        prepared = [each for each in prepared if each.part.id not in notes.left_out]
        if different := disagreements([each.tally for each in prepared]):
            raise LedgerViolation(
                f"{run.definition_id}: exports of one run disagree: " + "; ".join(different)
            )
        written = [file for part in parts for file in part]
        if definition.bundle == "workbook":
            written = workbook(definition, run, prepared, scratch)
        looks_back = definition.looks_back
        last = changes.earlier(context, run, looks_back=looks_back) if looks_back or run.revision else None
        rows = [each.entry for each in written]
        restates = last is not None and last.is_of(run)
        conditions = changes.RESTATED if restates else definition.conditions
        if reason := changes.reason_to_skip(conditions, rows, last):
            return [{"skipped": reason}]
        alerts = changes.alerts(definition, rows, last) + changes.not_compared(prepared, written, last)
        if run.revision:
            alerts = changes.restated(rows, last if restates else None) + alerts
        written = list(changes.compared(prepared, written, last, scratch))
        bundle = _bundle(definition, run, written, scratch)
        paths = list(dict.fromkeys(each.path for each in written))
        several = len(paths) > 1 and bundle is None
        name = run_name(definition, run, "") if several else bundle.name if bundle else written[0].path.name

        def draft(sequence: int, previous: str | None) -> Manifest:
            files = [each.entry for each in written]
            origin = _origin(run, read, notes)
            return manifest_of(
                files, origin, sequence=sequence, previous=previous, name=name, bundle=bundle, alerts=alerts
            )

        registry.load(context.store, context.state, read.id)  # nobody in it was erased meanwhile
        for path in [scratch / bundle.name] if bundle else paths:
            context.store.put_new(store_key(run, file_sha256(path), path.name), path)
        manifest = _manifest(context, run, draft, scratch)
        return signed(context, run, manifest, entries(run, manifest), secrets)


def local_snapshot(
    context: Context, read: SnapshotManifest, prepared: list[Prepared], folder: Path
) -> LocalSnapshot:
    """Bring the relations that the run reads to this machine, without files that nobody looks into."""
    spans = models.spans((each.model, each.asked) for each in prepared)
    files: dict[str, list[Path]] = {}
    for span in set(spans.values()):
        since, before = (None if moment is None else instant(moment) for moment in span)
        names = [name for name, its_own in spans.items() if its_own == span]
        files |= local(context.store, read, names, folder, since=since, before=before, state=context.state)
    return LocalSnapshot(files, read.columns())


def _bundle(
    definition: ExportDefinition, run: RunRecord, written: list[Written], scratch: Path
) -> Bundle | None:
    if definition.bundle != "zip":
        return None
    path = scratch / run_name(definition, run, bundle_format.EXTENSION)
    return write_bundle(path, [each.path for each in written])


def _made_earlier(context: Context, run: RunRecord, secrets: Secrets) -> list[dict[str, Any]] | None:
    """Return what an attempt made that took the run's place in the chain and died: it is the run's, byte for byte."""
    link = context.state.chain.of(run.run_key)
    if link is None or run.dry_run:
        return None
    for each in context.store.list(f"{FOLDER}/{run.run_key}/{link.manifest_sha256}"):
        if not each.key.endswith(SUFFIX):
            continue
        manifest = Manifest.model_validate_json(context.store.read(each.key))
        found = entries(run, manifest)
        if all(context.store.exists(entry["key"]) for entry in found):
            return signed(context, run, manifest, found, secrets)
    raise Permanent(
        f"{run.definition_id}: the files of run {run.run_key[:12]} are gone from {context.store.url}, and their "
        f"manifest is number {link.sequence} of the chain; make a restatement (a higher revision)"
    )


def _manifest(
    context: Context, run: RunRecord, draft: Callable[[int, str | None], Manifest], scratch: Path
) -> Manifest:
    """Keep the manifest and give it its place in the definition's chain; a dry run takes no place.

    It is in the store before the chain speaks of it, so that a crash between the two loses nothing.
    """
    while True:
        sequence, previous = context.state.chain.next(run.definition_id)
        made = draft(sequence, previous)
        context.store.put_new(manifest_key(run, made), write_manifest(scratch, made))
        if run.dry_run:
            return made
        try:
            link = context.state.chain.append(
                run.definition_id, sequence, made.sha256(), previous_sha256=previous, run_key=run.run_key
            )
        except StaleFence:
            continue  # another run of this definition was faster
        if link.manifest_sha256 != made.sha256():
            raise Transient("another attempt of this run was faster; the next one finds its files")
        return made


def _origin(run: RunRecord, read: SnapshotManifest, seen: Notes) -> Origin:
    notes = [
        "relations other than transactions, tier_changes and program_rates are as read at the read point"
    ]
    if not read.has_recorded_at:
        notes.append("the ledger has no recorded_at: what was known is what was read")
    notes += [
        f"left out, since the ledger does not have {', '.join(missing)}: {name}"
        for name, missing in seen.left_out.items()
    ]
    notes += [f"reported and booked: {count} rows {name}" for name, count in sorted(seen.problems.items())]
    return Origin(
        export_id=run.definition_id,
        definition_version=run.definition_version,
        run_key=run.run_key,
        revision=run.revision,
        snapshot_id=read.id,
        code_version=code_version(),
        as_of=run.as_of,
        known_at=run.known_at if read.has_recorded_at else read.read_at,
        interval_start=run.start,
        interval_end=run.end,
        notes=tuple(notes),
    )
