"""Scattering rows over scratch files, and splitting a file with too many rows for one partition.

Somewhere one account holds a tenth of all rows. Such an account gets a partition of its own, and that is cut
further by time: its numbers fit in memory, its text is taken piece by piece.
"""

from __future__ import annotations

import io
import resource
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from isal import isal_zlib
from numpy.typing import NDArray

from include.errors import Transient
from include.reports.engine.room import give_back

ROWS_PER_PARTITION = 45_000
ROW_LIMIT = 75_000
# So many files at once, of a partition each. Where that is too few, all are split later: few long ones are best then.
_MOST_FILES, _FILES_TO_SPLIT = 1024, 256
_FILLED = 0.9  # some files get more rows than others, by hash
_ACCOUNT = ("program_id", "subledger_id")
# Text of a few pieces of one account is held at a time: they are smaller than a partition may be.
_PIECES_OF_LIMIT = 2
# One row of so many says when the rows of a giant account were created.
_SAMPLED = 16
# By how much one run of accounts may be longer than it would be if all were equal.
_UNEVEN = 1.05
_HELD_BYTES = 20 << 20
# A message stands twice in memory while it is written or read.
_MESSAGE_ROWS = 8192


@dataclass(frozen=True)
class Piece:
    """One scratch file of rows: an Arrow IPC stream, of the messages that were written into it.

    messages: of the schema and of each batch of rows in turn, how many bytes and their CRC-32.
    """

    path: Path
    rows: int
    messages: array[int]

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all rows with `columns`, all when None, each in one chunk.

        Raises as `batches` does; where only some columns are read, `check` does so before.
        """
        # Mapped: what is not asked for is not read, and no column holds the others.
        with pa.memory_map(str(self.path)) as source:
            if columns is None:
                return pa.Table.from_batches(self._batches(source)).combine_chunks()
            schema = pa.ipc.read_schema(source)
            included = [schema.get_field_index(name) for name in columns]
            source.seek(0)
            options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=included)
            table = pa.ipc.open_stream(source, options=options).read_all()
            return table.select(columns).combine_chunks()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as they were written; Transient where the file is not what was written."""
        if self.rows:
            with pa.OSFile(str(self.path), "rb") as source:
                yield from self._batches(source)

    def check(self) -> None:
        """Raise Transient where the file is not what was written."""
        with pa.OSFile(str(self.path), "rb") as source:
            for _ in self._contents(source):
                pass

    def _batches(self, source: pa.NativeFile) -> Iterator[pa.RecordBatch]:
        contents = self._contents(source)
        schema = pa.ipc.read_schema(next(contents))
        for content in contents:
            yield pa.ipc.read_record_batch(content, schema)

    def _contents(self, source: pa.NativeFile) -> Iterator[pa.Buffer]:
        for size, crc32 in zip(self.messages[::2], self.messages[1::2], strict=True):
            content = source.read_buffer(size)
            if len(content) != size or isal_zlib.crc32(content) != crc32:
                raise Transient(
                    f"{self.path}: the file is not what was written into it: look after the disk. Another attempt "
                    "makes it again, from the snapshot"
                )
            yield content

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class HeldPiece(Piece):
    """Rows that lie in memory."""

    held: pa.Table

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all rows with `columns`, all when None."""
        return self.held if columns is None else self.held.select(columns)


def files_for(rows: int) -> int:
    """Return into how many files so many rows are written: one a partition, if these are not too many to be open."""
    may_be_open, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if may_be_open >= 2 * _MOST_FILES else _FILES_TO_SPLIT
    if rows > most * ROW_LIMIT * _FILLED:
        return _FILES_TO_SPLIT
    return max(1, min(most, -(-rows // ROWS_PER_PARTITION)))


class Scatter:
    """Writes rows to one of `count` files, which a number per row chooses; rows keep their order.

    Rows wait until there are many for each file, since each file's share of each column is a buffer by itself.
    They are not compressed: that takes more time than it saves.
    """

    def __init__(self, folder: Path, prefix: str, count: int) -> None:
        self._paths = [folder / f"{prefix}-{index:05}.arrow" for index in range(count)]
        self._rows = [0] * count
        # Some hundred thousands of a large ledger: as objects they would take more memory than the rows that wait.
        self._messages: list[array[int]] = [array("I") for _ in range(count)]
        self._files: dict[int, io.FileIO] = {}
        self._held: list[tuple[pa.RecordBatch, NDArray[np.uint16]]] = []
        self._held_bytes = 0

    def add(self, batch: pa.RecordBatch, target: NDArray[np.uint16]) -> None:
        """Write each row of `batch` to the file that `target` names."""
        self._held.append((batch, target))
        self._held_bytes += batch.nbytes
        if self._held_bytes >= _HELD_BYTES:
            self._flush()

    def close(self) -> None:
        """End writing; `pieces` are complete then."""
        self._flush()
        for file in self._files.values():
            file.close()
        self._files.clear()

    def pieces(self) -> list[Piece]:
        """Return the files, in order, also those without rows (which do not exist)."""
        of_files = zip(self._paths, self._rows, self._messages, strict=True)
        return [Piece(path, rows, messages) for path, rows, messages in of_files]

    def _flush(self) -> None:
        if not self._held:
            return
        target = np.concatenate([target for _, target in self._held])
        names = self._held[0][0].schema.names
        columns = [batch.columns for batch, _ in self._held]
        self._held, self._held_bytes = [], 0
        order = pa.array(np.argsort(target, kind="stable").astype(np.int32))
        # Column by column, so that few bytes stand twice in memory.
        arrays = [pa.concat_arrays([one.pop(0) for one in columns]).take(order) for _ in names]
        batch = pa.RecordBatch.from_arrays(arrays, names)
        start = 0
        for index, rows in enumerate(np.bincount(target, minlength=len(self._paths)).tolist()):
            if rows:
                self._write(index, batch.slice(start, rows))
            start += rows
        del arrays, batch, order
        give_back(between=True)

    def _write(self, index: int, batch: pa.RecordBatch) -> None:
        if index not in self._files:
            self._files[index] = io.FileIO(self._paths[index], "wb")
            self._append(index, batch.schema.serialize())
        for start in range(0, len(batch), _MESSAGE_ROWS):
            self._append(index, batch.slice(start, _MESSAGE_ROWS).serialize())
        self._rows[index] += len(batch)

    def _append(self, index: int, message: pa.Buffer) -> None:
        content = memoryview(message)
        self._messages[index].extend((len(content), isal_zlib.crc32(content)))
        while content:
            content = content[self._files[index].write(content) :]


def split(piece: Piece, folder: Path, row_limit: int) -> list[tuple[Piece, ...]]:
    """Return the piece as runs of whole accounts of at most `row_limit` rows where accounts allow it.

    An account over the limit becomes a run of its own of several pieces, in time order: none spans two.
    """
    if piece.rows <= row_limit:
        return [(piece,)]
    values, counts = _hash_counts(piece)
    fewest = -(-piece.rows // row_limit)
    starts = _run_starts(counts, min(row_limit, int(_UNEVEN * piece.rows / fewest) + 1))  # about equal ones
    if len(starts) == 1:
        return [_by_time(piece, folder, row_limit)] if values.size == 1 else [(piece,)]
    runs = _rescatter(piece, folder, "account_hash", values[starts])
    return [_by_time(run, folder, row_limit) if run.rows > row_limit else (run,) for run in runs if run.rows]


def _hash_counts(piece: Piece) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return each account hash of the piece, ascending, and how many rows have it."""
    values, counts = np.empty(0, np.uint64), np.empty(0, np.int64)
    for batch in piece.batches():
        here, rows = np.unique(batch.column("account_hash").to_numpy(), return_counts=True)
        both = np.concatenate((values, here))
        values, place = np.unique(both, return_inverse=True)
        counts = np.bincount(place, np.concatenate((counts, rows)), values.size).astype(np.int64)
    return values, counts


