"""A of every issue month, for the deferred revenue method: what the issued points deferred when they were issued.

docs/ledger.md section 6. Orders and their rows come together in ranges of the order id's hash, so that memory
does not follow their number. Amounts are integers: multiples of 10 to the minus CONSIDERATION_PLACES of the
currency unit, each product rounded half up once (`liability_shares.py`).

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
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.errors import BadInput, LedgerViolation, Problem
from include.ledger.ageing import month_number, month_start
from include.ledger.hashing import text_hashes
from include.ledger.revenue import CONSIDERATION_PLACES
from include.ledger.rows import Ints
from include.reports.engine import files, joins
from include.reports.engine.splitting import Scatter
from include.reports.liabilities.programs import Program, Rates
from include.reports.liabilities.shares import (
    MONEY_UNIT,
    WORTH,
    Wide,
    decimals,
    numbers,
    shares,
    sums,
    worths,
)
from include.reports.model import LocalSnapshot, Needs

NEEDS: Needs = {
    "transactions": ("program_id", "type", "points", "created_at", "recorded_at", "order_id"),
    "orders": ("order_id", "currency", "amount", "total_amount"),
}
_RATE_SCALE = 10**8
_FIRST_MONTH = 1970 * 12  # what was issued before counts as issued in it

# Rows of transactions and orders that are brought together in one go.
_ROWS_AT_ONCE = 300_000
_ISSUED = pa.schema([("stretch", pa.int32()), ("order_id", pa.string()), ("worth", WORTH)])
_ORDERS = pa.schema(
    [("order_id", pa.string()), ("currency", pa.string()), ("price", pa.int64()), ("goods", pa.int64())]
)
_READ_ROWS = 65_536

Considerations = dict[tuple[str, int], Decimal]


def check(snapshot: LocalSnapshot) -> None:
    """Raise BadInput where the ledger has orders on its rows but no `orders`."""
    if snapshot.has("transactions", "order_id"):
        snapshot.require("liability", {"orders": NEEDS["orders"]})


def considerations(
    snapshot: LocalSnapshot,
    scratch: Path,
    programs: Mapping[str, Program],
    start: int,
    end: int,
    known_at: int,
) -> tuple[Considerations, Considerations]:
    """Return A before `start` and A before `end`, by (program, issue month), before earn reversals.

    Raises BadInput where a row was issued before the program's first rates, LedgerViolation where an order is in
    another currency than the program.
    """
    stretches = _stretches(programs, start, end)
    issued = _Issued(snapshot, list(programs), stretches, end, known_at)
    grouping = _Grouping(stretches, programs)
    for rows, orders in _ranges(snapshot, issued, scratch):
        found = grouping.of(rows, orders)
        issued.count(found.stretch, found.deferred)
    foreign = grouping.foreign
    if foreign:
        at = min(foreign)
        raise LedgerViolation(
            f"order {foreign[at]} is not in the currency of program {stretches[at].program_id}"
        )
    before: Considerations = {}
    until: Considerations = {}
    for stretch, units in zip(stretches, issued.amounts.tolist(), strict=True):
        if not units:
            continue
        key = (stretch.program_id, month_number(stretch.begins, programs[stretch.program_id].zone))
        amount = Decimal(units).scaleb(-CONSIDERATION_PLACES)
        until[key] = until.get(key, Decimal(0)) + amount
        if stretch.begins < start:
            before[key] = before.get(key, Decimal(0)) + amount
    unrated = {stretches[at].program_id for at in np.flatnonzero(issued.unrated).tolist()}
    if unrated:
        raise BadInput([_unrated(program_id) for program_id in sorted(unrated)])
    return before, until


@dataclass(frozen=True)
class _Stretch:
    """From `begins` (us) until the next stretch of the program, month and rates stay the same."""

    program_id: str
    begins: int
    unit: int | None  # price x rate, in units of 1e-16


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


def _ranges(
    snapshot: LocalSnapshot, issued: _Issued, scratch: Path
) -> Iterator[tuple[pa.Table, joins.Index]]:
    """Yield rows with an order, as _ISSUED, and their orders: those of one range of the order id's hash at a time."""
    paths = [*snapshot.files["transactions"], *snapshot.files.get("orders", ())]
    count = max(1, -(-files.row_count(paths) // _ROWS_AT_ONCE))
    parts = []
    for name, batches in (("issued", issued.with_order()), ("orders", _orders(snapshot))):
        scatter = Scatter(scratch, name, count)
        for batch in files.ahead(batches):
            scatter.add(batch, joins.hash_range(text_hashes(batch.column("order_id")), count))
        scatter.close()
        parts.append(scatter.pieces())
    for rows, orders in zip(*parts, strict=True):
        if rows.rows:
            known = pa.Table.from_batches(orders.batches(), _ORDERS)
            yield rows.table(), joins.Index(known, "order_id")
        rows.remove()
        orders.remove()


@dataclass(frozen=True)
class _Found:
    """What the rows of an order in one stretch defer: int64[n], and Wide[n]."""

    stretch: Ints
    deferred: Wide


class _Grouping:
    """Brings the rows of an order together. `foreign`: orders in another currency, one of each stretch."""

    def __init__(self, stretches: Sequence[_Stretch], programs: Mapping[str, Program]) -> None:
        self.foreign: dict[int, str] = {}
        ids = list(programs)
        self._program = np.array([ids.index(stretch.program_id) for stretch in stretches], np.int64)
        self._currency = pa.array(
            [programs[stretch.program_id].currency for stretch in stretches], pa.string()
        )

    def of(self, rows: pa.Table, orders: joins.Index) -> _Found:
        """Return what every order of `rows`, as _ISSUED, defers in each stretch."""
        ids = rows.column("order_id").combine_chunks().dictionary_encode()
        key = ids.indices.to_numpy().astype(np.int64) * self._program.size + rows.column("stretch").to_numpy()
        in_order = np.argsort(key, kind="stable")
        key = key[in_order]
        first = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
        worth = np.add.reduceat(_summable(numbers(rows.column("worth").combine_chunks()))[in_order], first)
        order, stretch = np.divmod(key[first], self._program.size)
        found = orders.of(ids.dictionary)
        self._note_foreign(stretch, ids.dictionary.take(order), found["currency"].take(order))
        known = found["price"].is_valid().to_numpy(zero_copy_only=False)[order]
        price, goods = (_money(found[name])[order] for name in ("price", "goods"))
        until = _until(worth, order, self._program[stretch])
        return _Found(stretch, np.where(known, _deferred(worth, until, price, goods), worth))

    def _note_foreign(self, stretch: Ints, ids: pa.Array, currency: pa.Array) -> None:
        other = pc.fill_null(pc.not_equal(currency, self._currency.take(stretch)), False)
        for at, name in zip(
            stretch[other.to_numpy(zero_copy_only=False)].tolist(), ids.filter(other), strict=True
        ):
            self.foreign[at] = min(self.foreign.get(at, name.as_py()), name.as_py())


def _summable(values: Wide) -> Wide:
    """Return the values as Python's integers where their sum could leave 64 bits."""
    if values.dtype != object and values.size * int(values.max(initial=0)) >= 2**63:
        return values.astype(object)
    return values


def _until(worth: Wide, order: Ints, program: Ints) -> Wide:
    """Return the sums of the worths of an order in a program up to each; they stand together, in order of time."""
    total = np.cumsum(_summable(worth))
    first = np.ones(worth.size, np.bool_)
    first[1:] = (order[1:] != order[:-1]) | (program[1:] != program[:-1])
    group = np.cumsum(first) - 1
    before = (total - worth)[first]
    found: Wide = total - before[group]
    return found


def _deferred(worth: Wide, until: Wide, price: Wide, goods: Wide) -> Wide:
    """Return what rows of an order defer: the share of all until them, less the share of all before."""
    deferred = shares(price, goods, until)
    later = np.flatnonzero(until != worth)
    if later.size:
        deferred[later] -= shares(price[later], goods[later], (until - worth)[later])
    return deferred


def _money(column: pa.Array) -> Wide:
    values: Wide = column.fill_null(0).to_numpy()
    if values.max(initial=0) >= 2**62 // MONEY_UNIT:
        values = values.astype(object)
    return values * MONEY_UNIT


def _orders(snapshot: LocalSnapshot) -> Iterator[pa.RecordBatch]:
    """Yield the orders that say both amounts, as integers of four places, at least 0."""
    paths = snapshot.files.get("orders", ())
    for batch in files.batches("orders", paths, NEEDS["orders"], batch_rows=_READ_ROWS):
        some = batch
        if batch.column("total_amount").null_count or batch.column("amount").null_count:
            both = pc.and_(batch.column("total_amount").is_valid(), batch.column("amount").is_valid())
            some = batch.filter(both)
        money = [pa.array(np.maximum(numbers(some.column(name)), 0)) for name in ("total_amount", "amount")]
        yield pa.RecordBatch.from_arrays(
            [some.column("order_id"), some.column("currency"), *money], schema=_ORDERS
        )


class _Issued:
    """What was issued before `end` and known by `known_at`. `amounts`: A of every stretch counted so far;
    `unrated`: whether points were issued in it without rates.
    """

    def __init__(
        self,
        snapshot: LocalSnapshot,
        programs: Sequence[str],
        stretches: Sequence[_Stretch],
        end: int,
        known_at: int,
    ) -> None:
        self.amounts: Wide = np.zeros(len(stretches), object)
        self.unrated = np.zeros(len(stretches), bool)
        self._snapshot = snapshot
        self._end, self._known_at = end, known_at
        self._begins = [
            np.array([s.begins for s in stretches if s.program_id == key], np.int64) for key in programs
        ]
        self._first = np.concatenate(([0], np.cumsum([len(bounds) for bounds in self._begins])))
        self._programs = pa.array(programs, pa.string())
        units = [stretch.unit for stretch in stretches]
        self._unit = sorted({unit or 0 for unit in units})
        self._unit_of = np.array([self._unit.index(unit or 0) for unit in units], np.int64)
        self._rated = np.array([unit is not None for unit in units], bool)

    def count(self, stretch: NDArray[np.integer[Any]], amounts: Wide) -> None:
        """Add amounts to their stretches."""
        self.amounts += sums(stretch.astype(np.int64), amounts, self.amounts.size)

    def with_order(self) -> Iterator[pa.RecordBatch]:
        """Yield rows with an order, as _ISSUED; count those without."""
        for batch in self._kept():
            stretch = self._stretch(batch)
            self.unrated[stretch[~self._rated[stretch]]] = True
            worth = worths(batch.column("points").to_numpy(), self._unit, self._unit_of[stretch])
            order = batch.column("order_id")
            apart = np.flatnonzero(order.is_null().to_numpy(zero_copy_only=False))
            self.count(stretch[apart], worth[apart])
            columns = [pa.array(stretch), order, decimals(worth)]
            rows = pa.RecordBatch.from_arrays(columns, schema=_ISSUED)
            yield rows.filter(order.is_valid()) if apart.size else rows

    def _stretch(self, batch: pa.RecordBatch) -> NDArray[np.int32]:
        program = pc.index_in(
            batch.column("program_id").cast(pa.string()), value_set=self._programs
        ).to_numpy()
        at = batch.column("created_at").cast(pa.int64()).to_numpy()
        stretch = np.empty(at.size, np.int32)
        for i, bounds in enumerate(self._begins):
            own = program == i
            stretch[own] = self._first[i] + np.maximum(np.searchsorted(bounds, at[own], side="right") - 1, 0)
        return stretch

    def _kept(self) -> Iterator[pa.RecordBatch]:
        kinds = pa.array(["earned", "adjusted"])
        for batch in files.batches(
            "transactions",
            self._snapshot.files["transactions"],
            NEEDS["transactions"],
            batch_rows=_READ_ROWS,
            dictionary=("program_id", "type"),
        ):
            created, recorded = (batch.column(x).cast(pa.int64()) for x in ("created_at", "recorded_at"))
            known = pc.less_equal(pc.coalesce(recorded, created), pa.scalar(self._known_at, pa.int64()))
            kept = pc.and_(known, pc.less(created, pa.scalar(self._end, pa.int64())))
            kept = pc.and_(kept, pc.greater(batch.column("points"), 0))
            kept = pc.and_(kept, _is_in(batch.column("type"), kinds))
            kept = pc.and_(kept, _is_in(batch.column("program_id"), self._programs))
            if kept.true_count:
                names = ["program_id", "points", "created_at", "order_id"]
                yield batch.select(names).filter(kept)


def _is_in(column: pa.DictionaryArray, values: pa.Array) -> pa.BooleanArray:
    return pc.is_in(column.dictionary, value_set=values).take(column.indices)


def _unit(rates: Rates) -> int | None:
    price, rate = rates.standalone_price_per_point, rates.expected_redemption_rate
    if price is None or rate is None:
        return None
    return int(price * _RATE_SCALE) * int(rate * _RATE_SCALE)


def _unrated(program: str) -> Problem:
    where = "report liability: program_rates"
    right = "points were issued before the first row with a stand-alone price and an expected redemption rate"
    return Problem(where, program, right, "missing_rate")
