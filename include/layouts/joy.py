"""Joy (Shopify): its customer list, which its importer reads back after an edit."""

from __future__ import annotations

from types import MappingProxyType

from include.layouts.layout import Layout, same
from include.ledger.catalog import FieldType

LAYOUTS = MappingProxyType({
    "customers": Layout(
        "customers",
        (
            same("Email", FieldType.TEXT, "email", pii=True),
            same("Name", FieldType.TEXT, "name", pii=True),
            same("Membership Type", FieldType.TEXT, "tier"),
            same("Points", FieldType.POINTS, "loyalty_points"),
            same("Birthday", FieldType.TEXT, "birthday", pii=True),
            same("Created Date", FieldType.INSTANT, "registered_at"),
        ),
    ),
})  # fmt: skip
