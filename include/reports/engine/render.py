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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from include.errors import BadInput, LoyaltyError, Permanent
from include.ledger.catalog import BOOKING_COLUMNS
from include.reports.engine import figures, files
from include.reports.engine.booking import booked, reported
from include.reports.engine.checkpoint import Base
from include.reports.engine.notes import Notes
from include.reports.engine.partitions import WHOLE, Partitions, Stretch, partition
from include.reports.engine.room import Room, give_back
from include.reports.engine.shares import Seen, Shares, Work, Written, given, read, see, take
from include.reports.engine.splitting import ROW_LIMIT, files_for
from include.reports.model import MISSING, Asked, Cut, LocalSnapshot, Report, ReportModule, arrow_schema

R = TypeVar("R")
T = TypeVar("T")
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
    shares: int = 1,
    base: Base | None = None,
) -> list[R]:
    """Render all jobs from one pass over the snapshot's transactions; return what their sinks returned.

    Jobs that were left out return nothing; when all are, the BadInput of the last is raised.
    shares: in how many processes partitions are booked and reported (`shares`, which says who may ask for several).
    base: a checkpoint to begin from; all jobs are of one cut then, and can be made from one (`ReportModule`).
    `progress` gets ("partition" or "book", rows done, rows in all). Scratch is left as it was found. When a
    job or a sink fails, every other sink's iterator raises RenderStopped, and the first error is raised.
    """
    notes = notes if notes is not None else Notes()
    with _working(scratch) as folder:
        rendering = _Rendering(jobs, snapshot, folder, progress, notes)
        if base is not None:
            return rendering.begun(base, row_limit)
        return rendering.run(partitions, row_limit, shares)


def render_stretch(
    jobs: Sequence[Job[R]],
    snapshot: LocalSnapshot,
    scratch: Path,
    stretch: Stretch,
    keep: Callable[[Seen], T],
    *,
    progress: Progress | None = None,
) -> T:
    """Book and report the accounts of a stretch for all jobs, to be joined elsewhere; return what `keep` makes of it.

    Jobs' sinks are not used. What is seen lies in scratch, which is left as it was found. Raises as `render` does.
    """
    with _working(scratch) as folder:
        return keep(_Rendering(jobs, snapshot, folder, progress, Notes()).stretch(stretch))


def join(
    jobs: Sequence[Job[R]],
    snapshot: LocalSnapshot,
    scratch: Path,
    stretches: Callable[[Path], Iterator[Seen]],
    *,
    progress: Progress | None = None,
    notes: Notes | None = None,
) -> list[R]:
    """Render all jobs as `render` does, from what `stretches` gives: all stretches, in order; it is given a folder."""
    with _working(scratch) as folder:
        (folder / "stretches").mkdir()
        rendering = _Rendering(jobs, snapshot, folder, progress, notes if notes is not None else Notes())
        return rendering.join(stretches(folder / "stretches"))


