"""What happens around the sample's ledger: events, publications, coupons, gift cards, approvals, webhooks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from include.sample.movements import batch
from include.sample.plan import DAY, Plan
from include.sample.programs import CAMPAIGN_COUNT
from include.sample.text import Integers, instants, money, numbered, pick

_COUPONS = 100
_ACTIONS = ("visit", "review", "share", "opt_in")


def _moments(plan: Plan, rng: np.random.Generator, count: int) -> Integers:
    return np.sort(rng.integers(plan.start_us, plan.end_us, count))


def surroundings(plan: Plan) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield a few rows of each, about one for every twenty customers, at most 100,000."""
    count = min(100_000, max(10, plan.customers // 20))
    rng = plan.random(4)
    number = np.arange(count)
    zero = np.zeros(count, np.int64)
    moment = _moments(plan, rng, count)
    customer = numbered(
        "c", plan.customer_numbers(rng.integers(0, max(1, plan.customers * 3 // 10), count)), 7
    )
    yield "events", batch("events", {
        "event_id": numbered("e", number, 8),
        "customer_id": customer,
        "action": pick(_ACTIONS, number % len(_ACTIONS)),
        "occurred_at": instants(moment),
        "data": pick(('{"page":"/rewards"}', None), number % 2),
    }, count)  # fmt: skip
    yield "changes", batch("changes", {
        "change_id": numbered("h", number, 8),
        "entity": pick(("customers",), zero),
        "entity_id": customer,
        "field": pick(("address_city", "phone"), number % 2),
        "old_value": pick(("Nice", "+33140000000"), number % 2),
        "new_value": pick(("Paris", "+33150000000"), number % 2),
        "changed_by": pick(("ana@example.com",), zero),
        "changed_at": instants(moment),
    }, count)  # fmt: skip
    yield "content_approvals", batch("content_approvals", {
        "approval_id": numbered("a", number, 8),
        "content_type": pick(("review", "photo"), number % 2),
        "customer_id": customer,
        "status": pick(("approved", "rejected", "pending"), number % 3),
        "submitted_at": instants(moment),
        "reviewed_by": pick(("ben@example.com", "ben@example.com", None), number % 3),
        "reviewed_at": instants(np.minimum(moment + DAY, plan.end_us - 1), number % 3 < 2),
    }, count)  # fmt: skip
    yield "webhook_logs", batch("webhook_logs", {
        "webhook_log_id": numbered("w", number, 8),
        "event": pick(("points.earned", "reward.redeemed"), number % 2),
        "url": pick(("https://hooks.example.com/points",), zero),
        "status_code": pa.array(np.where(number % 40 == 0, 503, 200)),
        "attempts": pa.array(np.where(number % 40 == 0, 3, 1)),
        "sent_at": instants(moment),
        "duration_ms": pa.array(rng.integers(20, 900, count)),
    }, count)  # fmt: skip
    yield from _codes(plan, rng, customer, moment)
    yield from _gift_cards(customer, moment)


def _codes(
    plan: Plan, rng: np.random.Generator, customer: pa.Array, moment: Integers
) -> Iterator[tuple[str, pa.RecordBatch]]:
    count, number = len(moment), np.arange(len(moment))
    yield "vouchers", batch("vouchers", {
        "voucher_id": numbered("p", number, 8),
        "code": numbered("HELLO-", number, 8),
        "voucher_type": pick(("DISCOUNT_VOUCHER",), number * 0),
        "discount_type": pick(("PERCENT",), number * 0),
        "value": money(np.full(count, 1000)),
        "campaign_id": numbered("m", number % CAMPAIGN_COUNT, 3),
        "customer_id": customer,
        "starts_at": instants(moment),
        "expires_at": instants(moment + 60 * DAY),
        "active": pa.array(np.ones(count, bool)),
        "created_at": instants(moment),
    }, count)  # fmt: skip
    yield "publications", batch("publications", {
        "publication_id": numbered("u", number, 8),
        "voucher_code": numbered("HELLO-", number, 8),
        "customer_id": customer,
        "published_at": instants(moment),
        "channel": pick(("email", "app"), number % 2),
        "campaign_id": numbered("m", number % CAMPAIGN_COUNT, 3),
        "is_winner": pa.array(number % 10 == 0),
    }, count)  # fmt: skip
    code = np.arange(_COUPONS)
    issued = np.sort(rng.integers(plan.start_us, plan.end_us - 30 * DAY, _COUPONS))
    is_issued, is_used = code < 60, code < 30
    yield "coupons", batch("coupons", {
        "code": numbered("WELCOME-", code, 4),
        "pool_id": pick(("welcome",), code * 0),
        "customer_id": customer.take(pa.array(np.where(is_issued, code % count, 0), mask=~is_issued)),
        "status": pick(("available", "issued", "used"), is_issued.astype(np.int64) + is_used),
        "issued_at": instants(issued, is_issued),
        "used_at": instants(issued + 10 * DAY, is_used),
        "expires_at": instants(issued + 90 * DAY, is_issued),
    }, _COUPONS)  # fmt: skip


def _gift_cards(customer: pa.Array, moment: Integers) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield gift cards of 50.00, each loaded once and used once for 20.00."""
    count = len(moment) // 2
    number, loaded = np.arange(count), moment[:count]
    yield "vouchers", batch("vouchers", {
        "voucher_id": numbered("g", number, 8),
        "code": numbered("GIFT-", number, 8),
        "voucher_type": pick(("GIFT_VOUCHER",), number * 0),
        "value": money(np.full(count, 5000)),
        "gift_balance": money(np.full(count, 3000)),
        "customer_id": customer.slice(0, count),
        "active": pa.array(np.ones(count, bool)),
        "created_at": instants(loaded),
    }, count)  # fmt: skip
    for offset, kind, amount, balance in (
        (0, "CREDITS_ADDITION", 5000, 5000),
        (1, "CREDITS_REDEMPTION", -2000, 3000),
    ):
        yield "gift_card_transactions", batch("gift_card_transactions", {
            "transaction_id": numbered("gt", number * 2 + offset, 8),
            "type": pick((kind,), number * 0),
            "balance": money(np.full(count, balance)),
            "amount": money(np.full(count, amount)),
            "created_at": instants(loaded + offset * 3_600_000_000),
            "voucher_id": numbered("g", number, 8),
            "source": pick(("API",), number * 0),
        }, count)  # fmt: skip
