"""Ledgers that grow and change from day to day, and snapshots that begin from one another. Helpers, not tests."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from include.snapshots import canonical, extract, parquet
from tests.snapshots.ledgers import START, Desk, ledger

DAY = timedelta(days=1)
TRANSACTIONS = canonical.METADATA.tables["transactions"]
COLUMNS = (
    "transaction_id", "program_id", "customer_id", "type", "points", "created_at", "recorded_at", "expires_at",
    "reason",
)  # fmt: skip
NEEDS = {"transactions": COLUMNS, "customers": ("customer_id", "name", "registered_at")}


def row(number, day, points="1.25", **more):
    base = {"transaction_id": f"t{number:06d}", "program_id": "p", "customer_id": "c", "type": "earned"}
    return {**base, "points": Decimal(points), "created_at": START + day * DAY, **more}


def add(engine, *rows):
    with engine.begin() as connection:
        for each in rows:
            connection.execute(TRANSACTIONS.insert(), each)


def change(engine, number, **values):
    with engine.begin() as connection:
        mine = TRANSACTIONS.c.transaction_id == f"t{number:06d}"
        connection.execute(TRANSACTIONS.update().where(mine).values(**values))


def remove(engine, number):
    with engine.begin() as connection:
        connection.execute(TRANSACTIONS.delete().where(TRANSACTIONS.c.transaction_id == f"t{number:06d}"))


class Days(Desk):
    """A desk whose snapshots begin from one another; every one is asked for anew."""

    def next(self, **changes):
        asked = {"needs": NEEDS, "whole_every": timedelta(days=30)}
        last = self.state.snapshots.all_of(self.key)[0] if self.state.snapshots.sources() else None
        fresh = {} if last is None else {"not_before": last.read_at + timedelta(microseconds=1)}
        return self.take(**(asked | fresh | {"settle_delay": timedelta(0)} | changes))

    @property
    def key(self):
        return self.state.snapshots.sources()[0]

    def rows(self, manifest):
        """All rows by relation, by key: what a report can see of a snapshot."""
        with tempfile.TemporaryDirectory() as folder:
            files = extract.local(self.store, manifest, manifest.relations, Path(folder))
            key = {"transactions": "transaction_id", "customers": "customer_id"}
            return {
                name: pa.concat_tables(map(pq.read_table, paths)).sort_by(key[name]).to_pylist()
                if paths
                else []
                for name, paths in files.items()
            }

    def same_as_whole(self, manifest):
        """Compare with a whole reading of the same ledger, taken now."""
        with tempfile.TemporaryDirectory() as folder:
            whole = Desk(Path(folder), self.url)
            whole.source = self.source
            other = whole.take(needs=NEEDS)
            assert self.rows(manifest) == Days.rows(whole, other)
            assert manifest.totals == other.totals
            for name, held in manifest.relations.items():
                assert (held.rows, held.columns) == (
                    other.relations[name].rows,
                    other.relations[name].columns,
                )


def forty_days(url, folder):
    """A desk with forty days of ten rows each."""
    engine = ledger(url, 0)
    with engine.begin() as connection:
        rows = [row(day * 10 + place, day) for day in range(40) for place in range(10)]
        connection.execute(TRANSACTIONS.insert(), rows)
    made = Days(folder, url)
    made.engine = engine
    return made


def small_files(monkeypatch):
    """Let files have a hundred rows."""
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 50)
    monkeypatch.setattr(parquet, "FILE_ROWS", 100)
    monkeypatch.setattr("include.snapshots.sql._BATCH_ROWS", 50)
    monkeypatch.setattr("include.snapshots.copy_stream.BLOCK_BYTES", 2000)


def keys(manifest):
    return [file.key for file in manifest.relations["transactions"].files]
