"""Cutting a snapshot's transactions into partitions: contiguous ranges of the account hash, in scratch.

A partition holds whole accounts, so that it can be booked by itself. Rows keep the order in which they were
read; `replay` sorts. Partitions are local, rebuilt from the snapshot and never a contract: their number
changes no byte of any report. Few-valued text travels as codes of one dictionary that all partitions share.

Not here: what rows mean (`replay`), and what stops a run (`blocking`).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.ledger.catalog import BOOKING_COLUMNS, RELATIONS
from include.ledger.hashing import account_hashes, text_hashes
from include.ledger.rows import NEVER, TransactionType
from include.reports.engine import files
from include.reports.engine.blocking import UNKNOWN_TYPE, Blocking, IdCheck, duplicates, twice
from include.reports.engine.joins import hash_range
from include.reports.engine.splitting import ROW_LIMIT, HeldPiece, Piece, Scatter, files_for, split
from include.reports.model import Cut

# The last three stand as time since created_at, wrapping at 64 bits: mostly zero, or one lifetime, and so small.
NUMBERS = ("account_hash", "type", "points", "created_at", "known_at", "activates_at", "expires_at")
SINCE_CREATED = NUMBERS[-3:]
# Columns that usually hold few values; one that turns out to hold many is carried as plain text instead.
_FEW_VALUED = (
    "program_id",
    "subledger_id",
    "type",
    "reason",
    "reward_id",
    "campaign_id",
    "source",
    "admin_user",
    "import_id",
    "rule_name",
)
_ACCOUNT = ("program_id", "subledger_id", "card_id", "customer_id")
_MOST_VALUES = 30_000
_BATCH_ROWS = 65_536
_HEAD_BITS = 20
_REST_BITS = np.uint64(64 - _HEAD_BITS)

_TYPE_CODES = {kind.name.lower(): int(kind) for kind in TransactionType}


@dataclass(frozen=True)
class Partition:
    """Whole accounts of one range of the hash. More than one piece: one account, cut by time, in time order.

    rows_before: how many rows the partitions before it have.
    """

    pieces: tuple[Piece, ...]
    rows_before: int = 0

    @property
    def rows_count(self) -> int:
        """How many rows."""
        return sum(piece.rows for piece in self.pieces)


@dataclass(frozen=True)
class Stretch:
    """Number `number` of `count` contiguous ranges of the account hash."""

    number: int
    count: int


WHOLE = Stretch(0, 1)
# Above the rows of any stretch, so that numbers of accounts ascend from one to the next.
_NUMBERS_OF_STRETCH = 1 << 40


@dataclass(frozen=True)
class Partitions:
    """All partitions that hold rows, in order of account hash; `dictionaries` decode coded columns."""

    dictionaries: Mapping[str, pa.Array]
    rows_count: int
    _pieces: tuple[Piece, ...]
    _folder: Path
    _row_limit: int
    _rows_before: int = 0

    def __iter__(self) -> Iterator[Partition]:
        """Yield them; a file of more rows than a partition may have is split only then."""
        for index in range(self.files_count):
            yield from self.of(index)

    @property
    def files_count(self) -> int:
        """How many files they lie in."""
        return len(self._pieces)

    def of(self, index: int) -> Iterator[Partition]:
        """Yield the partitions of one of the files."""
        before = self._rows_before + sum(piece.rows for piece in self._pieces[:index])
        for run in split(self._pieces[index], self._folder, self._row_limit):
            part = Partition(run, before)
            before += part.rows_count
            yield part


class _TooManyValues(Exception):
    """A column thought few-valued holds many."""


class _Codes:
    """Codes of few-valued columns, shared by all partitions; grows while rows are read."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self._values: dict[str, dict[str, int]] = {column: {} for column in columns}
        self._last: dict[str, tuple[pa.Array, NDArray[np.int16]]] = {}

    def encode(self, column: str, array: pa.DictionaryArray) -> pa.Array:
        if column == "subledger_id" and array.null_count:  # no purse is one purse
            array = array.cast(pa.string()).fill_null("").dictionary_encode()
        last = self._last.get(column)
        if last is not None and last[0].equals(array.dictionary):
            lookup = last[1]
        else:
            if len(array.dictionary) > _MOST_VALUES:
                raise _TooManyValues(column)
            values = self._values[column]
            codes = [values.setdefault(value, len(values)) for value in array.dictionary.to_pylist()]
            if len(values) > _MOST_VALUES:
                raise _TooManyValues(column)
            lookup = np.array(codes, np.int16)
            self._last[column] = (array.dictionary, lookup)
        return pc.take(pa.array(lookup), array.indices)

    def dictionaries(self) -> dict[str, pa.Array]:
        return {column: pa.array(list(values), pa.string()) for column, values in self._values.items()}


