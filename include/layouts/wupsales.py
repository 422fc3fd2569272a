"""WupSales (WordPress): the columns of its balance, history and redemption exports."""

from __future__ import annotations

from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from include.layouts.layout import Layout, made, same
from include.ledger.catalog import FieldType

ID, TEXT, ENUM, POINTS = FieldType.ID, FieldType.TEXT, FieldType.ENUM, FieldType.POINTS
INSTANT, MONEY = FieldType.INSTANT, FieldType.MONEY

_TYPES = MappingProxyType({
    "earned": "earned", "redeemed": "redeemed", "redemption_refunded": "redeemed", "expired": "expired",
})  # fmt: skip


def _transaction_type(batch: pa.RecordBatch) -> pa.Array:
    """Return earned, redeemed (refunds too) and expired as they are; all else is adjusted."""
    found = batch.column("type")
    known = pc.index_in(found.cast(pa.string()), value_set=pa.array(list(_TYPES)))
    return pc.fill_null(pa.array(list(_TYPES.values())).take(known), "adjusted")


LAYOUTS = MappingProxyType({
    "balance": Layout(
        "balance",
        (
            same("customer_id", ID),
            same("customer_name", TEXT, pii=True),
            same("email", TEXT, pii=True),
            same("points_balance", POINTS),
            same("lifetime_points_earned", POINTS, "lifetime_earned"),
            same("points_redeemed", POINTS, "spent"),
            same("points_expired", POINTS, "expired"),
            same("loyalty_tier", TEXT, "tier"),
            same("registration_date", INSTANT, "registered_at"),
            same("last_points_activity_date", INSTANT, "last_activity_at"),
        ),
        MappingProxyType({"grain": "customer"}),
    ),
    "history": Layout(
        "history",
        (
            same("transaction_id", ID),
            same("customer", ID, "customer_id"),
            same("date_time", INSTANT, "created_at"),
            same("points_change", POINTS),
            made("transaction_type", ENUM, ("type",), _transaction_type),
            same("reason", TEXT),
            same("order_id", ID),
            same("admin_user", TEXT, pii=True),
            same("balance_before", POINTS),
            same("balance_after", POINTS),
        ),
        MappingProxyType({"profile": "all"}),
    ),
    "redemptions": Layout(
        "redemption",
        (
            same("redemption_date", INSTANT, "redeemed_at"),
            same("customer", ID, "customer_id"),
            same("reward_name", TEXT),
            same("points_cost", POINTS),
            same("reward_value", MONEY),
            same("order_id", ID),
            same("coupon_code", ID),
            same("redemption_status", ENUM),
        ),
    ),
})  # fmt: skip
