"""The sample ledger, small, as a snapshot on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.reports import liability
from include.reports.model import LocalSnapshot
from include.sample import Plan, generate
from tests.reports.liability_ledger import Render, rendered, snapshot

SAMPLE_END = Plan().end_us


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> LocalSnapshot:
    """400 customers, 9,000 transactions, one account with an eighth of them."""
    folder = tmp_path_factory.mktemp("sample")
    batches: dict[str, list[pa.RecordBatch]] = {}
    for relation, batch in generate(Plan(customers=400, transactions=9_000, whale=0.125)):
        batches.setdefault(relation, []).append(batch)
    files: dict[str, list[Path]] = {}
    for relation, parts in batches.items():
        files[relation] = [folder / f"{relation}.parquet"]
        pq.write_table(pa.Table.from_batches(parts), files[relation][0], row_group_size=2_000)
    return LocalSnapshot(
        files, {relation: tuple(parts[0].schema.names) for relation, parts in batches.items()}
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Callable[..., Render]:
    """Takes rows and relations; returns a function that renders the liability report on them."""

    def take(rows: list[dict[str, Any]], **relations: list[dict[str, Any]]) -> Render:
        folder, scratch = tmp_path / "snapshot", tmp_path / "scratch"
        folder.mkdir(exist_ok=True)
        scratch.mkdir(exist_ok=True)
        taken = snapshot(folder, rows, **relations)
        return lambda start, end, **options: rendered(liability, taken, scratch, end, start, **options)

    return take
