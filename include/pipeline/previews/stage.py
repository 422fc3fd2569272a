"""What `preview` does in a process of its own: real files in scratch, of a snapshot or a sample of it, looked at.

How many rows and bytes the file will have is worked out from how they grow from half of the sample's customers to all
of them: rows that stand for customers grow alike, groups and totals do not.
"""

from __future__ import annotations

import io
import math
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from include.connections import Secrets
from include.definitions.model import ExportDefinition
from include.errors import Transient
from include.formats import artefact
from include.formats.artefact import Artefact
from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.pipeline.contents import Prepared, prepare
from include.pipeline.context import Context, Progress
from include.pipeline.local_files import local_snapshot
from include.pipeline.previews.preview import ROWS_SHOWN, SECONDS, Preview, ShownColumn, ShownFile
from include.pipeline.snapshot_stage import read_by
from include.reports.engine.render import Job
from include.reports.engine.render import render as render_jobs
from include.reports.model import LocalSnapshot
from include.scratch import working_folder
from include.settings import Settings
from include.snapshots import registry
from include.snapshots.manifest import SnapshotManifest
from include.snapshots.sample import Sample, sample, share_of
from include.state.runs import RunRecord

HIDDEN = "hidden"
_CPU_SECONDS = 4 * SECONDS
_MEMORY_BYTES = 3 << 30
_BEGINNING_CHARACTERS = 4_000
_TEXTS = ("csv", "psv", "tsv", "json", "jsonl", "xml")


@dataclass(frozen=True)
class _Seen:
    """One file of one rendering: what is known of it, and its first rows as they leave."""

    made: Artefact
    first: tuple[pa.RecordBatch, ...]


def draw(
    settings: Settings, run: RunRecord, secrets: Secrets, personal: bool, *, progress: Progress
) -> Preview:
    """Return the preview of a run that nobody will make; runs in a process of its own, which may not take long."""
    _limit()
    return drawn(settings, run, secrets, personal, progress=progress)


def drawn(
    settings: Settings, run: RunRecord, secrets: Secrets, personal: bool, *, progress: Progress
) -> Preview:
    """Return the preview, however long it takes."""
    context = Context(settings)
    definition = ExportDefinition.model_validate(run.definition)
    with working_folder(settings.scratch, "preview") as scratch:
        read = registry.load(context.store, context.state, run.snapshot_id or "")
        held = _held(context, definition, run, read, secrets, scratch)
        how = secrets, personal, progress
        whole, prepared = _rendered(definition, run, held.whole, scratch / "whole", *how)
        half = None
        if held.sample is not None and held.half is not None:
            half = _rendered(definition, run, held.half, scratch / "half", *how)[0]
        files = tuple(
            _shown(each, seen, half[index] if half else None, held.sample, personal)
            for index, (each, seen) in enumerate(zip(prepared, whole, strict=True))
        )
        share = held.sample.share if held.sample else 1
        return Preview(read.read_at, share, run.start, run.end, run.as_of, files)


def gather(settings: Settings, run: RunRecord, *, progress: Progress) -> None:
    """Gather the sample of a run's snapshot that its preview needs; runs in a process of its own, in the background."""
    context = Context(settings)
    definition = ExportDefinition.model_validate(run.definition)
    read = registry.load(context.store, context.state, run.snapshot_id or "")
    relations = sorted(read_by([definition]))
    share = share_of(read, relations)
    if share == 1:
        return
    progress("sample", 0, None)
    with working_folder(settings.scratch, "sample") as scratch:
        sample(context.store, read, relations, share, scratch)


def _limit() -> None:
    """Let this process use so much time and memory and no more; it is nobody's else."""

    def too_long(*_: object) -> NoReturn:
        raise Transient(f"it took longer than {SECONDS} seconds, which is all that a preview may take")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))


@dataclass(frozen=True)
class _Held:
    whole: LocalSnapshot
    half: LocalSnapshot | None = None
    sample: Sample | None = None


def _held(
    context: Context,
    definition: ExportDefinition,
    run: RunRecord,
    read: SnapshotManifest,
    secrets: Secrets,
    scratch: Path,
) -> _Held:
    """Return what is read: the snapshot where it is small, else a sample of it and half of the sample."""
    relations = read_by([definition])
    share = share_of(read, relations)
    if share == 1:
        (folder := scratch / "asked").mkdir()
        prepared = prepare(definition, run, folder, secrets)
        return _Held(local_snapshot(context, read, prepared, scratch / "snapshot"))
    some = sample(context.store, read, sorted(relations), share, scratch / "snapshot")
    columns = read.columns()
    return _Held(LocalSnapshot(some.files, columns), LocalSnapshot(some.half, columns), some)


