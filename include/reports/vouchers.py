"""Vouchers: every field that the ledger has, with what is left on gift cards and loyalty cards at T.

A loyalty card holds the points of its card; one without a card, those of its customer in the program of its
campaign. Booking runs only when somebody reads them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from include.ledger.catalog import ARROW_TYPES, BOOKING_COLUMNS, RELATIONS, FieldType
from include.ledger.columns import Column
from include.reports import gift_cards, glossary
from include.reports.engine.account_figures import AccountFigures
from include.reports.engine.joins import Batches
from include.reports.engine.queried import stream
from include.reports.engine.replay import BookedPartition
from include.reports.engine.widened import Part, Widened, changed
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report
from include.reports.relation import NoOptions

KIND = "vouchers"
TITLE = "Vouchers"
PERIOD: Period = "optional"
Options = NoOptions

_COLUMNS = glossary.columns(
    KIND, (*RELATIONS[KIND].names, "campaign", "customer_source_id", "loyalty_balance")
)
_GIFTS = f"""
SELECT voucher_id, arg_max(balance, (created_at, transaction_id)) AS gift_left
FROM ({gift_cards.MOVEMENTS}) WHERE voucher_id IS NOT NULL GROUP BY voucher_id
"""
_CARDS = """
SELECT card_id, sum(active - negative_balance) AS card_points FROM accounts
WHERE card_id IS NOT NULL GROUP BY card_id
"""
# Program and customer as one key, as `_own_key` makes it.
_OWN = """
SELECT concat(program_id, chr(31), customer_id) AS own_key, sum(active - negative_balance) AS own_points
FROM accounts WHERE card_id IS NULL GROUP BY ALL
"""
_ID, _POINTS = pa.string(), pa.int64()


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
        super().__init__(asked, snapshot, scratch, _COLUMNS, KIND)
        self._accounts = AccountFigures(scratch)
        if asked.wants("loyalty_balance"):
            self.cuts = (asked.cut,)
            self.kept = self._accounts.kept

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        self._accounts.take(partition)
        return ()

    def parts(self) -> list[Part]:
        return [
            self.named("campaigns", "campaign_id", {"name": "campaign"}),
            self.named("customers", "customer_id", {"source_id": "customer_source_id"}),
            Part(("gift_balance",), ("voucher_id", "gift_balance"), self._gifts),
            Part(
                ("loyalty_balance",), ("voucher_type", "card_id", "customer_id", "campaign_id"), self._loyalty
            ),
        ]

    def _gifts(self, rows: Batches) -> Batches:
        streams = {
            "gift_card_transactions": stream(self.snapshot, "gift_card_transactions", gift_cards.COLUMNS)
        }
        schema = pa.schema([("voucher_id", _ID), ("gift_left", ARROW_TYPES[FieldType.MONEY])])
        rows = self.looked_up(rows, _GIFTS, streams, schema)
        return changed(rows, "gift_balance", lambda one: pc.coalesce(one["gift_left"], one["gift_balance"]))

    def _loyalty(self, rows: Batches) -> Batches:
        streams = {"accounts": self._accounts.stream()}
        schema = pa.schema([("card_id", _ID), ("card_points", _POINTS)])
        rows = self.looked_up(rows, _CARDS, streams, schema)
        rows = self.named("campaigns", "campaign_id", {"program_id": "program_of_campaign"}).join(rows)
        schema = pa.schema([("own_key", _ID), ("own_points", _POINTS)])
        rows = self.looked_up(changed(rows, "own_key", _own_key), _OWN, streams, schema)
        return changed(rows, "loyalty_balance", _loyalty_balance)


def _own_key(batch: pa.RecordBatch) -> pa.Array:
    """Return the account that a loyalty card without a card stands for; null for all others."""
    key = pc.binary_join_element_wise(batch["program_of_campaign"], batch["customer_id"], "\x1f")
    return pc.if_else(batch["card_id"].is_null(), key, None)


def _loyalty_balance(batch: pa.RecordBatch) -> pa.Array:
    of_card = pc.if_else(
        batch["card_id"].is_valid(), pc.coalesce(batch["card_points"], 0), batch["own_points"]
    )
    is_card = pc.fill_null(pc.equal(batch["voucher_type"], "LOYALTY_CARD"), False)
    return pc.if_else(is_card, of_card, None)
