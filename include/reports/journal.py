"""Journal: what the period's liability means for the books, as balanced debits and credits of each program.

The money is liability's (docs/ledger.md section 6), by the program's method. deferred_revenue: what is deferred for
points issued goes from sales to the contract liability, what is redeemed and what changed in the estimate from there
to revenue. cost: what the liability moved by is expense. Sums of a program in its currency; never added across
programs. A journal's number depends on program and period alone, so that posting the same file twice is seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from include.errors import LedgerViolation
from include.ledger.columns import Column
from include.reports import glossary, liability
from include.reports.engine.derived import Derived, Rows
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report, arrow_schema
from include.reports.points_accounting import last_day_of

KIND = "journal"
TITLE = "Journal"
PERIOD: Period = "required"

_COLUMNS = glossary.columns(
    KIND,
    (
        "program_id",
        "program_name",
        "journal_no",
        "date",
        "account",
        "account_code",
        "description",
        "debit",
        "credit",
        "amount",
        "currency",
        "tax_rate",
        "tracking_name",
        "tracking_option",
    ),
)
_Role = Literal["liability", "deferral", "revenue", "breakage", "expense"]
# Figure of liability, what it is, and the account that is debited where it is positive, and credited.
_ENTRIES: tuple[tuple[str, str, _Role, _Role], ...] = (
    ("liability_added", "Deferred for points issued", "deferral", "liability"),
    ("revenue_redemption", "Revenue from points redeemed", "liability", "revenue"),
    ("revenue_change_of_estimate", "Revenue from changed estimate (breakage)", "liability", "breakage"),
    ("liability_revalued", "Change of the points liability at cost", "expense", "liability"),
)


class Account(BaseModel):
    """An account of the books: `Parent:Child` for a sub-account, and its code."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=200)
    code: str = Field("", max_length=20)


class Accounts(BaseModel):
    """The accounts that entries are booked on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    liability: Account = Account(name="Loyalty points liability", code="2350")
    deferral: Account = Account(name="Sales:Deferred for loyalty points", code="4010")
    revenue: Account = Account(name="Sales:Loyalty points redeemed", code="4020")
    breakage: Account = Account(name="Sales:Loyalty points breakage", code="4030")
    expense: Account = Account(name="Loyalty program expense", code="6350")


class Options(BaseModel):
    """`accounts` are those of the books; `tax_rate` stands on every line; the rest is as in liability.

    `tracking` names a tracking category of the books, of which the program is the option.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    accounts: Accounts = Accounts()
    tax_rate: str = Field("Tax Exempt", max_length=50)
    tracking: str | None = Field(None, min_length=1, max_length=100)
    programs: tuple[str, ...] = ()
    method: Literal["cost", "deferred_revenue"] | None = None
    rate_source: Literal["program_rates", "chain_ladder"] | None = None


def needs(options: Options) -> Needs:
    """Return the relations and columns that the report reads where the ledger has them."""
    return liability.needs(_inner(options))


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the journals of `[start, end)`; BadInput as liability does, LedgerViolation if unbalanced."""
    options = asked.options
    assert isinstance(options, Options)
    inner = Asked(asked.start, asked.end, asked.as_of, asked.known_at, _inner(options), asked.timezone)
    day = last_day_of(asked)

    def made(rows: Rows) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            lines = [line for row in batch.to_pylist() for line in _journal(row, options, asked, day)]
            yield pa.RecordBatch.from_pylist(lines, schema=arrow_schema(_COLUMNS))

    return Derived(liability.report(inner, snapshot, scratch), made)


def _inner(options: Options) -> liability.Options:
    return liability.Options(
        programs=options.programs, method=options.method, rate_source=options.rate_source
    )


def _journal(row: dict[str, Any], options: Options, asked: Asked, day: date) -> list[dict[str, Any]]:
    """Return the lines of one program: of each entry a debit, then its credit."""
    head = {
        "program_id": row["program_id"],
        "program_name": row["program_name"],
        "journal_no": journal_number(row["program_id"], asked, day),
        "date": day,
        "currency": row["currency"],
        "tax_rate": options.tax_rate,
        "tracking_name": options.tracking,
        "tracking_option": options.tracking and row["program_name"],
    }
    lines: list[tuple[_Role, dict[str, Any]]] = []
    for figure, words, debited, credited in _ENTRIES:
        amount: Decimal = row[figure] or Decimal(0)
        if amount == 0:
            continue
        sides = (debited, credited) if amount > 0 else (credited, debited)
        for role, sign in zip(sides, (1, -1), strict=True):
            account: Account = getattr(options.accounts, role)
            line = head | {
                "account": account.name,
                "account_code": account.code,
                "description": f"{words}, {row['program_name'] or row['program_id']}",
                "debit": abs(amount) if sign > 0 else None,
                "credit": abs(amount) if sign < 0 else None,
                "amount": sign * abs(amount),
            }
            lines.append((role, line))
    _check(row, lines)
    return [line for _, line in lines]


def journal_number(program_id: str, asked: Asked, day: date) -> str:
    """Return the journal's number, at most 21 characters: the last day, and a hash of program and period."""
    text = f"{program_id}\0{asked.start}\0{asked.as_of}"
    return f"LP{day:%Y%m%d}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _check(row: dict[str, Any], lines: list[tuple[_Role, dict[str, Any]]]) -> None:
    """Raise LedgerViolation unless debits equal credits and the liability account moves as the liability does."""
    total = sum((line["amount"] for _, line in lines), Decimal(0))
    moved = sum((-line["amount"] for role, line in lines if role == "liability"), Decimal(0))
    expected = (row["liability_closing"] or Decimal(0)) - (row["liability_opening"] or Decimal(0))
    if total or moved != expected:
        raise LedgerViolation(
            f"the journal of program {row['program_id']} does not balance: debits less credits are {total}, the "
            f"liability account moves by {moved}, and the liability by {expected}"
        )
