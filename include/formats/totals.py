"""What is added up of a file's rows: exact sums, and the hash total of ids.

Money of different currencies is never added (docs/ledger.md section 6).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.ledger.catalog import FieldType
from include.ledger.columns import Column

# Ids that most rows share: their hash total says little.
_OF_MANY_ROWS = ("program_id", "subledger_id")
_NOTHING = {FieldType.POINTS: Decimal("0.00"), FieldType.MONEY: Decimal("0.0000")}


def sum_name(column: str, currency: str | None) -> str:
    """Return how the sum of a column is called: of money beside a currency, `amount (EUR)`."""
    return f"{column} ({currency})" if currency else column


def currency_place(columns: Sequence[Column]) -> int | None:
    """Return which column names the currency of the money beside it, None where none does."""
    places = [index for index, column in enumerate(columns) if column.name.casefold() == "currency"]
    return places[0] if places else None


def moved(then: Mapping[str, Decimal], now: Mapping[str, Decimal]) -> Iterator[tuple[str, Decimal, Decimal]]:
    """Yield the sums that both sides have and that differ: name, before, after.

    0 for a currency that one side lacks where it has the column in another one.
    """
    for name in dict.fromkeys((*then, *now)):
        before, after = (_sum(name, side) for side in (then, now))
        if before is not None and after is not None and before != after:
            yield name, before, after


def _sum(name: str, side: Mapping[str, Decimal]) -> Decimal | None:
    column, by_currency, _ = name.rpartition(" (")
    if name not in side and by_currency and any(each.startswith(f"{column} (") for each in side):
        return Decimal(0)
    return side.get(name)


class Totals:
    """Row count, sums and the hash total of ids, batch by batch."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self._currency = currency_place(columns)
        self.rows = 0
        self._sums: dict[str, dict[str | None, Decimal]] = {
            column.name: {} for column in columns if column.type in _NOTHING
        }
        ids = [column.name for column in columns if column.type is FieldType.ID]
        self.id_column = next((name for name in ids if name not in _OF_MANY_ROWS), ids[0] if ids else None)
        self._hash_total = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch of the columns' physical types."""
        self.rows += batch.num_rows
        hashed = False
        for column, array in zip(self._columns, batch.columns, strict=True):
            if column.type is FieldType.POINTS:
                self._add(column, None, Decimal(_exact_sum(array)).scaleb(-2))
            elif column.type is FieldType.MONEY:
                for currency, amounts in self._by_currency(batch, array):
                    # A precision of 38 holds the sum of any batch; the type of the column does not.
                    self._add(
                        column, currency, pc.sum(amounts.cast(pa.decimal128(38, 4))).as_py() or Decimal(0)
                    )
            elif column.name == self.id_column and not hashed:
                from include.ledger.hashing import (
                    text_hashes,  # with compiled code: most only verify or deliver
                )

                hashed = True
                hashes = text_hashes(array)
                self._hash_total += int(np.add.reduce(hashes, dtype=np.uint64))

    def _add(self, column: Column, currency: str | None, amount: Decimal) -> None:
        sums = self._sums[column.name]
        sums[currency] = sums.get(currency, _NOTHING[column.type]) + amount

    def _by_currency(self, batch: pa.RecordBatch, array: pa.Array) -> Iterator[tuple[str | None, pa.Array]]:
        if self._currency is None:
            yield None, array
            return
        currencies = batch.column(self._currency).cast(pa.string())
        for currency in pc.unique(currencies).to_pylist():
            mine = currencies.is_null() if currency is None else pc.equal(currencies, currency)
            yield currency, array.filter(pc.fill_null(mine, False))

    def watch(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the batches, counting them."""
        for batch in batches:
            self.add(batch)
            yield batch

    @property
    def sums(self) -> dict[str, str]:
        """The sums by their names, as text."""
        types = {column.name: column.type for column in self._columns}
        return {
            sum_name(column, currency): format(total, "f")
            for column, sums in self._sums.items()
            for currency, total in sorted((sums or {None: _NOTHING[types[column]]}).items(), key=_by_name)
        }

    @property
    def id_hash_total(self) -> str | None:
        """The hash total as text."""
        return f"{self._hash_total % 2**64:016x}" if self.id_column is not None else None


def _by_name(one: tuple[str | None, Decimal]) -> str:
    return one[0] or ""


def _exact_sum(array: pa.Array) -> int:
    """Return the sum of 64-bit integers, also where it needs more than 64 bits."""
    values = (array.fill_null(0) if array.null_count else array).to_numpy(zero_copy_only=False)
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())
