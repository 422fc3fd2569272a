"""Voucherify: the fields of its exports, and those of one that names none. Prices and orders' amounts are x 100.

The fields of `product` and `sku` are those that the vendor's published clients let an export ask for. A row of the
ledger's `products` is both: the product, and its one SKU.
"""

from __future__ import annotations

from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from include.layouts.layout import Layout, LayoutColumn, empty, made, same
from include.ledger.catalog import ARROW_TYPES, FieldType

ID, TEXT, ENUM, POINTS = FieldType.ID, FieldType.TEXT, FieldType.ENUM, FieldType.POINTS
INSTANT, INTEGER, MONEY = FieldType.INSTANT, FieldType.INTEGER, FieldType.MONEY
BOOLEAN, JSON, DATE = FieldType.BOOLEAN, FieldType.JSON, FieldType.DATE

_WIDE = pa.decimal128(21, 4)
_HUNDREDTH = pa.scalar("0.01").cast(pa.decimal128(3, 2))


def _hundredfold(header: str) -> LayoutColumn:
    """Return an amount of money in hundredths, whole, rounded half up (away from zero)."""

    def make(batch: pa.RecordBatch) -> pa.Array:
        hundredths = pc.multiply(batch.column(header).cast(_WIDE), pa.scalar(100, pa.int8()))
        return pc.round(hundredths, ndigits=0, round_mode="half_towards_infinity")

    return made(header, INTEGER, (header,), make)


def _value(batch: pa.RecordBatch) -> pa.Array:
    """Return what a voucher is worth: of a gift card what is left, of a loyalty card its usable points."""
    kind = batch.column("voucher_type").cast(pa.string())
    points = pc.multiply(batch.column("loyalty_balance").cast(pa.decimal128(19, 0)), _HUNDREDTH)
    loyalty = pc.equal(kind, "LOYALTY_CARD"), points.cast(ARROW_TYPES[MONEY])
    gift = pc.equal(kind, "GIFT_VOUCHER"), batch.column("gift_balance")
    others = pc.if_else(pc.fill_null(gift[0], False), gift[1], batch.column("value"))
    return pc.if_else(pc.fill_null(loyalty[0], False), loyalty[1], others)


_METADATA = same("metadata", JSON, pii=True)
_CREATED, _UPDATED = same("created_at", INSTANT), same("updated_at", INSTANT)
_CUSTOMER, _CUSTOMER_SOURCE = same("customer_id", ID), same("customer_source_id", ID, pii=True)
_SKU_ID, _SKU_SOURCE, _PRICE = same("id", ID, "sku"), same("source_id", ID, "sku"), _hundredfold("price")
_IMAGE, _ATTRIBUTES, _NO_METADATA, _MADE, _CHANGED = (
    empty(name, beside="sku") for name in ("image_url", "attributes", "metadata", "created_at", "updated_at")
)

