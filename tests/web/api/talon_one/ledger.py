"""The Club (program 7) with what Talon.One's clients ask about it, small enough to add up by hand.

Beside what `tests.layouts.tiny` has (Ann A +100, B -30, C +5; Bob E +20, expired on 20 February; card K1 +40 from 15
March; card K2 +8):

Ann, subledger `travel`  T1  1 February   earned      12.50
                     T2  20 February  expired     -2.50  posted: no lot was due, so 10 stay
Cy                   R   1 February   redeemed    -5     for nothing: a debt of 5
d/e +ü               I1  2 February   adjusted    60     by an import, and I2, of which a rule is named, 1.25
Mo                   m000 to m119, one an hour from 1 February: earned 1 each; the first 20 by hand
Tiers: Silver from 50, Gold from 100; Ann's Gold ends on 20 January 2027, when of A nothing is left.
Another program, 9, has 7 points of Bob and the card X1, which has none.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.layouts.tiny import CLUB, D, at

ODD = "d/e +ü"
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
_BASE = {"program_id": "p", "source": "API"}
_HOURS = range(120)

LEDGER: dict[str, list[dict[str, Any]]] = CLUB | {
    "programs": [
        *CLUB["programs"],
        {"program_id": "q", "external_id": 9, "name": "Other", "currency": "EUR", "time_zone": "UTC"},
    ],
    "customers": [*CLUB["customers"], *({"customer_id": name} for name in ("cy", ODD, "mo", "idle"))],
    "cards": [*CLUB["cards"], {"card_id": "X1", "program_id": "q", "customer_id": "bob", "created_at": at("01-02")}],
    "tiers": [
        {"program_id": "p", "tier_id": "s", "name": "Silver", "rank": 1, "threshold_points": D(50)},
        {"program_id": "p", "tier_id": "g", "name": "Gold", "rank": 2, "threshold_points": D(100)},
    ],
    "transactions": [
        *CLUB["transactions"],
        {**_BASE, "transaction_id": "T1", "customer_id": "ann", "subledger_id": "travel", "type": "earned",
         "points": D("12.50"), "created_at": at("02-01"), "details": f'{{"transactionUUID": "{UUID}"}}'},
        {**_BASE, "transaction_id": "T2", "customer_id": "ann", "subledger_id": "travel", "type": "expired",
         "points": D("-2.50"), "created_at": at("02-20")},
        {**_BASE, "transaction_id": "R", "customer_id": "cy", "type": "redeemed", "points": D(-5), "created_at": at("02-01")},
        {**_BASE, "transaction_id": "I1", "customer_id": ODD, "type": "adjusted", "points": D(60),
         "created_at": at("02-02"), "source": "import", "import_id": "imp-1", "reason": "x" * 300},
        {**_BASE, "transaction_id": "I2", "customer_id": ODD, "type": "adjusted", "points": D("1.25"),
         "created_at": at("02-03"), "import_id": "imp-1", "rule_name": "Rule", "source": "API"},
        *({**_BASE, "transaction_id": f"m{n:03}", "customer_id": "mo", "type": "earned", "points": D(1),
           "created_at": at("02-01") + timedelta(hours=n), **({"admin_user": "eve"} if n < 20 else {})} for n in _HOURS),
        {**_BASE, "program_id": "q", "transaction_id": "Q", "customer_id": "bob", "type": "earned", "points": D(7),
         "created_at": at("02-01")},
    ],
}  # fmt: skip
