"""The sample's movements as rows: transactions, and what comes with them (orders, redemptions, vouchers)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from include.ledger.catalog import ARROW_TYPES, RELATIONS
from include.sample import events as ev
from include.sample.plan import CLUB, DAY, SUBLEDGERS, TRAVEL, Plan
from include.sample.programs import CAMPAIGN_COUNT, REWARD_COUNT, REWARD_HUNDREDTHS, STORE_COUNT
from include.sample.text import Integers, instants, money, numbered, pick

_TYPES = (
    "earned",
    "earned_reversed",
    "redeemed",
    "redemption_refunded",
    "adjusted",
    "expired",
    "transferred_in",
    "transferred_out",
)
_REASONS = (
    "Points for an order",
    "Order returned",
    "Reward",
    "Reward returned",
    "Goodwill correction",
    "Points expired",
    "Transfer received",
    "Transfer given",
)
_ADMINS = ("ana@example.com", "ben@example.com", "cy@example.com")
_RULES = ("standard earn", "double points week", "birthday bonus")


def batch(relation: str, columns: dict[str, pa.Array], rows: int) -> pa.RecordBatch:
    """Return a batch with all fields of the relation, null where `columns` has none."""
    fields = RELATIONS[relation].fields
    arrays = [columns.get(x.name, pa.nulls(rows, ARROW_TYPES[x.type])) for x in fields]
    return pa.RecordBatch.from_arrays(
        arrays, schema=pa.schema([(x.name, ARROW_TYPES[x.type]) for x in fields])
    )


def movements(plan: Plan) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the batches of each chunk: orders, transactions, vouchers, redemptions."""
    for rows in ev.events(plan):
        rng = plan.random(2, rows.first)
        numbers = np.arange(rows.first, rows.first + len(rows.account))
        club = rows.account < plan.customers
        card = np.where(club, 0, (rows.account - plan.customers) // 2)
        holder = np.where(club, rows.account, plan.owner(card))
        owner = plan.customer_numbers(np.maximum(holder, 0))
        customer = numbered("c", owner, 7, holder >= 0)
        ordered = (rows.kind == ev.EARNED) & (rng.random(len(numbers)) < 0.8)
        yield "orders", _orders(plan, rng, rows, numbers, customer, ordered)
        redeemed = rows.kind == ev.REDEEMED
        reward = rng.integers(0, REWARD_COUNT, len(numbers))
        adjusted, late = rows.kind == ev.ADJUSTED, rows.created_at < rows.written_at
        source = np.where(adjusted, 1, np.where(rows.kind == ev.EXPIRED, 2, np.where(late, 3, 0)))
        texts = {
            "transaction_id": numbered("t", numbers, 10),
            "program_id": pick((CLUB, TRAVEL), np.where(club, 0, 1)),
            "subledger_id": pick(
                (None, *SUBLEDGERS), np.where(club, 0, 1 + (rows.account - plan.customers) % 2)
            ),
            "customer_id": customer,
            "card_id": numbered("k", card, 7, ~club),
            "type": pick(_TYPES, rows.kind),
            "points": pa.array(rows.points),
            "created_at": instants(rows.created_at),
            "recorded_at": instants(rows.written_at),
            "activates_at": instants(rows.activates_at, rows.activates_at >= 0),
            "expires_at": instants(rows.expires_at, rows.expires_at >= 0),
            "reason": pick(_REASONS, rows.kind),
            "order_id": numbered("o", numbers, 10, ordered),
            "reward_id": numbered("r", reward, 3, redeemed),
            "campaign_id": numbered(
                "m", rng.integers(0, CAMPAIGN_COUNT, len(numbers)), 3, rows.kind == ev.EARNED
            ),
            "source": pick(("API", "web-ui", "automation", "import"), source),
            "source_id": numbered("till-", numbers, 10, late),
            "admin_user": pick((*_ADMINS, None), np.where(adjusted, numbers % 3, 3)),
            "related_transaction_id": numbered("t", rows.related, 10, rows.related >= 0),
            "import_id": pick((None, "offline-tills"), late.astype(np.int64)),
            "rule_name": pick((*_RULES, None), np.where(ordered, numbers % 3, 3)),
            "details": pick(
                (None, '{"channel":"till","terminal":"7"}'), (numbers % 50 == 0).astype(np.int64)
            ),
        }
        yield "transactions", batch("transactions", texts, len(numbers))
        chosen = np.flatnonzero(redeemed)
        if len(chosen):
            yield from _redemptions(plan, rng, rows, numbers[chosen], chosen, reward[chosen], customer)


def _orders(
    plan: Plan,
    rng: np.random.Generator,
    rows: ev.Events,
    numbers: Integers,
    customer: pa.Array,
    ordered: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> pa.RecordBatch:
    """Return one order for each row with one; what was paid is what the points were given for."""
    index = np.flatnonzero(ordered)
    club = rows.account[index] < plan.customers
    paid = np.where(club, rows.points[index], rows.points[index] // 2)
    discount = np.where(rng.random(len(index)) < 0.2, paid // 10, 0)
    store = rng.integers(0, STORE_COUNT * 2, len(index))
    columns = {
        "order_id": numbered("o", numbers[index], 10),
        "source_id": numbered("", 100_000 + numbers[index], 9),
        "customer_id": customer.take(pa.array(index)),
        "status": pick(
            ("FULFILLED", "PAID", "CANCELED"), np.searchsorted([0.9, 0.98], rng.random(len(index)))
        ),
        "currency": pick(("EUR", "USD"), np.where(club, 0, 1)),
        "amount": money(paid + discount),
        "discount_amount": money(discount),
        "items_discount_amount": money(np.zeros(len(index), np.int64)),
        "total_discount_amount": money(discount),
        "total_amount": money(paid),
        "referrer_id": _referrers(plan, numbers[index]),
        "store_id": numbered("s", store, 3, store < STORE_COUNT),
        "created_at": instants(rows.created_at[index]),
        "updated_at": instants(rows.created_at[index] + DAY),
        "metadata": pick((None, '{"gift_wrap":true}'), (numbers[index] % 40 == 0).astype(np.int64)),
    }
    return batch("orders", columns, len(index))


def _referrers(plan: Plan, numbers: Integers) -> pa.Array:
    """Return who referred each order: for one of 200, one of the customers who were there at the start."""
    early = numbers % max(1, plan.open_count(plan.customers, 0))
    return numbered("c", plan.customer_numbers(early), 7, numbers % 200 == 7)


def _redemptions(
    plan: Plan,
    rng: np.random.Generator,
    rows: ev.Events,
    numbers: Integers,
    index: Integers,
    reward: Integers,
    customer: pa.Array,
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the coupon that each redemption gave, used or not, and the redemption."""
    count, moment = len(index), rows.created_at[index]
    used = moment + (rng.random(count) * 120 * DAY).astype(np.int64)
    was_used = (rng.random(count) < 0.8) & (used < moment + 90 * DAY) & (used < plan.end_us)
    who, value = customer.take(pa.array(index)), REWARD_HUNDREDTHS[reward]
    vouchers = {
        "voucher_id": numbered("v", numbers, 10),
        "code": numbered("CODE-", numbers, 10),
        "voucher_type": pick(("DISCOUNT_VOUCHER",), np.zeros(count, np.int64)),
        "discount_type": pick(("AMOUNT",), np.zeros(count, np.int64)),
        "value": money(value),
        "customer_id": who,
        "starts_at": instants(moment),
        "expires_at": instants(moment + 90 * DAY),
        "used_at": instants(used, was_used),
        "redemption_quantity": pa.array(np.ones(count, np.int64)),
        "redemption_count": pa.array(was_used.astype(np.int64)),
        "active": pa.array(np.ones(count, bool)),
        "is_referral_code": pa.array(np.zeros(count, bool)),
        "created_at": instants(moment),
    }
    yield "vouchers", batch("vouchers", vouchers, count)
    redemptions = {
        "redemption_id": numbered("x", numbers, 10),
        "transaction_id": numbered("t", numbers, 10),
        "kind": pick(("redemption",), np.zeros(count, np.int64)),
        "customer_id": who,
        "reward_id": numbered("r", reward, 3),
        "voucher_id": numbered("v", numbers, 10),
        "coupon_code": numbered("CODE-", numbers, 10),
        "redeemed_at": instants(moment),
        "reward_value": money(value),
        "result": pick(("SUCCESS",), np.zeros(count, np.int64)),
    }
    yield "redemptions", batch("redemptions", redemptions, count)
