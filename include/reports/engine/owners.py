"""From accounts to customers: whose account it is, and the sums of what is somebody's.

docs/ledger.md section 2: a customer has the own accounts and the cards that the customer owns, by program; a
card without an owner is a row of its own, so customers add up to accounts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.ledger.hashing import account_hashes
from include.reports.engine.joins import Batches, Side, hash_range, left_join, relation
from include.reports.engine.splitting import Scatter
from include.reports.model import LocalSnapshot, Needs

NEEDS: Needs = {
    "cards": ("card_id", "customer_id"),
    "customers": ("customer_id", "name", "email", "registered_at"),
}
NAMES = ("customer_name", "email", "registered_at")
_ACCOUNTS_AT_ONCE = 100_000
_KEY = ("program_id", "customer_id", "card_id")
_ROW = "row"


@dataclass(frozen=True)
class Customers:
    """Some customers of one program each, in order of hash.

    rows: program_id, holder_kind, holder_id, customer_id (null: a card without an owner), card_id (null: a
    customer), and the figures. Members are accounts: `places`, as they came, and the index of their row.
    """

    rows: pa.RecordBatch
    member_places: NDArray[np.int64]
    member_rows: NDArray[np.int64]


def with_owners(accounts: Batches, snapshot: LocalSnapshot, folder: Path) -> Batches:
    """Yield accounts with `customer_id` also for cards: the owner, null where nobody owns the card."""
    renamed = {"card_id": "card_id", "customer_id": "owner_id"}
    cards = relation(snapshot, "cards", "card_id", renamed, keep=_is_owned)
    for batch in left_join(accounts, cards, folder):
        owner = pc.coalesce(batch.column("customer_id"), batch.column("owner_id"))
        place = batch.schema.get_field_index("customer_id")
        yield batch.set_column(place, "customer_id", owner)


def _is_owned(cards: pa.RecordBatch) -> pa.Array:
    return pc.greater(pc.binary_length(cards.column("customer_id")), 0)


def with_names(rows: Batches, snapshot: LocalSnapshot, folder: Path) -> Batches:
    """Yield rows with customer_name, email and registered_at of their `customer_id`."""
    return left_join(rows, names(snapshot), folder)


def names(snapshot: LocalSnapshot, **also: str) -> Side:
    """Return what rows get of their `customer_id`: `NAMES`, and `also` other columns of customers, called so."""
    renamed = dict(zip(NEEDS["customers"], ("customer_id", *NAMES), strict=True))
    return relation(snapshot, "customers", "customer_id", renamed | also)


def by_customer(
    accounts: Batches,
    *,
    sums: Sequence[str],
    largest: Sequence[str] = (),
    smallest: Sequence[str] = (),
    rows_count: int,
    folder: Path,
) -> Iterator[Customers]:
    """Group accounts, which have owners, by program and customer; in order of the hash of what they become.

    accounts: place (int64), program_id, card_id, customer_id and the figures.
    """
    count = max(1, -(-rows_count // _ACCOUNTS_AT_ONCE))
    scatter = Scatter(folder, "customers", count)
    for batch in accounts:
        if not len(batch):
            continue
        alone = pc.if_else(batch.column("customer_id").is_valid(), None, batch.column("card_id"))
        batch = batch.set_column(batch.schema.get_field_index("card_id"), "card_id", alone)  # noqa: PLW2901
        scatter.add(batch, hash_range(_hashes(batch), count))
    scatter.close()
    for piece in scatter.pieces():
        if piece.rows:
            yield _grouped(piece.table(), sums, largest, smallest)
            piece.remove()


def _grouped(
    accounts: pa.Table, sums: Sequence[str], largest: Sequence[str], smallest: Sequence[str]
) -> Customers:
    table = accounts.append_column(_ROW, pa.array(np.arange(len(accounts))))
    wanted = [*((name, "sum") for name in sums), *((name, "max") for name in largest)]
    wanted += [*((name, "min") for name in smallest), (_ROW, "list")]
    groups = table.group_by(list(_KEY), use_threads=False).aggregate(wanted)
    names = dict(zip((f"{name}_{how}" for name, how in wanted), (name for name, _ in wanted), strict=True))
    groups = groups.rename_columns([names.get(name, name) for name in groups.column_names])
    groups = groups.take(pa.array(np.argsort(_hashes(groups), kind="stable"))).combine_chunks()
    members = groups.column(_ROW).combine_chunks()
    places = accounts.column("place").to_numpy()[members.flatten().to_numpy()]
    member_rows = np.repeat(np.arange(len(groups)), members.value_lengths().to_numpy())
    card, customer = groups.column("card_id"), groups.column("customer_id")
    kinds = pa.array(["customer", "card"]).take(card.is_valid().cast(pa.int8()))
    groups = groups.drop_columns([_ROW]).append_column("holder_kind", kinds)
    groups = groups.append_column("holder_id", pc.coalesce(card, customer)).combine_chunks()
    return Customers(groups.to_batches()[0], places, member_rows)


def _hashes(rows: pa.RecordBatch | pa.Table) -> NDArray[np.uint64]:
    program, customer, card = (rows.column(name) for name in _KEY)
    purse = pa.repeat(pa.scalar(""), len(rows))
    return account_hashes(program, purse, card, customer)
