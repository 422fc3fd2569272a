"""A shop whose rows lie some days before today, small enough to add up by hand. Days are those of UTC.

Ann (Gold)  registered 100 days ago   A  40 days ago   earned    100.50   order O1
                                      B   3 days ago   redeemed   -30     for "5 off" (5.00), coupon SAVE5, used since
Bob         registered  10 days ago   C  yesterday     earned     20      order O2
                                      E  yesterday     adjusted   +5      by eve, an hour later
Cy          registered 200 days ago   F 120 days ago   earned     50      expired 60 days ago
card K1, nobody's                     G   2 days ago   earned      8
Ann has two orders that count, in two currencies (O3 is canceled), Bob one, Cy none.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal as D
from typing import Any

TODAY = datetime.combine(datetime.now(UTC).date(), time(), UTC)


def ago(days: int, hour: int = 12) -> datetime:
    """An hour of a day that many days before today."""
    return TODAY - timedelta(days=days) + timedelta(hours=hour)


_BASE = {"program_id": "p", "source": "API"}
LEDGER: dict[str, list[dict[str, Any]]] = {
    "programs": [{"program_id": "p", "external_id": 7, "name": "Shop", "currency": "EUR", "time_zone": "UTC"}],
    "customers": [
        {"customer_id": "ann", "name": "Ann Lee", "email": "ann@example.com", "registered_at": ago(100)},
        {"customer_id": "bob", "name": "Bob", "email": "bob@example.com", "registered_at": ago(10)},
        {"customer_id": "cy", "name": "Cy", "email": "cy@example.com", "registered_at": ago(200)},
    ],
    "cards": [{"card_id": "K1", "program_id": "p"}],
    "tiers": [{"program_id": "p", "tier_id": "g", "name": "Gold"}],
    "tier_changes": [
        {"program_id": "p", "subledger_id": "", "customer_id": "ann", "changed_at": ago(39), "tier_id": "g"}
    ],
    "orders": [
        {"order_id": order, "customer_id": who, "status": status, "currency": "SEK" if order == "O4" else "EUR", "amount": D(10), "created_at": ago(40)}
        for order, who, status in (("O1", "ann", "PAID"), ("O4", "ann", "PAID"), ("O3", "ann", "CANCELED"),
                                   ("O2", "bob", "PAID"))
    ],
    "rewards": [{"reward_id": "R", "program_id": "p", "name": "5 off", "value": D("5.00"), "currency": "EUR"}],
    "vouchers": [
        {"voucher_id": "v", "code": "SAVE5", "customer_id": "ann", "expires_at": ago(-30), "used_at": ago(2)}
    ],
    "redemptions": [
        {"redemption_id": "r", "transaction_id": "B", "customer_id": "ann", "reward_id": "R", "voucher_id": "v",
         "coupon_code": "SAVE5", "redeemed_at": ago(3), "result": "SUCCESS"}
    ],
    "transactions": [
        {**_BASE, "transaction_id": "A", "customer_id": "ann", "type": "earned", "points": D("100.50"),
         "created_at": ago(40), "order_id": "O1", "reason": "Order"},
        {**_BASE, "transaction_id": "B", "customer_id": "ann", "type": "redeemed", "points": D(-30),
         "created_at": ago(3), "reward_id": "R"},
        {**_BASE, "transaction_id": "C", "customer_id": "bob", "type": "earned", "points": D(20),
         "created_at": ago(1), "order_id": "O2", "reason": "Order"},
        {**_BASE, "transaction_id": "E", "customer_id": "bob", "type": "adjusted", "points": D(5),
         "created_at": ago(1, 13), "admin_user": "eve", "reason": "=Goodwill"},
        {**_BASE, "transaction_id": "F", "customer_id": "cy", "type": "earned", "points": D(50),
         "created_at": ago(120), "expires_at": ago(60)},
        {**_BASE, "transaction_id": "G", "card_id": "K1", "type": "earned", "points": D(8), "created_at": ago(2)},
    ],
}  # fmt: skip
