"""A whole ledger through the reports, as exports read it, to hold what a look at one customer shows against it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from include.ledger.catalog import RELATIONS, arrow_schema
from include.reports import allocations, balance, history, lots, projection, redemption
from include.reports.engine.render import Job, render
from include.reports.model import Asked, LocalSnapshot
from include.snapshots.source import Source, open_read

REPORTS: dict[str, tuple[Any, Any]] = {
    "balance": (balance, balance.Options()),
    "customer balance": (balance, balance.Options(grain="customer")),
    "history": (history, history.Options(profile="all")),
    "lots": (lots, lots.Options()),
    "allocations": (allocations, allocations.Options()),
    "projection": (projection, projection.Options(grain="customer", include_zero=True)),
    "redemption": (redemption, redemption.Options()),
}
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Whole:
    """Every relation of a ledger as files, the instant of the read, and who owns which card."""

    snapshot: LocalSnapshot
    read_at: int
    owners: dict[str, str | None]

    def report(self, name: str, at: int, zone: str, scratch: Path, **period: int) -> Rows:
        """All rows of a report, which is about every account."""
        module, options = REPORTS[name]
        asked = Asked(period.get("start"), period.get("end"), at, self.read_at, options, zone)
        [rows] = render([Job(module, asked, _rows)], self.snapshot, scratch)
        return rows

    def of(self, row: dict[str, Any]) -> str | None:
        """Whose account a row belongs to: a customer's, or a card's that nobody owns."""
        card = row.get("card_id")
        if "holder_kind" in row:
            card = row["holder_id"] if row["holder_kind"] == "card" else None
        return (self.owners.get(card) or f"card {card}") if card else row["customer_id"]


def _rows(batches: Iterator[pa.RecordBatch]) -> Rows:
    return [row for batch in batches for row in batch.to_pylist()]


@contextmanager
def whole(url: str, folder: Path) -> Iterator[Whole]:
    files, columns = {}, {}
    with open_read(Source(url)) as reading:
        for name in reading.relations:
            there = reading.columns(name)
            path = folder / f"{name}.parquet"
            with pq.ParquetWriter(path, arrow_schema(RELATIONS[name], there)) as writer:
                for batch in reading.stream(name, there):
                    writer.write_batch(batch)
            files[name], columns[name] = [path], there
        read_at = reading.read_at
    cards = pq.read_table(files["cards"][0]).to_pylist() if "cards" in files else []
    owners = {card["card_id"]: card["customer_id"] for card in cards}
    yield Whole(LocalSnapshot(files, columns), read_at, owners)
