"""The sample's vouchers beside those that redemptions give: codes of campaigns, loyalty cards, gift cards, coupons.

And what happens to them: publications, redemptions that failed or were undone, movements of gift cards.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from include.sample.movements import batch
from include.sample.plan import DAY, Plan
from include.sample.programs import CAMPAIGN_COUNT, PRODUCT_COUNT
from include.sample.text import Integers, instants, money, numbered, pick

_COUPONS = 100
_SLICE = 100_000
_HOUR = DAY // 24


def vouchers(
    plan: Plan, rng: np.random.Generator, customer: pa.Array, moment: Integers
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield them; `customer` and `moment` say who does something around the ledger, and when."""
    yield "vouchers", _codes(customer, moment)
    yield "publications", _publications(customer, moment)
    yield "coupons", _coupons(plan, rng, customer)
    yield "orders", _orders(customer, moment)
    yield "redemptions", _attempts(customer, moment)
    for first in range(0, plan.cards, _SLICE):
        yield "vouchers", _loyalty_cards(plan, np.arange(first, min(plan.cards, first + _SLICE)))
    yield from _gift_cards(plan, customer, moment)


def _codes(customer: pa.Array, moment: Integers) -> pa.RecordBatch:
    """Return the codes of campaigns: per cent, a product, an amount or a fixed price off, some on work days only."""
    count, number = len(moment), np.arange(len(moment))
    kind = number % 4
    unit = kind == 1
    columns = {
        "voucher_id": numbered("p", number, 8),
        "code": numbered("HELLO-", number, 8),
        "voucher_type": pick(("DISCOUNT_VOUCHER",), number * 0),
        "discount_type": pick(("PERCENT", "UNIT", "AMOUNT", "FIXED"), kind),
        "value": money(np.array([1000, 100, 500, 1500])[kind]),
        "campaign_id": numbered("m", number % CAMPAIGN_COUNT, 3),
        "category": pick(("New customers", "Regulars", None), number % 3),
        "customer_id": customer,
        "starts_at": instants(moment),
        "expires_at": instants(moment + 60 * DAY),
        "redemption_quantity": pa.array(np.where(unit, 1, 3)),
        "redemption_count": pa.array(number % 2),
        "active": pa.array(number % 5 != 4),
        "is_referral_code": pa.array(number % 7 == 3),
        "qr_code": _links("qr", number),
        "bar_code": _links("bar", number),
        "validity_timeframe_interval": pick(("P2D", None), (number % 3 > 0).astype(np.int64)),
        "validity_timeframe_duration": pick(("PT1H", None), (number % 3 > 0).astype(np.int64)),
        "validity_day_of_week": pick(("1,2,3,4,5", None), (number % 3 > 0).astype(np.int64)),
        "discount_amount_limit": money(np.full(count, 5000), kind == 0),
        "discount_unit_type": pick(
            (*(f"sku-{each:04d}" for each in range(PRODUCT_COUNT)), None),
            np.where(unit, number % PRODUCT_COUNT, PRODUCT_COUNT),
        ),
        "discount_unit_effect": pick(("ADD_MISSING_ITEMS", None), (~unit).astype(np.int64)),
        "additional_info": pick((None, "Not with other offers"), number % 2),
        "created_at": instants(moment),
        "updated_at": instants(moment + _HOUR),
        "metadata": pick(('{"wave":1}', '{"wave":2}', None), number % 3),
    }
    return batch("vouchers", columns, count)


def _links(kind: str, number: Integers) -> pa.Array:
    """Return URLs of pictures of codes."""
    return numbered(f"https://codes.example.com/{kind}/", number, 8)


def _publications(customer: pa.Array, moment: Integers) -> pa.RecordBatch:
    count, number = len(moment), np.arange(len(moment))
    columns = {
        "publication_id": numbered("u", number, 8),
        "voucher_code": numbered("HELLO-", number, 8),
        "customer_id": customer,
        "tracking_id": numbered("track_", number, 8),
        "published_at": instants(moment),
        "channel": pick(("email", "app"), number % 2),
        "campaign_id": numbered("m", number % CAMPAIGN_COUNT, 3),
        "is_winner": pa.array(number % 10 == 0),
        "metadata": pick(('{"newsletter":"spring"}', None), number % 2),
    }
    return batch("publications", columns, count)


def _coupons(plan: Plan, rng: np.random.Generator, customer: pa.Array) -> pa.RecordBatch:
    code = np.arange(_COUPONS)
    issued = np.sort(rng.integers(plan.start_us, plan.end_us - 30 * DAY, _COUPONS))
    is_issued, is_used = code < 60, code < 30
    columns = {
        "code": numbered("WELCOME-", code, 4),
        "pool_id": pick(("welcome",), code * 0),
        "customer_id": customer.take(pa.array(np.where(is_issued, code % len(customer), 0), mask=~is_issued)),
        "status": pick(("available", "issued", "used"), is_issued.astype(np.int64) + is_used),
        "issued_at": instants(issued, is_issued),
        "used_at": instants(issued + 10 * DAY, is_used),
        "expires_at": instants(issued + 90 * DAY, is_issued),
    }
    return batch("coupons", columns, _COUPONS)


