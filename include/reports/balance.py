"""Balance: what every account, or every customer, holds as of an instant.

docs/ledger.md section 4. A customer's figures are those of the customer's own accounts and owned cards; a card
without an owner is a row of its own, so customers add up to accounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from include.ledger.balances import balances
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from include.reports import programs
from include.reports.engine import TIERS_AS_OF, Engine
from include.reports.files import Spool
from include.reports.model import Asked, Cut, LocalSnapshot, Needs, Period, Report, arrow_schema
from include.reports.partitions import BOOKING_COLUMNS
from include.reports.replay import BookedPartition, instants

KIND = "balance"
TITLE = "Balances"
PERIOD: Period = "none"

_CUSTOMERS = ("customer_id", "name", "email", "registered_at", "stated_balance")
_CARDS = ("card_id", "customer_id", "stated_balance")
_CHANGES = ("program_id", "subledger_id", "customer_id", "changed_at", "tier_id")
_TIERS = ("program_id", "tier_id", "name")

_POINTS = ("active", "pending", "expired", "spent", "negative_balance", "points_balance", "lifetime_earned")
_COLUMNS = (
    Column("program_id", FieldType.ID),
    Column("program_name", FieldType.TEXT),
    Column("subledger_id", FieldType.ID),
    Column("holder_kind", FieldType.ENUM),
    Column("holder_id", FieldType.ID),
    Column("customer_id", FieldType.ID),
    Column("customer_name", FieldType.TEXT),
    Column("email", FieldType.TEXT),
    Column("tier", FieldType.TEXT),
    *(Column(name, FieldType.POINTS) for name in _POINTS),
    Column("registered_at", FieldType.INSTANT),
    Column("last_activity_at", FieldType.INSTANT),
    Column("stated_balance", FieldType.POINTS),
    Column("stated_difference", FieldType.POINTS),
)
_FIGURES = pa.schema(
    [
        ("seq", pa.int64()),
        ("program_id", pa.string()),
        ("subledger_id", pa.string()),
        ("holder_kind", pa.string()),
        ("holder_id", pa.string()),
        ("card_id", pa.string()),
        ("customer_id", pa.string()),
        *((name, pa.int64()) for name in _POINTS),
        ("last_activity_at", pa.timestamp("us", tz="UTC")),
    ]
)


_STATED = (
    "CASE WHEN f.card_id IS NOT NULL THEN f.card_stated WHEN f.rows_count = 1 THEN c.stated_balance END"
)
# A customer's stated balance is compared with the one row that the customer has; of several none is the whole.
_OWNED = f"""
WITH owned AS (
    SELECT f.*, coalesce(f.customer_id, k.customer_id) AS owner, k.stated_balance AS card_stated
    FROM figures f LEFT JOIN cards k ON k.card_id = f.card_id
), held AS MATERIALIZED ({TIERS_AS_OF})
"""
_BY_ACCOUNT = f"""
{_OWNED},
counted AS (SELECT *, count(*) OVER (PARTITION BY owner) AS rows_count FROM owned)
SELECT f.* EXCLUDE (customer_id), f.owner AS customer_id, p.name AS program_name, c.name AS customer_name, c.email, c.registered_at,
       coalesce(t.tier, o.tier) AS tier,
       {_STATED} AS stated_balance, {_STATED} - f.points_balance AS stated_difference
FROM counted f
LEFT JOIN programs p ON p.program_id = f.program_id
LEFT JOIN customers c ON c.customer_id = f.owner
LEFT JOIN held t ON (t.program_id, t.subledger_id, t.customer_id) = (f.program_id, f.subledger_id, f.owner)
LEFT JOIN held o ON (o.program_id, o.subledger_id, o.customer_id) = (f.program_id, '', f.owner)
WHERE $include_zero OR f.active <> 0 OR f.pending <> 0 OR f.negative_balance <> 0
ORDER BY f.seq
"""
_BY_CUSTOMER = f"""
{_OWNED},
grouped AS (
    SELECT program_id, owner AS customer_id, CASE WHEN owner IS NULL THEN card_id END AS card_id,
           {", ".join(f"sum({name})::BIGINT AS {name}" for name in _POINTS)},
           max(last_activity_at) AS last_activity_at, any_value(card_stated) AS card_stated
    FROM owned GROUP BY ALL
),
counted AS (SELECT *, count(*) OVER (PARTITION BY customer_id) AS rows_count FROM grouped),
tier_of AS (SELECT program_id, customer_id, arg_min(tier, subledger_id) AS tier FROM held GROUP BY ALL)
SELECT f.*, CASE WHEN f.card_id IS NULL THEN 'customer' ELSE 'card' END AS holder_kind,
       coalesce(f.card_id, f.customer_id) AS holder_id,
       p.name AS program_name, c.name AS customer_name, c.email, c.registered_at, t.tier,
       {_STATED} AS stated_balance, {_STATED} - f.points_balance AS stated_difference
FROM counted f
LEFT JOIN programs p ON p.program_id = f.program_id
LEFT JOIN customers c ON c.customer_id = f.customer_id
LEFT JOIN tier_of t ON (t.program_id, t.customer_id) = (f.program_id, f.customer_id)
WHERE $include_zero OR f.active <> 0 OR f.pending <> 0 OR f.negative_balance <> 0
ORDER BY f.program_id, holder_kind DESC, holder_id
"""


class Options(BaseModel):
    """`grain` says what one row is; `programs` keeps only these; `include_zero` keeps rows that hold nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grain: Literal["account", "customer"] = "account"
    include_zero: bool = True
    programs: tuple[str, ...] = ()


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the report reads where the ledger has them."""
    return {
        "transactions": BOOKING_COLUMNS,
        "programs": programs.COLUMNS,
        "customers": _CUSTOMERS,
        "cards": _CARDS,
        "tier_changes": _CHANGES,
        "tiers": _TIERS,
    }


def columns(options: Options) -> tuple[Column, ...]:
    """Return the output columns in order; a customer's row has no subledger."""
    left_out = {"subledger_id"} if options.grain == "customer" else set()
    return tuple(column for column in _COLUMNS if column.name not in left_out)


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the balances at `as_of`; raise BadInput for a program that the ledger does not have."""
    options = Options.model_validate(asked.options.model_dump())
    programs.check(snapshot, KIND, options.programs)
    return _Balance(asked, options, snapshot, scratch)


class _Balance:
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        self.cuts: tuple[Cut, ...] = (asked.cut,)
        self._asked = asked
        self._options = options
        self._snapshot = snapshot
        self._scratch = scratch
        self._figures = Spool(scratch / "figures.arrow", _FIGURES)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        figures = balances(partition.booked)
        numbers = {name: pa.array(getattr(figures, name)) for name in _POINTS}
        table = partition.accounts.append_column(
            "last_activity_at", instants(figures.last_activity_at, none=-1)
        ).append_column("seq", pa.array(np.arange(len(figures.active)) + partition.first_account))
        for name, values in numbers.items():
            table = table.append_column(name, values)
        table = programs.keep(table, self._options.programs)
        for batch in table.select(_FIGURES.names).to_batches():
            self._figures.write(batch)
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        with Engine(self._scratch) as engine:
            engine.add_reader("figures", self._figures.reader())
            for relation, names in needs(self._options).items():
                if relation != "transactions":
                    engine.add(self._snapshot, relation, names)
            sql = _BY_ACCOUNT if self._options.grain == "account" else _BY_CUSTOMER
            schema = arrow_schema(columns(self._options))
            yield from engine.run(
                sql, schema, as_of=self._asked.as_of, include_zero=self._options.include_zero
            )
