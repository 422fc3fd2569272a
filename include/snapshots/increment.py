"""Beginning a snapshot from an earlier one: which of its files hold what the ledger holds, and what to read again.

The earlier snapshot's proof has the control totals that the source computed when it was read. A day whose totals are
the same is taken over; files that hold only such days are shared by name. Where a day differs, its rows are taken out
of the files that hold it (locally, no row of the ledger is read for that), and the day is read again whole.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from include.ledger.catalog import RELATIONS
from include.snapshots import proof as proofs
from include.snapshots import registry
from include.snapshots.days import FOREVER, NO_DAY, Days, DayTotals, covered, row_days, some
from include.snapshots.local import Damaged, fetched
from include.snapshots.manifest import SnapshotFile, SnapshotManifest
from include.snapshots.proof import Proof, RelationProof
from include.snapshots.store import Missing, Store
from include.state import State
from include.state.snapshots import SnapshotState

LOG = logging.getLogger(__name__)
_BATCH_ROWS = 1 << 16
# Days that were long over are proven in so many parts, one a snapshot.
TURNS = 7
# Where more of a relation must be read again, or more stretches of days, it is read whole: one pass without conditions.
_MOST_READ_AGAIN = 0.5
_MOST_RANGES = 200
_EVER = -719_000  # the year 1


@dataclass(frozen=True)
class Base:
    """The snapshot that another one begins from. bad: its files that are missing, or not what they were."""

    manifest: SnapshotManifest
    proof: Proof
    bad: frozenset[str]

    def without(self, key: str) -> Base:
        """Return the base with one file more that is not what it was."""
        return replace(self, bad=self.bad | {key})

    def columns(self, relation: str, present: Sequence[str], there: Sequence[str]) -> tuple[str, ...]:
        """Return the columns to read: those that the base holds where they are enough and the ledger has them."""
        held = self.manifest.relations.get(relation)
        enough = held is not None and set(present) <= set(held.columns) <= set(there)
        return held.columns if held is not None and enough else tuple(present)


@dataclass(frozen=True)
class Plan:
    """What becomes of a relation: the base's files that are good, and the days to read again.

    touched: keys of files of which days are cut out; the others are shared. comparable: the differing days of which
    every row of the base can be read.
    """

    files: tuple[SnapshotFile, ...]
    touched: frozenset[str]
    differing: frozenset[int]
    comparable: frozenset[int]
    days: Days
    proof: RelationProof
    totals: DayTotals

    def rest(self, file: SnapshotFile) -> bool:
        """Say whether a touched file holds anything but days that differ."""
        return bool(self.proof.files[file.key].days.keys() - self.differing)

    def without(self, relation: str, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows of days that do not differ."""
        gone = np.isin(row_days(RELATIONS[relation], batch), np.array(sorted(self.differing), np.int64))
        return batch.filter(pa.array(~gone)) if gone.any() else batch


def begin(
    store: Store,
    state: State,
    source_key: str,
    *,
    erasures: str | None,
    read_at: datetime,
    whole_every: timedelta,
    scratch: Path,
) -> Base | None:
    """Return the newest snapshot to begin from; None where the ledger must be read whole.

    One of which a file was found damaged serves too: then each of its files is looked into, and what a bad one held
    is read again.
    """
    for row in state.snapshots.all_of(source_key):
        if row.state not in (SnapshotState.MADE, SnapshotState.DAMAGED):
            continue
        try:
            manifest = registry.read(store, row.manifest_key)
        except Missing:
            continue
        if manifest.erasures != erasures or manifest.whole_at is None:
            continue
        if read_at - manifest.whole_at >= whole_every or manifest.read_at > read_at:
            return None
        proof = proofs.load(store, manifest.proof)
        if proof is None:
            continue
        suspect = row.state is SnapshotState.DAMAGED
        return Base(manifest, proof, frozenset(_bad(store, manifest, scratch, suspect=suspect)))
    return None


def _bad(store: Store, manifest: SnapshotManifest, scratch: Path, *, suspect: bool) -> Iterator[str]:
    for relation in manifest.relations.values():
        for file in relation.files:
            entry = store.entry(file.key)
            if entry is None or entry.bytes != file.bytes:
                yield file.key
            elif suspect:
                try:
                    fetched(store, file, scratch)
                except Damaged as error:
                    LOG.warning("%s; its days are read again", error)
                    yield file.key


def to_prove(base: Base | None, relation: str, days_back: int, today: int) -> Days | None:
    """Return the days whose totals are asked for: the last ones and a part of the others in turn; None for all."""
    known = base.proof.relations.get(relation) if base else None
    if known is None or not days_back:
        return None
    first, recent = min((day for day in known.days if day != NO_DAY), default=today), today - days_back
    size = -(-(recent - first) // TURNS)
    if size <= 0:
        return None
    turn = (known.turn + 1) % TURNS
    low, high = first + turn * size, min(first + (turn + 1) * size, recent)
    # What came before the first day is of the first part, whatever it is.
    part = [(_EVER if turn == 0 else low, high)] if low < high else []
    return Days((*part, (recent, FOREVER)), None, no_day=True)


def plan(
    base: Base | None, relation: str, columns: Sequence[str], now: DayTotals | None, asked: Days | None = None
) -> Plan | None:
    """Return how a relation is made of the base's, given the source's totals; None where it is read whole.

    asked: the days of which they are; the others are taken to be as they were.
    """
    if base is None or now is None:
        return None
    held, proof = base.manifest.relations.get(relation), base.proof.relations.get(relation)
    if held is None or proof is None or held.columns != tuple(columns) or proof.formula != now.formula:
        return None
    lost = {day for file in held.files if file.key in base.bad for day in proof.files[file.key].days}
    if asked is not None:
        rest = {day: total for day, total in proof.days.items() if not covered(asked, day)}
        if lost & rest.keys():
            return None
        now = now._replace(days={**rest, **now.days})
    differing = {
        day for day in proof.days.keys() | now.days.keys() if proof.days.get(day) != now.days.get(day)
    }
    differing |= lost
    read = [day for day in differing if day in now.days]
    days = some(read, now.moments)
    rows, rows_all = (sum(now.days[day].rows for day in some_days) for some_days in (read, now.days))
    if rows > _MOST_READ_AGAIN * rows_all or len(days.ranges) > _MOST_RANGES:
        return None
    good = [file for file in held.files if file.key not in base.bad]
    touched = {file.key for file in good if differing & proof.files[file.key].days.keys()}
    return Plan(
        files=tuple(good),
        touched=frozenset(touched),
        differing=frozenset(differing),
        comparable=frozenset(differing - lost),
        days=days,
        proof=proof,
        totals=now,
    )


def rows_of(store: Store, file: SnapshotFile, scratch: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file of the base; raises Damaged before the first."""
    path = fetched(store, file, scratch)
    try:
        with pq.ParquetFile(path, pre_buffer=False) as opened:
            yield from opened.iter_batches(_BATCH_ROWS, use_threads=False)
    finally:
        if path.is_relative_to(scratch):
            path.unlink()