@contextmanager
def _working(scratch: Path) -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory(prefix="render-", dir=scratch) as name:
            yield Path(name)
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

    def run(self, count: int | None, row_limit: int, shares: int) -> list[R]:
        give_back()
        parts = self._partitions(count, row_limit) if self.cuts else None
        give_back()
        if parts is None or shares == 1:
            return self._sunk(lambda feeds: self._alone(parts, feeds))
        with Shares(Work(self.reports, self.cuts, parts, self._folder), shares) as processes:
            return self._sunk(lambda feeds: self._joined(processes, parts.rows_count, feeds))

    def begun(self, base: Base, row_limit: int) -> list[R]:
        count = files_for(int(files.row_count(self.snapshot.files["transactions"]) * base.share))
        parts = self._partitions(count, row_limit, only=base.changed)
        give_back()
        return self._sunk(lambda feeds: self._from(base, parts, feeds))

    def _from(self, base: Base, parts: Partitions, feeds: Sequence[_Feed[R]]) -> None:
        """Book the accounts that changed, and hand their figures, among those of the others, to who wants figures."""
        [cut] = self.cuts
        wanting = [place for place, job in enumerate(self.jobs) if hasattr(job.report, "of_figures")]
        others = [place for place, _ in enumerate(self.jobs) if place not in wanting]
        fresh = files.Spool(self.scratch / "fresh.arrow")
        with Room(self._folder) as room:
            for part, found in files.ahead(booked(parts, parts.dictionaries, self.cuts, room, Notes())):
                for batch in figures.figures(found[cut]).to_batches() if cut in found else ():
                    fresh.write(batch)
                for place, batches in reported([self.reports[each] for each in others], part, found):
                    feeds[others[place]].put_all(batches)
                give_back()
        first = 0
        for accounts in base.joined(fresh.batches()):
            figures.note(self.notes, cut, accounts)
            for place in wanting:
                feeds[place].put_all(self.reports[place].on_figures(accounts, first))  # type: ignore[attr-defined]
            first += len(accounts)
        self._finished(feeds)

    def stretch(self, stretch: Stretch) -> Seen:
        if not self.cuts:
            return Seen(0, [[] for _ in self.reports], [given(report) for report in self.reports], Notes())
        parts = self._partitions(None, ROW_LIMIT, stretch)
        give_back()
        work = Work(self.reports, self.cuts, parts, self._folder)
        written = [Written(self._folder / f"rows-{place}", "lz4") for place, _ in enumerate(self.reports)]
        step = self.progress
        tell = None if step is None else (lambda done: step("book", done, parts.rows_count))
        with Room(self._folder) as room:
            return see(work, parts, written, room, tell)

    def join(self, stretches: Iterator[Seen]) -> list[R]:
        return self._sunk(lambda feeds: self._stretches_joined(stretches, feeds))

    def _stretches_joined(self, stretches: Iterator[Seen], feeds: Sequence[_Feed[R]]) -> None:
        for seen in stretches:
            for report, feed, paths, kept in zip(self.reports, feeds, seen.files, seen.kept, strict=True):
                feed.put_all(read(paths))
                take(report, kept)
            self.notes.take(seen.notes)
            give_back()
        self._finished(feeds)

    def _finished(self, feeds: Sequence[_Feed[R]]) -> None:
        for report, feed in zip(self.reports, feeds, strict=True):
            feed.put_all(report.finish())
            feed.end()
            give_back()

    def _sunk(self, feed_all: Callable[[Sequence[_Feed[R]]], None]) -> list[R]:
        feeds = [_Feed(job.sink, arrow_schema(job.report.columns(job.asked.options))) for job in self.jobs]
        try:
            feed_all(feeds)
            return [feed.result() for feed in feeds]
        except BaseException:
            for feed in feeds:
                feed.stop()
            raise

    def _alone(self, parts: Partitions | None, feeds: Sequence[_Feed[R]]) -> None:
        if parts is not None:
            with Room(self._folder) as room:
                self._pass(parts, feeds, room)
        self._finished(feeds)

    def _joined(self, processes: Shares, total: int, feeds: Sequence[_Feed[R]]) -> None:
        done = 0
        for seen in processes.partitions():
            for report, feed, paths, kept in zip(self.reports, feeds, seen.files, seen.kept, strict=True):
                feed.put_all(read(paths))
                take(report, kept)  # at once: what waited would grow with the partitions
            self.notes.take(seen.notes)
            done += seen.rows
            give_back(between=True)
            if self.progress:
                self.progress("book", done, total)
        for place, more in processes.finished():
            if more is None:
                feeds[place].end()
            else:
                feeds[place].put_all(read(more))

    def _partitions(
        self,
        count: int | None,
        row_limit: int,
        stretch: Stretch = WHOLE,
        only: NDArray[np.uint64] | None = None,
    ) -> Partitions:
        self._folder.mkdir()
        step = self.progress
        return partition(
            self.snapshot.files["transactions"],
            self.cuts,
            self._folder,
            sorted(self.wanted),
            partitions=count,
            row_limit=row_limit,
            stretch=stretch,
            only=only,
            progress=None if step is None else (lambda done, total: step("partition", done, total)),
        )

    def _pass(self, parts: Partitions, feeds: Sequence[_Feed[R]], room: Room) -> None:
        done = 0
        for part, found in files.ahead(booked(parts, parts.dictionaries, self.cuts, room, self.notes)):
            for place, batches in reported(self.reports, part, found):
                feeds[place].put_all(batches)
            done += part.rows_count
            give_back(between=len(part.pieces) == 1)
            if self.progress:
                self.progress("book", done, parts.rows_count)


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
