"""Customers: every field that the ledger has, and what orders, redemptions and points come to for each.

Nothing of that is stored: it is computed from the rows before T. Money is added within one currency only:
`orders_currency` says which, and `orders_other_currencies` how many orders the figures leave out. Booking runs
only when somebody reads points.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from include.ledger.catalog import RELATIONS
from include.ledger.columns import Column
from include.ledger.liability import MINOR_PLACES
from include.reports import glossary, owners, programs
from include.reports.account_figures import AccountFigures
from include.reports.engine import TIERS_AS_OF
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report
from include.reports.partitions import BOOKING_COLUMNS
from include.reports.queried import BEFORE, Part, Stream, Widened, stream
from include.reports.replay import BookedPartition

KIND = "customers"
TITLE = "Customers"
PERIOD: Period = "optional"

_POINTS = (
    "points_active",
    "points_pending",
    "loyalty_points",
    "is_member",
    "last_activity_at",
    "lifetime_earned",
)
_ORDERS = (
    "orders_total_count",
    "orders_total_amount",
    "orders_average_amount",
    "orders_last_order_amount",
    "orders_last_order_date",
    "orders_currency",
    "orders_other_currencies",
)
_TOTALS = ("redeemed", "failed", "succeeded", "rolled_back", "rollback_failed", "rollback_succeeded")
_NEEDS: Needs = {
    "orders": ("order_id", "customer_id", "status", "currency", "amount", "total_amount", "created_at"),
    "redemptions": ("customer_id", "kind", "result", "redeemed_at"),
    "tier_changes": ("program_id", "subledger_id", "customer_id", "changed_at", "tier_id"),
    "tiers": ("program_id", "tier_id", "name"),
    "programs": programs.COLUMNS,
    "cards": owners.NEEDS["cards"],
}
_COLUMNS = glossary.columns(
    KIND,
    (
        *RELATIONS[KIND].names,
        *(f"redemptions_total_{name}" for name in _TOTALS),
        *_ORDERS,
        *_POINTS,
        "loyalty_referred_customers",
    ),
)
# An order counts with its currency; the last one of all says which currency is shown, unless one is asked for.
_ORDERS_JOIN = f"""
LEFT JOIN (
    SELECT customer_id, sum(count) AS of_all,
           arg_max(
               struct_pack(currency := currency, count := count, total := total, last := last),
               (last.created_at, last.order_id)
           ) FILTER (WHERE $currency IS NULL OR currency = $currency) AS shown
    FROM (
        SELECT customer_id, coalesce(currency, '') AS currency, count(*) AS count,
               sum(coalesce(total_amount, amount)) AS total,
               max(struct_pack(created_at := created_at, order_id := order_id,
                               paid := coalesce(total_amount, amount))) AS last
        FROM orders WHERE {BEFORE.format("created_at")} AND status IS DISTINCT FROM 'CANCELED'
        GROUP BY ALL
    ) by_currency
    GROUP BY customer_id
) ordered ON ordered.customer_id = base.customer_id
"""
_PLACES = " ".join(f"WHEN '{code}' THEN {10 ** (4 - places)}" for code, places in MINOR_PLACES.items())
_STEP = f"CASE ordered.shown.currency {_PLACES} ELSE 100 END"
_UNITS = "(ordered.shown.total * 10000)::HUGEINT"
# Whole minor units, halves away from zero, in integers; then back to money.
_AVERAGE = (
    f"(sign({_UNITS}) * ((2 * abs({_UNITS}) + ordered.shown.count * {_STEP}) "
    f"// (2 * ordered.shown.count * {_STEP})) * {_STEP})::DECIMAL(30, 0) * 0.0001::DECIMAL(5, 4)"
)
_KIND_IS = "coalesce(kind, 'redemption') = '{}'"
_RESULT_IS = "coalesce(result, 'SUCCESS') = '{}'"


class Options(BaseModel):
    """`programs` counts points and tiers of these only; `currency` (ISO 4217) picks the orders that count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    programs: tuple[str, ...] = ()
    currency: str | None = None


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {**_NEEDS, "transactions": BOOKING_COLUMNS, KIND: RELATIONS[KIND].names}


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the customers who joined in the period, or before `as_of`; figures are of all time before `as_of`.

    Raises BadInput for a program that the ledger does not have.
    """
    assert isinstance(asked.options, Options)
    programs.check(snapshot, KIND, asked.options.programs)
    return _Customers(asked, asked.options, snapshot, scratch)


class _Customers(Widened):
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        self._options = options
        self._accounts = AccountFigures(scratch, options.programs)
        parts = [_redemptions(snapshot), _orders(snapshot), _referred(snapshot)]
        parts.append(_points(self._accounts.owned(snapshot)))
        if snapshot.has("tier_changes"):
            parts.append(_tiers(snapshot))
        super().__init__(asked, snapshot, scratch, _COLUMNS, KIND, parts)
        if asked.wants(*_POINTS):
            self.cuts = (asked.cut,)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        self._accounts.take(partition)
        return ()

    def values(self) -> dict[str, object]:
        return {"currency": self._options.currency, "programs": list(self._options.programs) or None}


def _points(accounts: Stream) -> Part:
    join = """
