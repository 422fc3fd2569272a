"""The words that booking works with: kinds of rows, problems of rows, and the rows of some accounts.

Numbers only. The compiled code carries these values inside: a change here needs a changed
booking_kernel.py, or a stale cache would keep the old ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

NEVER = 2**63 - 1
NO_RELATED = -1
RELATED_NOT_FOUND = -2

Ints = NDArray[np.int64]


class TransactionType(IntEnum):
    """docs/ledger.md section 2; the ledger's own word is the name in lower case."""

    EARNED = 0
    EARNED_REVERSED = 1
    REDEEMED = 2
    REDEMPTION_REFUNDED = 3
    ADJUSTED = 4
    EXPIRED = 5
    TRANSFERRED_IN = 6
    TRANSFERRED_OUT = 7

    @property
    def word(self) -> str:
        """As it stands in the ledger: `earned_reversed`."""
        return self.name.lower()


class RowProblem(IntFlag):
    """What is reported about a row and booked all the same (docs/ledger.md section 3 rule 8)."""

    REVERSAL_TARGET_MISSING = 1
    REVERSAL_TARGET_DOUBLED = 2
    REVERSAL_OF_EXPIRED = 4
    DEBIT_BEFORE_ANY_EARN = 8
    EXPIRED_MORE_THAN_OUTSTANDING = 16
    ZERO_POINTS = 32
    WITHOUT_EXPIRY = 64
    CREATED_AFTER_KNOWN = 128  # set by whoever knows K, never by booking
    EXPIRY_TARGET_MISSING = 256
    EXPIRES_BEFORE_USABLE = 512


@dataclass(frozen=True)
class Rows:
    """Rows of whole accounts, by account, then in the order of docs/ledger.md section 3.

    Instants are microseconds since the epoch, UTC; points are hundredths. `activates_at` is never before
    `created_at` and `expires_at` is NEVER where the row has none. `related` is the index, in these Rows,
    of the row that related_transaction_id names in the same account; NO_RELATED where it is null, else
    RELATED_NOT_FOUND.
    """

    account_start: Ints  # accounts + 1; rows of account a are account_start[a]:account_start[a + 1]
    created_at: Ints
    activates_at: Ints
    expires_at: Ints
    type: NDArray[np.uint8]
    points: Ints
    related: Ints

    @property
    def accounts_count(self) -> int:
        """How many accounts."""
        return int(self.account_start.size) - 1

    def __len__(self) -> int:
        return int(self.points.size)