def _run_starts(counts: NDArray[np.int64], row_limit: int) -> list[int]:
    """Return where runs of accounts begin: as many as fit under the limit, the larger ones alone."""
    starts, rows = [0], 0
    for index, count in enumerate(counts.tolist()):
        if rows and rows + count > row_limit:
            starts.append(index)
            rows = 0
        rows += count
    return starts


def _by_time(piece: Piece, folder: Path, row_limit: int) -> tuple[Piece, ...]:
    if not _is_one_account(piece):  # accounts whose 64-bit hashes meet: never seen, and not worth a merge
        return (piece,)
    every = max(1, row_limit // _PIECES_OF_LIMIT)
    step = min(_SAMPLED, every)
    sampled = [batch.column("created_at").to_numpy()[::step] for batch in piece.batches()]
    created = np.sort(np.concatenate(sampled))
    starts = np.unique(created[:: every // step])
    starts[0] = np.iinfo(np.int64).min  # rows before the first that was looked at
    return tuple(run for run in _rescatter(piece, folder, "created_at", starts) if run.rows)


def _rescatter(piece: Piece, folder: Path, column: str, starts: NDArray[np.generic]) -> list[Piece]:
    scatter = Scatter(folder, piece.path.stem, len(starts))
    for batch in piece.batches():
        values = batch.column(column).to_numpy()
        scatter.add(batch, (np.searchsorted(starts, values, side="right") - 1).astype(np.uint16))
    scatter.close()
    piece.path.unlink()
    return scatter.pieces()


def _is_one_account(piece: Piece) -> bool:
    first: tuple[object, ...] | None = None
    for batch in piece.batches():
        holder = (
            batch.column("card_id").fill_null("")
            if batch.column("card_id").null_count
            else batch.column("card_id")
        )
        names = (
            _ACCOUNT
            if pc.any(pc.greater(pc.binary_length(holder), 0)).as_py()
            else (*_ACCOUNT, "customer_id")
        )
        columns = [holder, *(batch.column(name) for name in names)]
        first = first or tuple(column[0].as_py() for column in columns)
        if len(columns) != len(first):
            return False
        if not all(
            pc.all(pc.equal(column, value)).as_py() for column, value in zip(columns, first, strict=True)
        ):
            return False
    return True
