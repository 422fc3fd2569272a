"""Rows that change in place: which were updated since the base was read, where the mapping vouches for that.

A mapping that names a relation under `trust_updated_at` promises that whatever changes a row, or adds one, sets its
`updated_at` to the time of its database transaction. Then only rows updated since the day before the base was read are
read; the base's rows of the same keys are left out. Rows that are gone show in the number of rows, and the relation is
read whole.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.ledger.catalog import RELATIONS
from include.snapshots.days import DAY_MICROSECONDS, FOREVER, Days
from include.snapshots.local import fetched
from include.snapshots.manifest import SnapshotFile, SnapshotManifest
from include.snapshots.store import Store
from include.state.tables import microseconds

LOG = logging.getLogger(__name__)
MOST_ROWS = 1_000_000  # whose keys are in memory


def since(base: SnapshotManifest) -> Days:
    """Return the days of update to read again: the day before the base was read, and all after it."""
    return Days(((microseconds(base.read_at) // DAY_MICROSECONDS - 1, FOREVER),), None, no_day=True)


def can_replace(relation: str, columns: tuple[str, ...]) -> bool:
    """Say whether rows can be told apart by what is held of them."""
    return set(RELATIONS[relation].key) <= set(columns)


class Updated:
    """The keys of the rows that were updated, from the batches that pass through."""

    def __init__(self, relation: str) -> None:
        [self._key] = RELATIONS[relation].key
        self._relation = relation
        self._keys: list[pa.Array] = []
        self._rows = 0

    def seen(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the batches; ends early where there are too many rows, and `too_many` says so."""
        for batch in batches:
            self._rows += len(batch)
            if self.too_many:
                LOG.warning(
                    "%s: more than %s rows were updated; it is read whole", self._relation, f"{MOST_ROWS:,}"
                )
                return
            self._keys.append(batch.column(self._key))
            yield batch

    @property
    def too_many(self) -> bool:
        """Whether their keys would take too much memory."""
        return self._rows > MOST_ROWS

    def keys(self) -> pa.Array:
        """Return the keys as one array of strings."""
        return pa.concat_arrays([pa.array([], pa.string()), *self._keys])

    def touches(self, store: Store, file: SnapshotFile, keys: pa.Array, scratch: Path) -> bool:
        """Say whether a file of the base holds one of the keys; raises Damaged."""
        path = fetched(store, file, scratch)
        try:
            held = pq.read_table(path, columns=[self._key], use_threads=False, pre_buffer=False)
        finally:
            if path.is_relative_to(scratch):
                path.unlink()
        return bool(pc.any(pc.is_in(held[self._key], value_set=keys)).as_py())

    def without(self, batch: pa.RecordBatch, keys: pa.Array) -> pa.RecordBatch:
        """Return the rows of a batch of the base that were not updated."""
        return batch.filter(pc.invert(pc.is_in(batch.column(self._key), value_set=keys)))
