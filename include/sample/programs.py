"""The sample's two programs and what belongs to them: small tables, written out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from include.ledger.catalog import RELATIONS, arrow_schema
from include.sample.plan import CLUB, SUBLEDGERS, TRAVEL, Plan

TIERS = ("bronze", "silver", "gold")
REWARD_COUNT, CAMPAIGN_COUNT, STORE_COUNT, PRODUCT_COUNT = 12, 4, 6, 20
REWARD_HUNDREDTHS = np.array([500, 1000, 1500, 2000, 2500, 500, 750, 1200, 3000, 5000, 495, 990])
_REWARDS = (
    "5 off", "10 off", "15 off", "20 off", "25 off", "Free shipping", "Coffee", "Lunch", "Lounge visit",
    "Night upgrade", "Tote bag", "Tree planted",
)  # fmt: skip
_CITIES = (
    ("Paris", "FR", "Europe/Paris"), ("Lyon", "FR", "Europe/Paris"), ("Berlin", "DE", "Europe/Berlin"),
    ("Boston", "US", "America/New_York"), ("Denver", "US", "America/Denver"), ("London", "GB", "Europe/London"),
)  # fmt: skip
_CATEGORIES = ("shoes", "shirts", "bags", "books")
_CUSTOMER_FIELDS = (
    ("name", "Name", "text", True, True),
    ("email", "E-mail", "text", True, True),
    ("birthdate", "Date of birth", "date", False, True),
    ("address_country", "Country", "text", False, True),
    ("metadata.newsletter", "Newsletter", "boolean", False, False),
)


def rows_batch(relation: str, rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Return rows, given as fields by name, as one batch; points are given in hundredths."""
    schema = arrow_schema(RELATIONS[relation])
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def programs(plan: Plan) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield programs, rates, tiers, rewards, campaigns, stores, products, customer fields, a coupon pool."""
    start = datetime.fromtimestamp(plan.start_us // 1_000_000, UTC)
    middle = start + (plan.end - start) / 2
    early = start - timedelta(days=400)
    common = {"created_at": early}
    yield "programs", rows_batch("programs", [
        {"program_id": CLUB, "external_id": 1, "name": "The Club", "currency": "EUR", "time_zone": "Europe/Paris",
         "money_step": Decimal("0.01"), "liability_method": "deferred_revenue", "rate_source": "program_rates",
         **common},
        {"program_id": TRAVEL, "external_id": 2, "name": "Travel Cards", "currency": "USD",
         "time_zone": "America/New_York", "money_step": Decimal("0.01"), "liability_method": "cost",
         "rate_source": "chain_ladder", **common},
    ])  # fmt: skip
    yield "program_rates", rows_batch("program_rates", [
        {"program_id": program, "valid_from": since, "cost_per_point": Decimal(cost),
         "standalone_price_per_point": Decimal(price), "expected_redemption_rate": Decimal(rate)}
        for program, since, cost, price, rate in (
            (CLUB, early, "0.0085", "0.01", "0.72"), (CLUB, middle, "0.009", "0.0105", "0.75"),
            (TRAVEL, early, "0.0042", "0.005", "0.64"), (TRAVEL, middle, "0.0045", "0.005", "0.66"),
        )
    ])  # fmt: skip
    yield "tiers", rows_batch("tiers", [
        {"program_id": program, "subledger_id": purse, "tier_id": f"{program}-{name}", "name": name.title(),
         "rank": rank, "threshold_points": rank * 100_000}
        for program, purse in ((CLUB, None), (TRAVEL, SUBLEDGERS[0])) for rank, name in enumerate(TIERS, 1)
    ])  # fmt: skip
    yield "rewards", rows_batch("rewards", [
        {"reward_id": f"r{n:03d}", "program_id": (CLUB, TRAVEL)[n in {8, 9}], "name": name,
         "type": "discount" if "off" in name else "product", "points_cost": int(REWARD_HUNDREDTHS[n]) * 100,
         "value": Decimal(int(REWARD_HUNDREDTHS[n])) / 100, "currency": ("EUR", "USD")[n in {8, 9}],
         "valid_from": early, "valid_until": plan.end + timedelta(days=90) if n == 11 else None,
         "status": "active", **common}
        for n, name in enumerate(_REWARDS)
    ])  # fmt: skip
    yield "campaigns", rows_batch("campaigns", [
        {"campaign_id": f"m{n:03d}", "program_id": (CLUB, TRAVEL)[n % 2], "name": name, "type": "loyalty",
         "status": "active", "starts_at": early, "ends_at": plan.end + timedelta(days=60) if n == 2 else None,
         **common}
        for n, name in enumerate(("Every day", "On the road", "Summer", "Welcome"))
    ])  # fmt: skip
    yield "stores", rows_batch("stores", [
        {"store_id": f"s{n:03d}", "name": f"Store {city}", "city": city, "country": country, "time_zone": zone}
        for n, (city, country, zone) in enumerate(_CITIES)
    ])  # fmt: skip
    yield "products", rows_batch("products", [
        {"sku": f"sku-{n:04d}", "name": f"{_CATEGORIES[n % 4].title()} {n}", "category": _CATEGORIES[n % 4],
         "price": Decimal(990 + 500 * n) / 100, "currency": "EUR"}
        for n in range(PRODUCT_COUNT)
    ])  # fmt: skip
    yield "customer_fields", rows_batch("customer_fields", [
        dict(zip(("key", "label", "type", "required", "pii"), row, strict=True)) for row in _CUSTOMER_FIELDS
    ])  # fmt: skip
    yield "coupon_pools", rows_batch("coupon_pools", [
        {"pool_id": "welcome", "name": "Welcome codes", "size": 100, "available": 40, "valid_from": early,
         "valid_until": plan.end + timedelta(days=365)},
    ])  # fmt: skip
