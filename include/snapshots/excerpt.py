"""An excerpt: all that reports need of one customer, or of one card that nobody owns, read from the ledger now.

It is read straight from the database, by its indexes: what it costs follows the rows of the customer and not the size
of the ledger, and it is current to the second. Reports take it for a snapshot: whole accounts are in it.
docs/ledger.md section 2: a customer has the own accounts, and those of the cards that the customer owns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.errors import BadInput, LoyaltyError, Problem, Transient
from include.ledger.catalog import RELATIONS, arrow_schema
from include.ledger.people import Name, naming
from include.reports.model import LocalSnapshot, Needs
from include.snapshots.erased import Erased
from include.snapshots.reading import Reading, Which
from include.snapshots.source import Source, open_read

# How many ids are asked for in one statement.
IDS_AT_ONCE = 500
MOST_CARDS = 5_000
# What tells whose rows are whose, wanted or not.
_ALWAYS = {
    "customers": ("customer_id",),
    "cards": ("card_id", "customer_id"),
    "transactions": ("transaction_id", "customer_id", "card_id", "type", "reward_id"),
}
# So many ids of things that transactions name are remembered, to look the things up.
MOST_IDS = 50_000


@dataclass(frozen=True)
class Holder:
    """Whose points they are: a customer's (CUSTOMER), or those of a card that nobody owns (CARD)."""

    kind: Name
    id: str


@dataclass(frozen=True)
class Excerpt:
    """The rows, as files of a folder. `read_at`: microseconds on the database's clock; `rows`: of transactions.

    cards: those whose accounts are in it. things: whether the redemptions, rewards and vouchers that transactions
    name are in it; not so where there are too many of them.
    """

    holder: Holder
    snapshot: LocalSnapshot
    read_at: int
    rows: int
    cards: tuple[str, ...]
    things: bool


class TooLong(LoyaltyError):
    """There are more transactions than whoever asks can take."""


@contextmanager
def looking(source: Source, erased: Erased | None) -> Iterator[Looking]:
    """Open the ledger for a look at some rows; raises what `open_read` does."""
    with open_read(source, values=False) as reading:
        yield Looking(reading, erased)


class Looking:
    """A ledger that is open, in which nobody is who was erased."""

    def __init__(self, reading: Reading, erased: Erased | None) -> None:
        self._reading = reading
        self._erased = erased

    def has(self, relation: str) -> bool:
        """Return whether the ledger has the relation."""
        return self._reading.has(relation)

    def some(self, relation: str, columns: Sequence[str], which: Which | None) -> Iterator[pa.RecordBatch]:
        """Yield some rows, or all, with the columns of these that the ledger has; nothing without the relation."""
        if not self._reading.has(relation):
            return
        there = self._reading.columns(relation)
        present = [name for name in columns if name in there]
        also = {which.column} if which else set()
        if self._erased is not None:
            also |= {name for name in naming(RELATIONS[relation]) if name in there}
        read = [*present, *sorted(also - set(present))]
        rows = (
            self._reading.stream(relation, read)
            if which is None
            else self._reading.stream_some(relation, read, which)
        )
        for batch in rows:
            clean = batch if self._erased is None else self._erased.apply(relation, batch)
            yield clean.select(present)

    def table(self, relation: str, columns: Sequence[str], which: Which | None) -> pa.Table:
        """Return some rows as a table with all of `columns`, nulls where the ledger has no such column."""
        schema = arrow_schema(RELATIONS[relation], columns)
        found = pa.Table.from_batches(
            [_with_all(batch, schema) for batch in self.some(relation, columns, which)], schema
        )
        return found.combine_chunks()

    def is_gone(self, holder: Holder) -> bool:
        """Return whether they were erased: then nothing here is theirs."""
        return self._erased is not None and self._erased.name(holder.kind, holder.id) is not None

    def owner_of(self, card: str) -> str | None:
        """Return who owns a card; None for nobody, and for a card that is not there."""
        if self.is_gone(Holder(Name.CARD, card)):
            return None
        found = self.table("cards", ("card_id", "customer_id"), Which("card_id", (card,)))
        owners = [owner for owner in found.column("customer_id").to_pylist() if owner]
        return owners[0] if owners else None

    def excerpt(
        self, holder: Holder, needs: Needs, folder: Path, *, most_rows: int | None = None
    ) -> Excerpt | None:
        """Return all rows of `needs` that are about a holder, as files below `folder`; None for whom nobody knows.

        Raises TooLong as soon as there are more than `most_rows` transactions, BadInput for a customer with more cards
        than are looked at, Transient for a replica that cannot tell up to when it has come, and what a stream of the
        ledger raises.
        """
        if self.is_gone(holder):
            return None
        if not self._reading.read_at:
            raise Transient(
                "the replica does not say up to when it has the primary's changes (docs/sources.md, Read replicas)"
            )
        wanted = {
            name: tuple(dict.fromkeys((*needs.get(name, ()), *_ALWAYS.get(name, ()))))
            for name in (*needs, *_ALWAYS)
        }
        return _Taking(self, self._reading, holder, wanted, folder, most_rows).take()


