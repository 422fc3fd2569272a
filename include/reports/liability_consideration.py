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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.errors import BadInput, LedgerViolation, Problem
from include.ledger.ageing import month_number, month_start
from include.ledger.revenue import CONSIDERATION_PLACES
from include.reports import files
from include.reports.engine import Engine
from include.reports.liability_programs import Program, Rates
from include.reports.model import LocalSnapshot, Needs

NEEDS: Needs = {
    "transactions": ("program_id", "type", "points", "created_at", "recorded_at", "order_id"),
    "orders": ("order_id", "currency", "amount", "total_amount"),
}
_RATE_SCALE = 10**8
_FIRST_MONTH = 1970 * 12  # what was issued before counts as issued in it

# `stretches` holds the stretches of time in which month and rates of a program stay the same; a cut starts one
# too, so that one pass gives the sums before and after it. `unit` is price x rate: points are 1e-2 and the two
# rates 1e-8 each, so P in units of 1e-8 is points x unit / 1e10. Only an order with rows in several stretches
# needs a running sum, and few orders have.
_SQL = """
WITH grouped AS MATERIALIZED (
    SELECT s.program, i.stretch, i.order_id, bool_or(s.unit IS NULL) AS unrated,
           coalesce(sum((2 * i.points::HUGEINT * s.unit::HUGEINT + 10000000000) // 20000000000), 0) AS worth
    FROM issued i JOIN stretches s ON s.stretch = i.stretch
    GROUP BY s.program, i.stretch, i.order_id
), spanning AS (
    SELECT program, order_id FROM grouped WHERE order_id IS NOT NULL GROUP BY ALL HAVING count(*) > 1
), running AS (
    SELECT g.*, sum(g.worth) OVER (PARTITION BY g.program, g.order_id ORDER BY g.stretch) AS until
    FROM grouped g SEMI JOIN spanning USING (program, order_id)
    UNION ALL
    SELECT g.*, g.worth AS until FROM grouped g ANTI JOIN spanning USING (program, order_id)
), shared AS (
    SELECT r.program, r.stretch, r.unrated, r.worth, r.until, o.order_id AS known, o.currency,
           (greatest(o.total_amount, 0)::DECIMAL(38, 4) * 10000)::HUGEINT * 10000 AS price,
           (greatest(o.amount, 0)::DECIMAL(38, 4) * 10000)::HUGEINT * 10000 AS goods
    FROM running r LEFT JOIN orders o
      ON o.order_id = r.order_id AND o.total_amount IS NOT NULL AND o.amount IS NOT NULL
)
SELECT program, stretch, bool_or(unrated) AS unrated, min(known) FILTER (currency <> own_currency) AS foreign,
       sum(CASE WHEN known IS NULL THEN worth ELSE
           CASE WHEN goods + until = 0 THEN 0
                ELSE (2 * price * until + goods + until) // (2 * (goods + until)) END
         - CASE WHEN goods + until - worth = 0 THEN 0
                ELSE (2 * price * (until - worth) + goods + until - worth) // (2 * (goods + until - worth)) END
       END)::VARCHAR AS amount
FROM shared JOIN (SELECT DISTINCT program AS own, currency AS own_currency FROM currencies) ON own = program
GROUP BY program, stretch ORDER BY program, stretch
"""
_SCHEMA = pa.schema(
    [
        ("stretch", pa.int32()),
        ("unrated", pa.bool_()),
        ("foreign", pa.string()),
        ("amount", pa.string()),
    ]
)
_ISSUED = pa.schema([("stretch", pa.int32()), ("order_id", pa.string()), ("points", pa.int64())])
_STRETCHES = pa.schema([("stretch", pa.int32()), ("program", pa.int32()), ("unit", pa.decimal128(38, 0))])
_CURRENCIES = pa.schema([("program", pa.int32()), ("currency", pa.string())])
_READ_ROWS = 65_536

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
    if snapshot.has("transactions", "order_id"):
        snapshot.require("liability", {"orders": NEEDS["orders"]})
    stretches = _stretches(programs, start, end)
    before: Considerations = {}
    until: Considerations = {}
    unrated: set[str] = set()
    with Engine(scratch) as engine:
        engine.add(snapshot, "orders", NEEDS["orders"])
        issued = _issued(snapshot, list(programs), stretches, end, known_at)
        engine.add_reader("issued", pa.RecordBatchReader.from_batches(_ISSUED, issued))
        engine.add_reader("stretches", _as_table(stretches, programs).to_reader())
        currencies = [{"program": i, "currency": x.currency} for i, x in enumerate(programs.values())]
        engine.add_reader("currencies", pa.Table.from_pylist(currencies, _CURRENCIES).to_reader())
        for batch in engine.run(_SQL, _SCHEMA):
            for row in batch.to_pylist():
                stretch = stretches[row["stretch"]]
                if row["foreign"] is not None:
                    raise LedgerViolation(
                        f"order {row['foreign']} is not in the currency of program {stretch.program_id}"
                    )
                if row["unrated"]:
                    unrated.add(stretch.program_id)
                key = (stretch.program_id, month_number(stretch.begins, programs[stretch.program_id].zone))
                amount = Decimal(row["amount"]).scaleb(-CONSIDERATION_PLACES)
                until[key] = until.get(key, Decimal(0)) + amount
                if stretch.begins < start:
                    before[key] = before.get(key, Decimal(0)) + amount
    if unrated:
        raise BadInput([_unrated(program_id) for program_id in sorted(unrated)])
    return before, until


