"""A report as an answer to whoever asks now: the file of an export definition that is saved nowhere, or its rows.

It is drawn by the code of real runs, in a process of its own, from the newest snapshot that is young enough
(`Settings.answer_age`), else from one that is made now. It is whole before its first byte leaves: what is wrong is told
instead of it, memory does not follow its size, and it is gone from scratch when nobody reads it any more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from include.connections import Secrets
from include.definitions.load import from_document
from include.definitions.model import ExportDefinition, version
from include.definitions.occasion import as_of_for, interval_for
from include.errors import BadInput, NotYet, Problem
from include.ledger.columns import Column
from include.pipeline import process
from include.pipeline.answers.stage import Among, Made, make_near
from include.pipeline.checks import check, model_of, refuse_cut_segments
from include.pipeline.context import Context, settle_delay, silent
from include.pipeline.previews.preview import Busy, newest, refuse_looking_for_people, unsealed
from include.pipeline.privacy import erasure_key, secrets_of
from include.scratch import working_folder
from include.snapshots.local import Damaged
from include.snapshots.manifest import SnapshotManifest
from include.snapshots.store import Missing
from include.state.audit import Action
from include.state.runs import RunRecord

AT_ONCE = 2
"""So many answers are drawn at once by one process of the API server; others wait, then are told to come back."""
WAIT_SECONDS = 30.0
"""So long somebody waits for a place, and for a snapshot that another process makes."""
FOLDER = "answer"
WHERE = "report"
_PIECE_BYTES = 1 << 20
_POLL_SECONDS = 0.5
_MAKE = "include.pipeline.answers.stage:make"
_TAKE = "include.pipeline.snapshot_stage:take_for"
# What a definition has that an answer has no use for.
FILLED = {
    "id": "answer",
    "name": "Answer",
    "targets": [{"kind": "folder", "options": {"folder": "answers"}}],
}
_PLAIN = {"format": "csv", "compression": "none"}
_Piece = bytes  # in a class that has a field of that name
_free = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True)
class Question:
    """What is asked for: a sound definition of one file, and its instants where they are not the definition's.

    as_of: the instant T; of a report about one instant it may lie in the future: then what is known now is projected.
    [start, end): the period; its end is the as-of too, and at most the instant at which the ledger was read.
    among: only rows of these, beside what the filters say.
    """

    definition: ExportDefinition
    as_of: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    among: Among | None = None


@dataclass(frozen=True)
class Answer:
    """What was found: of the ledger as it was read at `read_at`, as of `as_of`, of the period `[start, end)`.

    The file is there while the block of `answered` runs. hidden: the columns whose values were left empty, since who
    asks may not see personal data.
    """

    read_at: datetime
    as_of: datetime
    start: datetime | None
    end: datetime | None
    columns: tuple[Column, ...]
    hidden: tuple[str, ...]
    rows: int
    bytes: int
    sha256: str
    media_type: str
    path: Path

    def chunks(self) -> Iterator[_Piece]:
        """Yield the file, in pieces of a megabyte at most."""
        with self.path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, of an answer of `answered_rows`; points are hundredths, instants microseconds UTC."""
        if not self.rows:
            return
        with pa.OSFile(str(self.path), "rb") as source:
            yield from pa.ipc.open_stream(source, options=pa.ipc.IpcReadOptions(use_threads=False))


def definition_of(document: Mapping[str, Any]) -> ExportDefinition:
    """Return the definition of an answer; what an export needs beside its content may be left out.

    Its file is CSV where nothing is said, and not compressed. BadInput with all problems, named from `report`. An
    answer is one file: no pack, and no archive.
    """
    file = document.get("file")
    open_file = {"file": {"compression": "none", **file}} if isinstance(file, Mapping) else {"file": _PLAIN}
    definition = from_document({**FILLED, **document, **open_file}, where=WHERE, check=check)
    problems = []
    if definition.exports:
        problems.append(Problem(f"{WHERE}: exports", "", "an answer is of one model", "answer_of_a_pack"))
    if definition.bundle != "none":
        problems.append(
            Problem(f"{WHERE}: bundle", definition.bundle, "an answer is one file", "bundled_answer")
        )
    if problems:
        raise BadInput(problems)
    return unsealed(definition)


@contextmanager
def answered(context: Context, question: Question, *, personal: bool, by: str) -> Iterator[Answer]:
    """Give the answer as a file in the definition's format; see `Answer`.

    personal: personal data may be shown in clear; without it such columns are empty, and filters and orders by them
    are BadInput. by: who asks, told to the audit chain. Raises BadInput for what the ledger lacks or a period that
    lies wrong, LedgerViolation when its rows are wrong, NotYet and Busy for who has to come back.
    """
    with _drawn(context, question, personal=personal, by=by, as_rows=False) as answer:
        yield answer


