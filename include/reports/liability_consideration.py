"""A of every issue month, for the deferred revenue method: what the issued points deferred when they were issued.

docs/ledger.md section 6. DuckDB adds it up over the snapshot in bounded memory, in integers only: amounts are
multiples of 10 to the minus CONSIDERATION_PLACES of the currency unit, each product rounded half up once.
`include.ledger.revenue.points_price` and `order_consideration` say the same in plain Python.

Decided here, where the rules leave a choice:

- Issued points are `earned` and positive `adjusted` rows; their rates are those valid from at or before the
  row's created_at, and never change afterwards.
- Several rows of one order defer, together, what one row with all their points would; a later row of an order
  defers what it adds to that, in its own issue month, so that an earlier month never changes.
- The price is orders.total_amount, the goods' stand-alone price orders.amount. A row whose order is unknown,
  or lacks one of the two, counts as a row without an order: it defers P.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from include.errors import BadInput, LedgerViolation, Problem
from include.ledger.ageing import month_number, month_start
from include.ledger.revenue import CONSIDERATION_PLACES
from include.reports.engine import Engine
from include.reports.liability_programs import Program, Rates
from include.reports.model import LocalSnapshot, Needs

NEEDS: Needs = {
    "transactions": ("program_id", "type", "points", "created_at", "recorded_at", "order_id"),
    "orders": ("order_id", "currency", "amount", "total_amount"),
}
_RATE_SCALE = 10**8
_FIRST_MONTH = 1970 * 12

# `calendar` holds, per program, the stretches of time in which month and rates stay the same; `worth` is P in
# units of 1e-8: points are 1e-2 and the two rates 1e-8 each, hence the division by 1e10. A cut is a start of a
# stretch too, so that one pass gives the sums before and after it.
_SQL = """
WITH issued AS (
    SELECT program_id, order_id, epoch_us(created_at) AS happened, points::HUGEINT AS points
    FROM transactions
    WHERE (type = 'earned' OR type = 'adjusted') AND points > 0
      AND epoch_us(created_at) < $end AND epoch_us(coalesce(recorded_at, created_at)) <= $known_at
), valued AS (
    SELECT i.program_id, i.order_id, i.happened, c.month, c.after_start, c.unit IS NULL AS unrated,
           coalesce((2 * i.points * c.unit::HUGEINT + 10000000000) // 20000000000, 0) AS worth
    FROM issued i ASOF LEFT JOIN calendar c ON c.program_id = i.program_id AND i.happened >= c.begins
), priced AS (
    SELECT v.*, o.order_id AS known, o.currency,
           (greatest(o.total_amount, 0)::DECIMAL(38, 4) * 10000)::HUGEINT * 10000 AS price,
           (greatest(o.amount, 0)::DECIMAL(38, 4) * 10000)::HUGEINT * 10000 AS goods
    FROM valued v LEFT JOIN orders o
      ON o.order_id = v.order_id AND o.total_amount IS NOT NULL AND o.amount IS NOT NULL
), ordered AS (
    SELECT program_id, month, after_start, price, goods, currency, unrated, worth, known,
           sum(worth) OVER (PARTITION BY program_id, known ORDER BY happened) AS running
    FROM (
        SELECT program_id, known, happened, month, after_start, any_value(price) AS price, any_value(goods) AS goods,
               any_value(currency) AS currency, bool_or(unrated) AS unrated, sum(worth) AS worth
        FROM priced WHERE known IS NOT NULL GROUP BY program_id, known, happened, month, after_start
    )
), shared AS (
    SELECT program_id, month, after_start, currency, unrated, known,
           CASE WHEN goods + running = 0 THEN 0
                ELSE (2 * price * running + goods + running) // (2 * (goods + running)) END
         - CASE WHEN goods + running - worth = 0 THEN 0
                ELSE (2 * price * (running - worth) + goods + running - worth)
                     // (2 * (goods + running - worth)) END AS amount
    FROM ordered
    UNION ALL
    SELECT program_id, month, after_start, NULL, unrated, NULL, worth FROM priced WHERE known IS NULL
)
SELECT s.program_id, s.month, s.after_start, sum(s.amount)::VARCHAR AS amount, bool_or(s.unrated) AS unrated,
       min(s.known) FILTER (s.currency <> p.currency) AS other_currency
FROM shared s JOIN currencies p ON p.program_id = s.program_id
GROUP BY ALL ORDER BY ALL
"""
_SCHEMA = pa.schema(
    [
        ("program_id", pa.string()),
        ("month", pa.int64()),
        ("after_start", pa.bool_()),
        ("amount", pa.string()),
        ("unrated", pa.bool_()),
        ("other_currency", pa.string()),
    ]
)

Considerations = dict[tuple[str, int], Decimal]


def considerations(
    snapshot: LocalSnapshot,
    scratch: Path,
    programs: Mapping[str, Program],
    start: int,
    end: int,
    known_at: int,
) -> tuple[Considerations, Considerations]:
    """Return A before `start` and A before `end`, by (program, issue month), before earn reversals.

    Raises BadInput where a row was issued before the program's first rates, or the ledger has orders on its
    rows but no `orders`; LedgerViolation where an order is in another currency than the program.
    """
    _require_orders(snapshot)
    before: Considerations = {}
    until: Considerations = {}
    problems: list[Problem] = []
    with Engine(scratch) as engine:
        for relation, columns in NEEDS.items():
            engine.add(snapshot, relation, columns)
        engine.add_reader("calendar", _calendar(programs, start, end).to_reader())
        currencies = [{"program_id": key, "currency": program.currency} for key, program in programs.items()]
        engine.add_reader("currencies", pa.Table.from_pylist(currencies, _CURRENCIES).to_reader())
        for batch in engine.run(_SQL, _SCHEMA, end=end, known_at=known_at):
            for row in batch.to_pylist():
                if row["other_currency"] is not None:
                    raise LedgerViolation(
                        f"order {row['other_currency']} is not in the currency of program {row['program_id']}"
                    )
                if row["unrated"]:
                    problems.append(_unrated(row["program_id"]))
                key = (row["program_id"], row["month"])
                amount = Decimal(row["amount"]).scaleb(-CONSIDERATION_PLACES)
                until[key] = until.get(key, Decimal(0)) + amount
                if not row["after_start"]:
                    before[key] = before.get(key, Decimal(0)) + amount
    if problems:
        raise BadInput(sorted(set(problems), key=str))
    return before, until


_CURRENCIES = pa.schema([("program_id", pa.string()), ("currency", pa.string())])
_CALENDAR = pa.schema(
    [
        ("program_id", pa.string()),
        ("begins", pa.int64()),
        ("month", pa.int64()),
        ("after_start", pa.bool_()),
        ("unit", pa.decimal128(38, 0)),
    ]
)


def _calendar(programs: Mapping[str, Program], start: int, end: int) -> pa.Table:
    rows = []
    for key, program in programs.items():
        months = {
            month_start(n, program.zone) for n in range(_FIRST_MONTH, month_number(end, program.zone) + 1)
        }
        for begins in sorted({start, *months, *(rates.valid_from for rates in program.rates)}):
            held = [rates for rates in program.rates if rates.valid_from <= begins]
            rows.append(
                {
                    "program_id": key,
                    "begins": begins,
                    "month": month_number(begins, program.zone),
                    "after_start": begins >= start,
                    "unit": _unit(held[-1]) if held else None,
                }
            )
    return pa.Table.from_pylist(rows, _CALENDAR)


def _unit(rates: Rates) -> Decimal | None:
    price, rate = rates.standalone_price_per_point, rates.expected_redemption_rate
    if price is None or rate is None:
        return None
    return Decimal(int(price * _RATE_SCALE) * int(rate * _RATE_SCALE))


def _require_orders(snapshot: LocalSnapshot) -> None:
    if snapshot.has("transactions", "order_id"):
        snapshot.require("liability", {"orders": NEEDS["orders"]})


def _unrated(program: str) -> Problem:
    where = "report liability: program_rates"
    right = "points were issued before the first row with a stand-alone price and an expected redemption rate"
    return Problem(where, program, right, "missing_rate")