def _orders(customer: pa.Array, moment: Integers) -> pa.RecordBatch:
    """Return the carts that the codes were tried on; half of them were paid for."""
    count, number = len(moment), np.arange(len(moment))
    columns = {
        "order_id": numbered("w", number, 8),
        "source_id": numbered("cart-", number, 8),
        "customer_id": customer,
        "status": pick(("PAID", "CREATED"), number % 2),
        "currency": pick(("EUR",), number * 0),
        "amount": money(_amounts(number)),
        "discount_amount": money(np.where(number % 2 == 0, 200, 0)),
        "items_discount_amount": money(np.where(number % 2 == 0, 100, 0)),
        "total_discount_amount": money(np.where(number % 2 == 0, 300, 0)),
        "total_amount": money(_amounts(number) - np.where(number % 2 == 0, 300, 0)),
        "created_at": instants(moment),
        "updated_at": instants(moment),
    }
    return batch("orders", columns, count)


def _amounts(number: Integers) -> Integers:
    return 2000 + 10 * (number % 500)


def _attempts(customer: pa.Array, moment: Integers) -> pa.RecordBatch:
    """Return what was tried with codes: done, refused, undone, and not undone; no points move."""
    count, number = len(moment), np.arange(len(moment))
    outcome = number % 4
    failed, undone = outcome % 2 == 1, outcome >= 2
    columns = {
        "redemption_id": numbered("y", number, 8),
        "kind": pick(("redemption", "rollback"), undone.astype(np.int64)),
        "customer_id": customer,
        "voucher_id": numbered("p", number, 8),
        "coupon_code": numbered("HELLO-", number, 8),
        "order_id": numbered("w", number, 8),
        "campaign_id": numbered("m", number % CAMPAIGN_COUNT, 3),
        "promotion_tier_id": pick(("promo_summer", None), number % 2),
        "tracking_id": numbered("track_", number, 8),
        "redeemed_at": instants(moment),
        "order_amount": money(_amounts(number)),
        "gift_amount": money(np.full(count, 500), number % 5 == 0),
        "result": pick(("SUCCESS", "FAILURE"), failed.astype(np.int64)),
        "failure_code": pick((None, "quantity_exceeded"), failed.astype(np.int64)),
        "failure_message": pick(
            (None, "The voucher was used as often as it may be."), failed.astype(np.int64)
        ),
        "metadata": pick(('{"till":"7"}', None), number % 2),
    }
    return batch("redemptions", columns, count)


def _loyalty_cards(plan: Plan, index: Integers) -> pa.RecordBatch:
    """Return the vouchers that stand for cards."""
    count, owner = len(index), plan.owner(index)
    made = instants(plan.joined_us(index, plan.cards))
    columns = {
        "voucher_id": numbered("l", index, 7),
        "code": numbered("CARD-", index, 7),
        "voucher_type": pick(("LOYALTY_CARD",), index * 0),
        "campaign_id": pick(("m001",), index * 0),
        "customer_id": numbered("c", plan.customer_numbers(np.maximum(owner, 0)), 7, owner >= 0),
        "card_id": numbered("k", index, 7),
        "active": pa.array(index % 97 != 0),
        "is_referral_code": pa.array(np.zeros(count, bool)),
        "created_at": made,
        "updated_at": made,
    }
    return batch("vouchers", columns, count)


def _gift_cards(plan: Plan, customer: pa.Array, moment: Integers) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield gift cards of 50.00, each loaded once and used once for 20.00, of which every fifth got 5.00 back."""
    count = len(moment) // 2
    number, loaded = np.arange(count), moment[:count]
    returned = (number % 5 == 2) & (loaded + 2 * _HOUR < plan.end_us)
    yield "vouchers", batch("vouchers", {
        "voucher_id": numbered("g", number, 8),
        "code": numbered("GIFT-", number, 8),
        "voucher_type": pick(("GIFT_VOUCHER",), number * 0),
        "value": money(np.full(count, 5000)),
        "gift_balance": money(np.where(returned, 3500, 3000)),
        "campaign_id": pick(("m003",), number * 0),
        "customer_id": customer.slice(0, count),
        "active": pa.array(np.ones(count, bool)),
        "created_at": instants(loaded),
        "updated_at": instants(loaded),
    }, count)  # fmt: skip
    steps = (
        ("CREDITS_ADDITION", 5000, 5000, "Sold in a shop", None),
        ("CREDITS_REDEMPTION", -2000, 3000, None, '{"till":"7"}'),
        ("CREDITS_REFUND", 500, 3500, "Goods returned", None),
    )
    for place, (kind, amount, balance, reason, details) in enumerate(steps):
        card = number[returned] if kind == "CREDITS_REFUND" else number
        yield "gift_card_transactions", batch("gift_card_transactions", {
            "transaction_id": numbered("gt", card * len(steps) + place, 8),
            "type": pick((kind,), card * 0),
            "source_id": numbered("till-", card, 8),
            "reason": pick((reason,), card * 0),
            "balance": money(np.full(len(card), balance)),
            "amount": money(np.full(len(card), amount)),
            "created_at": instants(loaded[card] + place * _HOUR),
            "voucher_id": numbered("g", card, 8),
            "campaign_id": pick(("m003",), card * 0),
            "source": pick(("API",), card * 0),
            "related_transaction_id": numbered(
                "gt", card * len(steps) + place - 1, 8, np.full(len(card), kind == "CREDITS_REFUND")
            ),
            "details": pick((details,), card * 0),
        }, len(card))  # fmt: skip