def _with_all(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    there = batch.schema.names
    arrays = [batch[each.name] if each.name in there else pa.nulls(len(batch), each.type) for each in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


@dataclass
class _Taking:
    looking: Looking
    reading: Reading
    holder: Holder
    needs: Needs
    folder: Path
    most_rows: int | None
    files: dict[str, list[Path]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    def take(self) -> Excerpt | None:
        who = self.holder
        own = "customer_id" if who.kind is Name.CUSTOMER else "card_id"
        mine = [Which(own, (who.id,))]
        self._write("customers", mine if who.kind is Name.CUSTOMER else [])
        cards = self._write("cards", mine, remember=("card_id",))["card_id"]
        if len(cards) > MOST_CARDS:
            right = f"has more than {MOST_CARDS:,} cards: make an export with a filter instead"
            raise BadInput([Problem("customer", who.id, right, "too_many_cards")])
        if who.kind is Name.CARD:
            cards = {who.id: None}
        named = self._write(
            "transactions",
            [*(mine if who.kind is Name.CUSTOMER else []), *_among("card_id", cards)],
            remember=("transaction_id", "reward_id"),
        )
        if not any(self.rows.get(name) for name in ("customers", "cards", "transactions")):
            return None
        for whole in ("programs", "tiers"):
            self._write(whole, [None])
        self._write("tier_changes", mine if who.kind is Name.CUSTOMER else [])
        complete = self._things(mine, named)
        columns = {
            name: tuple(column for column in self.reading.columns(name) if column in self.needs[name])
            for name in self.files
        }
        snapshot = LocalSnapshot(self.files, columns)
        return Excerpt(
            who, snapshot, self.reading.read_at, self.rows.get("transactions", 0), tuple(cards), complete
        )

    def _things(self, mine: Sequence[Which | None], named: Mapping[str, dict[str, None]]) -> bool:
        """Write what transactions name; return whether that is all of it."""
        complete = len(named["transaction_id"]) < MOST_IDS
        exchanged = self._write(
            "redemptions",
            _among("transaction_id", named["transaction_id"]) if complete else [],
            remember=("reward_id", "voucher_id", "coupon_code"),
        )
        self._write("rewards", _among("reward_id", named["reward_id"] | exchanged["reward_id"]))
        codes = _among("code", exchanged["coupon_code"])
        self._write("vouchers", [*mine, *_among("voucher_id", exchanged["voucher_id"]), *codes])
        self._write("coupons", codes)
        return complete

    def _write(
        self, relation: str, whiches: Sequence[Which | None], *, remember: Sequence[str] = ()
    ) -> dict[str, dict[str, None]]:
        """Write the rows of all these, each row once; return the texts of the columns `remember`, in order."""
        found: dict[str, dict[str, None]] = {name: {} for name in remember}
        if relation not in self.needs or not self.reading.has(relation):
            return found
        there = self.reading.columns(relation)
        columns = [name for name in self.needs[relation] if name in there]
        path = self.folder / f"{relation}.parquet"
        key, seen = RELATIONS[relation].key, set[str]()
        written = 0
        with pq.ParquetWriter(path, arrow_schema(RELATIONS[relation], columns), compression="lz4") as writer:
            for which in whiches:
                for batch in self.looking.some(relation, columns, which):
                    rows = self._own(relation, which, batch)
                    if relation == "vouchers" and len(whiches) > 1:
                        rows = _fresh(rows, key[0], seen)
                    if not len(rows):
                        continue
                    writer.write_batch(rows)
                    written += len(rows)
                    if relation == "transactions" and self.most_rows is not None and written > self.most_rows:
                        raise TooLong(f"{self.holder.kind} with more than {self.most_rows:,} transactions")
                    _remember(_redeemed(rows) if relation == "transactions" else rows, found)
        self.files[relation], self.rows[relation] = [path], written
        return found

    def _own(self, relation: str, which: Which | None, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Leave out what was booked on cards: a card's rows are the card's, and are read by its number."""
        card = "card_id" in batch.schema.names
        if relation != "transactions" or which is None or which.column != "customer_id" or not card:
            return batch
        return batch.filter(pc.equal(pc.fill_null(pc.binary_length(batch.column("card_id")), 0), 0))


def _among(column: str, ids: Mapping[str, None]) -> list[Which | None]:
    texts = tuple(ids)
    return [Which(column, texts[at : at + IDS_AT_ONCE]) for at in range(0, len(texts), IDS_AT_ONCE)]


def _fresh(rows: pa.RecordBatch, key: str, seen: set[str]) -> pa.RecordBatch:
    """Return the rows whose key was not seen before."""
    keep = []
    for one in rows.column(key).to_pylist():
        keep.append(one not in seen)
        seen.add(one)
    return rows.filter(pa.array(keep, pa.bool_()))


def _redeemed(rows: pa.RecordBatch) -> pa.RecordBatch:
    return rows.filter(pc.equal(rows.column("type"), "redeemed"))


def _remember(rows: pa.RecordBatch, found: dict[str, dict[str, None]]) -> None:
    for name, ids in found.items():
        if name in rows.schema.names and len(ids) < MOST_IDS:
            ids.update((one, None) for one in rows.column(name).unique().to_pylist() if one)
