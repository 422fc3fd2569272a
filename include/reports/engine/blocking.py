"""Problems of rows that stop a run: docs/ledger.md section 3 rule 8, "blocking".

They are looked for while rows are on their way into partitions, over the rows of the cut only, so that a row
which a run does not use cannot stop it. All that is found is raised at once, with row ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.errors import LedgerViolation
from include.ledger.hashing import text_hashes
from include.ledger.rows import TransactionType

UNKNOWN_TYPE = 255
NAMED_ROWS = 20
_IDS_A_BUCKET = 2_000_000
_CANDIDATES = 10_000
_POSITIVE = (TransactionType.EARNED, TransactionType.REDEMPTION_REFUNDED, TransactionType.TRANSFERRED_IN)
_NEGATIVE = (
    TransactionType.EARNED_REVERSED,
    TransactionType.REDEEMED,
    TransactionType.EXPIRED,
    TransactionType.TRANSFERRED_OUT,
)
_SIGN = np.zeros(256, np.int64)
_SIGN[list(_POSITIVE)] = 1
_SIGN[list(_NEGATIVE)] = -1


class Blocking:
    """Collects blocking problems of rows, a few row ids of each rule by name and the rest by count."""

    def __init__(self) -> None:
        self._rows: dict[str, list[str]] = {}
        self._counts: Counter[str] = Counter()

    def check(self, batch: pa.RecordBatch, types: NDArray[np.uint8]) -> None:
        """Look at rows of `transactions` whose types, as codes (UNKNOWN_TYPE when unknown), are `types`."""
        for name in ("transaction_id", "program_id"):
            self._note(f"no {name}", batch, _blank(batch.column(name)))
        if batch.column("customer_id").null_count or not _all_filled(batch.column("customer_id")):
            self._note(
                "no holder", batch, _blank(batch.column("customer_id")) & _blank(batch.column("card_id"))
            )
        self._note("unknown type", batch, types == UNKNOWN_TYPE)
        missing = _nulls(batch.column("points"))
        self._note("no points", batch, missing)
        points = batch.column("points").fill_null(0).to_numpy(zero_copy_only=False)
        self._note("sign that the type does not allow", batch, (points * _SIGN[types] < 0) & ~missing)

    def check_instants(self, batch: pa.RecordBatch) -> None:
        """Look for rows without `created_at`; whether they belong to a cut cannot be known."""
        if batch.column("created_at").null_count:
            self._note("no created_at", batch, _nulls(batch.column("created_at")))

    def note_ids(self, rule: str, ids: Iterable[str]) -> None:
        """Note rows by their ids."""
        for row in ids:
            self._counts[rule] += 1
            if len(self._rows.setdefault(rule, [])) < NAMED_ROWS:
                self._rows[rule].append(row)

    def found(self) -> list[tuple[str, int, list[str]]]:
        """Return each broken rule, how many rows break it, and the ids of the first of them."""
        return [(rule, count, self._rows[rule]) for rule, count in sorted(self._counts.items())]

    def note(self, rule: str, count: int, ids: Sequence[str]) -> None:
        """Note `count` rows, of which some by their ids: what another one found."""
        named = ids[:NAMED_ROWS]
        self._counts[rule] += count - len(named)
        self.note_ids(rule, named)

    def stop(self) -> None:
        """Raise LedgerViolation when anything was found."""
        if not self._counts:
            return
        lines = []
        for rule, count in sorted(self._counts.items()):
            named = ", ".join(self._rows[rule])
            more = f" and {count - len(self._rows[rule])} more" if count > len(self._rows[rule]) else ""
            lines.append(f"{rule}: transactions {named}{more}")
        raise LedgerViolation("the ledger has problems that no report may be made from: " + "; ".join(lines))

    def _note(self, rule: str, batch: pa.RecordBatch, bad: NDArray[np.bool_]) -> None:
        if bad.any():
            rows = np.flatnonzero(bad)
            ids = batch.column("transaction_id").take(pa.array(rows[:NAMED_ROWS])).to_pylist()
            self.note(rule, rows.size, [str(row) for row in ids])


class IdCheck:
    """Finds transaction_ids that occur twice, at 8 bytes of scratch and none of memory a row.

    Hashes are spilled into ranges; ranges are sorted one by one; texts are compared only where hashes meet.
    """

    def __init__(self, folder: Path, rows: int) -> None:
        self._buckets = max(1, rows // _IDS_A_BUCKET)
        self._paths = [folder / f"ids-{bucket:03}.u64" for bucket in range(self._buckets)]
        self._files = [path.open("wb") for path in self._paths]

    def add(self, ids: pa.Array) -> None:
        """Take the ids of more rows."""
        hashes = text_hashes(ids)
        if self._buckets == 1:
            hashes.tofile(self._files[0])
            return
        bucket = ((hashes >> np.uint64(32)) * np.uint64(self._buckets)) >> np.uint64(32)
        order = np.argsort(bucket.astype(np.uint16), kind="stable")
        ends = np.cumsum(np.bincount(bucket.astype(np.int64), minlength=self._buckets))
        for file, part in zip(self._files, np.split(hashes[order], ends[:-1]), strict=True):
            part.tofile(file)

    def suspects(self) -> NDArray[np.uint64]:
        """Return the hashes that occur twice or more, sorted; removes the scratch files."""
        self.close()
        found = []
        for path in self._paths:
            hashes = np.fromfile(path, np.uint64)
            path.unlink()
            hashes.sort()
            found.append(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]))
        return np.concatenate(found)

    def close(self) -> None:
        """End writing."""
        for file in self._files:
            file.close()


def twice(ids: pa.Array) -> list[str]:
    """Return the ids that occur more than once among a few."""
    if pc.count_distinct(ids).as_py() == len(ids):
        return []
    counted = ids.value_counts()
    return sorted(counted.field("values").filter(pc.greater(counted.field("counts"), 1)).to_pylist())


def duplicates(ids: Iterator[pa.Array], suspects: NDArray[np.uint64]) -> list[str]:
    """Return ids that really occur more than once, of the first few thousand suspect hashes."""
    suspects = suspects[:_CANDIDATES]
    seen: Counter[str] = Counter()
    for array in ids:
        hashes = text_hashes(array)
        at = np.minimum(np.searchsorted(suspects, hashes), suspects.size - 1)
        seen.update(array.filter(pa.array(suspects[at] == hashes)).to_pylist())
    return sorted(row for row, count in seen.items() if count > 1)


def _nulls(column: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False), np.bool_)


def _blank(column: pa.Array) -> NDArray[np.bool_]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    blank = pc.fill_null(pc.equal(pc.binary_length(column), 0), True)
    return np.asarray(blank.to_numpy(zero_copy_only=False), np.bool_)


def _all_filled(column: pa.Array) -> bool:
    return len(column) == 0 or bool(pc.min(pc.binary_length(column)).as_py())
