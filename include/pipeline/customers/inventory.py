"""What one customer holds now, account by account and card by card, and what that becomes by itself in the next days.

Figures are rows of the reports `balance`, `projection` and `customer_tiers`, of what the ledger holds now. Days are
those of UTC: an API's answers have no other zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from include.errors import BadInput, Problem
from include.ledger.people import Name
from include.pipeline.context import Context
from include.pipeline.customers.look import READ_SECONDS, opened
from include.pipeline.holders.accounts import tiers_of
from include.pipeline.holders.reports import Wanted, holder_rows
from include.pipeline.numbered import Program, program_numbered
from include.pipeline.privacy import erasure_key
from include.snapshots.excerpt import IDS_AT_ONCE, Holder, Looking
from include.snapshots.reading import Which
from include.state.audit import Action
from include.state.looked import Person

MOST_DAYS = 31
_PERSON = (
    "customer_id", "name", "email", "phone", "birthdate", "address_line_1", "address_line_2", "address_postal_code",
    "address_city", "address_state", "address_country", "registered_at", "created_at",
)  # fmt: skip
_CARD = (
    "card_id", "program_id", "customer_id", "status", "block_reason", "users_per_card_limit", "batch_id", "created_at",
    "updated_at",
)  # fmt: skip
_VOUCHER = (
    "voucher_id", "code", "campaign_id", "customer_id", "starts_at", "expires_at", "used_at", "redemption_quantity",
    "redemption_count", "created_at",
)  # fmt: skip
_ORDER = ("order_id", "status", "amount", "total_amount")
_ROWS = ("order_id", "created_at")
_NUMBER = ("program_id", "external_id")
Row = dict[str, Any]


@dataclass(frozen=True)
class Account:
    """An account of a program: its row of `balance`, its rows of `projection`, and that of `customer_tiers`."""

    row: Row
    days: list[Row]
    tier: Row | None = None


@dataclass(frozen=True)
class InProgram:
    """What a customer, or a card, has in a program, by subledger; joined: since when a customer is in it."""

    program: Program
    accounts: dict[str, Account]
    joined: datetime | None = None


@dataclass(frozen=True)
class HeldCard:
    """A card's row, and what it has in each program."""

    row: Row
    programs: list[InProgram]


@dataclass(frozen=True)
class Inventory:
    """What was seen of a customer at `read_at`. Points are hundredths, instants aware datetimes.

    person: None where only transactions name the customer. programs: the own accounts, without cards. orders: the ones
    that transactions name, canceled ones left out. last_row_at: when the last transaction was made.
    """

    read_at: datetime
    person: Row | None
    programs: list[InProgram]
    cards: list[HeldCard]
    vouchers: list[Row] = field(default_factory=list)
    orders: list[Row] = field(default_factory=list)
    last_row_at: datetime | None = None


def inventory(context: Context, customer_id: str, *, days: int, by: str) -> Inventory | None:
    """Return what a customer holds, and what becomes of it in the next `days` (0 to 31); the audit chain is told.

    Programs without a number (`external_id`) are left out. None for whom nobody knows, and for who was erased. Raises
    what `holder_rows` does, and BadInput for more days.
    """
    if not 0 <= days <= MOST_DAYS:
        right = f"balances are projected for 0 to {MOST_DAYS} days"
        raise BadInput([Problem("days", str(days), right, "too_many_days")])
    holder = Holder(Name.CUSTOMER, customer_id)
    wanted = [Wanted("balance"), Wanted("join_dates"), Wanted("transactions", columns=_ROWS)]
    if days:
        options = {"grain": "account", "days": days, "include_zero": True}
        wanted.append(Wanted("projection", options))
    found = holder_rows(context, holder, wanted)
    if found is None:
        return None
    accounts, joined, rows, *projected = (table.to_pylist() for table in found.tables)
    of_holder = _by_holder(context, accounts, projected[0] if projected else [])
    orders = list(dict.fromkeys(row["order_id"] for row in rows if row["order_id"]))
    with opened(context, READ_SECONDS, erasure_key(context)) as ledger:
        mine = Which("customer_id", (customer_id,))
        person = next(iter(ledger.table("customers", _PERSON, mine).to_pylist()), None)
        cards = ledger.table("cards", _CARD, mine).to_pylist()
        vouchers = ledger.table("vouchers", _VOUCHER, mine).to_pylist()
        numbers = {
            row["program_id"]: row["external_id"]
            for row in ledger.table("programs", _NUMBER, None).to_pylist()
        }
        paid = _paid(ledger, orders)
    own = of_holder.get((Name.CUSTOMER.value, customer_id), {})
    since = {row["program_id"]: row["joined_at"] for row in joined}
    seen = Inventory(
        found.read_at,
        person,
        [_with_tiers(context, holder, each, since, found.read_at) for each in own.values()],
        [_card(context, row, of_holder, numbers) for row in cards],
        vouchers,
        paid,
        max((row["created_at"] for row in rows), default=None),
    )
    told = Person(Name.CUSTOMER, customer_id)
    context.state.looked.note(by, Action.CUSTOMER_SEEN, told, {"as_of": found.read_at})
    return seen


_Programs = dict[str, InProgram]


def _by_holder(
    context: Context, accounts: Sequence[Row], projected: Sequence[Row]
) -> dict[tuple[str, str], _Programs]:
    """Return, for the customer and each card, what they have in each program that has a number."""
    days: dict[tuple[str, ...], list[Row]] = {}
    for row in projected:
        days.setdefault(_account(row), []).append(row)
    found: dict[tuple[str, str], _Programs] = {}
    for row in accounts:
        number = row["program_external_id"]
        program = None if number is None else program_numbered(context, number)
        if program is not None and program.program_id == row["program_id"]:
            of_holder = found.setdefault((row["holder_kind"], row["holder_id"]), {})
            in_program = of_holder.setdefault(program.program_id, InProgram(program, {}))
            in_program.accounts[row["subledger_id"]] = Account(row, days.get(_account(row), []))
    return found


def _account(row: Row) -> tuple[str, ...]:
    return row["program_id"], row["subledger_id"], row["holder_kind"], row["holder_id"]


def _with_tiers(
    context: Context, holder: Holder, held: InProgram, since: dict[str, datetime], at: datetime
) -> InProgram:
    """Return a customer's accounts of a program with their tiers, and since when the customer is in it."""
    tiers = tiers_of(context, holder, held.program, held.accounts, at)
    accounts = {name: replace(each, tier=tiers.get(name)) for name, each in held.accounts.items()}
    return InProgram(held.program, accounts, since.get(held.program.program_id))


def _card(
    context: Context, row: Row, of_holder: dict[tuple[str, str], _Programs], numbers: dict[str, int | None]
) -> HeldCard:
    """Return a card with what it has in each program, nothing in its own where it has no transaction."""
    held = dict(of_holder.get((Name.CARD.value, row["card_id"]), {}))
    number = numbers.get(row["program_id"])
    if row["program_id"] not in held and number is not None:
        program = program_numbered(context, number)
        if program is not None:
            held[program.program_id] = InProgram(program, {})
    return HeldCard(row, list(held.values()))


def _paid(ledger: Looking, order_ids: Sequence[str]) -> list[Row]:
    found: list[Row] = []
    for first in range(0, len(order_ids), IDS_AT_ONCE):
        which = Which("order_id", tuple(order_ids[first : first + IDS_AT_ONCE]))
        found += ledger.table("orders", _ORDER, which).to_pylist()
    return [row for row in found if row["status"] != "CANCELED"]
