"""Redemptions: as the ledger records them, failures and rollbacks too, with codes, names and points.

The report `redemption` is another thing: one row for each transaction that redeemed points.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from include.ledger.catalog import RELATIONS
from include.ledger.columns import Column
from include.reports import glossary
from include.reports.engine import files, relation_rows
from include.reports.engine.joins import Batches, Side
from include.reports.engine.widened import Part, Widened, changed
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report
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
_POINTS = pa.schema([("transaction_id", pa.string()), ("loyalty_points", pa.int64())])


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
    return _Redemptions(asked, snapshot, scratch, _COLUMNS, KIND)


class _Redemptions(Widened):
    def parts(self) -> list[Part]:
        code = self.named("vouchers", "voucher_id", {"code": "code_of_voucher"})
        amount = self.named("orders", "order_id", {"amount": "amount_of_order"})
        customer = {"source_id": "customer_source_id", "name": "customer_name"}
        return [
            Part(("object",), ("kind",), lambda rows: changed(rows, "object", _object)),
            self._instead("voucher_code", code, "code_of_voucher", "coupon_code"),
            self._instead("order_amount", amount, "order_amount", "amount_of_order"),
            self.named("campaigns", "campaign_id", {"name": "campaign"}),
            self.named("customers", "customer_id", customer),
            Part(("loyalty_points",), ("transaction_id",), lambda rows: self.joined(rows, self._redeemed())),
        ]

    def _instead(self, name: str, lookup: Part, first: str, second: str) -> Part:
        """Return a lookup after which column `name` is the first of two that says something."""
        reads = {*lookup.reads, first, second} & set(self.relation.names)

        def join(rows: Batches) -> Batches:
            return changed(lookup.join(rows), name, lambda batch: pc.coalesce(batch[first], batch[second]))

        return Part((name,), tuple(reads), join)

    def _redeemed(self) -> Side:
        """Return the points of each transaction that redeemed some, whenever that was."""
        before = replace(self.asked, start=None, keep=None)
        names = ("transaction_id", "type", "points")

        def read() -> Batches:
            for batch in relation_rows.rows(before, self.snapshot, RELATIONS["transactions"], names):
                redeemed = batch.filter(pc.equal(batch.column("type"), "redeemed"))
                points = pc.negate(redeemed.column("points"))
                yield pa.RecordBatch.from_arrays([redeemed.column("transaction_id"), points], schema=_POINTS)

        rows_count = files.row_count(self.snapshot.files.get("transactions", ()))
        return Side("transaction_id", rows_count, _POINTS, read)


def _object(batch: pa.RecordBatch) -> pa.Array:
    undone = pc.fill_null(pc.equal(batch.column("kind"), "rollback"), False)
    return pc.if_else(undone, "redemption_rollback", "redemption")
