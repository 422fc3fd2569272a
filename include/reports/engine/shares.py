"""Shares: processes that book partitions and run reports, so that Python's lock keeps no processor idle.

They are forked when partitions are written and reports stand ready, and so begin with all of it. Each takes the next
partition that nobody has, a few of them ahead of what is written. Rows leave as Arrow files in scratch, which go as
they are read; they are read in order of partitions, and what reports keep (`kept`) goes along: who saw what changes
no byte. In the end each report is finished by one of the processes, given all that was kept of it.

A process that forks has no thread that may hold a lock: sinks begin after it.
"""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from include.errors import Transient, portable
from include.lifeline import end_with
from include.reports.engine.booking import booked, reported
from include.reports.engine.notes import Notes
from include.reports.engine.partitions import Partition, Partitions
from include.reports.engine.room import Room, give_back
from include.reports.model import Cut, Report

Given = list[Any]
"""What one report kept, by the places of its `kept`."""

# A process of its own pays from about so many rows a share on: it starts within some 50 ms, and loads its kernels.
ROWS_OF_SHARE = 250_000
_PROCESS_BYTES = 512 << 20
# So many partitions wait for each process; and so many in all, for each, may be ahead of what is written.
_WAITING = 3
_AHEAD = 6
# Of the rows of a report's end: so many batches a file, so many files ahead.
_BATCHES = 8
_FILES_AHEAD = 3
# A file of rows ends at about so many bytes: who reads it has all of it in memory in the end. A partition's rows fit,
# those of an account that is larger than a partition do not.
_FILE_BYTES = 32 << 20
# A dictionary of so many times the rows that use it is larger than they are.
_LARGE_DICTIONARY = 4


