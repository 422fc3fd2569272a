"""What one holder has in one program: the accounts of a customer or a card at any instant, and the tiers they give.

A customer's own accounts alone: cards are holders of their own, as in systems whose programs are of one kind or the
other. Figures are rows of the report `balance`, of what the ledger holds now.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from include.ledger.people import Name
from include.pipeline.context import Context
from include.pipeline.customers.look import READ_SECONDS, is_id, opened
from include.pipeline.holders.reports import Wanted, holder_rows
from include.pipeline.numbered import Program
from include.pipeline.privacy import erasure_key
from include.snapshots.excerpt import Holder, Looking
from include.snapshots.reading import Which
from include.state.audit import Action
from include.state.looked import Person
from include.state.tables import microseconds

_CHANGES = ("program_id", "subledger_id", "customer_id", "changed_at", "tier_id", "expires_at")
_OF_CARD = ("card_id", "program_id", "customer_id", "created_at")
Row = dict[str, Any]


@dataclass(frozen=True)
class Card:
    """A card of a program, its owner, and since when it is known: since it was made, or had its first transaction."""

    card_id: str
    owner: str | None
    since: datetime | None


@dataclass(frozen=True)
class HolderAccounts:
    """What a holder has in a program, as of `at`, of what the ledger held at `read_at`.

    accounts: rows of `balance` by subledger; points are hundredths. tiers: by subledger, rows of `customer_tiers`, of
    the subledgers in which the customer has a tier. ends: by subledger, the row of `balance` at the end of that tier.
    """

    read_at: datetime
    at: datetime
    accounts: dict[str, Row]
    tiers: dict[str, Row] = field(default_factory=dict)
    ends: dict[str, Row] = field(default_factory=dict)


def accounts_of(
    context: Context,
    holder: Holder,
    program: Program,
    at: datetime | None,
    *,
    by: str,
    tiers: bool = False,
    ends: bool = False,
) -> HolderAccounts | None:
    """Return what a holder has at `at` (None: now), and tell the audit chain who looked.

    None for whom nobody knows, and for who was erased. tiers, ends: these are asked for. Raises what `holder_rows`
    raises.
    """
    moment = None if at is None else microseconds(at)
    found = holder_rows(context, holder, [Wanted("balance", as_of=moment)])
    if found is None:
        return None
    at = at or found.read_at
    accounts = _accounts(found.tables[0], holder, program)
    held = tiers_of(context, holder, program, accounts, at) if tiers or ends else {}
    then = _ends(context, holder, program, held, at) if ends else {}
    person = Person(holder.kind, holder.id)
    context.state.looked.note(by, Action.CUSTOMER_SEEN, person, {"as_of": at, "program": program.program_id})
    return HolderAccounts(found.read_at, at, accounts, held, then)


def card_of(context: Context, card_id: str, program: Program) -> Card | None:
    """Return a card that is of a program, or of none in particular; None where there is none, and for an erased one."""
    if not is_id(card_id):
        return None
    with opened(context, READ_SECONDS, erasure_key(context)) as ledger:
        if ledger.is_gone(Holder(Name.CARD, card_id)):
            return None
        rows = ledger.table("cards", _OF_CARD, Which("card_id", (card_id,))).to_pylist()
        mine = next((row for row in rows if row["program_id"] in {None, "", program.program_id}), None)
        since = mine["created_at"] if mine is not None else None
        since = since or _first(ledger, card_id, program)
    if mine is None and since is None:
        return None
    return Card(card_id, (mine or {}).get("customer_id") or None, since)


def _first(ledger: Looking, card_id: str, program: Program) -> datetime | None:
    """Return when the first transaction of a card in the program was; None without one."""
    found: datetime | None = None
    columns = ("program_id", "created_at")
    for batch in ledger.some("transactions", columns, Which("card_id", (card_id,))):
        mine = batch.filter(pc.equal(batch.column("program_id"), program.program_id))
        if len(mine):
            first = pc.min(mine.column("created_at")).as_py()
            found = first if found is None else min(found, first)
    return found


def _accounts(rows: pa.Table, holder: Holder, program: Program) -> dict[str, Row]:
    """Return the holder's own accounts in the program by subledger."""
    mine = [
        row
        for row in rows.to_pylist()
        if row["program_id"] == program.program_id
        and (row["holder_kind"], row["holder_id"]) == (holder.kind.value, holder.id)
    ]
    return {row["subledger_id"]: row for row in sorted(mine, key=lambda row: row["subledger_id"].encode())}


def tiers_of(
    context: Context, holder: Holder, program: Program, accounts: Collection[str], at: datetime
) -> dict[str, Row]:
    """Return the tiers that a customer has at `at`, by subledger and for '': rows as of `customer_tiers`.

    docs/ledger.md section 1: that of the last change before; a subledger without any change has the tier of ''.
    """
    last: dict[str, Row] = {}
    for row in _tier_changes(context, holder):
        if row["program_id"] == program.program_id and row["changed_at"] < at:
            last[row["subledger_id"] or ""] = row
    found = {}
    for subledger in dict.fromkeys(("", *accounts)):
        held = last.get(subledger) or last.get("")
        if held is not None and held["tier_id"] is not None:
            step = program.step(held["tier_id"])
            found[subledger] = {
                "tier_id": held["tier_id"],
                "tier": step.name if step else held["tier_id"],
                "starts_at": held["changed_at"],
                "expires_at": held["expires_at"],
            }
    return found


def _tier_changes(context: Context, holder: Holder) -> list[Row]:
    """Return the changes of a customer's tiers, the oldest first; none where the ledger keeps none."""
    with opened(context, READ_SECONDS, erasure_key(context)) as ledger:
        rows: list[Row] = ledger.table(
            "tier_changes", _CHANGES, Which("customer_id", (holder.id,))
        ).to_pylist()
    return sorted(rows, key=lambda row: row["changed_at"])


def _ends(
    context: Context, holder: Holder, program: Program, held: dict[str, Row], at: datetime
) -> dict[str, Row]:
    """Return, for each subledger whose tier ends after `at`, its account then."""
    ends = {
        subledger: row["expires_at"]
        for subledger, row in held.items()
        if row["expires_at"] is not None and row["expires_at"] > at
    }
    moments = sorted(set(ends.values()))
    wanted = [Wanted("balance", as_of=microseconds(each)) for each in moments]
    found = holder_rows(context, holder, wanted) if wanted else None
    if found is None:
        return {}
    then = {
        moment: _accounts(rows, holder, program) for moment, rows in zip(moments, found.tables, strict=True)
    }
    return {subledger: then[end][subledger] for subledger, end in ends.items() if subledger in then[end]}