@contextmanager
def answered_rows(context: Context, question: Question, *, personal: bool, by: str) -> Iterator[Answer]:
    """Give the answer as rows (`Answer.batches`) with the columns that the file would have; else as `answered`."""
    with _drawn(context, question, personal=personal, by=by, as_rows=True) as answer:
        yield answer


@contextmanager
def _drawn(
    context: Context, question: Question, *, personal: bool, by: str, as_rows: bool
) -> Iterator[Answer]:
    definition = question.definition
    if not personal:
        refuse_looking_for_people(definition)
    secrets = secrets_of(context, definition)
    with working_folder(context.settings.scratch, FOLDER) as folder:
        with place():
            read = young_snapshot(context, definition)
            run = run_of(question, read)
            try:
                made = _made(context, run, read, secrets, folder, personal, as_rows, question.among)
            except (Damaged, Missing):
                # It is out of use now; there is another, or it is made.
                read = young_snapshot(context, definition)
                run = run_of(question, read)
                made = _made(context, run, read, secrets, folder, personal, as_rows, question.among)
        part = definition.parts[0]
        detail = {
            "model": part.model,
            "layout": part.layout,
            "as_of": run.as_of,
            "start": run.start,
            "rows": made.rows,
            "sha256": made.sha256,
            "personal": personal and any(column.pii for column in made.columns),
            **({"among": question.among.sha256} if question.among else {}),
        }
        context.state.audit.write(by, Action.REPORT_READ, version(definition), detail)
        yield Answer(
            read.read_at, run.as_of, run.start, run.end, made.columns, made.hidden,
            made.rows, made.bytes, made.sha256, made.media_type, folder / made.name,
        )  # fmt: skip


def _made(
    context: Context, run: RunRecord, read: SnapshotManifest, secrets: Secrets, folder: Path, personal: bool,
    as_rows: bool, among: Among | None,
) -> Made:  # fmt: skip
    made = make_near(context, run, read, secrets, folder, personal, as_rows, among)
    if made is not None:
        return made
    whole: Made = process.in_process(
        _MAKE, context.settings, run, secrets, folder, personal, as_rows, among, progress=silent
    )
    return whole


def young_snapshot(context: Context, definition: ExportDefinition) -> SnapshotManifest:
    """Return a snapshot that is young enough, made now where there is none."""
    oldest = datetime.now(UTC) - context.settings.answer_age
    found = newest(context, definition)
    if found is not None and found.read_at >= oldest:
        return found
    # Nothing waits for late rows: an answer says when it was read, and promises no more.
    not_before = datetime.now(UTC) - settle_delay(context.settings, definition)
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            made: SnapshotManifest = process.in_process(
                _TAKE,
                context.settings,
                definition.document(),
                not_before,
                erasure_key(context),
                progress=silent,
            )
        except NotYet:
            if time.monotonic() > until:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return made


def run_of(question: Question, read: SnapshotManifest) -> RunRecord:
    """Return the run that the answer is of; what would reach beyond what was read ends there."""
    definition, known = question.definition, read.read_at
    start, end = question.start, question.end
    if model_of(definition.parts[0])[0].PERIOD == "none":
        start = end = None
        as_of = question.as_of or as_of_for(definition, known)
    else:
        if start is None and end is None and question.as_of is None:
            interval = interval_for(definition, known)
            start, end = (interval.start, interval.end) if interval else (None, None)
        as_of = end = min(end or question.as_of or known, known)
        if start is not None:
            refuse_cut_segments(definition)
    if start is not None and start >= as_of:
        right = (
            f"must lie before the end of the period and before {known:%Y-%m-%dT%H:%M:%SZ}, when it was read"
        )
        raise BadInput([Problem("start", start.isoformat(), right, "start_after_end")])
    return RunRecord(
        run_key="0" * 64,
        definition_id=definition.id,
        definition_version=version(definition),
        definition=definition.document(),
        occurrence=known,
        start=start,
        end=end,
        as_of=as_of,
        known_at=known,
        snapshot_id=read.id,
    )


@contextmanager
def place() -> Iterator[None]:
    """Hold one of the places of this process; Busy when none gets free in time."""
    if not _free.acquire(timeout=WAIT_SECONDS):
        raise Busy(f"{AT_ONCE} reports are being made; please try again in some seconds")
    try:
        yield
    finally:
        _free.release()
