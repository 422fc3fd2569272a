"""What an import would do, and what it did: the figures that people see before they agree, and the receipt."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict


class RowStatus(StrEnum):
    """What happens to a row. Nothing of a file is posted while one of its rows is wrong."""

    DONE = "done"
    SKIPPED = "skipped"
    WRONG = "wrong"


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RowOutcome(_Figures):
    """One row: `member` as the file names it, `customer` and `card` as they were found; points and balances exact.

    points: what is booked; balances are active less debt at the rehearsal, None where the row moves no points. starts
    and expires: when points that come in can be used, where that is not at once and for ever. Birthdays are MM/DD.
    """

    row: int
    status: RowStatus
    member: str
    customer: str | None = None
    card: str | None = None
    points: Decimal | None = None
    balance_before: Decimal | None = None
    balance_after: Decimal | None = None
    starts: AwareDatetime | None = None
    expires: AwareDatetime | None = None
    birthday_before: str | None = None
    birthday_after: str | None = None
    message: str = ""

    @property
    def said(self) -> str:
        """Return in words why the row is left out or wrong, or what it does beside moving points."""
        if self.message:
            return self.message
        if self.birthday_before != self.birthday_after:
            return f"birthday {self.birthday_before or 'none'} -> {self.birthday_after or 'none'}"
        limits = (("usable from", self.starts), ("until", self.expires))
        return " ".join(f"{word} {at:%Y-%m-%d %H:%M} UTC" for word, at in limits if at is not None)


class TierEffect(_Figures):
    """The members of one tier whose points move, and by how much in sum. Their tier stays: imports change none."""

    program_id: str
    tier: str | None
    members: int
    points: Decimal


class LiabilityEffect(_Figures):
    """Points outstanding (active + pending) of the accounts that are touched, and what the change costs.

    money: the change at the program's cost per point, before expected breakage; None where no rate is known.
    """

    program_id: str
    currency: str
    outstanding_before: Decimal
    outstanding_after: Decimal
    money: Decimal | None


class Rehearsal(_Figures):
    """What posting would do, as of `at` on the ledger's clock. Sums go over all accounts that the file touches.

    points_out is 0 or less; debts: accounts that end below zero.
    It names nobody: rows are kept apart.
    digest: SHA-256 of the rows as they would be posted. notes: sentences of how the file was read.
    """

    at: AwareDatetime
    rows: int
    done: int
    skipped: int
    wrong: int
    members: int = 0
    accounts: int = 0
    points_in: Decimal = Decimal(0)
    points_out: Decimal = Decimal(0)
    balance_before: Decimal = Decimal(0)
    balance_after: Decimal = Decimal(0)
    pending_before: Decimal = Decimal(0)
    pending_after: Decimal = Decimal(0)
    debts: int = 0
    tiers: tuple[TierEffect, ...] = ()
    tier_changes: int = 0
    liability: tuple[LiabilityEffect, ...] = ()
    notes: tuple[str, ...] = ()
    digest: str = ""


class Receipt(_Figures):
    """What was posted in one database transaction, at `at` on the ledger's clock."""

    at: AwareDatetime
    rows: int
    points_in: Decimal
    points_out: Decimal
    first_transaction: str | None
    last_transaction: str | None
    result_sha256: str
    undo_sha256: str
