"""Rendering: one pass over the partitions of a snapshot serves every report that is asked for.

Reports that ask for no cut need no booking; where no report does, there is no pass.

Partitions are loaded and booked by one thread, reports run in the caller's, and each report's sink (which
formats and compresses) in one of its own behind a short queue. Everything leaves in order of account hash, so
neither threads nor the number of partitions change a byte.
"""

from __future__ import annotations

import errno
import queue
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa

from include.errors import BadInput, LoyaltyError, Permanent
from include.ledger.booking import RowProblem
from include.ledger.catalog import BOOKING_COLUMNS
from include.reports.engine import files
from include.reports.engine.partitions import ROW_LIMIT, Partition, Partitions, partition
from include.reports.engine.replay import BookedPartition, book_at, load
from include.reports.engine.room import Room, give_back
from include.reports.model import MISSING, Asked, Cut, LocalSnapshot, Report, ReportModule, arrow_schema

R = TypeVar("R")
Sink = Callable[[Iterator[pa.RecordBatch]], R]
Progress = Callable[[str, int, int], None]
_QUEUED = 3


@dataclass(frozen=True)
class Job(Generic[R]):
    """A report to render: its module, what is asked, and the sink that its batches go to.

    spared: the name under which `Notes.left_out` tells that it was left out, where the ledger lacks a relation or a
    column that it needs; empty: that stops the run.
    """

    report: ReportModule
    asked: Asked
    sink: Sink[R]
    spared: str = ""


@dataclass
class Notes:
    """What was seen on the way, for the run's record: rows and accounts of the largest cut, reported problems.

    left_out: by name of the job, what the ledger lacks of what it needs.
    """

    rows: int = 0
    accounts: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)


class RenderStopped(LoyaltyError):
    """Something else failed: a sink must leave nothing behind."""


def render(
    jobs: Sequence[Job[R]],
    snapshot: LocalSnapshot,
    scratch: Path,
    *,
    progress: Progress | None = None,
    notes: Notes | None = None,
    partitions: int | None = None,
    row_limit: int = ROW_LIMIT,
) -> list[R]:
    """Render all jobs from one pass over the snapshot's transactions; return what their sinks returned.

    Jobs that were left out return nothing; when all are, the BadInput of the last is raised.
    `progress` gets ("partition" or "book", rows done, rows in all). Scratch is left as it was found. When a
    job or a sink fails, every other sink's iterator raises RenderStopped, and the first error is raised.
    """
    notes = notes if notes is not None else Notes()
    try:
        with tempfile.TemporaryDirectory(prefix="render-", dir=scratch) as name:
            return _Rendering(jobs, snapshot, Path(name), progress, notes).run(partitions, row_limit)
    except OSError as error:
        if error.errno == errno.ENOSPC or "No space left" in str(error):
            raise Permanent(f"no space is left in {scratch}: {error}") from error
        raise


