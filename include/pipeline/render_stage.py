"""What `render` does in a process of its own: snapshot to rows, rows to files, files and manifest into the store."""

from __future__ import annotations

import shutil
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from include.connections import Secrets
from include.definitions.model import ExportDefinition
from include.errors import LedgerViolation, Permanent, Transient
from include.formats import bundle as bundle_format
from include.formats.bundle import write_bundle
from include.formats.hashes import file_sha256
from include.formats.manifest import SUFFIX, Bundle, Manifest, Origin, manifest_of, write_manifest
from include.pipeline import changes, checkpoints
from include.pipeline.artefacts import FOLDER, entries, manifest_key, store_key
from include.pipeline.asking import reports_of
from include.pipeline.contents import Written, run_name
from include.pipeline.context import Context, Progress
from include.pipeline.local_files import local_snapshot
from include.pipeline.process import carried
from include.pipeline.share_stage import joined
from include.pipeline.shared_reports import SharedReports
from include.pipeline.signature import signed
from include.pipeline.snapshot_stage import read_by
from include.pipeline.work import OwnReports, Work
from include.pipeline.workbook import workbook
from include.reports.agreement import disagreements
from include.reports.engine.files import row_count
from include.reports.engine.notes import Notes
from include.reports.engine.render import render as render_jobs
from include.reports.engine.shares import count_for
from include.scratch import working_folder
from include.settings import Settings
from include.snapshots import registry
from include.snapshots.manifest import SnapshotManifest
from include.state import StaleFence
from include.state.identity import code_version
from include.state.runs import RunRecord

Made = list[dict[str, Any]]
# Times the bytes of the snapshot's files that are read; seen: 4.6 for partitions, 3.2 for the files of five reports,
# 5.2 for the rows of one report that wait.
_TIMES_A_PASS, _TIMES_A_RUN, _TIMES_A_REPORT = 8, 3, 6


def make(
    settings: Settings,
    run: RunRecord,
    secrets: Secrets,
    shares: Sequence[Mapping[str, Any]] = (),
    *,
    progress: Progress,
) -> Made:
    """Render into scratch, then into the store; runs in a process of its own. shares: joined where there are any.

    Returns the run's files, or one entry `{"skipped": why}` where the definition's conditions send nothing.
    """
    [made] = _made(Context(settings), [run], secrets, progress, shares)
    if isinstance(made, Exception):
        raise made
    return made


def make_together(
    settings: Settings, runs: Sequence[RunRecord], secrets: Secrets, *, progress: Progress
) -> list[Made | BaseException]:
    """Render runs of one snapshot in one pass, each as `make` would; runs in a process of its own.

    Returns for each what `make` returns, or raises. Where the report of one fails, the pass is made again without it.
    The files of all but the first are in their records as soon as they are made. secrets: of all the definitions.
    Raises what is no single run's: the snapshot is damaged or gone, the disk is full.
    """
    made = _made(Context(settings), runs, secrets, progress)
    return [carried(each, secrets) if isinstance(each, Exception) else each for each in made]


def _made(
    context: Context,
    runs: Sequence[RunRecord],
    secrets: Secrets,
    progress: Progress,
    shares: Sequence[Mapping[str, Any]] = (),
) -> list[Made | Exception]:
    results = _Results(context, runs[0])
    for run in runs:
        with results.of(run):
            if earlier := _made_earlier(context, run, secrets):
                results.keep(run, earlier)
    if len(results.found) == len(runs):
        return [results.found[run.run_key] for run in runs]
    settings, name = context.settings, f"render-{runs[0].run_key[:24]}"
    with working_folder(
        settings.scratch, name, _scratch_needed(context, runs), settings.scratch_bytes
    ) as scratch:
        while waiting := [run for run in runs if run.run_key not in results.found]:
            folder = scratch / f"pass-{len(waiting)}"
            folder.mkdir()
            _pass(context, waiting, secrets, folder, results, progress, shares)
            shutil.rmtree(folder)
    return [results.found[run.run_key] for run in runs]


def _scratch_needed(context: Context, runs: Sequence[RunRecord]) -> int:
    """Return the bytes of scratch that a pass may come to hold: partitions, a large account, rows that wait, files."""
    read = registry.load(context.store, context.state, runs[0].snapshot_id or "")
    definitions = [ExportDefinition.model_validate(run.definition) for run in runs]

    def held(names: Iterable[str]) -> int:
        relations = [read.relations[name] for name in names if name in read.relations]
        return sum(file.bytes for relation in relations for file in relation.files)

    at_once = min(len(runs), context.settings.shares)
    needed = (_TIMES_A_PASS + _TIMES_A_RUN * at_once) * held(read_by(definitions))
    if len(runs) > 1:
        reports = dict(ChainMap(*map(reports_of, runs, definitions)))
        needed += _TIMES_A_REPORT * sum(map(held, reports.values()))
    return needed


