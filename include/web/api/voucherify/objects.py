"""What can be exported, in the vendor's words: fields, orders and filters of each object, and the columns they mean.

A filter may name every field of the object, and the other names that the vendor has for the same things. What a ledger
has no source for (`related_object_parent_id`, `redemption_status`, ...) is no filter here, and is refused by name; an
object that it has no source for is in `UNKNOWN`, with what to do instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from include.layouts.layout import Layout
from include.layouts.voucherify import LAYOUTS
from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.reports import models

SYSTEM = "voucherify"
# What has one column, and a hundredth of its number there.
_HUNDREDFOLD = (FieldType.INTEGER, FieldType.MONEY)

ORDERS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "voucher": ("created_at", "updated_at", "code"),
    "redemption": ("id", "voucher_code", "tracking_id", "customer_id", "created_at"),
    "customer": ("name", "id", "email", "source_id", "created_at", "updated_at"),
    "publication": ("id", "voucher_code", "tracking_id", "customer_id", "created_at", "channel"),
    "order": ("created_at", "updated_at", "status"),
    "points_expiration": ("expires_at",),
    "voucher_transactions": ("created_at",),
    "product": ("id", "source_id", "name"),
    "sku": ("id", "source_id", "product_id", "sku"),
})  # fmt: skip
UNKNOWN: Mapping[str, str] = MappingProxyType(
    {
        "api_log": "is not kept here: requests are not recorded one by one. Who asked for what is in the audit log, "
        "GET /loyalty/api/v1/audit (docs/audit.md)",
    }
)
_SUMMARY = {
    **{f"summary.redemptions.total_{what}": f"redemptions_total_{what}" for what in (
        "redeemed", "failed", "succeeded", "rolled_back", "rollback_failed", "rollback_succeeded",
    )},
    **{f"summary.orders.{what}": f"orders_{what}" for what in (
        "total_amount", "total_count", "average_amount", "last_order_amount", "last_order_date",
    )},
}  # fmt: skip
# The vendor's other names, by object: of a field of it, or of a column that is no field.
_ALSO: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "voucher": {
        "created_date": "created_at", "categories": "category", "vouchers": "code", "holder_id": "customer_id",
        "published_for_customer_id": "customer_id", "redemption.quantity": "redemption_quantity",
        "redemption.redeemed_quantity": "redemption_count",
    },
    "redemption": {
        "created_at": "date", "campaign_name": "campaign", "customer": "customer_id", "voucher": "voucher_code",
        "related_object_id": "voucher_id", "campaign_id": "campaign_id", "order_id": "order_id",
    },
    "customer": {
        "city": "address_city", "loyalty.points": "loyalty_points",
        "loyalty.referred_customers": "loyalty_referred_customers", **_SUMMARY,
        **{f"address.{what}": f"address_{what}" for what in (
            "city", "state", "line_1", "line_2", "country", "postal_code",
        )},
    },
    "publication": {
        "id": "publication_id", "created_at": "date", "campaign_name": "campaign", "customer": "customer_id",
        "voucher": "voucher_code", "tracking_id": "tracking_id", "campaign_id": "campaign_id",
    },
    "order": {},
    "points_expiration": {},
    "voucher_transactions": {},
    "product": {},
    "sku": {},
})  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A column of the model that a name of the vendor means; `hundredfold`: the vendor's number is a hundred times."""

    column: Column
    hundredfold: bool


@dataclass(frozen=True)
class Exported:
    """One kind of object: its name, its layout, and what its names mean."""

    name: str
    layout: Layout
    names: Mapping[str, Source]

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields that an export may have, but for properties of `metadata`."""
        return tuple(column.name for column in self.layout.columns)

    @property
    def orders(self) -> tuple[str, ...]:
        """Return what it may be ordered by, ascending."""
        return ORDERS[self.name]

    def source(self, name: str) -> Source | None:
        """Return what a filter's name means: a column, or a property of metadata; None where it means nothing."""
        head, dot, rest = name.partition(".")
        if name not in self.names and dot and rest and head in self.names:
            found = self.names[head]
            return (
                Source(found.column._replace(name=name), False)
                if found.column.type is FieldType.JSON
                else None
            )
        return self.names.get(name)


@cache
def exported(name: str) -> Exported:
    """Return a kind of object by its name, which must be one of `ORDERS`."""
    layout = LAYOUTS[name]
    module = models.load(layout.model, where=name)
    columns = {column.name: column for column in module.columns(module.Options())}
    found = {}
    for made in layout.made:
        if len(made.reads) == 1 and not made.empty:
            column = columns[made.reads[0]]
            found[made.header] = Source(column, (made.type, column.type) == _HUNDREDFOLD)
    for other, meant in _ALSO[name].items():
        found[other] = found[meant] if meant in found else Source(columns[meant], False)
    return Exported(name, layout, MappingProxyType(found))
