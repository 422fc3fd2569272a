"""Which figures of a model may be added over its rows: what moved, and what stands at one instant in each account.

Not balances by day or month, running balances, figures that count the same in several rows, and prices.
"""

from __future__ import annotations

from types import MappingProxyType

_MOVED = (
    "earned", "earned_reversed", "redeemed", "refunded", "adjusted", "transferred_in", "transferred_out", "expired",
)  # fmt: skip
_RECOGNISED = (
    "liability_added",
    "revenue_redemption",
    "revenue_change_of_estimate",
    "liability_revalued",
    "revenue",
)
ADDING = MappingProxyType({
    "ageing": ("active", "pending", "outstanding", "debt"),
    "allocations": ("points",),
    "balance": ("active", "pending", "expired", "spent", "negative_balance", "points_balance", "lifetime_earned"),
    "cards": ("stated_balance",),
    "customers": ("stated_balance", "points_active", "points_pending", "loyalty_points", "lifetime_earned"),
    "earned_redeemed": ("earned_manual", "earned_rules", "redeemed_manual", "redeemed_rules"),
    "expiry_by_month": ("points_expiring", "points_activating"),
    "history": ("points_change",),
    "journal": ("debit", "credit"),
    "liability": ("opening", *_MOVED, "closing", "outstanding", "debt", "liability_opening", *_RECOGNISED,
                  "liability_closing"),
    "liability_by_month": (*_MOVED, *_RECOGNISED),
    "lots": ("points", "used", "expired", "remaining"),
    "orders": ("total_amount",),
    "points_accounting": ("earned", "earned_reversed", "redeemed", "refunded", "expired"),
    "points_expiration": ("points",),
    "redemption": ("points_cost", "points_refunded", "reward_value"),
    "rewards_by_day": ("points_cost", "points_refunded"),
    "rollforward_by_day": _MOVED,
    "top_earners": ("points_earned",),
    "transactions": ("points",),
})  # fmt: skip
