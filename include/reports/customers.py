"""Customers: every field that the ledger has, and what orders, redemptions and points come to for each.

Nothing of that is stored: it is computed from the rows before T. Money is added within one currency only:
`orders_currency` says which, and `orders_other_currencies` how many orders the figures leave out. Booking runs
only when somebody reads points.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from include.ledger.catalog import BOOKING_COLUMNS, RELATIONS
from include.ledger.columns import Column
from include.ledger.liability import MINOR_PLACES
from include.reports import glossary, programs
from include.reports.engine import owners
from include.reports.engine.account_figures import AccountFigures
from include.reports.engine.duckdb import TIERS_AS_OF
from include.reports.engine.joins import Batches
from include.reports.engine.queried import BEFORE, Stream, stream
from include.reports.engine.replay import BookedPartition
from include.reports.engine.widened import Part, Widened, counted
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report, arrow_schema

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
_SUMS = tuple(name for name in _POINTS if name != "last_activity_at")
_REFERRED = ("loyalty_referred_customers",)
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
        *_REFERRED,
    ),
)
_PLACES = " ".join(f"WHEN '{code}' THEN {10 ** (4 - places)}" for code, places in MINOR_PLACES.items())
# An order counts with its currency; the last one of all says which currency is shown, unless one is asked for.
# The average is made in whole minor units, halves away from zero, in integers; then it is money again.
_ORDERS_QUERY = f"""
WITH by_currency AS (
    SELECT customer_id, coalesce(currency, '') AS currency, count(*) AS count,
           sum(coalesce(total_amount, amount)) AS total,
           max(struct_pack(created_at := created_at, order_id := order_id,
                           paid := coalesce(total_amount, amount))) AS last
    FROM orders WHERE {BEFORE.format("created_at")} AND status IS DISTINCT FROM 'CANCELED'
    GROUP BY ALL
), by_customer AS (
    SELECT customer_id, sum(count) AS of_all,
           arg_max(
               struct_pack(currency := currency, count := count, total := total, last := last),
               (last.created_at, last.order_id)
           ) FILTER (WHERE $currency IS NULL OR currency = $currency) AS shown
    FROM by_currency GROUP BY customer_id
), in_units AS (
    SELECT *, (shown.total * 10000)::HUGEINT AS units, CASE shown.currency {_PLACES} ELSE 100 END AS step
    FROM by_customer
)
SELECT customer_id, coalesce(shown.count, 0) AS orders_total_count, shown.total AS orders_total_amount,
       (sign(units) * ((2 * abs(units) + shown.count * step) // (2 * shown.count * step)) * step)::DECIMAL(30, 0)
           * 0.0001::DECIMAL(5, 4) AS orders_average_amount,
       shown.last.paid AS orders_last_order_amount, shown.last.created_at AS orders_last_order_date,
       nullif(shown.currency, '') AS orders_currency,
       of_all - coalesce(shown.count, 0) AS orders_other_currencies
FROM in_units
"""
_KIND_IS = "coalesce(kind, 'redemption') = '{}'"
_TRIED, _UNDONE = _KIND_IS.format("redemption"), _KIND_IS.format("rollback")
_FAILED, _SUCCEEDED = "result = 'FAILURE'", "coalesce(result, 'SUCCESS') = 'SUCCESS'"
_COUNTS = ", ".join(
    f"count(*) FILTER ({test}) AS redemptions_total_{name}"
    for name, test in zip(
        _TOTALS,
        (
            _TRIED,
            f"{_TRIED} AND {_FAILED}",
            f"{_TRIED} AND {_SUCCEEDED}",
            _UNDONE,
            f"{_UNDONE} AND {_FAILED}",
            f"{_UNDONE} AND {_SUCCEEDED}",
        ),
        strict=True,
    )
)
_REDEMPTIONS_QUERY = f"""
SELECT customer_id, {_COUNTS} FROM redemptions WHERE {BEFORE.format("redeemed_at")} GROUP BY customer_id
"""
_REFERRED_QUERY = f"""
SELECT referrer_id AS customer_id, count(*) AS loyalty_referred_customers
FROM customers WHERE {BEFORE.format("registered_at")} GROUP BY referrer_id
"""
_POINTS_QUERY = """
SELECT customer_id, sum(active) AS points_active, sum(pending) AS points_pending,
       sum(active - negative_balance) AS loyalty_points, sum(active + pending) > 0 AS is_member,
       max(last_activity_at) AS last_activity_at, sum(lifetime_earned) AS lifetime_earned
FROM accounts WHERE customer_id IS NOT NULL GROUP BY customer_id
"""
# The tier in the first program, and there the first purse, that has one.
_TIERS_QUERY = f"""
SELECT customer_id, arg_min(tier, (program_id, subledger_id)) AS tier
FROM ({TIERS_AS_OF}) WHERE tier IS NOT NULL AND ($programs IS NULL OR list_contains($programs, program_id))
GROUP BY customer_id
"""


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
        super().__init__(asked, snapshot, scratch, _COLUMNS, KIND)
        self._options = options
        self._accounts = AccountFigures(scratch, options.programs)
        if asked.wants(*_POINTS):
            self.cuts = (asked.cut,)
            self.kept = self._accounts.kept

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        self._accounts.take(partition)
        return ()

    def parts(self) -> list[Part]:
        redeemed = tuple(f"redemptions_total_{name}" for name in _TOTALS)
        redemptions = self._reading("redemptions")
        referred = {KIND: stream(self.snapshot, KIND, ("referrer_id", "registered_at"))}
        counts = ("orders_total_count", "orders_other_currencies")
        parts = [
            self._figures(redeemed, redeemed, _REDEMPTIONS_QUERY, redemptions),
            self._figures(_ORDERS, counts, _ORDERS_QUERY, self._reading("orders")),
            self._figures(_REFERRED, _REFERRED, _REFERRED_QUERY, referred),
            self._figures(_POINTS, _SUMS, _POINTS_QUERY, {"accounts": self._accounts.owned(self.snapshot)}),
        ]
        if self.snapshot.has("tier_changes"):
            tiers = self._figures(("tier",), (), _TIERS_QUERY, self._reading("tier_changes", "tiers"))
            # The ledger's own tier is that of today.
            parts.append(replace(tiers, join=lambda rows: tiers.join(_without(rows, "tier"))))
        return parts

    def _figures(
        self, gives: Sequence[str], zeros: Sequence[str], sql: str, streams: dict[str, Stream]
    ) -> Part:
        """Return the lookup of a query's figures by customer; `zeros` are 0 for who is not in it."""
        schema = arrow_schema(glossary.columns(KIND, ("customer_id", *gives)))
        values = {"currency": self._options.currency, "programs": list(self._options.programs) or None}

        def join(rows: Batches) -> Batches:
            return counted(self.looked_up(rows, sql, streams, schema, **values), zeros)

        return Part(gives, ("customer_id",), join)

    def _reading(self, *relations: str) -> dict[str, Stream]:
        return {name: stream(self.snapshot, name, _NEEDS[name]) for name in relations}


def _without(rows: Batches, name: str) -> Batches:
    for batch in rows:
        yield batch.drop_columns([name]) if name in batch.schema.names else batch