def partition(
    transactions: Sequence[Path],
    cuts: Sequence[Cut],
    scratch: Path,
    columns: Sequence[str],
    *,
    partitions: int | None = None,
    row_limit: int = ROW_LIMIT,
    progress: Callable[[int, int], None] | None = None,
    stretch: Stretch = WHOLE,
    only: NDArray[np.uint64] | None = None,
) -> Partitions:
    """Write the rows of `transactions` that any of `cuts` asks for into partitions under `scratch`.

    stretch: only the accounts of that; an id that occurs twice is found by one of all stretches. only: the accounts of
    these hashes (sorted), of which alone rows are looked at; ids that occur twice are found among all rows.
    `columns` are the text columns wanted beside those of booking. `progress` gets (rows done, rows in all).
    Raises LedgerViolation that names the rows when the ledger has blocking problems.
    """
    few = [name for name in _FEW_VALUED if name in columns or name in BOOKING_COLUMNS]
    while True:
        try:
            work = _Work(transactions, cuts, scratch, columns, few, partitions, progress, stretch, only)
            return work.run(row_limit)
        except _TooManyValues as error:
            few.remove(str(error))


def held(transactions: pa.RecordBatch, cuts: Sequence[Cut], columns: Sequence[str]) -> Partition:
    """Return all rows of a few accounts as a partition that lies in memory; otherwise as `partition`."""
    work, blocking = _Work((), cuts, Path(), columns, (), 1, None), Blocking()
    kept, types = work.in_cuts(transactions, blocking)
    blocking.check(kept, types)
    blocking.note_ids("transaction_id twice", twice(kept.column("transaction_id")))
    blocking.stop()
    rows = pa.Table.from_batches([work.narrow(kept, types)])
    return Partition((HeldPiece(Path(), len(rows), array("I"), rows),))


def in_cut(transactions: pa.RecordBatch, cut: Cut, blocking: Blocking | None = None) -> pa.RecordBatch:
    """Return the rows that `cut` asks for; note in `blocking` what is wrong with them."""
    noted = blocking or Blocking()
    kept, types = _Work((), [cut], Path(), (), (), 1, None).in_cuts(transactions, noted)
    if blocking is not None:
        blocking.check(kept, types)
    return kept