class _Rendering(Generic[R]):
    def __init__(
        self,
        jobs: Sequence[Job[R]],
        snapshot: LocalSnapshot,
        scratch: Path,
        progress: Progress | None,
        notes: Notes,
    ) -> None:
        self.jobs: list[Job[R]] = []
        self.snapshot = snapshot
        self.scratch = scratch
        self._folder = scratch / "partitions"
        self.progress = progress
        self.notes = notes
        self.reports: list[Report] = []
        for index, job in enumerate(jobs):
            (scratch / f"report-{index}").mkdir()
            try:
                report = job.report.report(job.asked, snapshot, scratch / f"report-{index}")
            except BadInput as error:
                if not (job.spared and all(each.code in MISSING for each in error.problems)):
                    raise
                notes.left_out[job.spared] = tuple(f"{each.value}" for each in error.problems)
                if len(notes.left_out) == len(jobs):
                    raise
                continue
            self.jobs.append(job)
            self.reports.append(report)
        self.cuts = _distinct(cut for report in self.reports for cut in report.cuts)
        self.wanted = {
            name
            for job, report in zip(self.jobs, self.reports, strict=True)
            if report.cuts
            for name in job.report.needs(job.asked.options).get("transactions", ())
            if name not in BOOKING_COLUMNS or name == "recorded_at"
        }

    def run(self, count: int | None, row_limit: int) -> list[R]:
        give_back()
        parts = self._partitions(count, row_limit) if self.cuts else None
        give_back()
        feeds = [_Feed(job.sink, arrow_schema(job.report.columns(job.asked.options))) for job in self.jobs]
        try:
            if parts is not None:
                with Room(self._folder) as room:
                    self._pass(parts, feeds, room)
            for report, feed in zip(self.reports, feeds, strict=True):
                feed.put_all(report.finish())
                feed.end()
                give_back()
            return [feed.result() for feed in feeds]
        except BaseException:
            for feed in feeds:
                feed.stop()
            raise

    def _partitions(self, count: int | None, row_limit: int) -> Partitions:
        self._folder.mkdir()
        step = self.progress
        return partition(
            self.snapshot.files["transactions"],
            self.cuts,
            self._folder,
            sorted(self.wanted),
            partitions=count,
            row_limit=row_limit,
            progress=None if step is None else (lambda done, total: step("partition", done, total)),
        )

    def _pass(self, parts: Partitions, feeds: Sequence[_Feed[R]], room: Room) -> None:
        done = 0
        for part, booked in files.ahead(self._booked(parts, room)):
            for report, feed in zip(self.reports, feeds, strict=True):
                for index, cut in enumerate(report.cuts):
                    if cut in booked:
                        feed.put_all(report.on_partition(index, booked[cut]))
                        if len(part.pieces) > 1:
                            give_back()
            for piece in part.pieces:
                piece.path.unlink()
            done += part.rows_count
            give_back()
            if self.progress:
                self.progress("book", done, parts.rows_count)

    def _booked(
        self, parts: Partitions, room: Room
    ) -> Iterator[tuple[Partition, dict[Cut, BookedPartition]]]:
        accounts = dict.fromkeys(self.cuts, 0)
        for part in parts:
            loaded = load(part, parts.dictionaries, room)
            booked = {}
            for cut in self.cuts:
                one = book_at(loaded, cut, first_account=accounts[cut])
                if len(part.pieces) > 1:
                    give_back()
                if one is not None:
                    booked[cut] = one
                    accounts[cut] += one.rows.accounts_count
            self._note(booked)
            yield part, booked

    def _note(self, booked: dict[Cut, BookedPartition]) -> None:
        if booked:
            largest = max(booked.values(), key=lambda one: len(one.rows))
            self.notes.rows += len(largest.rows)
            self.notes.accounts += largest.rows.accounts_count
            problem = largest.booked.problem
            if problem.any():
                counts = np.bincount(problem[problem > 0])
                for flag in RowProblem:
                    seen = sum(int(n) for bits, n in enumerate(counts) if bits & flag)
                    if seen:
                        self.notes.problems[str(flag.name).lower()] += seen


class _Feed(Generic[R]):
    """A sink in its own thread, and the short queue that batches reach it by."""

    def __init__(self, sink: Sink[R], schema: pa.Schema) -> None:
        self._schema = schema
        self._queue: queue.Queue[pa.RecordBatch | None] = queue.Queue(_QUEUED)
        self._stopped = threading.Event()
        self._result: list[R] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(sink,), name="sink", daemon=True)
        self._thread.start()

    def put_all(self, batches: Iterable[pa.RecordBatch]) -> None:
        for batch in batches:
            if _decoded(batch.schema) != self._schema:
                raise TypeError(f"a report gave {batch.schema}, and promised {self._schema}")
            if len(batch):
                self._put(batch)

    def end(self) -> None:
        self._put(None)

    def result(self) -> R:
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result[0]

    def stop(self) -> None:
        """Make the sink's iterator raise, and wait until the sink has left."""
        self._stopped.set()
        self._thread.join()

    def _put(self, batch: pa.RecordBatch | None) -> None:
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._queue.put(batch, timeout=0.05 if self._thread.is_alive() else 0)
            except queue.Full:
                if not self._thread.is_alive():
                    return  # the sink has all that it wanted
                continue
            return

    def _batches(self) -> Iterator[pa.RecordBatch]:
        while True:
            try:
                batch = self._queue.get(timeout=0.05)
            except queue.Empty:
                if self._stopped.is_set():
                    raise RenderStopped("stopped, since another part of the run failed") from None
                continue
            if self._stopped.is_set():
                raise RenderStopped("stopped, since another part of the run failed")
            if batch is None:
                return
            yield batch

    def _run(self, sink: Sink[R]) -> None:
        try:
            self._result.append(sink(self._batches()))
        except BaseException as error:  # noqa: BLE001 (raised again in the caller's thread)
            self._error = error


def _decoded(schema: pa.Schema) -> pa.Schema:
    """Return the schema with the types of dictionaries' values."""
    types = [field.type.value_type if pa.types.is_dictionary(field.type) else field.type for field in schema]
    return pa.schema(list(zip(schema.names, types, strict=True)))


def _distinct(cuts: Iterable[Cut]) -> list[Cut]:
    """Return each cut once; allocations are kept where any asks for them."""
    found: dict[Cut, bool] = {}
    for cut in cuts:
        found[cut] = found.get(cut, False) or cut.allocations
    return [Cut(cut.as_of, cut.known_at, cut.until, allocations) for cut, allocations in found.items()]
