"""What accounts hold, kept from booking until a query joins it to customers or cards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from include.ledger.balances import balances
from include.reports import programs
from include.reports.engine import files, owners
from include.reports.engine.joins import Batches, chosen
from include.reports.engine.kept import Kept
from include.reports.engine.queried import Stream
from include.reports.engine.replay import INSTANT, BookedPartition, instants
from include.reports.model import LocalSnapshot

_POINTS = ("active", "pending", "negative_balance", "lifetime_earned")
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("program_id", "card_id", "customer_id")),
        *((name, pa.int64()) for name in _POINTS),
        ("last_activity_at", INSTANT),
    ]
)


class AccountFigures:
    """Accounts as booked at one cut, those of `only` some programs where these are named."""

    def __init__(self, scratch: Path, only: Sequence[str] = ()) -> None:
        self._scratch = scratch
        self._only = only
        self._spool = files.Spool(scratch / "accounts.arrow")
        self.kept: tuple[Kept, ...] = (self._spool,)

    def take(self, partition: BookedPartition) -> None:
        """Keep a partition's accounts."""
        figures = balances(partition.booked)
        table = partition.accounts.select(["program_id", "card_id", "customer_id"])
        for name in _POINTS:
            table = table.append_column(name, pa.array(getattr(figures, name)))
        table = table.append_column("last_activity_at", instants(figures.last_activity_at, none=-1))
        for batch in programs.keep(table, self._only).to_batches():
            self._spool.write(batch)

    def stream(self) -> Stream:
        """Return them as they are: `customer_id` is null for cards."""
        return Stream(_SCHEMA, self._spool.batches)

    def owned(self, snapshot: LocalSnapshot) -> Stream:
        """Return them with the owners of cards as `customer_id`, null where nobody owns the card."""

        def read() -> Batches:
            return chosen(owners.with_owners(self._spool.batches(), snapshot, self._scratch), _SCHEMA)

        return Stream(_SCHEMA, read)