class _Work:
    def __init__(
        self,
        transactions: Sequence[Path],
        cuts: Sequence[Cut],
        scratch: Path,
        columns: Sequence[str],
        few: Sequence[str],
        partitions: int | None,
        progress: Callable[[int, int], None] | None,
        stretch: Stretch = WHOLE,
        only: NDArray[np.uint64] | None = None,
    ) -> None:
        self.transactions = transactions
        self.cuts = sorted({(cut.as_of, cut.known_at) for cut in cuts})
        self.scratch = scratch
        wanted = {*columns, *BOOKING_COLUMNS}
        self.read = [name for name in RELATIONS["transactions"].names if name in wanted]
        self.codes = _Codes(few)
        numbers = {*NUMBERS, "recorded_at"} if "recorded_at" not in columns else set(NUMBERS)
        self.plain = [name for name in self.read if name not in numbers and name not in few]
        self.rows_all = files.row_count(transactions)
        self.stretch = stretch
        self.only = only
        self.count = partitions or files_for(-(-self.rows_all // stretch.count))
        self.progress = progress

    def run(self, row_limit: int) -> Partitions:
        blocking = Blocking()
        ids = IdCheck(self.scratch, self.rows_all)
        scatter = Scatter(self.scratch, "part", self.count)
        done = 0
        try:
            # One thread decodes, one checks and narrows, and this one writes.
            for read, rows in files.ahead(self._narrowed(blocking, ids)):
                done += read
                if len(rows):
                    place = self._place(rows.column("account_hash").to_numpy())
                    scatter.add(rows, place.astype(np.uint16))
                if self.progress:
                    self.progress(done, self.rows_all)
        finally:
            scatter.close()
            ids.close()
        self._check_ids(ids, blocking)
        blocking.stop()
        pieces = tuple(piece for piece in scatter.pieces() if piece.rows)
        rows = sum(piece.rows for piece in pieces)
        before = self.stretch.number * _NUMBERS_OF_STRETCH
        return Partitions(self.codes.dictionaries(), rows, pieces, self.scratch, row_limit, before)

    def _narrowed(self, blocking: Blocking, ids: IdCheck) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield (rows read, rows of the cuts as partitions hold them)."""
        for batch in files.ahead(self._batches()):
            kept, types = self.in_cuts(batch, blocking)
            if self.stretch.count > 1:
                ids.add(self._own_ids(kept.column("transaction_id")))
                inside = self._inside(kept)
                kept, types = kept.filter(pa.array(inside)), types[inside]
            elif len(kept):
                ids.add(kept.column("transaction_id"))
            if self.only is not None:
                inside = within(hashes_of(kept), self.only)
                kept, types = kept.filter(pa.array(inside)), types[inside]
            if len(kept):
                blocking.check(kept, types)
            yield len(batch), self.narrow(kept, types)

    def _own_ids(self, ids: pa.Array) -> pa.Array:
        """Return the ids that this stretch looks at: all rows with one id come to one stretch."""
        return ids.filter(pa.array(hash_range(text_hashes(ids), self.stretch.count) == self.stretch.number))

    def _inside(self, batch: pa.RecordBatch) -> NDArray[np.bool_]:
        place = self._place(hashes_of(batch))
        return (place >= 0) & (place < self.count)

    def _place(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the number of each hash's partition within the stretch; others are outside."""
        every = np.uint64(self.count * self.stretch.count)
        place = ((hashes >> np.uint64(32)) * every) >> np.uint64(32)
        return place.astype(np.int64) - self.count * self.stretch.number

    def _batches(self) -> Iterator[pa.RecordBatch]:
        return files.batches(
            "transactions",
            self.transactions,
            self.read,
            batch_rows=_BATCH_ROWS,
            dictionary=self.codes.columns,
        )

    def in_cuts(self, batch: pa.RecordBatch, blocking: Blocking) -> tuple[pa.RecordBatch, NDArray[np.uint8]]:
        blocking.check_instants(batch)
        created, known = instants_of(batch)
        mask = np.zeros(len(batch), np.bool_)
        for as_of, known_at in self.cuts:
            mask |= (created < as_of) & (known <= known_at)
        if not mask.all():
            batch = batch.filter(pa.array(mask))
        return batch, _type_codes(batch.column("type"))

    def narrow(self, batch: pa.RecordBatch, types: NDArray[np.uint8]) -> pa.RecordBatch:
        created = _instants(batch.column("created_at"), NEVER)
        texts = [_text(batch.column(name)) for name in _ACCOUNT]
        arrays: dict[str, pa.Array] = {
            "account_hash": pa.array(account_hashes(*texts)),
            "type": pa.array(types),
            "points": batch.column("points"),
            "created_at": pa.array(created),
            "known_at": pa.array(_known(batch, created) - created),
            "activates_at": pa.array(
                np.maximum(_instants(batch.column("activates_at"), -NEVER), created) - created
            ),
            "expires_at": pa.array(_instants(batch.column("expires_at"), NEVER) - created),
        }
        for name in self.codes.columns:
            if name != "type":
                arrays[name] = self.codes.encode(name, batch.column(name))
        for name in self.plain:
            arrays.setdefault(name, _plain(name, batch.column(name)))
        return pa.RecordBatch.from_pydict(arrays)

    def _check_ids(self, ids: IdCheck, blocking: Blocking) -> None:
        suspects = ids.suspects()
        if suspects.size:
            columns = ("transaction_id", "created_at", "recorded_at")
            again = files.batches("transactions", self.transactions, columns, batch_rows=_BATCH_ROWS)
            kept = (self._in_cut_ids(batch) for batch in again)
            blocking.note_ids("transaction_id twice", duplicates(kept, suspects))

    def _in_cut_ids(self, batch: pa.RecordBatch) -> pa.Array:
        created, known = instants_of(batch)
        mask = np.zeros(len(batch), np.bool_)
        for as_of, known_at in self.cuts:
            mask |= (created < as_of) & (known <= known_at)
        return batch.column("transaction_id").filter(pa.array(mask))


def instants_of(batch: pa.RecordBatch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return when each row came about, and when it was known: us since the epoch."""
    created = _instants(batch.column("created_at"), NEVER)
    return created, _known(batch, created)


def hashes_of(batch: pa.RecordBatch) -> NDArray[np.uint64]:
    """Return the hash of each row's account."""
    return account_hashes(*(_text(batch.column(name)) for name in _ACCOUNT))


def within(some: NDArray[np.uint64], chosen: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which hashes are among the chosen ones, which are sorted."""
    found = np.zeros(some.size, np.bool_)
    if chosen.size:
        begins = np.zeros(1 << _HEAD_BITS, np.bool_)  # most rows are of none: their first bits say so
        begins[chosen >> _REST_BITS] = True
        likely = np.flatnonzero(begins[some >> _REST_BITS])
        place = np.minimum(np.searchsorted(chosen, some[likely]), chosen.size - 1)
        found[likely] = chosen[place] == some[likely]
    return found


def _instants(column: pa.Array, null: int) -> NDArray[np.int64]:
    numbers = column.cast(pa.int64())
    return np.asarray((numbers.fill_null(null) if numbers.null_count else numbers).to_numpy(), np.int64)


def _known(batch: pa.RecordBatch, created: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return when each row was known: recorded_at, or created_at where it has none."""
    recorded = batch.column("recorded_at")
    if recorded.null_count == len(recorded):
        return created
    known = _instants(recorded, NEVER)
    return np.where(known == NEVER, created, known) if recorded.null_count else known


def _type_codes(column: pa.DictionaryArray | pa.Array) -> NDArray[np.uint8]:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = [_TYPE_CODES.get(word, UNKNOWN_TYPE) for word in column.dictionary.to_pylist()]
    lookup = np.array([*codes, UNKNOWN_TYPE], np.uint8)
    indices = column.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False)
    return np.asarray(lookup[indices], np.uint8)


def _plain(name: str, column: pa.Array) -> pa.Array:
    """Return the column with one word for "none": '' for a purse, null for a card and for a related row."""
    if name == "subledger_id":
        return column.fill_null("")
    if name in {"card_id", "related_transaction_id"} and column.null_count < len(column):
        return pc.if_else(pc.equal(pc.binary_length(column), 0), None, column)
    return column


def _text(column: pa.Array) -> pa.Array:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
