"""Writing a relation's rows into Parquet files of the store, in the order in which they are read.

Files hold a quarter of a million rows, so that readers can skip those of other times, and fetch side by side;
row groups are small, in rows and in bytes, so that readers stay small. Memory: one row group and its encoding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.ledger.catalog import RELATIONS, FieldType, arrow_schema
from include.snapshots.manifest import SnapshotFile, SnapshotRelation
from include.snapshots.proof import FileTally, Tally
from include.snapshots.store import Store, disk_errors

FILE_ROWS = 1 << 18
ROW_GROUP_ROWS = 1 << 17
ROW_GROUP_BYTES = 48 << 20  # before they are encoded; reached where a row has 380 bytes or more
# A text column whose first row group has at most this share of different values is written by dictionary.
DICTIONARY_SHARE = 0.02
TEXTS = (FieldType.ID, FieldType.TEXT, FieldType.ENUM, FieldType.JSON)

NUMBERS = (FieldType.POINTS, FieldType.INSTANT, FieldType.INTEGER, FieldType.DATE)


class RelationFiles:
    """Takes batches of one relation, puts files under `folder`, and describes them in the end.

    name: how the files' names begin, where not as the relation is called. one: all rows go into one file.
    """

    def __init__(
        self,
        relation: str,
        columns: Sequence[str],
        *,
        store: Store,
        folder: str,
        scratch: Path,
        name: str | None = None,
        one: bool = False,
    ) -> None:
        self.relation = relation
        self.tallies: dict[str, FileTally] = {}
        self._name = name or relation
        self._one = one
        self._tally = Tally(RELATIONS[relation])
        self.columns = tuple(columns)
        self.rows = 0
        self._schema = arrow_schema(RELATIONS[relation], self.columns)
        moment = RELATIONS[relation].moment
        self._moment = moment if moment in self.columns else None
        self._store = store
        self._folder = folder
        self._scratch = scratch
        self._files: list[SnapshotFile] = []
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._dictionary: list[str] | None = None
        self._path: Path | None = None
        self._writer: Any = None
        self._file_rows = 0
        self._bounds: _Bounds = _Bounds()

    def write(self, batch: pa.RecordBatch) -> None:
        """Take one batch; write a row group when there is enough for one."""
        if not len(batch):
            return
        self._waiting.append(batch)
        self._waiting_rows += len(batch)
        self._waiting_bytes += batch.nbytes
        if self._waiting_rows >= ROW_GROUP_ROWS or self._waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> SnapshotRelation:
        """Write what is left and return the relation's description. Without rows there is no file."""
        if self._waiting:
            self._flush()
        self._finish_file()
        return SnapshotRelation(columns=self.columns, rows=self.rows, files=tuple(self._files))

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0
        if self._dictionary is None:
            self._dictionary = _repeating(self.relation, table)
        if self._writer is None:
            self._path = self._scratch / f"{self._name}-{len(self._files) + 1:05d}.parquet"
            self._open(self._path)
        assert self._path is not None
        with disk_errors(self._path):
            self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._count(table)
        if self._file_rows >= FILE_ROWS and not self._one:
            self._finish_file()

    def _open(self, path: Path) -> None:
        numbers = self._numbers()
        others = [name for name in self.columns if name not in numbers]
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            use_dictionary=self._dictionary or False,
            # Rows come about in time order: neighbours differ little, and zstd finds nothing more in that.
            column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
            compression=dict.fromkeys(others, "zstd") | dict.fromkeys(numbers, "none"),
            compression_level=dict.fromkeys(others, 1),
            # Readers skip files, through the manifest, and row groups by when rows came about; statistics of ids
            # would only cost.
            write_statistics=[self._moment] if self._moment else [],
            store_schema=True,
        )

    def _numbers(self) -> list[str]:
        fields = (RELATIONS[self.relation].field(name) for name in self.columns)
        return [field.name for field in fields if field.type in NUMBERS]

    def _count(self, table: pa.Table) -> None:
        self.rows += len(table)
        self._file_rows += len(table)
        if self._moment:
            found = pc.min_max(table[self._moment]).as_py()
            self._bounds.include(found["min"], found["max"])
        self._tally.count(table)

    def _finish_file(self) -> None:
        if self._writer is None:
            return
        path = self._path
        assert path is not None
        with disk_errors(path):
            self._writer.close()
        self._writer = None
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        key, size = f"{self._folder}/{path.name}", path.stat().st_size
        if not self._store.put_new(key, path, move=True):
            raise FileExistsError(f"{key} exists, though its attempt is new")
        self.tallies[key] = self._tally.close()
        self._files.append(
            SnapshotFile(
                key=key,
                rows=self._file_rows,
                bytes=size,
                sha256=digest,
                first_created_at=self._bounds.first,
                last_created_at=self._bounds.last,
            )
        )
        self._file_rows, self._bounds = 0, _Bounds()


class _Bounds:
    """The least and the greatest instant that were included; None while there is none."""

    def __init__(self) -> None:
        self.first: datetime | None = None
        self.last: datetime | None = None

    def include(self, first: datetime | None, last: datetime | None) -> None:
        if first is not None:
            self.first = first if self.first is None else min(self.first, first)
        if last is not None:
            self.last = last if self.last is None else max(self.last, last)


def _repeating(relation: str, table: pa.Table) -> list[str]:
    """Return the text columns whose values repeat: a dictionary makes them smaller and faster to read."""
    most = max(1, int(len(table) * DICTIONARY_SHARE))
    texts = [name for name in table.column_names if RELATIONS[relation].field(name).type in TEXTS]
    # Ids are different at once: that is seen in the first few times as many rows, and the rest need not be counted.
    few = table.slice(0, 4 * most)
    return [name for name in texts if all(_different(part[name]) <= most for part in (few, table))]


def _different(column: pa.ChunkedArray) -> int:
    """Return how many different values there are; null is one."""
    return int(pc.count_distinct(column, mode="all").as_py())
