"""A ledger written down row by row as a snapshot in a store, with transactions in several files; and plans for it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from include.ledger.catalog import RELATIONS, arrow_schema
from include.reports import models
from include.reports.model import Asked, LocalSnapshot
from include.snapshots.manifest import SnapshotFile, SnapshotManifest, SnapshotRelation, SnapshotTotals
from include.spark.plan import Plan, code
from tests.ledger.random_ledger import random_ledger

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
READ_AT = datetime(2026, 7, 1, tzinfo=UTC)
FILES = 3


def random_rows(seed: int, accounts: int) -> list[dict[str, Any]]:
    """Random ledgers of customers and cards, in two programs and a purse; instants from 0 to 40 us."""
    random, rows = Random(seed), []
    for index in range(accounts):
        is_card = random.random() < 0.3
        for posted in random_ledger(random, f"{index}"):
            related = None if posted.related is None else f"{posted.related}/{index}"
            rows.append(
                {
                    "transaction_id": f"{posted.id}/{index}",
                    "program_id": f"p{index % 2}",
                    "subledger_id": random.choice([None, "", "miles"])
                    if index % 5 == 0 and is_card
                    else None,
                    "customer_id": f"c{index}",
                    "card_id": f"card{index}" if is_card else None,
                    "type": posted.type,
                    "points": posted.points,
                    "created_at": posted.created_at,
                    "activates_at": posted.activates_at,
                    "expires_at": posted.expires_at,
                    "related_transaction_id": related,
                }
            )
    random.shuffle(rows)
    return rows


def others(accounts: int) -> dict[str, list[dict[str, Any]]]:
    return {
        "programs": [{"program_id": f"p{i}", "name": f"Program {i}", "currency": "EUR"} for i in range(2)],
        "program_rates": [
            {
                "program_id": f"p{i}",
                "valid_from": EPOCH,
                "cost_per_point": Decimal("0.01"),
                "standalone_price_per_point": Decimal("0.02"),
                "expected_redemption_rate": Decimal("0.8"),
            }
            for i in range(2)
        ],
        "customers": [
            {"customer_id": f"c{i}", "name": f"Name {i}", "registered_at": EPOCH}
            for i in range(0, accounts, 2)
        ],
        "cards": [
            {"card_id": f"card{i}", "customer_id": f"c{i}" if i % 3 else None} for i in range(accounts)
        ],
        "tier_changes": [],
        "tiers": [],
        "vouchers": [],
        "rewards": [],
        "redemptions": [
            {"redemption_id": f"r{i}", "customer_id": f"c{i}", "redeemed_at": EPOCH, "program_id": "p0"}
            for i in range(accounts)
        ],
    }


def stored(folder: Path, relations: dict[str, list[dict[str, Any]]]) -> SnapshotManifest:
    """Write a snapshot into the store `folder`."""
    held = {}
    for name, rows in relations.items():
        schema, files = arrow_schema(RELATIONS[name]), []
        for number in range(FILES if name == "transactions" else 1):
            part = rows[number::FILES] if name == "transactions" else rows
            path = folder / f"{name}-{number}.parquet"
            pq.write_table(pa.Table.from_pylist(part, schema=schema), path)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            size = path.stat().st_size
            files.append(SnapshotFile(key=path.name, rows=len(part), bytes=size, sha256=digest))
        held[name] = SnapshotRelation(columns=tuple(schema.names), rows=len(rows), files=tuple(files))
    return SnapshotManifest(
        id=folder.name,
        source="here",
        source_key="here",
        mapping_hash=None,
        generation=1,
        attempt="a",
        read_at=READ_AT,
        oldest_open_transaction=None,
        has_recorded_at=False,
        relations=held,
        totals=SnapshotTotals(),
        code_version="0",
    )


def planned(
    folder: Path, manifest: SnapshotManifest, report: str, as_of: int, *, tasks: int, start: int | None = None,
    **options: Any,
) -> Plan:  # fmt: skip
    module = models.load(report, where="test")
    end = None if module.PERIOD == "none" else as_of
    asked = Asked(start, end, as_of, 10**15, module.Options(**options), "Europe/Paris")
    return Plan(report, asked, manifest, f"file://{folder}", folder.parent / "scratch", tasks, code())


def whole(folder: Path, manifest: SnapshotManifest) -> LocalSnapshot:
    """The same snapshot as one machine reads it."""
    files = {name: [folder / file.key for file in held.files] for name, held in manifest.relations.items()}
    return LocalSnapshot(files, manifest.columns())
