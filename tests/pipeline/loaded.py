"""What a stage's process has imported. A helper, not a test: it imports no pytest."""

from __future__ import annotations

import sys
from typing import Any

import pyarrow as pa


def heavy(*, progress: Any) -> list[str]:
    pa.array(["Arrow looks for pandas now"])
    return [name for name in ("airflow", "typer", "pytest", "pandas") if name in sys.modules]


def queried(*, progress: Any) -> int:
    """Use DuckDB, which complains at the end of a process about what nobody gave back."""
    import duckdb

    [[found]] = duckdb.sql("SELECT 1").fetchall()
    return int(found)
