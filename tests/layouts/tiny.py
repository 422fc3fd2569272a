"""A ledger small enough to add up by hand, in a database, and exports of it through the whole pipeline.

The Club (program p, number 7) over January and February 2026, all instants UTC:

Ann   A  10 January   earned       100    order O1, expires 2027
      B  5 February   redeemed     -30    for the reward R1 (5.00), coupon SAVE5 used a day later on order O2
      C  10 February  adjusted      +5    by eve                                          Ann holds 75
Bob   E  15 January   earned        20    expires on 20 February                          Bob holds 0
card  D  11 February  earned        40    active from 15 March; Bob owns the card K1      K1: 40 pending
card  F  12 February  earned         8    nobody owns the card K2, which is blocked       K2 holds 8
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from include import pipeline
from include.definitions.load import from_document
from include.layouts.layout import layouts
from include.pipeline import Context
from include.settings import Settings
from include.snapshots import canonical
from tests.stages import in_this_process

D = Decimal
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


_BASE = {"program_id": "p", "source": "API"}
CLUB: dict[str, list[dict[str, Any]]] = {
    "programs": [
        {"program_id": "p", "external_id": 7, "name": "The Club", "currency": "EUR", "time_zone": "UTC"}
    ],
    "program_rates": [
        {"program_id": "p", "valid_from": datetime(2020, 1, 1, tzinfo=UTC), "cost_per_point": D("0.01"),
         "standalone_price_per_point": D("0.01"), "expected_redemption_rate": D("0.8")},
    ],
    "customers": [
        {"customer_id": "ann", "source_id": "A-1", "name": "Ann Lee", "description": 'VIP, since "day one"',
         "email": "ann@example.com", "phone": "+33 1 23 45", "birthdate": date(1990, 3, 3), "birthday": "03/03",
         "address_line_1": "1 Rue A", "address_line_2": "2nd floor", "address_postal_code": "75001",
         "address_city": "Paris", "address_state": "IDF", "address_country": "France", "registered_at": at("01-05"),
         "created_at": at("01-05"), "updated_at": at("02-01"), "metadata": '{"city": "Paris", "likes": ["tea"]}'},
        {"customer_id": "bob", "source_id": "B-2", "name": "Bob", "email": "bob@example.com",
         "registered_at": at("01-06"), "created_at": at("01-06"), "referrer_id": "ann"},
    ],
    "tiers": [{"program_id": "p", "tier_id": "g", "name": "Gold", "rank": 1}],
    "tier_changes": [
        {"program_id": "p", "subledger_id": "", "customer_id": "ann", "changed_at": at("01-20"), "tier_id": "g",
         "expires_at": datetime(2027, 1, 20, tzinfo=UTC)},
    ],
    "cards": [
        {"card_id": "K1", "program_id": "p", "customer_id": "bob", "status": "active", "users_per_card_limit": 2,
         "generated": True, "batch_id": "b1", "created_at": at("01-02"), "attributes": '{"color": "red"}'},
        {"card_id": "K2", "program_id": "p", "status": "blocked", "block_reason": "lost", "generated": False,
         "created_at": at("01-03")},
    ],
    "campaigns": [{"campaign_id": "c1", "program_id": "p", "name": "Spring", "type": "loyalty"}],
    "orders": [
        {"order_id": "O1", "source_id": "8638", "customer_id": "ann", "status": "PAID", "currency": "EUR",
         "amount": D("77.00"), "discount_amount": D("5.00"), "items_discount_amount": D("1.00"),
         "total_discount_amount": D("6.00"), "total_amount": D("71.00"), "created_at": at("01-10"),
         "updated_at": at("01-11"), "metadata": '{"channel": "web"}'},
        {"order_id": "O2", "customer_id": "ann", "status": "FULFILLED", "currency": "EUR", "amount": D("10.005"),
         "total_amount": D("10.005"), "created_at": at("02-06"), "referrer_id": "bob"},
    ],
    "products": [
        {"sku": "8638-M", "name": "Shirt, M", "category": "shirts", "price": D("19.995"), "currency": "EUR"},
        {"sku": "8639", "name": "Mug"},
    ],
    "rewards": [{"reward_id": "R1", "program_id": "p", "name": "5 off", "value": D("5.00"), "currency": "EUR"}],
    "vouchers": [
        {"voucher_id": "v1", "code": "SAVE5", "voucher_type": "DISCOUNT_VOUCHER", "discount_type": "AMOUNT",
         "value": D("5.00"), "campaign_id": "c1", "category": "new", "customer_id": "ann", "starts_at": at("02-01"),
         "expires_at": at("06-01"), "used_at": at("02-06"), "redemption_quantity": 1, "redemption_count": 1,
         "active": True, "is_referral_code": False, "created_at": at("02-05"), "updated_at": at("02-06"),
         "qr_code": "https://q/1", "bar_code": "https://b/1", "validity_timeframe_interval": "P2D",
         "validity_timeframe_duration": "PT1H", "validity_day_of_week": "1,2", "discount_amount_limit": D(50),
         "discount_unit_type": "prod_1", "discount_unit_effect": "ADD_NEW_ITEMS", "additional_info": "none",
         "metadata": '{"a": 1}'},
        {"voucher_id": "v2", "code": "CARD-K1", "voucher_type": "LOYALTY_CARD", "card_id": "K1", "campaign_id": "c1",
         "customer_id": "bob", "created_at": at("01-02")},
        {"voucher_id": "v3", "code": "GIFT20", "voucher_type": "GIFT_VOUCHER", "value": D(20), "gift_balance": D(20),
         "created_at": at("02-01")},
    ],
    "publications": [
        {"publication_id": "pub1", "voucher_code": "SAVE5", "customer_id": "ann", "published_at": at("02-05"),
         "channel": "email", "campaign_id": "c1", "is_winner": False, "metadata": '{"b": 2}'},
    ],
    "redemptions": [
        {"redemption_id": "r1", "transaction_id": "B", "customer_id": "ann", "reward_id": "R1", "voucher_id": "v1",
         "coupon_code": "SAVE5", "order_id": "O2", "campaign_id": "c1", "tracking_id": "track_1",
         "redeemed_at": at("02-05"), "reward_value": D("5.00"), "gift_amount": D("2.50"), "result": "SUCCESS",
         "promotion_tier_id": "promo_1", "metadata": '{"till": 3}'},
        {"redemption_id": "r2", "customer_id": "bob", "voucher_id": "v1", "redeemed_at": at("02-07"),
         "result": "FAILURE", "failure_code": "invalid_customer", "failure_message": "Not yours."},
    ],
    "gift_card_transactions": [
        {"transaction_id": "g1", "type": "CREDITS_REDEMPTION", "source_id": "8639", "reason": "bought",
         "balance": D("17.50"), "amount": D("-2.50"), "created_at": at("02-05"), "voucher_id": "v3",
         "campaign_id": "c1", "source": "API", "related_transaction_id": "g0", "details": '{"order": "O2"}'},
    ],
    "transactions": [
        {**_BASE, "transaction_id": "A", "customer_id": "ann", "type": "earned", "points": D(100),
         "created_at": at("01-10"), "expires_at": datetime(2027, 1, 1, tzinfo=UTC), "order_id": "O1",
         "campaign_id": "c1", "rule_name": "One a euro", "reason": "Order",
         "details": '{"customersessionid": "s1", "rulesetid": 12, "flags": "x"}'},
        {**_BASE, "transaction_id": "B", "customer_id": "ann", "type": "redeemed", "points": D(-30),
         "created_at": at("02-05"), "reward_id": "R1", "order_id": "O2"},
        {**_BASE, "transaction_id": "C", "customer_id": "ann", "type": "adjusted", "points": D(5),
         "created_at": at("02-10"), "admin_user": "eve", "reason": "Goodwill", "source": "web-ui"},
        {**_BASE, "transaction_id": "D", "customer_id": "bob", "card_id": "K1", "type": "earned", "points": D(40),
         "created_at": at("02-11"), "activates_at": at("03-15"), "campaign_id": "c1", "source_id": "8640"},
        {**_BASE, "transaction_id": "E", "customer_id": "bob", "type": "earned", "points": D(20),
         "created_at": at("01-15"), "expires_at": at("02-20")},
        {**_BASE, "transaction_id": "F", "card_id": "K2", "type": "earned", "points": D(8), "created_at": at("02-12")},
    ],
}  # fmt: skip

# IFRS 15, Example 52: 10,000 points with an order of 100,000; two years stand as January and February.
IFRS = CLUB | {
    "programs": [
        {**CLUB["programs"][0], "money_step": D(1), "liability_method": "deferred_revenue"},
    ],
    "program_rates": [
        {**CLUB["program_rates"][0], "valid_from": moment, "standalone_price_per_point": D(1),
         "expected_redemption_rate": D(share)}
        for moment, share in ((datetime(2020, 1, 1, tzinfo=UTC), "0.95"), (at("02-01"), "0.97"))
    ],
    "orders": [
        {"order_id": "O1", "customer_id": "ann", "currency": "EUR", "amount": D(100_000), "total_amount": D(100_000),
         "created_at": at("01-01")},
    ],
    "transactions": [
        {**_BASE, "transaction_id": "A", "customer_id": "ann", "type": "earned", "points": D(10_000),
         "created_at": at("01-01"), "order_id": "O1"},
        {**_BASE, "transaction_id": "B", "customer_id": "ann", "type": "redeemed", "points": D(-4_500),
         "created_at": at("01-20")},
        {**_BASE, "transaction_id": "C", "customer_id": "ann", "type": "redeemed", "points": D(-4_000),
         "created_at": at("02-20")},
    ],
}  # fmt: skip


class Desk:
    """A ledger in a database and a context in a folder; `export` delivers a pack of contents and reads its files."""

    def __init__(self, folder: Path, rows: Mapping[str, Iterable[dict[str, Any]]]) -> None:
        self.folder = folder
        url = f"sqlite:///{folder / 'ledger.sqlite'}"
        engine = sa.create_engine(url)
        canonical.create(engine)
        with engine.begin() as connection:
            for relation, some in rows.items():
                for row in some:
                    connection.execute(canonical.METADATA.tables[relation].insert(), [row])
        engine.dispose()
        self.context = Context(
            Settings(
                ledger_url=url,
                ledger_mapping=None,
                state_url=f"sqlite:///{folder / 'state.sqlite'}",
                store_url=f"file://{folder / 'store'}",
                scratch=folder / "scratch",
                exports=folder / "exports",
                keys=folder / "keys",
                settle_delay=timedelta(0),
            )
        )

    def export(
        self,
        contents: Mapping[str, Mapping[str, Any]],
        *,
        start: datetime | None = BEGIN,
        end: datetime = END,
    ) -> dict[str, list[str]]:
        """The texts of the files of each content, by the name that it has in `contents`, in the order of the files.

        start: None where all models are about one instant, which is then `end`.
        """
        ids = {name: f"part-{index}" for index, name in enumerate(contents)}
        file = {"compression": "none"}
        definition = from_document(
            {
                "id": "all",
                "name": "All",
                "owner": "Jane",
                **({"period": "previous_month"} if start else {}),
                "exports": [{"id": ids[name], "file": file, **content} for name, content in contents.items()],
                "targets": [{"kind": "folder", "options": {"folder": str(self.folder / "delivered")}}],
            },
            where="test.yaml",
        )
        asked = {"start": start, "end": end} if start else {"as_of": end}
        run = pipeline.pin(self.context, definition, **asked)
        with in_this_process():
            pipeline.snapshot(self.context, run.run_key)
            files = pipeline.render(self.context, run.run_key)[:-1]
        texts: dict[str, list[str]] = {name: [] for name in contents}
        for name, identity in ids.items():
            for each in files:
                if each["export"] == identity:
                    texts[name].append(self.context.store.read(each["key"]).decode())
        return texts


def of_layout(name: str, **more: Any) -> dict[str, Any]:
    """The content that has a layout's columns."""
    return {"model": layouts()[name].model, "layout": name, **more}


def table(text: str) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(text)))
