"""Voucher transactions: every movement of loyalty cards and of gift cards, with the balance after it.

Loyalty cards are the accounts of the ledger, and their movements its history, derived expiries included
(docs/ledger.md section 5); gift cards move money and have rows of their own. Loyalty cards come first, account
by account, then gift cards; within a card balances follow from each other. Amounts are points for the one and
money for the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from include.errors import Permanent
from include.ledger.catalog import ARROW_TYPES, FieldType
from include.ledger.columns import Column
from include.reports import gift_cards, glossary, history, loyalty_cards
from include.reports.engine.files import Spool
from include.reports.engine.joins import Batches
from include.reports.engine.queried import Queried, stream
from include.reports.engine.replay import BookedPartition
from include.reports.model import Asked, Cut, LocalSnapshot, Needs, Period, Report, arrow_schema

KIND = "voucher_transactions"
TITLE = "Movements of loyalty cards and gift cards"
PERIOD: Period = "optional"

_COLUMNS = glossary.columns(
    KIND,
    (
        "id",
        "type",
        "kind",
        "source_id",
        "status",
        "reason",
        "source",
        "balance",
        "amount",
        "created_at",
        "voucher_id",
        "campaign_id",
        "related_transaction_id",
        "details",
        "program_id",
        "subledger_id",
        "customer_id",
        "card_id",
    ),
)
_SCHEMA = arrow_schema(_COLUMNS)
_MONEY = ARROW_TYPES[FieldType.MONEY]
_HUNDREDTH = pa.scalar("0.01").cast(pa.decimal128(3, 2))
_HISTORY = {"transaction_id": "id", "points_change": "amount", "balance_after": "balance"}
_TYPES = {
    "earned": "POINTS_ACCRUAL",
    "earned_reversed": "POINTS_REMOVAL",
    "redeemed": "POINTS_REDEMPTION",
    "redemption_refunded": "POINTS_REFUND",
    "expired": "POINTS_EXPIRATION",
    "transferred_in": "POINTS_TRANSFER_IN",
    "transferred_out": "POINTS_TRANSFER_OUT",
}
_GIFT_CARDS = f"""
SELECT transaction_id AS id, type, 'gift_card' AS kind, source_id, NULL::VARCHAR AS status, reason, source, balance,
       amount, created_at, voucher_id, campaign_id, related_transaction_id, details,
       NULL::VARCHAR AS program_id, NULL::VARCHAR AS subledger_id, NULL::VARCHAR AS customer_id,
       NULL::VARCHAR AS card_id
FROM ({gift_cards.MOVEMENTS})
WHERE $start IS NULL OR created_at >= make_timestamptz($start::BIGINT)
ORDER BY voucher_id, created_at, transaction_id
"""


class Options(BaseModel):
    """`cards` keeps the movements of loyalty cards or of gift cards only."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cards: Literal["all", "loyalty", "gift"] = "all"


def needs(options: Options) -> Needs:
    """Return the relations and columns that the model reads where the ledger has them."""
    wanted: Needs = {}
    if options.cards != "gift":
        wanted |= history.needs(history.Options(profile="all")) | loyalty_cards.NEEDS
    if options.cards != "loyalty":
        wanted |= {"gift_card_transactions": gift_cards.COLUMNS}
    return wanted


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the movements of `[start, end)`, or of all time before `as_of`."""
    assert isinstance(asked.options, Options)
    return _Movements(asked, asked.options, snapshot, scratch)


class _Movements(Queried):
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        super().__init__(asked, scratch, _COLUMNS)
        self._options = options
        self._snapshot = snapshot
        self._rows = Spool(scratch / "history.arrow")
        self.kept = (self._rows,)
        profile = history.Options(profile="all")
        self._history = history.report(replace(asked, options=profile), snapshot, scratch)
        if options.cards != "gift":
            self.cuts: tuple[Cut, ...] = self._history.cuts

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:
        for batch in self._history.on_partition(cut_index, partition):
            self._rows.write(_movements(batch))
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        yield from self._loyalty()
        if self._options.cards != "loyalty":
            cards = stream(self._snapshot, "gift_card_transactions", gift_cards.COLUMNS)
            yield from self.query(_GIFT_CARDS, {"gift_card_transactions": cards}, _SCHEMA)

    def _loyalty(self) -> Batches:
        rows = loyalty_cards.with_vouchers(self._rows.batches(), self._snapshot, self.scratch)
        for batch in rows:
            more = {"kind": "loyalty_card", "status": None}
            arrays = [
                pa.repeat(pa.scalar(more[field.name], field.type), len(batch))
                if field.name in more
                else batch.column(field.name)
                for field in _SCHEMA
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA)


def _movements(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows of history under the names of this model, as far as they are known without a join."""
    wanted = {*_SCHEMA.names, "type", *_HISTORY} - {"kind", "status", "voucher_id"}
    names = [name for name in rows.schema.names if name in wanted]
    columns = {_HISTORY.get(name, name): _plain(rows.column(name)) for name in names}
    amount = columns["amount"]
    adjusted = pc.if_else(pc.less(amount, 0), "POINTS_REMOVAL", "POINTS_ADDITION")
    places = pc.index_in(columns["type"], value_set=pa.array(list(_TYPES)))
    columns["type"] = pc.coalesce(pa.array(list(_TYPES.values())).take(places), adjusted)
    return pa.RecordBatch.from_pydict(
        columns | {name: _exact(columns[name]) for name in ("amount", "balance")}
    )


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _exact(hundredths: pa.Array) -> pa.Array:
    """Return points as an exact decimal; Permanent for more than the columns hold, which they share with money."""
    points = pc.multiply(hundredths.cast(pa.decimal128(19, 0)), _HUNDREDTH)
    try:
        return points.cast(_MONEY)
    except pa.ArrowInvalid:
        most = max(abs(each) for each in points.drop_null().to_pylist())
        raise Permanent(
            f"{KIND}: {most:,f} points are more than amount and balance hold, 99,999,999,999,999.99; the models "
            "history and balance have them"
        ) from None
