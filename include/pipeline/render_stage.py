"""What `render` does in a process of its own: snapshot to rows, rows to file, file and manifest into the store."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from include.definitions.model import ExportDefinition
from include.definitions.naming import file_name
from include.definitions.occasion import name_values
from include.definitions.periods import Interval
from include.errors import Permanent, Transient
from include.formats import artefact
from include.formats.artefact import Artefact
from include.formats.hashes import file_sha256
from include.formats.manifest import SUFFIX, Manifest, Origin, manifest_of, write_manifest
from include.formats.options import FileOptions, file_options
from include.ledger.columns import Column
from include.pipeline.checks import report_of
from include.pipeline.context import Context, Progress
from include.reports.model import Asked, LocalSnapshot
from include.reports.render import Job, Notes
from include.reports.render import render as render_jobs
from include.settings import Settings
from include.snapshots import registry
from include.snapshots.local import local
from include.snapshots.manifest import SnapshotManifest
from include.state import StaleFence
from include.state.identity import code_version
from include.state.runs import RunRecord
from include.state.tables import microseconds

FOLDER = "artefacts"


def make(settings: Settings, run: RunRecord, *, progress: Progress) -> list[dict[str, Any]]:
    """Render into scratch, then into the store; runs in a process of its own."""
    context = Context(settings)
    if earlier := _made_earlier(context, run):
        return earlier
    definition = ExportDefinition.model_validate(run.definition)
    scratch = settings.scratch / f"render-{run.run_key[:24]}-{uuid.uuid4().hex[:8]}"
    scratch.mkdir(parents=True)
    try:
        read = registry.load(context.store, context.state, run.snapshot_id or "")
        file = file_options(definition.file.model_dump(exclude={"name"}))
        module, options = report_of(definition)
        columns, places = chosen(definition, module.columns(options))
        path = scratch / final_name(run, definition, file)

        def sink(batches: Iterator[pa.RecordBatch]) -> Artefact:
            return artefact.write(path, columns, _arranged(batches, columns, places), file)

        others = tuple(name for name in module.needs(options) if name != "transactions")
        folder = scratch / "snapshot"
        files = local(context.store, read, ["transactions"], folder, before=run.as_of, state=context.state)
        files |= local(context.store, read, others, folder, state=context.state)
        notes = Notes()
        job = Job(module, asked(run, definition, options), sink)
        (written,) = render_jobs(
            [job], LocalSnapshot(files, read.columns()), scratch, progress=progress, notes=notes
        )

        def draft(sequence: int, previous: str | None) -> Manifest:
            origin = _origin(run, read, notes)
            return manifest_of(written, columns, file, origin, sequence=sequence, previous=previous)

        data = _entry(run, path, file.media_type)
        context.store.put_new(data["key"], path)
        beside = _manifest(context, run, draft, scratch)
        return [data | _figures(beside), _manifest_entry(run, beside)]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def asked(run: RunRecord, definition: ExportDefinition, options: Any) -> Asked:
    """Return what the run asks of its report, in microseconds."""
    return Asked(
        start=_micros(run.start),
        end=_micros(run.end),
        as_of=microseconds(run.as_of),
        known_at=microseconds(run.known_at),
        options=options,
        timezone=definition.timezone,
    )


def final_name(run: RunRecord, definition: ExportDefinition, file: FileOptions) -> str:
    """Return the file's final name; the sequence is the revision's, since a name must not depend on the chain."""
    values = name_values(
        definition,
        occurrence=run.occurrence or run.as_of,
        interval=Interval(run.start, run.end) if run.end else None,
        as_of=run.as_of,
        revision=run.revision,
    )
    return file_name(definition.file.name, values, file.extension)


def chosen(definition: ExportDefinition, given: tuple[Column, ...]) -> tuple[list[Column], list[int]]:
    """Return the columns of the file, in its order and with its headers, and their places in the report."""
    if definition.fields is None:
        return list(given), list(range(len(given)))
    places = {column.name: index for index, column in enumerate(given)}
    picked = [(choice.title, places[choice.field]) for choice in definition.fields]
    return [Column(title, given[place].type) for title, place in picked], [place for _, place in picked]


def _arranged(
    batches: Iterable[pa.RecordBatch], columns: list[Column], places: list[int]
) -> Iterator[pa.RecordBatch]:
    names = [column.name for column in columns]
    for batch in batches:
        yield pa.RecordBatch.from_arrays([batch.column(place) for place in places], names=names)


def _made_earlier(context: Context, run: RunRecord) -> list[dict[str, Any]] | None:
    """Return what an attempt made that took the run's place in the chain and died: it is the run's, byte for byte."""
    link = context.state.chain.of(run.run_key)
    if link is None or run.dry_run:
        return None
    for each in context.store.list(f"{FOLDER}/{run.run_key}/{link.manifest_sha256}"):
        made = Manifest.model_validate_json(context.store.read(each.key))
        key = _key(run, made.file.sha256, made.file.name)
        if context.store.exists(key):
            data = {name: getattr(made.file, name) for name in ("name", "sha256", "bytes", "media_type")}
            return [data | {"key": key} | _figures(made), _manifest_entry(run, made)]
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
        context.store.put_new(_manifest_entry(run, made)["key"], write_manifest(scratch, made))
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


def _entry(run: RunRecord, path: Path, media_type: str) -> dict[str, Any]:
    sha256 = file_sha256(path)
    about = {"name": path.name, "sha256": sha256, "bytes": path.stat().st_size, "media_type": media_type}
    return about | {"key": _key(run, sha256, path.name)}


def _manifest_entry(run: RunRecord, made: Manifest) -> dict[str, Any]:
    name, sha256 = made.file.name + SUFFIX, made.sha256()
    about = {"name": name, "sha256": sha256, "bytes": len(made.canonical()), "media_type": "application/json"}
    return about | {"key": _key(run, sha256, name)}


def _figures(made: Manifest) -> dict[str, Any]:
    return {"rows": made.rows, "totals": made.totals, "notes": list(made.origin.notes)}


def _key(run: RunRecord, sha256: str, name: str) -> str:
    """Return where a file is kept: under its hash, so that attempts which differ never meet."""
    return f"{FOLDER}/{run.run_key}/{sha256}/{name}"


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else microseconds(moment)
