"""What happens around the sample's ledger: events, changes, approvals, webhooks; vouchers have their own file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from include.sample.movements import batch
from include.sample.plan import DAY, Plan
from include.sample.text import Integers, instants, numbered, pick
from include.sample.vouchers import vouchers

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
        "points": pa.array(np.full(count, 500), mask=number % len(_ACTIONS) != 1),
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
    yield from vouchers(plan, rng, customer, moment)
