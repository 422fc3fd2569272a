"""Reading a snapshot's Parquet files, and spilling batches to scratch, both in bounded memory."""

from __future__ import annotations

import os
import queue
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from include.ledger.catalog import RELATIONS, arrow_schema

T = TypeVar("T")


def row_count(paths: Iterable[Path]) -> int:
    """Return the number of rows of Parquet files, from their footers."""
    return sum(int(pq.read_metadata(path).num_rows) for path in paths)


def batches(
    relation: str,
    paths: Sequence[Path],
    columns: Sequence[str],
    *,
    batch_rows: int,
    dictionary: Sequence[str] = (),
    groups: Callable[[pq.FileMetaData], list[int]] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield a relation's rows in file order with `columns` in their catalog types, a missing column as nulls.

    Columns named in `dictionary` come dictionary-encoded, straight from the file's own pages. `groups` says
    which row groups of a file to read; the others cost nothing.
    """
    schema = arrow_schema(RELATIONS[relation], columns)
    for path in paths:
        coded = [name for name in dictionary if name in pq.read_schema(path).names]
        with pq.ParquetFile(path, read_dictionary=coded, pre_buffer=False) as file:
            there = [name for name in columns if name in file.schema_arrow.names]
            chosen = None if groups is None else groups(file.metadata)
            for batch in file.iter_batches(batch_rows, row_groups=chosen, columns=there, use_threads=False):
                yield _conform(batch, schema, dictionary)


def _conform(batch: pa.RecordBatch, schema: pa.Schema, dictionary: Sequence[str]) -> pa.RecordBatch:
    arrays = []
    for field in schema:
        if field.name not in batch.schema.names:
            nulls = pa.nulls(len(batch), field.type)
            arrays.append(nulls.dictionary_encode() if field.name in dictionary else nulls)
            continue
        array = batch.column(field.name)
        if field.name in dictionary:
            arrays.append(array if pa.types.is_dictionary(array.type) else array.dictionary_encode())
        else:
            arrays.append(array if array.type == field.type else array.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, names=schema.names)


def ahead(items: Iterable[T], depth: int = 1) -> Iterator[T]:
    """Yield `items` in order while a thread already makes the next `depth` of them."""
    ready: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(depth)
    stop = threading.Event()

    def offer(entry: tuple[bool, T | BaseException | None]) -> bool:
        while not stop.is_set():
            try:
                ready.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not offer((True, item)):
                    return
            offer((False, None))
        except BaseException as error:  # noqa: BLE001 (it is raised again where the items are used)
            offer((False, error))

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            more, item = ready.get()
            if not more:
                if isinstance(item, BaseException):
                    raise item
                return
            yield item  # type: ignore[misc]  # an item when there is more
            item = None
    finally:
        stop.set()
        thread.join()


class Spool:
    """Batches of one schema that wait in scratch files until a report's end (Arrow IPC)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._path_taken = False
        self._done: list[Path] = []
        self._sink: pa.OSFile | None = None
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None

    @staticmethod
    def unnamed(folder: Path) -> Spool:
        """Return a spool under a name of its own."""
        return Spool(_new_file(folder))

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch; all have one schema."""
        if not len(batch):
            return
        if self._writer is None:
            if self._path_taken:
                self.path = _new_file(self.path.parent)
            self._sink = pa.OSFile(str(self.path), "wb")
            options = pa.ipc.IpcWriteOptions(use_threads=False)
            self._writer = pa.ipc.new_stream(self._sink, batch.schema, options=options)
        self._writer.write_batch(batch)
        self.rows += len(batch)

    def close(self) -> None:
        """End the file that is written; what is written later goes to another."""
        if self._sink is not None and self._writer is not None:
            self._writer.close()
            self._sink.close()
            self._sink = self._writer = None
            self._done.append(self.path)
            self._path_taken = True

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all batches, from the first."""
        self.close()
        for path in self._done:
            with pa.OSFile(str(path), "rb") as source:
                yield from pa.ipc.open_stream(source, options=pa.ipc.IpcReadOptions(use_threads=False))

    def given(self) -> tuple[list[Path], int]:
        """Return the files, in order, and how many rows they have; nothing is kept here any more (`kept.Kept`)."""
        self.close()
        found = self._done, self.rows
        self._done, self.rows, self._path_taken = [], 0, True
        return found

    def take(self, given: tuple[list[Path], int]) -> None:
        """Append the files of another spool."""
        self.close()
        paths, rows = given
        self._done += paths
        self.rows += rows

    def remove(self) -> None:
        """Remove the files."""
        self.close()
        for path in self._done:
            path.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def _new_file(folder: Path) -> Path:
    handle, name = tempfile.mkstemp(prefix="spool-", suffix=".arrow", dir=folder)
    os.close(handle)
    return Path(name)
