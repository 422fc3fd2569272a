"""Redemptions: as the ledger records them, failures and rollbacks too, with codes, names and points.

The report `redemption` is another thing: one row for each transaction that redeemed points.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
from pydantic import BaseModel

from include.ledger.catalog import RELATIONS, arrow_schema
from include.ledger.columns import Column
from include.reports import glossary, relation_rows
from include.reports.joins import Batches
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report
from include.reports.queried import Part, Stream, Widened, named
from include.reports.relation import NoOptions

KIND = "redemptions"
TITLE = "Redemptions and attempts"
PERIOD: Period = "optional"
Options = NoOptions

_ADDED = (
    "object",
    "voucher_code",
    "campaign",
    "customer_source_id",
    "customer_name",
    "loyalty_points",
)
_COLUMNS = glossary.columns(KIND, (*RELATIONS[KIND].names, *_ADDED))
_TRANSACTIONS = ("transaction_id", "type", "points", "created_at", "recorded_at")
_OBJECT = "CASE base.kind WHEN 'rollback' THEN 'redemption_rollback' ELSE 'redemption' END"


def needs(options: BaseModel) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {
        KIND: RELATIONS[KIND].names,
        "transactions": _TRANSACTIONS,
        "vouchers": ("voucher_id", "code"),
        "orders": ("order_id", "amount"),
        "campaigns": ("campaign_id", "name"),
        "customers": ("customer_id", "source_id", "name"),
    }


def columns(options: BaseModel) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the redemptions of the period, or before `as_of`; raise BadInput when the ledger has none."""
    snapshot.require(KIND, {KIND: ()})
    code = named(snapshot, "vouchers", "voucher_id", {"voucher_code": "code"})
    amount = named(snapshot, "orders", "order_id", {"amount": "amount"})
    customer = {"customer_source_id": "source_id", "customer_name": "name"}
    parts = [
        Part({"object": _OBJECT}),
        Part(
            {"voucher_code": "coalesce(of_vouchers.voucher_code, base.coupon_code)"}, code.join, code.streams
        ),
        Part({"order_amount": "coalesce(base.order_amount, of_orders.amount)"}, amount.join, amount.streams),
        named(snapshot, "campaigns", "campaign_id", {"campaign": "name"}),
        named(snapshot, "customers", "customer_id", customer),
        _points(asked, snapshot),
    ]
    return Widened(asked, snapshot, scratch, _COLUMNS, KIND, parts)


def _points(asked: Asked, snapshot: LocalSnapshot) -> Part:
    """Return the points of the transaction, whenever it was."""
    before = replace(asked, start=None, keep=None)

    def read() -> Batches:
        names = ("transaction_id", "type", "points")
        for batch in relation_rows.rows(before, snapshot, RELATIONS["transactions"], names):
            yield batch.filter(pc.equal(batch.column("type"), "redeemed")).drop_columns(["type"])

    join = """
LEFT JOIN (SELECT transaction_id, min(-points) AS points FROM redeemed GROUP BY transaction_id) redeemed_points
ON redeemed_points.transaction_id = base.transaction_id
"""
    schema = arrow_schema(RELATIONS["transactions"], ("transaction_id", "points"))
    return Part({"loyalty_points": "redeemed_points.points"}, join, {"redeemed": Stream(schema, read)})