def _rendered(
    definition: ExportDefinition,
    run: RunRecord,
    snapshot: LocalSnapshot,
    scratch: Path,
    secrets: Secrets,
    personal: bool,
    progress: Progress,
) -> tuple[list[_Seen], list[Prepared]]:
    """Return what every file of a run holds, made by the code of real runs."""
    scratch.mkdir()
    prepared = prepare(definition, run, scratch, secrets)
    jobs = [Job(each.model, each.asked, _sink(each, personal)) for each in prepared]
    return render_jobs(jobs, snapshot, scratch, progress=progress), prepared


def _sink(prepared: Prepared, personal: bool) -> Callable[[Iterator[pa.RecordBatch]], _Seen]:
    hidden = _hidden(prepared, personal)
    columns = _as_shown(prepared, hidden)

    def sink(batches: Iterator[pa.RecordBatch]) -> _Seen:
        first: list[pa.RecordBatch] = []
        whole = map(prepared.protect, prepared.shape.apply(prepared.tally.watch(batches)))
        # Before the file is made: its size, and what cannot be written into it, would tell of the values.
        rows = (_without(batch, hidden) for batch in whole)
        path = prepared.folder / f"file{prepared.file.extension}"
        made = artefact.write(path, columns, _noted(rows, first), prepared.file)
        path.unlink()
        return _Seen(made, tuple(first))

    return sink


def _noted(batches: Iterator[pa.RecordBatch], first: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the batches, keeping the rows that are shown."""
    left = ROWS_SHOWN
    for batch in batches:
        if left and len(batch):
            first.append(batch.slice(0, left))
            left -= len(first[-1])
        yield batch


def _shown(
    prepared: Prepared, seen: _Seen, half: _Seen | None, of: Sample | None, personal: bool
) -> ShownFile:
    columns, hidden = prepared.protect.columns, _hidden(prepared, personal)
    rows, beginning = _cells(prepared, _as_shown(prepared, hidden), seen.first)
    count, size = _estimate(seen.made, half.made if half else None, of, prepared.part.limit)
    return ShownFile(
        prepared.export,
        prepared.path("0001" if prepared.split else None).name,
        tuple(
            ShownColumn(column.name, column.type.value, column.pii, hide)
            for column, hide in zip(columns, hidden, strict=True)
        ),
        rows,
        beginning,
        seen.made.rows,
        count,
        size,
        exact=half is None,
    )


def _hidden(prepared: Prepared, personal: bool) -> list[bool]:
    """Return for each column whether the reader may not see it."""
    return [column.pii and not personal for column in prepared.protect.columns]


def _as_shown(prepared: Prepared, hidden: Sequence[bool]) -> list[Column]:
    """Return the columns, those that are hidden as texts."""
    columns = prepared.protect.columns
    return [Column(x.name, FieldType.TEXT) if hide else x for x, hide in zip(columns, hidden, strict=True)]


def _without(batch: pa.RecordBatch, hidden: Sequence[bool]) -> pa.RecordBatch:
    """Return rows with a word in the place of what the reader may not see, null or not."""
    nothing = pa.array([HIDDEN] * len(batch), pa.string())
    arrays = [nothing if hide else array for array, hide in zip(batch.columns, hidden, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _cells(
    prepared: Prepared, columns: Sequence[Column], batches: Sequence[pa.RecordBatch]
) -> tuple[tuple[tuple[str | None, ...], ...], str | None]:
    """Return the cells as a file of these rows shows them, and its beginning where it is text."""
    module: Any = prepared.file.kind()
    options = prepared.file.format_options()
    content = b"".join(module.encode(columns, iter(batches), options))
    read = getattr(module, "shown", module.read)
    rows = tuple(tuple(row) for row in read(io.BytesIO(content), columns, options))
    if module.KIND not in _TEXTS:
        return rows, None
    encoding = getattr(options, "encoding", "utf-8")
    codec = {"utf-8-bom": "utf-8-sig"}.get(encoding, encoding)
    return rows, content.decode(codec, "replace")[:_BEGINNING_CHARACTERS]


def _estimate(
    whole: Artefact, half: Artefact | None, of: Sample | None, limit: int | None
) -> tuple[int, int]:
    """Return rows and bytes of the file: those of the snapshot counted, those of a sample extended to all of it."""
    if half is None or of is None:
        return whole.rows, whole.bytes
    rows = _grown(whole.rows, half.rows, of)
    if limit is not None:
        rows = min(rows, limit)
    more = whole.rows - half.rows
    a_row = (whole.bytes - half.bytes) / more if more > 0 else whole.bytes / max(whole.rows, 1)
    return rows, max(whole.bytes, round(whole.bytes + (rows - whole.rows) * max(a_row, 0.0)))


def _grown(rows: int, half_rows: int, of: Sample) -> int:
    """Return how many rows all customers make, from those of a sample and of half of it."""
    like = of.like(rows)
    if rows == 0 or like is None:
        return rows
    speed = math.log(rows / half_rows) / math.log(like.rows / like.half) if half_rows else 1.0
    grown: float = (like.snapshot / like.rows) ** min(max(speed, 0.0), 1.0)
    return round(rows * grown)