LEFT JOIN (
    SELECT customer_id, sum(active) AS active, sum(pending) AS pending,
           sum(active - negative_balance) AS balance,
           sum(lifetime_earned) AS earned, max(last_activity_at) AS last_at
    FROM accounts WHERE customer_id IS NOT NULL GROUP BY customer_id
) held ON held.customer_id = base.customer_id
"""
    expressions = {
        "points_active": "coalesce(held.active, 0)",
        "points_pending": "coalesce(held.pending, 0)",
        "loyalty_points": "coalesce(held.balance, 0)",
        "lifetime_earned": "coalesce(held.earned, 0)",
        "is_member": "coalesce(held.active + held.pending > 0, false)",
        "last_activity_at": "held.last_at",
    }
    return Part(expressions, join, {"accounts": accounts})


def _redemptions(snapshot: LocalSnapshot) -> Part:
    tried, undone = _KIND_IS.format("redemption"), _KIND_IS.format("rollback")
    failed, succeeded = _RESULT_IS.format("FAILURE"), _RESULT_IS.format("SUCCESS")
    tests = [tried, f"{tried} AND {failed}", f"{tried} AND {succeeded}"]
    tests += [undone, f"{undone} AND {failed}", f"{undone} AND {succeeded}"]
    counts = ", ".join(
        f"count(*) FILTER ({test}) AS {name}" for name, test in zip(_TOTALS, tests, strict=True)
    )
    join = f"""
LEFT JOIN (
    SELECT customer_id, {counts} FROM redemptions WHERE {BEFORE.format("redeemed_at")} GROUP BY customer_id
) tried ON tried.customer_id = base.customer_id
"""
    expressions = {f"redemptions_total_{name}": f"coalesce(tried.{name}, 0)" for name in _TOTALS}
    return Part(expressions, join, {"redemptions": stream(snapshot, "redemptions", _NEEDS["redemptions"])})


def _orders(snapshot: LocalSnapshot) -> Part:
    expressions = {
        "orders_total_count": "coalesce(ordered.shown.count, 0)",
        "orders_total_amount": "ordered.shown.total",
        "orders_average_amount": _AVERAGE,
        "orders_last_order_amount": "ordered.shown.last.paid",
        "orders_last_order_date": "ordered.shown.last.created_at",
        "orders_currency": "nullif(ordered.shown.currency, '')",
        "orders_other_currencies": "coalesce(ordered.of_all, 0) - coalesce(ordered.shown.count, 0)",
    }
    return Part(expressions, _ORDERS_JOIN, {"orders": stream(snapshot, "orders", _NEEDS["orders"])})


def _referred(snapshot: LocalSnapshot) -> Part:
    join = f"""
LEFT JOIN (
    SELECT referrer_id, count(*) AS count FROM referred WHERE {BEFORE.format("registered_at")} GROUP BY referrer_id
) referred_by ON referred_by.referrer_id = base.customer_id
"""
    expressions = {"loyalty_referred_customers": "coalesce(referred_by.count, 0)"}
    return Part(expressions, join, {"referred": stream(snapshot, KIND, ("referrer_id", "registered_at"))})


def _tiers(snapshot: LocalSnapshot) -> Part:
    """Return the tier in the first program, and there the first purse, that has one."""
    join = f"""
LEFT JOIN (
    SELECT customer_id, arg_min(tier, (program_id, subledger_id)) AS tier
    FROM ({TIERS_AS_OF})
    WHERE tier IS NOT NULL AND ($programs IS NULL OR list_contains($programs, program_id))
    GROUP BY customer_id
) ranked ON ranked.customer_id = base.customer_id
"""
    streams = {name: stream(snapshot, name, _NEEDS[name]) for name in ("tier_changes", "tiers")}
    return Part({"tier": "ranked.tier"}, join, streams)
