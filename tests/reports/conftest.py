"""The sample ledger, small, as a snapshot on disk."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.reports.model import LocalSnapshot
from include.sample import Plan, generate

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
