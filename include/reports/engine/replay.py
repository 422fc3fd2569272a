"""A partition, sorted and booked: what reports are made from.

Numbers stand in ledger order in memory, about 60 bytes a row. Text stays in the order in which it was read and
is gathered for the rows that a report asks for, a slice at a time. Of an account that is cut into several
pieces the text stays on disk, and the numbers are in scratch files mapped into memory (`room`;
docs/architecture.md, Engine).

The invariants of docs/ledger.md sections 4 and 5 are checked for every account before anything is returned.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.errors import LedgerViolation
from include.ledger.booking import (
    NEVER,
    NO_RELATED,
    RELATED_NOT_FOUND,
    AccountColumns,
    Booked,
    Room,
    RowProblem,
    Rows,
    book,
    sorted_accounts,
)
from include.ledger.invariants import chain_violations, identity_violations
from include.reports.engine.partitions import NUMBERS, SINCE_CREATED, Partition
from include.reports.engine.splitting import Piece
from include.reports.model import SLICE_ROWS, Cut

Ints = NDArray[np.int64]
Texts = Callable[[str], pa.Array]
INSTANT = pa.timestamp("us", tz="UTC")
_ACCOUNT = ("program_id", "subledger_id", "card_id", "customer_id")
_IDS = ("transaction_id", "related_transaction_id", *_ACCOUNT)
_PIECES_HELD = 3
# Rows of which a report makes figures in one go: some 150 bytes each, and the ids of a partition once a block.
BLOCK_ROWS = 40_000
_NAMED_ACCOUNTS = 20
# Rows that name another, looked up in one go.
_RELATED_AT_ONCE = 100_000


class _Texts:
    """Text columns of a partition's pieces, in the order of the files; the last few pieces are held."""

    def __init__(self, pieces: Sequence[Piece], dictionaries: Mapping[str, pa.Array]) -> None:
        self._pieces = pieces
        self._dictionaries = dictionaries
        self._held: OrderedDict[int, dict[str, pa.Array]] = OrderedDict()

    def hold(self, piece: int, table: pa.Table) -> None:
        columns = self._held.setdefault(piece, {})
        columns.update({name: _one_chunk(table.column(name)) for name in table.column_names})
        self._held.move_to_end(piece)
        while len(self._held) > _PIECES_HELD:
            self._held.popitem(last=False)

    def take(self, piece: int, name: str, rows: pa.Array) -> pa.Array:
        taken = self._column(piece, name).take(rows)
        return self._dictionaries[name].take(taken) if name in self._dictionaries else taken

    def coded(self, piece: int, name: str, rows: pa.Array) -> pa.Array:
        column = self._column(piece, name)
        if column.type == pa.string():
            return coded(column, rows)
        if name not in self._dictionaries:  # an instant is as small as its place in a dictionary
            return column.take(rows)
        codes = column.take(rows).cast(pa.int32())
        return pa.DictionaryArray.from_arrays(codes, self._dictionaries[name], safe=False)

    def _column(self, piece: int, name: str) -> pa.Array:
        if name not in self._held.get(piece, {}):
            self.hold(piece, self._pieces[piece].table([name]))
        self._held.move_to_end(piece)
        return self._held[piece][name]


@dataclass(frozen=True)
class Loaded:
    """A partition's rows of all cuts, in ledger order, not yet booked."""

    account_hash: NDArray[np.uint64]
    known_at: Ints
    rows: Rows
    file_row: NDArray[np.int32]  # where a row's text stands in the file of its piece
    piece_start: Ints  # pieces + 1
    texts_held: _Texts
    room: Room  # for what is as long as the rows

    def text(self, name: str, rows: Ints) -> pa.Array:
        """Return the text column `name` of `rows`, null where a row is negative."""
        if self.piece_start.size == 2:
            return self.texts_held.take(0, name, _indices(self.file_row, rows))
        pieces = self._piece_of(rows)
        parts, places = [], []
        for piece in np.unique(pieces).tolist() or [0]:
            at = np.flatnonzero(pieces == piece)
            parts.append(self.texts_held.take(piece, name, _indices(self.file_row, rows[at])))
            places.append(at)
        if len(parts) == 1:
            return parts[0]
        return pa.concat_arrays(parts).take(pa.array(np.argsort(np.concatenate(places), kind="stable")))

    def texts(self, rows: Ints) -> Texts:
        """Return columns of `rows` by name (see `BookedPartition.texts`)."""
        pieces = (
            np.unique(self._piece_of(rows[rows >= 0])) if self.piece_start.size > 2 else np.zeros(1, np.int64)
        )
        if pieces.size == 1:
            places = _indices(self.file_row, rows)
            return lambda name: self.texts_held.coded(int(pieces[0]), name, places)

        def copied(name: str) -> pa.Array:
            column = self.text(name, rows)
            return column.dictionary_encode() if column.type == pa.string() else column

        return copied

    def _piece_of(self, rows: Ints) -> Ints:
        return np.searchsorted(self.piece_start, np.maximum(rows, 0), side="right") - 1