@dataclass(frozen=True)
class _Stretch:
    """From `begins` (us) until the next stretch of the program, month and rates stay the same."""

    program_id: str
    begins: int
    unit: Decimal | None


def _stretches(programs: Mapping[str, Program], start: int, end: int) -> list[_Stretch]:
    """Return the stretches of all programs, those of one together and in order of time."""
    found = []
    for key, program in programs.items():
        last = month_number(end, program.zone)
        months = {month_start(number, program.zone) for number in range(_FIRST_MONTH, last + 1)}
        for begins in sorted({start, *months, *(rates.valid_from for rates in program.rates)}):
            held = [rates for rates in program.rates if rates.valid_from <= begins]
            found.append(_Stretch(key, begins, _unit(held[-1]) if held else None))
    return found


def _as_table(stretches: Sequence[_Stretch], programs: Mapping[str, Program]) -> pa.Table:
    ids = list(programs)
    rows = [
        {"stretch": i, "program": ids.index(stretch.program_id), "unit": stretch.unit}
        for i, stretch in enumerate(stretches)
    ]
    return pa.Table.from_pylist(rows, _STRETCHES)


def _issued(
    snapshot: LocalSnapshot, programs: Sequence[str], stretches: Sequence[_Stretch], end: int, known_at: int
) -> Iterator[pa.RecordBatch]:
    """Yield what was issued before `end` and known by `known_at`: stretch, order, points."""
    begins = [np.array([s.begins for s in stretches if s.program_id == key], np.int64) for key in programs]
    first = np.concatenate(([0], np.cumsum([len(bounds) for bounds in begins])))
    kinds, wanted = pa.array(["earned", "adjusted"]), pa.array(programs, pa.string())
    for batch in files.batches(
        "transactions",
        snapshot.files["transactions"],
        NEEDS["transactions"],
        batch_rows=_READ_ROWS,
        dictionary=("program_id", "type"),
    ):
        created, recorded = (batch.column(name).cast(pa.int64()) for name in ("created_at", "recorded_at"))
        known = pc.less_equal(pc.coalesce(recorded, created), pa.scalar(known_at, pa.int64()))
        kept = pc.and_(known, pc.less(created, pa.scalar(end, pa.int64())))
        kept = pc.and_(kept, pc.greater(batch.column("points"), 0))
        kept = pc.and_(kept, pc.is_in(batch.column("type").cast(pa.string()), value_set=kinds))
        kept = pc.and_(kept, pc.is_in(batch.column("program_id").cast(pa.string()), value_set=wanted))
        if not kept.true_count:
            continue
        some = batch.filter(kept)
        program = pc.index_in(some.column("program_id").cast(pa.string()), value_set=wanted).to_numpy()
        at = created.filter(kept).to_numpy()
        stretch = np.empty(at.size, np.int32)
        for i, bounds in enumerate(begins):
            own = program == i
            stretch[own] = first[i] + np.maximum(np.searchsorted(bounds, at[own], side="right") - 1, 0)
        columns = [pa.array(stretch), some.column("order_id"), some.column("points")]
        yield pa.RecordBatch.from_arrays(columns, schema=_ISSUED)


def _unit(rates: Rates) -> Decimal | None:
    price, rate = rates.standalone_price_per_point, rates.expected_redemption_rate
    if price is None or rate is None:
        return None
    return Decimal(int(price * _RATE_SCALE) * int(rate * _RATE_SCALE))


def _unrated(program: str) -> Problem:
    where = "report liability: program_rates"
    right = "points were issued before the first row with a stand-alone price and an expected redemption rate"
    return Problem(where, program, right, "missing_rate")
