"""What a snapshot leaves for the next one to begin from: the source's control totals, and what each file holds.

Stored beside the snapshot's files, apart from the manifest, since only the next reading wants it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from include.ledger.catalog import RELATIONS, Relation
from include.ledger.hashing import text_hashes
from include.snapshots.days import MODULUS, DayTotal, row_days, told_by
from include.snapshots.manifest import SnapshotFile, SnapshotTotals, StoredProof
from include.snapshots.store import Missing, Store


class FileTally(BaseModel):
    """What a file holds: points and id hashes as in `SnapshotTotals`; rows and points by day, where rows have one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    points: int = 0
    id_hashes: int = 0
    days: dict[int, tuple[int, int]] = {}


class RelationProof(BaseModel):
    """The totals of all days as the source computed them by `formula`, and the tallies of the files by key.

    turn: which part of the days that were long over was proven last (`increment.to_prove`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    formula: str
    days: dict[int, DayTotal]
    files: dict[str, FileTally]
    turn: int = 0

    def holds(self) -> bool:
        """Say whether the files hold, day by day, as many rows and points as the source said."""
        found: dict[int, tuple[int, int]] = {}
        for tally in self.files.values():
            for day, (rows, points) in tally.days.items():
                before = found.get(day, (0, 0))
                found[day] = before[0] + rows, before[1] + points
        return found == {day: (total.rows, total.points) for day, total in self.days.items()}


class Proof(BaseModel):
    """By relation; one that cannot be proven is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    relations: dict[str, RelationProof] = {}

    def renamed(self, keys: Mapping[str, str]) -> Proof:
        """Return the same of files that were written anew: their keys by their old keys."""
        made = {
            name: each.model_copy(
                update={"files": {keys.get(key, key): tally for key, tally in each.files.items()}}
            )
            for name, each in self.relations.items()
        }
        return Proof(relations=made)

    def stored(self, store: Store, folder: str) -> StoredProof | None:
        """Put it into a snapshot's folder and return where it is; None where nothing is proven."""
        if not self.relations:
            return None
        content = json.dumps(self.model_dump(mode="json"), separators=(",", ":")).encode()
        key = f"{folder}/proof.json"
        if not store.put_new(key, content):
            raise FileExistsError(f"{key} exists, though its attempt is new")
        return StoredProof(key=key, sha256=hashlib.sha256(content).hexdigest())


def load(store: Store, where: StoredProof | None) -> Proof | None:
    """Return a stored proof; None where there is none, or it is not what it was."""
    if where is None:
        return None
    try:
        content = store.read(where.key)
    except Missing:
        return None
    if hashlib.sha256(content).hexdigest() != where.sha256:
        return None
    return Proof.model_validate_json(content)


class Tally:
    """Counts the rows of a file while they are written."""

    def __init__(self, relation: Relation) -> None:
        self._relation = relation
        self._points = self._hashes = 0
        self._days: dict[int, tuple[int, int]] = {}

    def count(self, rows: pa.Table) -> None:
        """Count some rows."""
        booked = self._relation is RELATIONS["transactions"]
        if booked and "points" in rows.column_names:
            self._points += pc.sum(rows["points"]).as_py() or 0
        if booked and "transaction_id" in rows.column_names:
            hashes = text_hashes(rows["transaction_id"])
            self._hashes = (self._hashes + int(hashes.sum(dtype=np.uint64))) % MODULUS
        if told_by(self._relation, rows.column_names):
            points = _points(rows) if booked else None
            for day, count, total in _by_day(row_days(self._relation, rows), points):
                before = self._days.get(day, (0, 0))
                self._days[day] = before[0] + count, before[1] + total

    def close(self) -> FileTally:
        """Return the tally, and begin another."""
        made = FileTally(points=self._points, id_hashes=self._hashes, days=self._days)
        self._points, self._hashes, self._days = 0, 0, {}
        return made


def _points(rows: pa.Table) -> NDArray[np.int64] | None:
    if "points" not in rows.column_names:
        return None
    return np.asarray(rows["points"].fill_null(0).to_numpy(), np.int64)


def _by_day(days: NDArray[np.int64], points: NDArray[np.int64] | None) -> Iterable[tuple[int, int, int]]:
    """Yield (day, rows, points); rows come about in time order, so stretches of one day are long."""
    ends = np.concatenate((np.flatnonzero(days[1:] != days[:-1]) + 1, [days.size]))
    starts = np.concatenate(([0], ends[:-1]))
    sums = np.zeros(starts.size, np.int64) if points is None else np.add.reduceat(points, starts)
    if starts.size > days.size // 4:  # in no order: one entry a day, not one a row
        found, place = np.unique(days, return_inverse=True)
        counts = np.bincount(place)
        sums = np.zeros(found.size, np.int64)
        if points is not None:
            np.add.at(sums, place, points)
        return zip(found.tolist(), counts.tolist(), sums.tolist(), strict=True)
    return zip(days[starts].tolist(), (ends - starts).tolist(), sums.tolist(), strict=True)


def totals(files: Iterable[SnapshotFile], tallies: Mapping[str, FileTally]) -> SnapshotTotals:
    """Return the control figures of a snapshot's transactions."""
    listed = list(files)
    firsts = [file.first_created_at for file in listed if file.first_created_at is not None]
    lasts = [file.last_created_at for file in listed if file.last_created_at is not None]
    hashes = sum(tallies[file.key].id_hashes for file in listed) % MODULUS
    return SnapshotTotals(
        rows=sum(file.rows for file in listed),
        points=sum(tallies[file.key].points for file in listed),
        id_hash_total=f"{hashes:016x}",
        first_created_at=min(firsts, default=None),
        last_created_at=max(lasts, default=None),
    )