@dataclass(frozen=True)
class _Results:
    """What became of each run, by its key."""

    context: Context
    leader: RunRecord
    found: dict[str, Made | Exception] = field(default_factory=dict)

    @contextmanager
    def of(self, run: RunRecord) -> Iterator[None]:
        """Let what goes wrong in the block be the matter of one run."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whoever asked for the run is told
            self.found[run.run_key] = error

    def keep(self, run: RunRecord, made: Made) -> None:
        """Keep what was made of a run."""
        if run is not self.leader:
            self.context.state.runs.pin_artefacts(run.run_key, made, made_by=self.leader.run_key)
        self.found[run.run_key] = made


def _pass(
    context: Context,
    waiting: Sequence[RunRecord],
    secrets: Secrets,
    scratch: Path,
    results: _Results,
    progress: Progress,
    shares: Sequence[Mapping[str, Any]],
) -> None:
    """Make a pass for the runs; where the report of one fails, only that becomes known."""
    read = registry.load(context.store, context.state, waiting[0].snapshot_id or "")
    works: list[Work] = []
    for index, run in enumerate(waiting):
        with results.of(run):
            works.append(Work.begun(run, secrets, scratch / f"run-{index}"))
    if not works:
        return
    reports = SharedReports(works, scratch) if len(works) > 1 else OwnReports(works[0])
    prepared = [part for work in works for part in work.prepared]
    snapshot = local_snapshot(context, read, prepared, scratch.parent / "snapshot")
    notes, jobs = Notes(), reports.jobs()
    kept = (
        checkpoints.plan(context, read, prepared, snapshot, scratch.parent / "snapshot")
        if not shares
        else None
    )
    jobs += [kept.job()] if kept else []
    processes = count_for(row_count(snapshot.files.get("transactions", ())), context.settings.shares)
    try:
        if shares:
            joined(context, jobs, snapshot, scratch, shares, progress=progress, notes=notes)
        else:
            base = kept.base if kept else None
            render_jobs(jobs, snapshot, scratch, progress=progress, notes=notes, shares=processes, base=base)
    except Exception as error:
        failed = reports.failed(error)
        if not failed:
            raise
        results.found.update(failed)
        return
    if kept:
        checkpoints.keep(context, read, kept, snapshot, scratch)
    done = 0
    with ThreadPoolExecutor(processes) as pool:
        for some in _at_once(works, processes):
            written = [pool.submit(reports.written, work, notes) for work in some]
            for work, seen in zip(some, written, strict=True):
                with results.of(work.run):
                    results.keep(work.run, _finished(context, work, read, seen.result(), secrets))
                shutil.rmtree(work.scratch)
                done += 1
                if len(works) > 1:
                    progress("write", done, len(works))


def _at_once(works: Sequence[Work], most: int) -> Iterator[list[Work]]:
    """Yield the runs whose files are written at once, in the order of periods. Who sorts rows has the memory alone."""
    some: list[Work] = []
    for work in sorted(works, key=lambda each: (each.run.as_of, each.run.revision)):
        if some and (_is_sorted(work) or _is_sorted(some[0]) or len(some) == most):
            yield some
            some = []
        some.append(work)
    yield some


def _is_sorted(work: Work) -> bool:
    return any(part.order is not None or part.aggregation is not None for part in work.definition.parts)


def _finished(context: Context, work: Work, read: SnapshotManifest, notes: Notes, secrets: Secrets) -> Made:
    """Put the files of a run and their manifest into the store, or say why nothing is sent."""
    run, definition, scratch, prepared = work.run, work.definition, work.scratch, work.rest()
    if different := disagreements([each.tally for each in prepared]):
        raise LedgerViolation(f"{run.definition_id}: exports of one run disagree: " + "; ".join(different))
    written = work.written()
    if definition.bundle == "workbook":
        written = workbook(definition, run, prepared, scratch)
    looks_back = definition.looks_back
    last = changes.earlier(context, run, looks_back=looks_back) if looks_back or run.revision else None
    rows = [each.entry for each in written]
    restates = last is not None and last.is_of(run)
    conditions = changes.RESTATED if restates else definition.conditions
    if reason := changes.reason_to_skip(conditions, rows, last):
        return [{"skipped": reason}]
    written, not_compared = changes.compared(prepared, written, last, scratch)
    alerts = changes.alerts(definition, rows, last) + not_compared
    if run.revision:
        alerts = changes.restated(rows, last if restates else None) + alerts
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
