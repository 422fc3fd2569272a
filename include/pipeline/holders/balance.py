"""The balances of one holder, at once: the rows of the report `balance` by account, made in memory of a few rows.

Reports write into scratch and take as many threads as they need, since there may be millions of accounts; for one
customer that takes longer than the reading. What a figure means is decided in the same code: rows are checked, ordered
and booked as for every report (`partitions.held`, `replay`); a test compares every row with the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from include.errors import BadInput, Problem
from include.ledger.balances import balances
from include.ledger.catalog import BOOKING_COLUMNS
from include.ledger.people import Name
from include.reports import balance, programs, tiers
from include.reports.engine.partitions import held
from include.reports.engine.replay import BookedPartition, book_at, load
from include.reports.model import Cut, arrow_schema
from include.snapshots.excerpt import IDS_AT_ONCE, MOST_CARDS, Holder, Looking, TooLong
from include.snapshots.reading import Which

OPTIONS = balance.Options()
_POINTS = (
    "active",
    "pending",
    "expired",
    "spent",
    "negative_balance",
    "points_balance",
    "lifetime_earned",
    "last_activity_at",
)
_OWNER = ("customer_id", "name", "email", "registered_at")
_PROGRAM = (*programs.COLUMNS, "external_id")
_CARD = ("card_id", "customer_id", "status")
Row = dict[str, Any]


def at_once(
    ledger: Looking, holder: Holder, instants: Sequence[int | None], read_at: int, *, most_rows: int
) -> tuple[pa.Table, ...] | None:
    """Return the rows of the report, by account, as of each instant; None for whom nobody knows.

    instants: microseconds, None for `read_at`. Raises TooLong for more transactions than `most_rows`, BadInput for
    more cards than are looked at, and what booking raises.
    """
    if ledger.is_gone(holder):
        return None
    customer = holder.kind is Name.CUSTOMER
    own = "customer_id" if customer else "card_id"
    cards = _rows(ledger, "cards", _CARD, own, [holder.id])
    owners = [holder.id] if customer else [each["customer_id"] for each in cards]
    person = _rows(ledger, "customers", _OWNER, "customer_id", owners)
    if len(cards) > MOST_CARDS:
        right = f"has more than {MOST_CARDS:,} cards: make an export with a filter instead"
        raise BadInput([Problem("customer", holder.id, right, "too_many_cards")])
    entries = _transactions(ledger, holder, [card["card_id"] for card in cards], most_rows)
    if not (person or cards or len(entries)):
        return None
    cuts = [Cut(read_at if each is None else each, read_at) for each in instants]
    part = held(entries, cuts, ())
    loaded = load(part, {}) if part.rows_count else None
    owned = {card["card_id"]: card for card in cards}
    tables = []
    for cut in cuts:
        booked = book_at(loaded, cut) if loaded is not None else None
        found = [] if booked is None else _accounts(booked, owned)
        _name(ledger, found, {each["customer_id"]: each for each in person}, cut.as_of)
        tables.append(_table(found))
    return tuple(tables)


def _transactions(ledger: Looking, holder: Holder, cards: list[str], most_rows: int) -> pa.RecordBatch:
    """Return the rows of the holder's accounts: what was booked on a card is the card's, and read by its number."""
    tables = []
    if holder.kind is Name.CUSTOMER:
        table = ledger.table("transactions", BOOKING_COLUMNS, Which("customer_id", (holder.id,)))
        alone = pc.equal(pc.fill_null(pc.binary_length(table.column("card_id")), 0), 0)
        tables.append(table.filter(alone))
    else:
        cards = [holder.id]
    for at in range(0, len(cards), IDS_AT_ONCE):
        some = tuple(cards[at : at + IDS_AT_ONCE])
        tables.append(ledger.table("transactions", BOOKING_COLUMNS, Which("card_id", some)))
        if sum(map(len, tables)) > most_rows:
            break
    table = pa.concat_tables(tables).combine_chunks()
    if len(table) > most_rows:
        raise TooLong(f"{holder.kind} with more than {most_rows:,} transactions")
    batches: list[pa.RecordBatch] = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)


def _accounts(booked: BookedPartition, cards: Mapping[str, Row]) -> list[Row]:
    """Return who the accounts belong to, and their figures."""
    figures = balances(booked.booked)
    rows: list[Row] = booked.accounts.to_pylist()
    for number, row in enumerate(rows):
        row |= {name: int(getattr(figures, name)[number]) for name in _POINTS}
        if row["last_activity_at"] < 0:
            row["last_activity_at"] = None
        card = cards.get(row["card_id"] or "")
        row["card_status"] = card["status"] if card else None
        row["customer_id"] = row["customer_id"] or (card and card["customer_id"]) or None
    return rows


def _name(ledger: Looking, rows: list[Row], people: Mapping[str, Row], as_of: int) -> None:
    """Add to accounts the names of their programs, owners and tiers."""
    of_program = {
        each["program_id"]: each
        for each in _rows(ledger, "programs", _PROGRAM, "program_id", {row["program_id"] for row in rows})
    }
    owners = {row["customer_id"] for row in rows if row["customer_id"]}
    tier_of = _tiers(ledger, owners, as_of)
    for row in rows:
        program, owner = of_program.get(row["program_id"], {}), people.get(row["customer_id"] or "", {})
        row |= {
            "program_name": program.get("name"),
            "program_external_id": program.get("external_id"),
            "customer_name": owner.get("name"),
            "email": owner.get("email"),
            "registered_at": owner.get("registered_at"),
            # A subledger whose tier was taken away has none, whatever the program's has.
            "tier": tier_of.get(
                (row["program_id"], row["subledger_id"], row["customer_id"]),
                tier_of.get((row["program_id"], "", row["customer_id"])),
            ),
        }


def _tiers(ledger: Looking, owners: Iterable[str], as_of: int) -> dict[tuple[str, str, str], str | None]:
    """Return the tier by program, subledger and customer: that of the last change before `as_of`."""
    changes = _rows(ledger, "tier_changes", tiers.NEEDS["tier_changes"], "customer_id", owners)
    if not changes:
        return {}
    names = {
        (each["program_id"], each["tier_id"]): each["name"]
        for each in _rows(ledger, "tiers", tiers.NEEDS["tiers"], "tier_id", {x["tier_id"] for x in changes})
    }
    moment = pa.scalar(as_of, pa.timestamp("us", tz="UTC")).as_py()
    found: dict[tuple[str, str, str], str | None] = {}
    for each in sorted(changes, key=lambda change: change["changed_at"]):
        if each["changed_at"] < moment:
            key = each["program_id"], each["subledger_id"] or "", each["customer_id"]
            found[key] = names.get((each["program_id"], each["tier_id"])) or each["tier_id"]
    return found


def _rows(
    ledger: Looking, relation: str, columns: tuple[str, ...], key: str, values: Iterable[str]
) -> list[Row]:
    wanted = tuple(value for value in values if value)
    if not wanted:
        return []
    rows: list[Row] = ledger.table(relation, columns, Which(key, wanted)).to_pylist()
    return rows


def _table(rows: list[Row]) -> pa.Table:
    schema = arrow_schema(balance.columns(OPTIONS))
    arrays = [pa.array([row.get(each.name) for row in rows], each.type) for each in schema]
    return pa.Table.from_arrays(arrays, schema=schema)