LAYOUTS = MappingProxyType({
    "order": Layout(
        "orders",
        (
            same("id", ID, "order_id"), same("source_id", ID), _CREATED, _UPDATED, same("status", ENUM),
            *map(_hundredfold, (
                "amount", "discount_amount", "items_discount_amount", "total_discount_amount", "total_amount",
            )),
            _CUSTOMER, same("referrer_id", ID), same("metadata", JSON),
        ),
        default=("id", "source_id", "status"),
    ),
    "voucher": Layout(
        "vouchers",
        (
            same("id", ID, "voucher_id"), same("code", ID), same("voucher_type", ENUM),
            made("value", MONEY, ("value", "voucher_type", "gift_balance", "loyalty_balance"), _value),
            same("discount_type", ENUM), same("campaign", TEXT), same("category", TEXT),
            same("start_date", INSTANT, "starts_at"), same("expiration_date", INSTANT, "expires_at"),
            same("gift_balance", MONEY), same("loyalty_balance", POINTS), same("redemption_quantity", INTEGER),
            same("redemption_count", INTEGER), same("active", BOOLEAN), same("qr_code", TEXT), same("bar_code", TEXT),
            same("metadata", JSON), same("is_referral_code", BOOLEAN), _CREATED, _UPDATED,
            same("validity_timeframe_interval", TEXT), same("validity_timeframe_duration", TEXT),
            same("validity_day_of_week", TEXT), same("discount_amount_limit", MONEY), same("campaign_id", ID),
            same("additional_info", TEXT), _CUSTOMER, same("discount_unit_type", ID),
            same("discount_unit_effect", ENUM), _CUSTOMER_SOURCE,
        ),
        default=("code", "voucher_type", "value", "discount_type"),
    ),
    "publication": Layout(
        "publications",
        (
            same("voucher_code", ID), _CUSTOMER, _CUSTOMER_SOURCE, same("date", INSTANT, "published_at"),
            same("channel", TEXT), same("campaign", TEXT), same("is_winner", BOOLEAN), same("metadata", JSON),
            same("code", ID, "voucher_code"),
        ),
        default=("code", "customer_id", "date", "channel"),
    ),
    "redemption": Layout(
        "redemptions",
        (
            same("id", ID, "redemption_id"), same("object", ENUM), same("date", INSTANT, "redeemed_at"),
            same("voucher_code", ID), same("campaign", TEXT), same("promotion_tier_id", ID), _CUSTOMER,
            _CUSTOMER_SOURCE, same("customer_name", TEXT, pii=True), same("tracking_id", ID, pii=True),
            _hundredfold("order_amount"), same("gift_amount", MONEY), same("loyalty_points", POINTS),
            same("result", ENUM), same("failure_code", TEXT), same("failure_message", TEXT), same("metadata", JSON),
        ),
        default=("id", "object", "voucher_code", "customer_id", "date", "result"),
    ),
    "customer": Layout(
        "customers",
        (
            same("name", TEXT, pii=True), same("id", ID, "customer_id"), same("description", TEXT, pii=True),
            same("email", TEXT, pii=True), same("source_id", ID, pii=True), _CREATED,
            *(same(f"address_{part}", TEXT, pii=True) for part in (
                "city", "state", "line_1", "line_2", "country", "postal_code",
            )),
            *(same(f"redemptions_total_{what}", INTEGER) for what in (
                "redeemed", "failed", "succeeded", "rolled_back", "rollback_failed", "rollback_succeeded",
            )),
            _hundredfold("orders_total_amount"), same("orders_total_count", INTEGER),
            _hundredfold("orders_average_amount"), _hundredfold("orders_last_order_amount"),
            same("orders_last_order_date", INSTANT), same("loyalty_points", POINTS),
            same("loyalty_referred_customers", INTEGER), _UPDATED, same("phone", TEXT, pii=True),
            same("birthday", TEXT, pii=True), _METADATA, same("birthdate", DATE, pii=True),
        ),
        default=("name", "source_id"),
    ),
    "points_expiration": Layout(
        "points_expiration",
        (
            same("id", ID), same("campaign_id", ID), same("voucher_id", ID), same("status", ENUM),
            same("expires_at", INSTANT), same("points", POINTS),
        ),
    ),
    "voucher_transactions": Layout(
        "voucher_transactions",
        (
            same("id", ID), same("type", ENUM), same("source_id", ID), same("reason", TEXT), same("balance", MONEY),
            same("amount", MONEY), _CREATED, same("voucher_id", ID), same("campaign_id", ID), same("source", ENUM),
            same("details", JSON), same("related_transaction_id", ID), same("status", TEXT),
        ),
        default=(
            "id", "type", "source_id", "status", "reason", "source", "balance", "amount", "created_at",
        ),
    ),
    "product": Layout(
        "products",
        (_SKU_ID, same("name", TEXT), _PRICE, _IMAGE, _SKU_SOURCE, _ATTRIBUTES, _NO_METADATA, _MADE, _CHANGED),
    ),
    "sku": Layout(
        "products",
        (
            _SKU_ID, same("sku", TEXT, "name"), same("product_id", ID, "sku"), same("currency", TEXT), _PRICE,
            _IMAGE, _SKU_SOURCE, _ATTRIBUTES, _NO_METADATA, _MADE, _CHANGED,
        ),
    ),
})  # fmt: skip
