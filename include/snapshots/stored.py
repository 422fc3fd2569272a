"""What is in the snapshots that are stored: looked at, and nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from include.ledger.catalog import RELATIONS
from include.ledger.people import naming
from include.scratch import working_folder
from include.snapshots import registry
from include.snapshots.erased import Erased
from include.snapshots.local import Damaged, fetched
from include.snapshots.store import Missing, Store
from include.state import State
from include.state.snapshots import RegisteredSnapshot


def rows_of(store: Store, state: State, erased: Erased, scratch: Path) -> dict[str, int]:
    """Return, for every snapshot by its id, how many rows name one of these people."""
    found: dict[str, int] = {}
    counted: dict[str, int] = {}  # by file: most are of several snapshots
    for key in state.snapshots.sources():
        for row in state.snapshots.all_of(key):
            with suppress(Missing, Damaged), working_folder(scratch, "look") as folder:
                manifest = registry.read(store, row.manifest_key)
                found[row.snapshot_id] = 0
                for name, held in manifest.relations.items():
                    columns = [each for each in naming(RELATIONS[name]) if each in held.columns]
                    for file in held.files if columns else ():
                        if file.key not in counted:
                            path = fetched(store, file, folder)
                            read = pq.ParquetFile(path).iter_batches(columns=columns)
                            counted[file.key] = sum(erased.count(name, batch) for batch in read)
                        found[row.snapshot_id] += counted[file.key]
    return found


def batches(
    store: Store, state: State, relation: str, columns: tuple[str, ...], scratch: Path
) -> Iterator[pa.RecordBatch]:
    """Yield these columns of a relation from every snapshot; nulls where one lacks a column. Damaged ones give none."""
    seen: set[str] = set()
    read: set[str] = set()  # files: most are of several snapshots
    # One may be written anew meanwhile, and the old one go.
    while rows := [row for row in _all(state) if row.snapshot_id not in seen]:
        for row in rows:
            seen.add(row.snapshot_id)
            with suppress(Missing, Damaged, FileNotFoundError), working_folder(scratch, "look") as folder:
                manifest = registry.read(store, row.manifest_key)
                held = manifest.relations.get(relation)
                known = [each for each in columns if held is not None and each in held.columns]
                files = held.files if held is not None and known else ()
                for file in (file for file in files if file.key not in read):
                    path = fetched(store, file, folder)
                    read.add(file.key)
                    for batch in pq.ParquetFile(path).iter_batches(columns=known):
                        empty = pa.nulls(len(batch), pa.string())
                        arrays = [batch[each] if each in known else empty for each in columns]
                        yield pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _all(state: State) -> list[RegisteredSnapshot]:
    return [row for key in state.snapshots.sources() for row in state.snapshots.all_of(key)]
