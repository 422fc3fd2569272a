"""Vouchers: every field that the ledger has, with what is left on gift cards and loyalty cards at T.

A loyalty card holds the points of its card; one without a card, those of its customer in the program of its
campaign. Booking runs only when somebody reads them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel

from include.ledger.catalog import RELATIONS
from include.ledger.columns import Column
from include.reports import gift_cards, glossary
from include.reports.account_figures import AccountFigures
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report
from include.reports.partitions import BOOKING_COLUMNS
from include.reports.queried import Part, Stream, Widened, named, stream
from include.reports.relation import NoOptions
from include.reports.replay import BookedPartition

KIND = "vouchers"
TITLE = "Vouchers"
PERIOD: Period = "optional"
Options = NoOptions

_COLUMNS = glossary.columns(
    KIND, (*RELATIONS[KIND].names, "campaign", "customer_source_id", "loyalty_balance")
)
_GIFTS = f"""
LEFT JOIN (
    SELECT voucher_id, arg_max(balance, (created_at, transaction_id)) AS balance
    FROM ({gift_cards.MOVEMENTS}) GROUP BY voucher_id
) gifts ON gifts.voucher_id = base.voucher_id
"""
_LOYALTY = """
LEFT JOIN (
    SELECT card_id, sum(active - negative_balance) AS balance FROM accounts_of_cards
    WHERE card_id IS NOT NULL GROUP BY card_id
) card_points ON card_points.card_id = base.card_id
LEFT JOIN (
    SELECT campaign_id, min(program_id) AS program_id FROM programs_of_campaigns GROUP BY campaign_id
) card_program ON base.card_id IS NULL AND card_program.campaign_id = base.campaign_id
LEFT JOIN (
    SELECT program_id, customer_id, sum(active - negative_balance) AS balance FROM accounts_of_customers
    WHERE card_id IS NULL GROUP BY ALL
) own_points ON own_points.program_id = card_program.program_id AND own_points.customer_id = base.customer_id
"""
_BALANCE = """
CASE WHEN base.voucher_type = 'LOYALTY_CARD' AND base.card_id IS NOT NULL THEN coalesce(card_points.balance, 0)
     WHEN base.voucher_type = 'LOYALTY_CARD' THEN own_points.balance END
"""


def needs(options: BaseModel) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {
        KIND: RELATIONS[KIND].names,
        "campaigns": ("campaign_id", "name", "program_id"),
        "customers": ("customer_id", "source_id"),
        "gift_card_transactions": gift_cards.COLUMNS,
        "transactions": BOOKING_COLUMNS,
    }


def columns(options: BaseModel) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the vouchers made in the period, or before `as_of`; raise BadInput when the ledger has none."""
    snapshot.require(KIND, {KIND: ()})
    return _Vouchers(asked, snapshot, scratch)


class _Vouchers(Widened):
    def __init__(self, asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> None:
        self._accounts = AccountFigures(scratch)
        gifts = {"gift_card_transactions": stream(snapshot, "gift_card_transactions", gift_cards.COLUMNS)}
        parts = [
            named(snapshot, "campaigns", "campaign_id", {"campaign": "name"}),
            named(snapshot, "customers", "customer_id", {"customer_source_id": "source_id"}),
            Part({"gift_balance": "coalesce(gifts.balance, base.gift_balance)"}, _GIFTS, gifts),
            _loyalty(self._accounts.stream(), snapshot),
        ]
        super().__init__(asked, snapshot, scratch, _COLUMNS, KIND, parts)
        if asked.wants("loyalty_balance"):
            self.cuts = (asked.cut,)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        self._accounts.take(partition)
        return ()


def _loyalty(accounts: Stream, snapshot: LocalSnapshot) -> Part:
    streams = {
        "accounts_of_cards": accounts,
        "accounts_of_customers": accounts,
        "programs_of_campaigns": stream(snapshot, "campaigns", ("campaign_id", "program_id")),
    }
    return Part({"loyalty_balance": _BALANCE}, _LOYALTY, streams)
