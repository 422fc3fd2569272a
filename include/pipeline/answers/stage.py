"""What an answer does in a process of its own: snapshot to rows, rows to one file in the folder of whoever waits."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from include.connections import Secrets
from include.definitions.model import ExportDefinition
from include.formats import artefact
from include.formats.styles import plain
from include.ledger.columns import Column
from include.pipeline.answers.newest import near
from include.pipeline.contents import Prepared, prepare
from include.pipeline.context import Context, Progress, silent
from include.pipeline.local_files import local_snapshot
from include.reports.engine.files import Spool
from include.reports.engine.render import Job, render
from include.settings import Settings
from include.shaping.chosen import Chosen
from include.snapshots import registry
from include.snapshots.manifest import SnapshotManifest
from include.state.runs import RunRecord
from include.state.tables import microseconds

ROWS = "rows.arrow"


@dataclass(frozen=True)
class Among:
    """Rows whose `field` is among the texts in the first column of a file of Arrow batches; an empty file has none.

    sha256: of the file, by which the audit chain tells one choice from another.
    """

    field: str
    path: Path
    sha256: str

    def chosen(self) -> Chosen:
        """Read the texts."""
        return Chosen(batch.column(0) for batch in self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        if self.path.stat().st_size:
            with pa.OSFile(str(self.path), "rb") as source:
                yield from pa.ipc.open_stream(source, options=pa.ipc.IpcReadOptions(use_threads=False))


@dataclass(frozen=True)
class Made:
    """The file by its name in the folder, and what is known of it; hidden: columns that were left empty."""

    name: str
    rows: int
    bytes: int
    sha256: str
    media_type: str
    columns: tuple[Column, ...]
    hidden: tuple[str, ...]


_Sink = Callable[[Iterator[pa.RecordBatch]], Made]


def make(
    settings: Settings,
    run: RunRecord,
    secrets: Secrets,
    folder: Path,
    personal: bool,
    as_rows: bool,
    among: Among | None,
    *,
    progress: Progress,
) -> Made:
    """Make the file of a run that nobody will record; as_rows: as Arrow batches, not in the definition's format."""
    return _made_from(Context(settings), run, secrets, folder, personal, as_rows, among, progress=progress)


def make_near(
    context: Context, run: RunRecord, read: SnapshotManifest, secrets: Secrets, folder: Path, personal: bool,
    as_rows: bool, among: Among | None,
) -> Made | None:  # fmt: skip
    """Make it of the newest rows alone, which takes no process; None where they are not enough, or are not wanted."""
    [part] = ExportDefinition.model_validate(run.definition).parts
    first = near(part, read, run.start, run.as_of)
    if first is None:
        return None
    since = None if first.whole else first.start
    made = _made_from(context, run, secrets, folder, personal, as_rows, among, since=since, progress=silent)
    return made if first.whole or made.rows == part.limit else None


def _made_from(
    context: Context,
    run: RunRecord,
    secrets: Secrets,
    folder: Path,
    personal: bool,
    as_rows: bool,
    among: Among | None,
    *,
    progress: Progress,
    since: datetime | None = None,
) -> Made:
    """Make the file in a folder of this answer alone. since: of rows from then on, not from the run's own start."""
    definition = ExportDefinition.model_validate(run.definition)
    read = registry.load(context.store, context.state, run.snapshot_id or "")
    for left in folder.iterdir():  # by an attempt before
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    work = folder / "work"
    work.mkdir()
    [prepared] = prepare(definition, run, work, secrets)
    if since is not None:
        # What the filter says of times may count from the run's own start: none is left out by it.
        asked = prepared.asked
        asked = replace(asked, start=microseconds(since), end=asked.as_of, keep=None)
        prepared = replace(prepared, asked=asked)
    sink = _rows(prepared, folder, personal) if as_rows else _file(prepared, folder, personal)
    if among is not None:
        wanted = (prepared.asked.wanted or frozenset()) | {among.field}
        prepared = replace(prepared, asked=replace(prepared.asked, wanted=wanted))
        sink = _narrowed(sink, among)
    snapshot = local_snapshot(context, read, [prepared], work / "snapshot")
    [made] = render([Job(prepared.model, prepared.asked, sink)], snapshot, work, progress=progress)
    registry.load(context.store, context.state, read.id)  # nobody in it was erased meanwhile
    shutil.rmtree(work)
    return made


def _narrowed(sink: _Sink, among: Among) -> _Sink:
    chosen = among.chosen()
    return lambda batches: sink(chosen.kept(batches, among.field))


def _file(prepared: Prepared, folder: Path, personal: bool) -> _Sink:
    def sink(batches: Iterator[pa.RecordBatch]) -> Made:
        path = folder / f"{prepared.part.id}{prepared.file.extension}"
        rows = _seen(prepared, batches, personal)
        made = artefact.write(path, prepared.protect.columns, rows, prepared.file, prepared.secrets)
        return _made(prepared, personal, path, made.rows, made.bytes, made.sha256)

    return sink


def _rows(prepared: Prepared, folder: Path, personal: bool) -> _Sink:
    def sink(batches: Iterator[pa.RecordBatch]) -> Made:
        spool = Spool(folder / ROWS)
        for batch in _seen(prepared, batches, personal):
            arrays = [plain(array) for array in batch.columns]
            spool.write(pa.RecordBatch.from_arrays(arrays, names=batch.schema.names))
        spool.close()
        if not spool.rows:
            spool.path.touch()
        with spool.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = spool.path.stat().st_size
        return _made(prepared, personal, spool.path, spool.rows, size, digest)

    return sink


def _made(prepared: Prepared, personal: bool, path: Path, rows: int, size: int, sha256: str) -> Made:
    columns = tuple(prepared.protect.columns)
    hidden = tuple(column.name for column in columns if column.pii and not personal)
    media_type = "" if path.name == ROWS else prepared.file.media_type
    return Made(path.name, rows, size, sha256, media_type, columns, hidden)


def _seen(prepared: Prepared, batches: Iterator[pa.RecordBatch], personal: bool) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the file, empty where who asks may not see personal data."""
    hidden = [column.pii and not personal for column in prepared.protect.columns]
    for batch in map(prepared.protect, prepared.shape.apply(batches)):
        arrays = [
            pa.nulls(len(batch), array.type) if hide else array
            for array, hide in zip(batch.columns, hidden, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