@dataclass(frozen=True)
class BookedPartition:
    """Whole accounts, sorted and booked at `cut`. Rows are in ledger order; indices are into `rows`.

    `first_account` is above all numbers of accounts of earlier partitions: adding the index of an account gives
    its place in every report that is ordered by account. Not every number has an account.
    """

    cut: Cut
    rows: Rows
    booked: Booked
    account_hash: NDArray[np.uint64]
    first_account: int
    _loaded: Loaded
    _selected: Ints | None = field(repr=False)  # rows of `_loaded`, when the cut leaves some out

    def text(self, name: str, rows: Ints) -> pa.Array:
        """Return the text column `name` of `rows` (int64 indices, any order), null where one is negative.

        Ask for slices (`model.SLICE_ROWS`), not for whole partitions: that is what bounds memory.
        """
        if self._selected is not None and len(rows):
            rows = np.where(rows < 0, -1, self._selected[rows])
        return self._loaded.text(name, rows)

    def texts(self, rows: Ints) -> Texts:
        """Return columns of `rows`, as of `text`, by name: text as dictionary columns, for batches that leave.

        The dictionary is the partition's whole column, so that no text is copied before it is written; only
        of an account in several pieces it is what `text` gives.
        """
        if self._selected is not None and len(rows):
            rows = np.where(rows < 0, -1, self._selected[rows])
        return self._loaded.texts(rows)

    @property
    def rows_at_once(self) -> int:
        """Of how many rows a report may make a batch in one go: text that stands on disk is copied for it."""
        return BLOCK_ROWS if self._loaded.piece_start.size == 2 else SLICE_ROWS

    @cached_property
    def row_account(self) -> Ints:
        """The index of each row's account; read only."""
        if self.rows.accounts_count == 1:
            return np.broadcast_to(np.int64(0), len(self.rows))
        return np.repeat(np.arange(self.rows.accounts_count), np.diff(self.rows.account_start))

    @cached_property
    def accounts(self) -> pa.Table:
        """Who the accounts belong to: program_id, subledger_id ('' for none), holder_kind, holder_id, card_id,
        customer_id (null for a card: its owner stands in `cards`, not in the rows).
        """
        first = self.rows.account_start[:-1]
        program, subledger, card, customer = (self.text(name, first) for name in _ACCOUNT)
        is_card = card.is_valid()
        kind = pa.array(["customer", "card"]).take(is_card.cast(pa.int32()))
        own = pc.if_else(is_card, None, customer)
        return pa.table(
            {
                "program_id": program,
                "subledger_id": subledger,
                "holder_kind": kind,
                "holder_id": pc.coalesce(card, customer),
                "card_id": card,
                "customer_id": own,
            }
        )

    def account_name(self, account: int) -> str:
        """Return an account as a message names it."""
        who = self.accounts.slice(account, 1).to_pylist()[0]
        purse = f"/{who['subledger_id']}" if who["subledger_id"] else ""
        return f"{who['program_id']}{purse} {who['holder_kind']} {who['holder_id']}"


