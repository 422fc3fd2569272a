"""What the liability reports ask of a booked partition: its programs as small numbers, and hashes of ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.errors import LedgerViolation
from include.ledger.hashing import text_hashes
from include.ledger.rows import Ints
from include.ledger.transfers import NO_ID
from include.reports.engine.replay import BookedPartition
from include.reports.model import SLICE_ROWS


def program_codes(partition: BookedPartition, programs: Sequence[str], *, complete: bool) -> Ints:
    """Return the index in `programs` of each account's program, -1 where it is not among them.

    `complete` says that they are all that the ledger has; then such an account raises LedgerViolation.
    """
    of_account = partition.accounts.column("program_id")
    found = pc.index_in(of_account, value_set=pa.array(programs, pa.string()))
    if complete and found.null_count:
        unknown = of_account.filter(found.is_null()).unique().to_pylist()[:20]
        raise LedgerViolation(
            f"transactions name programs that `programs` does not have: {', '.join(unknown)}"
        )
    return np.asarray(found.fill_null(-1).to_numpy(), np.int64)


def ids_of(partition: BookedPartition) -> Callable[[Ints], tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
    """Return a function that hashes transaction_id and related_transaction_id (NO_ID when null) of rows."""

    def ids(rows: Ints) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        own, related = np.empty(rows.size, np.uint64), np.empty(rows.size, np.uint64)
        for first in range(0, rows.size, SLICE_ROWS):
            some = rows[first : first + SLICE_ROWS]
            own[first : first + SLICE_ROWS] = text_hashes(partition.text("transaction_id", some))
            named = partition.text("related_transaction_id", some)
            hashes = text_hashes(named)
            hashes[named.is_null().to_numpy(zero_copy_only=False)] = NO_ID
            related[first : first + SLICE_ROWS] = hashes
        return own, related

    return ids
