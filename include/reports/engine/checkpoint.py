"""Beginning from a checkpoint: which accounts must be booked anew, and how their figures join those that were kept.

The figures of an account at (T, K) follow from its rows in that cut and from T. So figures kept of an earlier cut are
those of a later one where the account has the same rows in both, and no lot of it activates or expires in between.
All others are booked from all of their rows, as in any run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from include.ledger.catalog import BOOKING_COLUMNS
from include.ledger.hashing import row_hashes
from include.reports.engine import figures, files
from include.reports.engine.partitions import hashes_of, in_cut, instants_of, within
from include.reports.model import Cut

Hashes = NDArray[np.uint64]
_BATCH_ROWS = 1 << 16
_ACCOUNT = ("program_id", "subledger_id", "card_id", "customer_id")
_TIMES = ("created_at", "recorded_at")


@dataclass(frozen=True)
class Base:
    """Figures of an earlier cut, and the hashes (sorted) of the accounts that are booked anew."""

    path: Path
    changed: Hashes

    @property
    def accounts_count(self) -> int:
        """Return how many accounts it has."""
        return int(pq.read_metadata(self.path).num_rows)

    @property
    def share(self) -> float:
        """Return about which share of the accounts is booked anew."""
        return min(1.0, self.changed.size / max(1, self.accounts_count))

    def joined(self, fresh: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the figures of all accounts by hash; `fresh` ones, in that order, take the place of changed ones."""
        more = _Ahead(fresh)
        for batch in figures.read(self.path):
            found = figures.hashes(batch)
            kept = batch.filter(pa.array(~within(found, self.changed)))
            yield from _merged(kept, more.until(found[-1]))
        yield from more.rest()


class _Ahead:
    """Batches in order of hash, of which the head is taken up to a hash."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self._head: pa.RecordBatch | None = next(self._batches, None)

    def until(self, last: np.uint64) -> list[pa.RecordBatch]:
        """Take the rows up to this hash."""
        taken = []
        while self._head is not None:
            count = int(np.searchsorted(figures.hashes(self._head), last, side="right"))
            taken.append(self._head.slice(0, count))
            if count < len(self._head):
                self._head = self._head.slice(count)
                break
            self._head = next(self._batches, None)
        return taken

    def rest(self) -> Iterator[pa.RecordBatch]:
        """Take all that is left."""
        if self._head is not None:
            yield self._head
            yield from self._batches


def _merged(kept: pa.RecordBatch, fresh: Sequence[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    table = pa.Table.from_batches([kept, *fresh], figures.SCHEMA)
    if fresh:  # whoever has one hash is booked anew together, so the order of accounts stays
        table = table.take(pa.array(np.argsort(figures.hashes(table), kind="stable")))
    yield from table.combine_chunks().to_batches()


def changed(
    kept: Path,
    before: Cut,
    now: Cut,
    *,
    shared: Sequence[Path],
    gone: Sequence[Path],
    new: Sequence[Path],
) -> Hashes:
    """Return the hashes, sorted, of the accounts whose figures at `now` may differ from those kept at `before`.

    kept: the figures. shared: files of transactions that both snapshots have; gone: of the earlier one alone; new: of
    the later one alone. `now` is at no earlier an instant, of no less knowledge.
    """
    found = [_due(kept, now), *(_entered(path, before, now) for path in shared)]
    old, fresh = _rows(gone, before), _rows(new, now)
    for some, others in ((old, fresh), (fresh, old)):
        found.append(some[1][~np.isin(some[0], others[0])])
    return np.unique(np.concatenate(found))


def _due(kept: Path, now: Cut) -> Hashes:
    """Return the accounts to which something happens by itself up to `now`."""
    batches = figures.read(kept, ["account_hash", "next_at"])
    due = [figures.hashes(each)[each.column("next_at").to_numpy() <= now.book_at] for each in batches]
    return np.concatenate([np.zeros(0, np.uint64), *due])


def _entered(path: Path, before: Cut, now: Cut) -> Hashes:
    """Return the accounts of rows of a file that are in the later cut and not in the earlier one."""

    def groups(metadata: pq.FileMetaData) -> list[int]:
        return [index for index in range(metadata.num_row_groups) if _enters(path, index, before, now)]

    columns = (*_ACCOUNT, *_TIMES)
    batches = files.batches("transactions", [path], columns, batch_rows=_BATCH_ROWS, groups=groups)
    found = [hashes_of(batch.filter(pa.array(_entering(batch, before, now)))) for batch in batches]
    return np.concatenate([np.zeros(0, np.uint64), *found])


def _enters(path: Path, group: int, before: Cut, now: Cut) -> bool:
    times = files.batches("transactions", [path], _TIMES, batch_rows=_BATCH_ROWS, groups=lambda _: [group])
    return any(bool(_entering(batch, before, now).any()) for batch in times)


def _entering(batch: pa.RecordBatch, before: Cut, now: Cut) -> NDArray[np.bool_]:
    created, known = instants_of(batch)

    def inside(cut: Cut) -> NDArray[np.bool_]:
        return np.asarray((created < cut.as_of) & (known <= cut.known_at), np.bool_)

    return inside(now) & ~inside(before)


def _rows(paths: Sequence[Path], cut: Cut) -> tuple[Hashes, Hashes]:
    """Return, of each row of the cut, a hash of all that booking reads of it, and its account's hash."""
    contents, accounts = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
    for batch in files.batches("transactions", paths, BOOKING_COLUMNS, batch_rows=_BATCH_ROWS):
        rows = in_cut(batch, cut)
        if len(rows):
            contents.append(row_hashes(rows))
            accounts.append(hashes_of(rows))
    return np.concatenate(contents), np.concatenate(accounts)
