"""Rows that an append-only ledger should not have: known before and missing then, changed, or gone.

Days that are read again are compared with what the earlier snapshot held of them, row by row, by hashes: ids and three
numbers a row are in memory. Where that would be too much, no comparison is made and the manifest says so; of the day on
which the earlier snapshot was read, nothing is said then.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.ledger.catalog import RELATIONS
from include.ledger.hashing import row_hashes
from include.snapshots.days import DAY_MICROSECONDS, instant, row_days
from include.snapshots.manifest import Increment, SnapshotManifest
from include.state.tables import microseconds

MOST_ROWS = 1_000_000
MOST_EXAMPLES = 10
_KEY = "transaction_id"


class Comparison:
    """Transactions of days that are read again, before and now, up to when the earlier snapshot `base` was read.

    days: of which all rows of the base can be read. counts: about how many rows a day has.
    """

    def __init__(self, base: SnapshotManifest, days: Collection[int], counts: Mapping[int, int]) -> None:
        self._base = base
        self._until = microseconds(base.read_at)
        over = [day for day in sorted(days) if day < self._until // DAY_MICROSECONDS]
        rest = [day for day in sorted(days) if day not in over]
        self._too_many = sum(counts.get(day, 0) for day in over) > MOST_ROWS
        if self._too_many or sum(counts.get(day, 0) for day in days) > MOST_ROWS:
            rest = []
        self._days = np.array([] if self._too_many else over + rest, np.int64)
        self._before = _Rows()
        self._now = _Rows()

    def before(self, batch: pa.RecordBatch) -> None:
        """Take rows that the earlier snapshot held."""
        self._take(self._before, batch)

    def now(self, batch: pa.RecordBatch) -> None:
        """Take rows as they are read."""
        self._take(self._now, batch)

    def found(self, days_read: int) -> Increment:
        """Return what differs. Rows that the ledger came to know after the base was read are what is new."""
        if self._too_many:
            return Increment(base=self._base.id, days_read=days_read, late=None, changed=None, removed=None)
        before, now = self._before.table(), self._now.table()
        place = pc.index_in(now["id"], value_set=before["id"])
        there = pc.is_valid(place).to_numpy(zero_copy_only=False)
        content = now["content"].to_numpy()
        earlier = before["content"].to_numpy()[place.fill_null(0).to_numpy()] if len(before) else content
        changed = there & (content != earlier)
        late = ~there & (now["known"].to_numpy() <= self._until)
        still = pc.is_in(before["id"], value_set=now["id"]).to_numpy(zero_copy_only=False)
        picked = [now.filter(pa.array(late)), now.filter(pa.array(changed)), before.filter(pa.array(~still))]
        every = pa.concat_tables(picked)
        earliest = pc.min(every["created"]).as_py()
        return Increment(
            base=self._base.id,
            days_read=days_read,
            late=len(picked[0]),
            changed=len(picked[1]),
            removed=len(picked[2]),
            examples=tuple(every["id"][:MOST_EXAMPLES].to_pylist()),
            earliest=None if earliest is None else instant(earliest),
        )

    def _take(self, rows: _Rows, batch: pa.RecordBatch) -> None:
        if _KEY not in batch.schema.names:
            return
        mask = np.isin(row_days(RELATIONS["transactions"], batch), self._days)
        if mask.any():
            rows.add(batch if mask.all() else batch.filter(pa.array(mask)))


class _Rows:
    def __init__(self) -> None:
        self._batches: list[pa.Table] = []

    def add(self, batch: pa.RecordBatch) -> None:
        created = batch.column("created_at").cast(pa.int64())
        known = created
        if "recorded_at" in batch.schema.names:
            known = pc.coalesce(batch.column("recorded_at").cast(pa.int64()), created)
        columns = {
            "id": batch.column(_KEY),
            "content": pa.array(row_hashes(batch)),
            "known": known,
            "created": created,
        }
        self._batches.append(pa.table(columns))

    def table(self) -> pa.Table:
        """Return all rows as one piece."""
        numbers = dict.fromkeys(("known", "created"), pa.int64())
        schema = pa.schema({"id": pa.string(), "content": pa.uint64(), **numbers})
        return pa.concat_tables([schema.empty_table(), *self._batches]).combine_chunks()
