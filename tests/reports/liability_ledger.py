"""A small ledger written down row by row, as a snapshot that reports can be rendered from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from include.definitions.filters import Filter
from include.ledger.ageing import instant
from include.ledger.catalog import RELATIONS, arrow_schema
from include.reports.engine.render import Job, render
from include.reports.model import Asked, LocalSnapshot

Render = Callable[..., list[dict[str, Any]]]


def at(text: str) -> datetime:
    """`2026-03-01` or `2026-03-01T12:00`, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def row(identity: str, kind: str, points: float, created: str, **more: Any) -> dict[str, Any]:
    """One transaction of program p and customer c unless `more` says otherwise; points in whole points."""
    instants = {k: at(v) for k, v in more.items() if k in {"expires_at", "activates_at", "recorded_at"}}
    return {
        "transaction_id": identity,
        "program_id": "p",
        "customer_id": "c",
        "type": kind,
        "points": round(points * 100),
        "created_at": at(created),
        **more,
        **instants,
    }


def program(**more: Any) -> dict[str, Any]:
    base = {"program_id": "p", "name": "Points", "currency": "EUR", "time_zone": "UTC"}
    return base | more


def rates(valid_from: str = "2020-01-01", **more: Any) -> dict[str, Any]:
    base = {
        "program_id": "p",
        "valid_from": at(valid_from),
        "cost_per_point": Decimal("0.01"),
        "standalone_price_per_point": Decimal("0.01"),
        "expected_redemption_rate": Decimal("0.8"),
    }
    return base | more


def snapshot(
    folder: Path, transactions: Iterable[dict[str, Any]], **relations: list[dict[str, Any]]
) -> LocalSnapshot:
    every = {
        "transactions": list(transactions),
        "programs": [program()],
        "program_rates": [rates()],
        "orders": [],
    }
    every |= {"customers": [], "tier_changes": [], "tiers": [], "cards": []} | relations
    files: dict[str, list[Path]] = {}
    for name, rows in every.items():
        files[name] = [folder / f"{name}.parquet"]
        pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(RELATIONS[name])), files[name][0])
    return LocalSnapshot(files, {name: RELATIONS[name].names for name in every})


def rendered(
    module: ModuleType,
    taken: LocalSnapshot,
    scratch: Path,
    end: str,
    start: str | None = None,
    partitions: int | None = None,
    wanted: frozenset[str] | None = None,
    keep: Filter | None = None,
    timezone: str = "UTC",
    **options: Any,
) -> list[dict[str, Any]]:
    """The report's rows as plain values; points in hundredths."""
    until = instant(at(end))
    asked = Asked(
        start=None if start is None else instant(at(start)),
        end=None if start is None else until,
        as_of=until,
        known_at=instant(at("2030-01-01")),
        options=module.Options(**options),
        timezone=timezone,
        wanted=wanted,
        keep=keep,
    )
    (rows,) = render(
        [Job(module, asked, lambda batches: [x for b in batches for x in b.to_pylist()])],
        taken,
        scratch,
        partitions=partitions,
    )
    return rows