def count_for(rows: int, most: int) -> int:
    """Return how many processes such a pass is worth, at most `most`: as processors and memory here allow."""
    return max(1, min(most, _processors(), rows // ROWS_OF_SHARE, _memory() // _PROCESS_BYTES - 1))


def _processors() -> int:
    quota, period = [*_words("/sys/fs/cgroup/cpu.max"), "max", "1"][:2]
    allowed = len(os.sched_getaffinity(0))
    return allowed if quota == "max" else min(allowed, -(-int(quota) // int(period)))


def _memory() -> int:
    """Return the bytes that are free here, by the machine and by the container."""
    machine = _words("/proc/meminfo")
    free = int(machine[machine.index("MemAvailable:") + 1]) << 10
    [most] = _words("/sys/fs/cgroup/memory.max") or ["max"]
    if most == "max":
        return free
    taken = _words("/sys/fs/cgroup/memory.stat")
    return min(free, int(most) - int(taken[taken.index("anon") + 1]))


def _words(path: str) -> list[str]:
    """Return the words of a file that the kernel gives; none where it gives no such file."""
    try:
        return Path(path).read_text().split()
    except OSError:
        return []


@dataclass(frozen=True)
class Work:
    """What every process has from the start. folder: for what it writes."""

    reports: Sequence[Report]
    cuts: Sequence[Cut]
    parts: Partitions
    folder: Path


@dataclass(frozen=True)
class Seen:
    """What came of one file of partitions: for each report its rows, as files, and what it kept."""

    rows: int
    files: list[list[Path]]
    kept: list[Given]
    notes: Notes


@dataclass
class _Process:
    pid: int
    pipe: Connection
    asked: int = 0  # what it was asked and did not answer yet


class Shares:
    """The processes; a context that ends them. Raises what went wrong in one, Transient when one was killed."""

    def __init__(self, work: Work, count: int) -> None:
        self._work = work
        self._processes: list[_Process] = []
        try:
            for _ in range(count):
                self._processes.append(self._start())
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def partitions(self) -> Iterator[Seen]:
        """Yield what came of each file of partitions, in their order."""
        total, begun, done = self._work.parts.files_count, 0, 0
        found: dict[int, Seen] = {}
        while done < total:
            for process in self._processes:
                while process.asked < _WAITING and begun < min(total, done + _AHEAD * len(self._processes)):
                    self._send(process, ("partitions", begun))
                    process.asked += 1
                    begun += 1
            for process in self._ready(at_once=done in found):
                index, seen = self._answer(process)
                found[index] = seen
                process.asked -= 1
            while done in found:
                yield found.pop(done)
                done += 1

    def finished(self) -> Iterator[tuple[int, list[Path] | None]]:
        """Finish each report, given what the one of this process has taken of all partitions.

        Yields (report, files of its next rows), and (report, None) when there are no more of it.
        """
        waiting = list(range(len(self._work.reports)))[::-1]
        at_work: dict[int, int] = {}  # by process, the report
        while waiting or at_work:
            for process in self._processes:
                if waiting and process.pid not in at_work:
                    at_work[process.pid] = waiting.pop()
                    place = at_work[process.pid]
                    self._send(process, ("finish", place, self._kept(place)))
            for process in self._ready(at_once=False, busy=at_work):
                paths = self._answer(process)
                yield at_work[process.pid], paths
                if paths is None:
                    del at_work[process.pid]
                else:
                    self._send(process, ("more",))

    def _kept(self, place: int) -> Path:
        """Return a file of what a report has taken: a message would hold all of it, several times over."""
        path = self._work.folder / f"kept-{place}"
        with path.open("wb") as file:
            pickle.dump(given(self._work.reports[place]), file, pickle.HIGHEST_PROTOCOL)
        give_back()
        return path

    def _ready(self, *, at_once: bool, busy: Iterable[int] | None = None) -> list[_Process]:
        asked = {
            each.pipe: each for each in self._processes if (each.asked if busy is None else each.pid in busy)
        }
        return [
            asked[pipe] for pipe in wait(list(asked), 0 if at_once else None) if isinstance(pipe, Connection)
        ]

    def _send(self, process: _Process, message: tuple[Any, ...]) -> None:
        try:
            process.pipe.send(message)
        except (BrokenPipeError, ConnectionResetError):
            raise self._ended(process) from None

    def _answer(self, process: _Process) -> Any:
        try:
            kind, value = process.pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._ended(process) from None
        if kind == "error":
            raise value
        return value

    def _ended(self, process: _Process) -> Transient:
        _, status = os.waitpid(process.pid, 0)
        self._processes.remove(process)
        process.pipe.close()
        code = os.waitstatus_to_exitcode(status)
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return Transient(f"a process that rendered a share of the accounts ended with {how}")

    def _start(self) -> _Process:
        ours, theirs = Pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid:
            theirs.close()
            return _Process(pid, ours)
        code = 1
        try:
            end_with(parent)
            for other in self._processes:
                other.pipe.close()
            ours.close()
            _Share(self._work, theirs).run()
            code = 0
        finally:
            os._exit(code)  # nothing of the process that this one was forked from happens twice

    def _end(self) -> None:
        for process in self._processes:
            process.pipe.close()
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(process.pid, 0)
        self._processes.clear()


class _Share:
    """A process of its own: it does what it is asked, one thing after another, until nobody asks any more."""

    def __init__(self, work: Work, pipe: Connection) -> None:
        self._work = work
        self._pipe = pipe
        self._files = 0

    def run(self) -> None:
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            try:
                for report in self._work.reports:
                    given(report)  # what it had open belongs to the other process
                with Room(self._work.folder) as room:
                    while True:
                        kind, *asked = self._pipe.recv()
                        if kind == "partitions":
                            self._pipe.send((kind, self._partitions(room, *asked)))
                        else:
                            self._finish(*asked)
            except (EOFError, BrokenPipeError, ConnectionResetError):
                raise
            except BaseException as error:  # noqa: BLE001 (it is raised again in the other process)
                self._pipe.send(("error", portable(error, "".join(traceback.format_exception(error)))))

    def _partitions(self, room: Room, index: int) -> tuple[int, Seen]:
        written = [self._written() for _ in self._work.reports]
        return index, see(self._work, self._work.parts.of(index), written, room)

    def _finish(self, place: int, kept: Path) -> None:
        report = self._work.reports[place]
        with kept.open("rb") as file:
            take(report, pickle.load(file))  # noqa: S301 - our own bytes
        kept.unlink()
        ahead = 0

        def tell(paths: list[Path]) -> None:
            nonlocal ahead
            if paths:
                self._pipe.send(("rows", paths))
                ahead += 1
            while ahead > _FILES_AHEAD:
                self._pipe.recv()
                ahead -= 1

        written = self._written()
        for number, batch in enumerate(report.finish(), 1):
            written.write(batch)
            if number % _BATCHES == 0:
                tell(written.close())
                written = self._written()
        tell(written.close())
        while ahead:
            self._pipe.recv()
            ahead -= 1
        give_back()
        self._pipe.send(("rows", None))

    def _written(self) -> Written:
        self._files += 1
        return Written(self._work.folder / f"rows-{os.getpid()}-{self._files}")


class Written:
    """Batches on their way to another process: Arrow streams in files, one for each schema in turn, or for less."""

    def __init__(self, path: Path, compression: str | None = None) -> None:
        self._path = path
        self._compression = compression
        self._paths: list[Path] = []
        self._schema: pa.Schema | None = None
        self._sink: pa.OSFile | None = None
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""
        if not len(batch):
            return
        batch = _lean(batch)
        if self._schema is None or batch.schema != self._schema:
            self.close()
            self._paths.append(self._path.with_suffix(f".{len(self._paths)}.arrow"))
            self._schema = batch.schema
            self._sink = pa.OSFile(str(self._paths[-1]), "wb")
            options = pa.ipc.IpcWriteOptions(compression=self._compression, use_threads=False)
            self._writer = pa.ipc.new_stream(self._sink, batch.schema, options=options)
        assert self._writer is not None
        assert self._sink is not None
        self._writer.write_batch(batch)
        if self._sink.tell() >= _FILE_BYTES:
            self.end_file()

    def end_file(self) -> None:
        """Write what follows into another file (`_FILE_BYTES`)."""
        self.close()
        self._schema = None

    def close(self) -> list[Path]:
        """End writing; return the files."""
        if self._writer is not None and self._sink is not None:
            self._writer.close()
            self._sink.close()
            self._writer = self._sink = None
        return self._paths


def see(
    work: Work,
    partitions: Iterable[Partition],
    written: Sequence[Written],
    room: Room,
    progress: Callable[[int], None] | None = None,
) -> Seen:
    """Book partitions and hand them to reports; return what came of it. progress: gets the rows done."""
    notes, rows = Notes(), 0
    for part, found in booked(partitions, work.parts.dictionaries, work.cuts, room, notes):
        for place, batches in reported(work.reports, part, found):
            for batch in batches:
                written[place].write(batch)
        for each in written:
            each.end_file()
        rows += part.rows_count
        give_back(between=len(part.pieces) == 1)
        if progress:
            progress(rows)
    files = [each.close() for each in written]
    return Seen(rows, files, [given(report) for report in work.reports], notes)


def take(report: Report, more: Given) -> None:
    """Let a report keep what another one of its kind kept, of later partitions."""
    for each, what in zip(report.kept, more, strict=True):
        each.take(what)


def read(paths: Iterable[Path], *, keep: bool = False) -> Iterator[pa.RecordBatch]:
    """Yield the batches of files of rows, each removed as soon as it is open. keep: not, since others read them too."""
    for path in paths:
        with pa.memory_map(str(path)) as source:
            if not keep:
                path.unlink()
            yield from pa.ipc.open_stream(source, options=pa.ipc.IpcReadOptions(use_threads=False))


def _lean(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch without dictionaries that are much larger than what uses them."""
    arrays = [
        array.dictionary_decode()
        if pa.types.is_dictionary(array.type) and len(array.dictionary) > _LARGE_DICTIONARY * len(batch)
        else array
        for array in batch.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, batch.schema.names)


def given(report: Report) -> Given:
    """Return what a report kept; it keeps nothing any more."""
    return [each.given() for each in report.kept]