def load(partition: Partition, dictionaries: Mapping[str, pa.Array], room: Room = np.zeros) -> Loaded:
    """Read a partition and bring its rows into the order of docs/ledger.md section 3.

    `room` gives the arrays of a partition in several pieces.
    """
    count, pieces = partition.rows_count, partition.pieces
    room = np.zeros if len(pieces) == 1 else room
    texts = _Texts(pieces, dictionaries)
    numbers = {name: room(count, _dtype(name)) for name in NUMBERS}
    file_row = room(count, np.int32)
    related = room(count, np.int64)
    piece_start = np.concatenate(([0], np.cumsum([piece.rows for piece in pieces]))).astype(np.int64)
    account_start = np.array([0, count], np.int64)  # of a partition in several pieces
    for index, piece in enumerate(pieces):
        if len(pieces) > 1:
            piece.check()
        table = piece.table(None if len(pieces) == 1 else [*NUMBERS, *_IDS])
        columns = {name: _numbers(table.column(name)) for name in NUMBERS}
        account = AccountColumns(*(_decoded(table.column(name), dictionaries.get(name)) for name in _ACCOUNT))
        order, starts = sorted_accounts(
            columns["account_hash"],
            columns["created_at"],
            columns["type"],
            columns["points"],
            _one_chunk(table.column("transaction_id")),
            account,
        )
        begin, end = piece_start[index], piece_start[index + 1]
        file_row[begin:end] = order
        for name, values in columns.items():
            np.take(values, order, out=numbers[name][begin:end], mode="clip")
        for name in SINCE_CREATED:
            numbers[name][begin:end] += numbers["created_at"][begin:end]
        if len(pieces) == 1:
            account_start = starts
            texts.hold(0, table.drop_columns(list(NUMBERS)))
        related[begin:end] = _named(_one_chunk(table.column("related_transaction_id")), order)
        del table, columns, account, order, starts  # before the next piece is read
    rows = Rows(
        account_start=account_start,
        created_at=numbers["created_at"],
        activates_at=numbers["activates_at"],
        expires_at=numbers["expires_at"],
        type=numbers["type"],
        points=numbers["points"],
        related=related,
    )
    if len(pieces) > 1:  # one account: one hash
        numbers["account_hash"] = np.broadcast_to(numbers["account_hash"][0], count)
    loaded = Loaded(numbers["account_hash"], numbers["known_at"], rows, file_row, piece_start, texts, room)
    _resolve(loaded)
    return loaded


def book_at(loaded: Loaded, cut: Cut, *, first_account: int = 0) -> BookedPartition | None:
    """Book the rows of `cut`; None when it has none of them. Raises LedgerViolation that names accounts."""
    rows, hashes, selected = _select(loaded, cut)
    if len(rows) == 0:
        return None
    booked = book(rows, cut.book_at, allocations=cut.allocations, room=loaded.room)
    booked.problem[rows.created_at > cut.known_at] |= np.uint16(RowProblem.CREATED_AFTER_KNOWN)
    partition = BookedPartition(cut, rows, booked, hashes, first_account, loaded, selected)
    for broken, sentence in (
        (identity_violations(booked), "posted points less expired differ from active + pending - debt"),
        (chain_violations(booked), "the balances of the history do not chain"),
    ):
        if broken.size:
            named = ", ".join(
                partition.account_name(account) for account in broken[:_NAMED_ACCOUNTS].tolist()
            )
            more = f" and {broken.size - _NAMED_ACCOUNTS} more" if broken.size > _NAMED_ACCOUNTS else ""
            raise LedgerViolation(f"{sentence} for {named}{more}")
    return partition


def _select(loaded: Loaded, cut: Cut) -> tuple[Rows, NDArray[np.uint64], Ints | None]:
    rows = loaded.rows
    mask = (rows.created_at < cut.as_of) & (loaded.known_at <= cut.known_at)
    first = rows.account_start[:-1]
    if mask.all():
        return rows, loaded.account_hash[first], None
    selected = loaded.room(int(np.count_nonzero(mask)), np.int64)
    selected[:] = np.flatnonzero(mask)
    counts = np.add.reduceat(mask, first, dtype=np.int64)

    def taken(values: NDArray[Any]) -> NDArray[Any]:
        return np.take(values, selected, out=loaded.room(selected.size, values.dtype), mode="clip")

    kept = Rows(
        account_start=np.concatenate(([0], np.cumsum(counts[counts > 0]))).astype(np.int64),
        created_at=taken(rows.created_at),
        activates_at=taken(rows.activates_at),
        expires_at=taken(rows.expires_at),
        type=taken(rows.type),
        points=taken(rows.points),
        related=taken(rows.related),
    )
    place = np.cumsum(mask, dtype=np.int32, out=loaded.room(mask.size, np.int32))
    inside = np.flatnonzero(kept.related >= 0)
    for begin in range(0, inside.size, _RELATED_AT_ONCE):
        some = inside[begin : begin + _RELATED_AT_ONCE]
        target = kept.related[some]
        kept.related[some] = np.where(mask[target], place[target] - 1, RELATED_NOT_FOUND)
    return kept, loaded.account_hash[first[counts > 0]], selected


