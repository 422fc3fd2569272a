"""What `Rows` promises, checked before they are booked: a broken promise is a broken program, not bad data."""

from __future__ import annotations

from include.ledger.booking_kernel import Ledger, creates
from include.ledger.compiled import compiled
from include.ledger.rows import NEVER, TransactionType

_EARNED = int(TransactionType.EARNED)
_REFUNDED = int(TransactionType.REDEMPTION_REFUNDED)
_ADJUSTED = int(TransactionType.ADJUSTED)
_TRANSFERRED_IN = int(TransactionType.TRANSFERRED_IN)
_LAST_TYPE = int(max(TransactionType))

SOUND, UNSORTED, NOT_BEFORE_AT, BAD_DATES, BAD_TYPE, WRONG_SIGN, TOO_LARGE = range(7)
_LARGEST_SUM = 9.0e18  # of the absolute points of one account: beyond it 64-bit sums could wrap


@compiled
def _wrong(ledger: Ledger, at: int, first: int, row: int) -> int:
    kind, points, created_at = ledger.type[row], ledger.points[row], ledger.created_at[row]
    wrong = SOUND
    if created_at >= at:
        wrong = NOT_BEFORE_AT
    elif ledger.activates_at[row] < created_at or ledger.activates_at[row] == NEVER:
        wrong = BAD_DATES
    elif kind > _LAST_TYPE:
        wrong = BAD_TYPE
    elif (
        kind != _ADJUSTED and points != 0 and (points > 0) != (kind in (_EARNED, _REFUNDED, _TRANSFERRED_IN))
    ):
        wrong = WRONG_SIGN
    elif row > first:
        before, late = ledger.created_at[row - 1], not creates(ledger.type[row - 1], ledger.points[row - 1])
        if before > created_at or (before == created_at and late and creates(kind, points)):
            wrong = UNSORTED
    return wrong


@compiled
def inspect(ledger: Ledger, at: int) -> tuple[int, int, int, int]:
    """(what is wrong, at which row, most lots of one account, all lots)."""
    most_lots = all_lots = 0
    for account in range(ledger.account_start.size - 1):
        lots = 0
        absolute = 0.0
        first = ledger.account_start[account]
        for row in range(first, ledger.account_start[account + 1]):
            wrong = _wrong(ledger, at, first, row)
            if wrong != SOUND:
                return wrong, row, 0, 0
            absolute += abs(float(ledger.points[row]))
            lots += ledger.points[row] > 0
        if absolute > _LARGEST_SUM:
            return TOO_LARGE, int(first), 0, 0
        most_lots = max(most_lots, lots)
        all_lots += lots
    return SOUND, -1, most_lots, all_lots