def _named(related: pa.Array, order: Ints) -> Ints:
    """Return, in ledger order, NO_RELATED for rows that name no other, and so far RELATED_NOT_FOUND for the rest."""
    if related.null_count == len(related):
        return np.full(order.size, NO_RELATED, np.int64)
    named = related.is_valid().to_numpy(zero_copy_only=False)[order]
    return np.where(named, RELATED_NOT_FOUND, NO_RELATED)


def _resolve(loaded: Loaded) -> None:
    """Set `related` to row indices, by exact comparison of ids, where row and target share the account."""
    naming = np.flatnonzero(loaded.rows.related == RELATED_NOT_FOUND)
    for begin in range(0, naming.size, _RELATED_AT_ONCE):
        _resolve_some(loaded, naming[begin : begin + _RELATED_AT_ONCE])


def _resolve_some(loaded: Loaded, named: Ints) -> None:
    ids = loaded.text("related_transaction_id", named)
    unique = ids.unique()
    target = np.full(len(unique), RELATED_NOT_FOUND, np.int64)
    for begin, end in pairwise(loaded.piece_start.tolist()):
        there = loaded.text("transaction_id", np.arange(begin, end))
        found = pc.index_in(there, value_set=unique)
        at = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
        target[found.take(pa.array(at)).to_numpy()] = at + begin
    aim = target[pc.index_in(ids, value_set=unique).to_numpy()]
    starts = loaded.rows.account_start
    same = np.searchsorted(starts, aim, side="right") == np.searchsorted(starts, named, side="right")
    loaded.rows.related[named] = np.where((aim >= 0) & same, aim, RELATED_NOT_FOUND)


def instants(values: Ints, *, none: int | None = NEVER) -> pa.Array:
    """Return microseconds as an Arrow instant column, `none` as null."""
    mask = None if none is None else values == none
    return pa.array(values, pa.int64(), mask=mask).cast(INSTANT)


def _indices(file_row: NDArray[np.int32], rows: Ints) -> pa.Array:
    missing = rows < 0
    places = file_row[rows]  # -1 is a row too: it is masked
    return pa.array(places, mask=missing) if missing.any() else pa.array(places)


def coded(texts: pa.Array, rows: pa.Array) -> pa.DictionaryArray:
    """Return `texts.take(rows)`, `rows` being int32, without a copy: as a dictionary column of them all."""
    if texts.null_count:  # of a dictionary, indices are null and not values
        rows = pc.if_else(texts.is_valid().take(rows), rows, None)
        buffers = [None, *texts.buffers()[1:]]
        texts = pa.Array.from_buffers(texts.type, len(texts), buffers, 0, texts.offset)
    return pa.DictionaryArray.from_arrays(rows, texts, safe=False)


def with_others(column: pa.DictionaryArray, where: NDArray[np.bool_], texts: pa.Array) -> pa.DictionaryArray:
    """Return a dictionary column with `texts`, one each, in the rows that `where` marks."""
    if not len(texts):
        return column
    missing = column.indices.is_null().to_numpy(zero_copy_only=False)
    places = column.indices.fill_null(0).to_numpy().copy()
    places[where] = np.arange(len(texts)) + len(column.dictionary)
    indices = pa.array(places, mask=missing & ~where)
    return pa.DictionaryArray.from_arrays(indices, pa.concat_arrays([column.dictionary, texts]), safe=False)


def words(codes: NDArray[np.integer[Any]], texts: pa.Array) -> pa.DictionaryArray:
    """Return `texts[code]` of each code as a dictionary column, null where it is negative."""
    missing = codes < 0
    indices = pa.array(codes.astype(np.int32), mask=missing if missing.any() else None)
    return pa.DictionaryArray.from_arrays(indices, texts, safe=False)


def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype({"account_hash": "u8", "type": "u1"}.get(name, "i8"))


def _numbers(column: pa.ChunkedArray) -> NDArray[Any]:
    return np.asarray(_one_chunk(column).to_numpy())


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _decoded(column: pa.ChunkedArray, dictionary: pa.Array | None) -> pa.Array:
    codes = _one_chunk(column)
    return codes if dictionary is None else dictionary.take(codes)
